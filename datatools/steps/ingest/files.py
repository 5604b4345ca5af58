"""Which files a source reads, under which names, and how their bytes are reached.

Owns: expanding path patterns to input files in canonical order, telling whether a file is still the
same, and reading at a position. Refuses: what the bytes mean.

Local paths are opened directly; anything with `scheme://` goes through fsspec, which is imported
only then.
"""

from __future__ import annotations

import abc
import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from pydantic import Field, field_validator

from datatools.errors import ConfigError, DataError, nearest
from datatools.steps.base import Source, Unit

__all__ = ["FileSource", "InputFile", "StoredFile", "expand", "open_file", "open_unit"]

_CHUNK_BYTES: Final = 256 << 10
_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*(::|://)")
_MAGIC: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputFile:
    r"""One file to read.

    Attributes:
        path: Where to open it.
        relpath: Its name in ids and reports: the path relative to its pattern's fixed part, with
            `/`. Bytes of a local name that are not UTF-8 are written `\xNN`.
        size: Bytes as stored.
        fingerprint: Equal as long as the file is the same: size, mtime and inode of a local file,
            the ETag of a remote one.
    """

    path: str
    relpath: str
    size: int
    fingerprint: str

    def unit(self, start: int, end: int) -> Unit:
        """Return the unit `[start, end)` of this file."""
        return Unit(self.path, self.relpath, start, end, self.size, self.fingerprint)


def expand(paths: Sequence[str], *, where: str) -> list[InputFile]:
    """Return the files that `paths` name, sorted by relative path.

    A path is a file or a pattern with `*`, `?`, `[...]` and `**` (any depth). A name that exists is
    taken as it is, also when it holds a pattern character. Hidden files need a pattern with a dot.

    Args:
        paths: Local paths or `scheme://` addresses that fsspec knows.
        where: The field to name in errors, e.g. `ReadWarc.paths`.

    Raises:
        ConfigError: A path matches nothing, names a folder, or two files have one relative path.

    Example:
        >>> expand(["no/such/file.jsonl"], where="ReadJsonl.paths")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        datatools.errors.ConfigError: ReadJsonl.paths: no file matches (got 'no/such/file.jsonl')...
    """
    found: dict[str, InputFile] = {}
    named: dict[str, str] = {}
    for path in paths:
        files = _remote(path, where) if _SCHEME.match(path) else _local(path, where)
        for file in files:
            other = found.setdefault(file.relpath, file)
            if other.path != file.path:
                raise ConfigError(
                    where,
                    f"two files have the relative path {file.relpath!r}, and ids are made from it",
                    got=[other.path, file.path],
                    hint="Use one pattern over their common folder, or read them as two datasets.",
                )
            place = file.path if _SCHEME.match(path) else os.path.realpath(file.path)
            if named.setdefault(place, file.relpath) != file.relpath:
                raise ConfigError(
                    where,
                    "one file is named twice, so its records would be read twice",
                    got=file.path,
                    hint="Leave out one of the paths that match it.",
                )
    return [found[name] for name in sorted(found)]


def _local(pattern: str, where: str) -> Iterator[InputFile]:
    if os.path.isfile(pattern):
        yield _local_file(pattern, os.path.basename(pattern))
        return
    if os.path.isdir(pattern):
        raise ConfigError(
            where,
            "names a folder",
            got=pattern,
            hint=f"Write {pattern.rstrip('/')}/** for what is in it.",
        )
    base = _fixed_part(pattern)
    matched = False
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isfile(path):
            matched = True
            yield _local_file(path, os.path.relpath(path, base or "."))
    if not matched:
        folder = Path(base or ".")
        beside = list(folder.iterdir()) if folder.is_dir() else []
        files = [entry.name for entry in beside if entry.is_file()]
        raise _nothing(pattern, where, files, len(beside) - len(files))


def _local_file(path: str, relpath: str) -> InputFile:
    status = Path(path).stat()
    name = os.fsencode(relpath).decode("utf-8", "backslashreplace").replace(os.sep, "/")
    return InputFile(os.path.normpath(path), name, status.st_size, _local_fingerprint(status))


def _local_fingerprint(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


def _remote(pattern: str, where: str) -> Iterator[InputFile]:
    filesystem, inner = _filesystem(pattern, where)
    try:
        if filesystem.isfile(inner):
            yield _remote_file(filesystem, inner, inner.rpartition("/")[2])
            return
        base = _fixed_part(inner)
        names = sorted(filesystem.glob(inner)) if _MAGIC.search(inner) else []
        files = [name for name in names if filesystem.isfile(name)]
        if not files:
            beside = _listed(filesystem, base)
            names = [one["name"] for one in beside if one["type"] == "file"]
            names = [name.rpartition("/")[2] for name in names]
            raise _nothing(pattern, where, names, len(beside) - len(names))
        for name in files:
            yield _remote_file(filesystem, name, name[len(base) :].lstrip("/"))
    except OSError as error:
        raise DataError(
            pattern, f"cannot be listed: {error}", hint="Check the address and the credentials."
        ) from error


def _filesystem(path: str, where: str) -> tuple[Any, str]:
    import fsspec

    try:
        filesystem, inner = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            where, f"no file system for this address: {error}", got=path, hint="See fsspec's list."
        ) from error
    return filesystem, inner


def _listed(filesystem: Any, base: str) -> list[dict[str, Any]]:
    try:
        return list(filesystem.ls(base or "/", detail=True))
    except OSError:
        return []


def _remote_file(filesystem: Any, name: str, relpath: str) -> InputFile:
    info = filesystem.info(name)
    return InputFile(
        filesystem.unstrip_protocol(name), relpath, info["size"], _remote_fingerprint(info)
    )


def _remote_fingerprint(info: dict[str, Any]) -> str:
    for key in ("VersionId", "ETag", "etag", "md5Hash", "LastModified", "mtime", "created"):
        if info.get(key):
            return f"{info['size']}-{key}-{info[key]}"
    return f"{info['size']}"


def _fixed_part(pattern: str) -> str:
    """Return the folder before the first pattern character, with its slash.

    Example:
        >>> _fixed_part("crawl/2024-*/part.gz"), _fixed_part("*.gz"), _fixed_part("a/b.gz")
        ('crawl/', '', 'a/')
    """
    special = _MAGIC.search(pattern)
    return pattern[: pattern.rfind("/", 0, special.start() if special else len(pattern)) + 1]


def _nothing(pattern: str, where: str, files: Sequence[str], folders: int) -> ConfigError:
    """Return the error about a pattern that matches no file.

    Args:
        pattern: The pattern.
        where: The field that holds it.
        files: Names of the files in the pattern's fixed part. Only these can have been meant: a
            folder would be refused, and might be the output of an earlier run.
        folders: How many folders there are beside them.
    """
    base = _fixed_part(pattern)
    close = nearest(pattern.removeprefix(base), sorted(files))
    holds = f"{base or 'This folder'} holds"
    if close:
        hint = f"Did you mean {base}{close}?"
    elif files:
        shown = ", ".join(sorted(files)[:3])
        hint = f"{holds} {_counted(len(files), 'file')}, among them {shown}."
    elif folders:
        hint = f"{holds} no file but {_counted(folders, 'folder')}: write {base}** for all in them."
    else:
        hint = f"{base or 'This folder'} does not exist or is empty."
    return ConfigError(where, "no file matches", got=pattern, hint=hint)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class StoredFile:
    """A file read at positions, with one buffer that serves small reads near each other."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.raw = file
        """The open file itself, for libraries that read it in their own way."""
        self._base = 0
        self._chunk = b""
        self.size = size
        """Bytes the file has, as known when it was planned."""

    def read_at(self, position: int, length: int) -> bytes:
        """Return up to `length` bytes from `position`; fewer only where the file ends."""
        start = position - self._base
        if not 0 <= start <= start + length <= len(self._chunk):
            self.raw.seek(position)
            parts = [self.raw.read(max(length, _CHUNK_BYTES))]
            # A remote file may answer with less than was asked for before it ends.
            while parts[-1] and sum(map(len, parts)) < length:
                parts.append(self.raw.read(length - sum(map(len, parts))))
            self._chunk = parts[0] if len(parts) == 1 else b"".join(parts)
            self._base, start = position, 0
        return self._chunk[start : start + length]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.raw.close()


def open_file(file: InputFile) -> StoredFile:
    """Open a file that `expand` found.

    Raises:
        DataError: It cannot be opened, or it changed since.
    """
    return _open(file.path, file.size, file.fingerprint)


def open_unit(unit: Unit) -> StoredFile:
    """Open the file a unit belongs to.

    Raises:
        DataError: It cannot be opened, or it changed since the units were made.
    """
    return _open(unit.path, unit.size, unit.fingerprint)


def _open(path: str, size: int, fingerprint: str) -> StoredFile:
    try:
        if _SCHEME.match(path):
            filesystem, inner = _filesystem(path, path)
            now = _remote_fingerprint(filesystem.info(inner))
            file: BinaryIO = filesystem.open(inner, "rb", compression=None)
        else:
            file = Path(path).open("rb")  # noqa: SIM115 - StoredFile closes it
            now = _local_fingerprint(os.fstat(file.fileno()))
    except OSError as error:
        raise DataError(
            path, f"cannot be opened: {error.strerror or error}", hint="Check that it is there."
        ) from error
    if now != fingerprint:
        file.close()
        raise DataError(path, "changed after the run was planned", hint="Run again.")
    return StoredFile(file, size)


class FileSource(Source):
    """A source that reads files."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Files to read: paths or patterns (`*`, `?`, `[...]`, `**` for any depth), local or any
    address fsspec knows (`s3://bucket/crawl/*.gz`). Ids are made from the path relative to the
    pattern's fixed part, so moving the folder changes no id; a plain path gives its file name."""

    @field_validator("paths", mode="before")
    @classmethod
    def _one_path_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def units(self) -> list[Unit]:
        """Return the units in canonical order: by relative path, then by start."""
        files = expand(self.paths, where=f"{self.name()}.paths")
        return [unit for file in files for unit in self._split(file)]

    @abc.abstractmethod
    def _split(self, file: InputFile) -> list[Unit]:
        """Return the units of one file; an empty file is one empty unit."""
