"""Local files that are whole or absent: hashing, atomic commit, Arrow parts and their references.

Owns: how bytes reach a final name. A file is written under a private temporary name in the same
directory, closed, fsynced, renamed, and the directory fsynced; whatever happens before the rename
leaves nothing under the final name. A failed fsync throws the temporary file away and is never
retried: the kernel may have marked the lost pages clean (Rebello et al., "Can Applications Recover
from fsync Failures?", USENIX ATC 2020).

Refuses: what the files mean, and files elsewhere: a `Root` that is no folder brings them here.
Stages, views and datasets are built above.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

from datatools.errors import DataError, IntegrityError

__all__ = [
    "PartRef",
    "Root",
    "canonical_json",
    "digest",
    "disk_error",
    "drop_stale_temporaries",
    "file_sha256",
    "fsync_directory",
    "indented_json",
    "iter_batches",
    "part_schema",
    "read_batch",
    "read_json",
    "read_part",
    "verify_part",
    "write_atomic",
    "write_json",
    "write_part",
]

_attempts = itertools.count()
TEMPORARY = ".tmp-"
"""Prefix of every temporary name; nothing with this prefix is ever data."""


@dataclass(frozen=True)
class PartRef:
    """A committed file of a stage, relative to the store's root.

    Attributes:
        path: Relative path, `/`-separated.
        rows: Rows it holds.
        bytes: Size on disk.
        sha256: Digest of its bytes, hexadecimal.
        batches: Rows of each record batch, so that a reader skips those it does not need.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    batches: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the reference as the object that manifests hold."""
        return {**asdict(self), "batches": list(self.batches)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PartRef:
        """Return the reference that `to_json` wrote."""
        return cls(**{**value, "batches": tuple(value["batches"])})


class Fetching(Protocol):
    """A store whose parts are brought to this machine when they are read."""

    @property
    def folder(self) -> Path:
        """Where parts are written on this machine."""

    def fetch(self, part: PartRef) -> Path:
        """Return the part's file on this machine, its bytes verified."""


Root = Path | Fetching
"""What parts are read from: the store's folder, or a store that is elsewhere."""


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def digest(value: object) -> str:
    """Return the SHA-256 of `value`'s canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _HashingFile(io.RawIOBase):
    """A write-only file that hashes and counts what goes through it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hasher = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._hasher.update(view)
        written = 0
        while written < len(view):
            written += os.write(self._descriptor, view[written:])
        self.size += written
        return written

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


def disk_error(where: str, error: OSError) -> DataError:
    """Return what to tell the user about a disk that refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DataError(
            where,
            "the disk is full",
            got=os.strerror(error.errno),
            hint="Free some space and run again: finished work is kept.",
        )
    return DataError(
        where,
        "the disk refused",
        got=error.strerror or str(error),
        hint="Finished work is kept: run again once it is mended.",
    )


def fsync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


Durability = Literal["name", "bytes", "none"]


def write_atomic(
    path: Path, write: Callable[[Any], None], *, durable: Durability = "name"
) -> tuple[int, str]:
    """Write a file so that its final name is a whole file or nothing.

    Args:
        path: Final name. Its directory is created.
        write: Called with a binary, write-only, unseekable file.
        durable: What survives a power cut once this returns: the file under its `name`; its
            `bytes`, if the name does (a stage syncs its directory once, before its manifest); or
            `none`, for files that are checked when read and cheap to make again.

    Returns:
        Size in bytes and SHA-256 of what was written.

    Raises:
        OSError: The disk refused; nothing is left under the final name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{next(_attempts)}-{path.name}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            sink = _HashingFile(descriptor)
            write(sink)
            if durable != "none":
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable == "name":
        fsync_directory(path.parent)
    return sink.size, sink.hexdigest()


def indented_json(value: object) -> bytes:
    """Return `value` as JSON for people: indented, with sorted keys and a newline at the end."""
    return orjson.dumps(
        value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def write_json(path: Path, value: object, *, durable: Durability = "name") -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    data = indented_json(value)
    write_atomic(path, lambda file: file.write(data), durable=durable)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        IntegrityError: The file is not JSON.
    """
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise IntegrityError(
            str(path), f"is not valid JSON: {error}", hint="Delete it and run again."
        ) from None


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Return the frame as Arrow with large offsets and no string views: what every reader knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def write_part(
    root: Path, path: str, schema: pl.DataFrame, frames: Iterator[pl.DataFrame]
) -> PartRef:
    """Write frames as one Arrow IPC file, a record batch per frame, and commit it.

    Args:
        root: The store's root.
        path: Final name relative to the root.
        schema: An empty frame with the part's schema; every frame must have it.
        frames: The rows, in order. Empty frames are kept as empty batches.
    """
    rows: list[int] = []

    def write(file: Any) -> None:
        empty = to_arrow(schema)
        arrow_schema = empty.schema
        options = ipc.IpcWriteOptions(compression="lz4")
        with ipc.new_file(file, arrow_schema, options=options) as writer:
            for frame in frames:
                table = to_arrow(frame.rechunk())
                if table.schema != arrow_schema:
                    raise TypeError(
                        f"frames of one part differ: {frame.schema} is not {schema.schema}"
                    )
                columns = [_one_chunk(column) for column in table.columns]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=arrow_schema))
                rows.append(frame.height)

    size, sha256 = write_atomic(root / path, write, durable="bytes")
    _verified.add(_seen(sha256, (root / path).stat()))  # it was hashed on its way to the disk
    return PartRef(path, sum(rows), size, sha256, tuple(rows))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array whose bytes follow from its values.

    Polars leaves the bits after the last row of a bitmap as they happen to be; Arrow writes them
    anew when it joins two arrays. Columns without bitmaps, the large ones among them, are not
    copied.
    """
    kind = column.type
    plain = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    if column.num_chunks == 1 and plain and not column.null_count:
        return column.chunk(0)
    return pa.concat_arrays([pa.array([], kind), *column.chunks])


_verified: set[tuple[str, int, int]] = set()


def _seen(sha256: str, stat: os.stat_result) -> tuple[str, int, int]:
    return sha256, stat.st_ctime_ns, stat.st_ino


def verify_part(path: Path, ref: PartRef, *, known: bool = False) -> None:
    """Hash a part the first time this process reads it, unless it wrote it.

    Args:
        path: Its file.
        ref: What it must hold.
        known: Whether its bytes were hashed just now, on their way here.

    Raises:
        IntegrityError: The file is gone, or holds other bytes.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise IntegrityError(
            str(path), "is missing from the cache", hint="Run `datatools gc` and run again."
        ) from None
    seen = _seen(ref.sha256, stat)
    if known:
        _verified.add(seen)
    if seen in _verified:
        return
    found = file_sha256(path) if stat.st_size == ref.bytes else f"{stat.st_size} bytes"
    if found != ref.sha256:
        raise IntegrityError(
            str(path),
            f"does not hold the bytes that were committed (expected sha256 {ref.sha256})",
            got=found,
            hint="Something changed the cache. Run `datatools gc --all` and run again.",
        )
    _verified.add(seen)


def open_part(root: Root, ref: PartRef, columns: Sequence[str] | None = None) -> Any:
    """Open a part for reading by record batch, its bytes verified against its digest."""
    if isinstance(root, Path):
        path = root / ref.path
        verify_part(path, ref)
    else:
        path = root.fetch(ref)
    source = pa.memory_map(str(path))
    reader = ipc.open_file(source)
    if columns is None:
        return reader
    fields = sorted(reader.schema.get_field_index(name) for name in columns)
    source.seek(0)
    return ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=fields))


def iter_batches(
    root: Root,
    ref: PartRef,
    columns: Sequence[str] | None = None,
    needed: Callable[[int, int], bool] | None = None,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield a part's record batches as `(first row, frame)`.

    Args:
        root: The store's root.
        ref: The part.
        columns: Columns in the wanted order; None means all.
        needed: Called with the first and one-past-the-last row of a batch; a batch that is not
            needed is not read.
    """
    reader = open_part(root, ref, columns)
    start = 0
    for index, rows in enumerate(ref.batches):
        if rows and (needed is None or needed(start, start + rows)):
            frame = pl.from_arrow(reader.get_batch(index))
            assert isinstance(frame, pl.DataFrame)
            yield start, frame if columns is None else frame.select(columns)
        start += rows


def part_schema(root: Root, ref: PartRef) -> pl.Schema:
    """Return a part's columns, reading no rows."""
    frame = pl.from_arrow(open_part(root, ref).schema.empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame.schema


def read_batch(
    root: Root, ref: PartRef, index: int, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return one record batch of a part."""
    frame = pl.from_arrow(open_part(root, ref, columns).get_batch(index))
    assert isinstance(frame, pl.DataFrame)
    return frame if columns is None else frame.select(columns)


def read_part(root: Root, ref: PartRef, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return a whole part as one frame."""
    reader = open_part(root, ref, columns)
    frame = pl.from_arrow(reader.read_all())
    assert isinstance(frame, pl.DataFrame)
    return frame if columns is None else frame.select(columns)


def drop_stale_temporaries(directory: Path) -> None:
    """Delete temporary files that a killed run left below `directory`."""
    for stale in directory.rglob(f"{TEMPORARY}*"):
        stale.unlink(missing_ok=True)
