"""Writing segments: from documents, and from other segments.

Owns the way to the disk. A segment's folder is written straight under its name, every file fsynced,
and counts only once a manifest names it; a failure leaves nothing, a crash a folder that no
manifest names.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datatools.dedup_index.segment import KeyTable, Segment, SegmentRef, hash_ids
from datatools.dedup_index.sketching import Sketches
from datatools.engine.store import fsync_directory

__all__ = ["merge", "write_segment"]

_PART_KEYS = 1 << 22
"""Keys sorted at a time when segments are merged: with their order about 100 MB."""
_PART_BYTES = 1 << 24


def write_segment(
    folder: Path,
    ids: Sequence[str],
    records: npt.NDArray[np.uint8],
    record_ends: npt.NDArray[np.uint64],
    sketches: Sketches,
) -> SegmentRef:
    """Write documents as a segment.

    Args:
        folder: The segment's folder, which must not exist.
        ids: One per document.
        records: What `Segment.record` reads, one after the other.
        record_ends: Where that of each document ends.
        sketches: Of the same documents.
    """
    count = len(ids)
    docs = np.repeat(np.arange(count, dtype=np.uint32), sketches.count)
    with _written(folder, count) as files:
        _write_table(files, "band", KeyTable.of(sketches.keys[sketches.counts], docs))
        _write_table(files, "id", KeyTable.of(hash_ids(ids), np.arange(count, dtype=np.uint32)))
        files.open("sketches", np.uint8, *sketches.sketch.shape).write(sketches.sketch)
        files.open("record_ends", np.uint64, count).write(record_ends)
        files.open("records", np.uint8, len(records)).write(records)
    return files.ref


def merge(segments: Sequence[Segment], folder: Path) -> SegmentRef:
    """Write several segments as one that holds the same documents in the same order.

    Complexity:
        O(n log n) time and constant memory: the tables are merged by ranges of their keys, which
        are hashes and so spread evenly.
    """
    count = sum(len(one) for one in segments)
    bases = np.cumsum([0, *(len(one) for one in segments)]).tolist()
    with _written(folder, count) as files:
        _merge_tables(files, "band", [one.bands for one in segments], bases)
        _merge_tables(files, "id", [one.ids for one in segments], bases)
        sketches = files.open("sketches", np.uint8, count, segments[0].sketches.shape[1])
        for one in segments:
            _copy(one.sketches, sketches)
        ends = files.open("record_ends", np.uint64, count)
        before = np.uint64(0)
        for one in segments:
            ends.write(one.record_ends + before)
            before += np.uint64(len(one.records))
        records = files.open("records", np.uint8, int(before))
        for one in segments:
            _copy(one.records, records)
    return files.ref


class _ArrayFile:
    """An array written from its first row to its last, hashed on the way."""

    def __init__(self, path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._hasher = hashlib.sha256()
        self._size = 0
        header = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(self._dtype)
        np.lib.format.write_array_header_1_0(
            header, {"descr": descr, "fortran_order": False, "shape": shape}
        )
        self.file = path.open("xb", buffering=0)
        self._write(header.getbuffer())

    def write(self, rows: npt.NDArray[Any]) -> None:
        if rows.size:
            self._write(np.ascontiguousarray(rows, self._dtype).data.cast("B"))

    def _write(self, view: memoryview) -> None:
        self._hasher.update(view)
        done = 0
        while done < len(view):
            done += self.file.write(view[done:]) or 0
        self._size += done

    def close(self) -> tuple[int, str]:
        """Put the bytes on the disk and return their number and SHA-256."""
        os.fsync(self.file.fileno())
        self.file.close()
        return self._size, self._hasher.hexdigest()


class _Files:
    """The files of a segment that is being written; `ref` names them once they are."""

    ref: SegmentRef

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.open_files: dict[str, _ArrayFile] = {}

    def open(self, name: str, dtype: type[np.generic], *shape: int) -> _ArrayFile:
        self.open_files[name] = file = _ArrayFile(self._folder / f"{name}.npy", dtype, shape)
        return file


@contextlib.contextmanager
def _written(folder: Path, documents: int) -> Iterator[_Files]:
    folder.mkdir()
    files = _Files(folder)
    try:
        yield files
        done = {f"{name}.npy": file.close() for name, file in files.open_files.items()}
        fsync_directory(folder)
        fsync_directory(folder.parent)
    except BaseException:
        for file in files.open_files.values():
            file.file.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    files.ref = SegmentRef(folder.name, documents, done)


def _write_table(files: _Files, name: str, table: KeyTable) -> None:
    files.open(f"{name}_keys", np.uint64, len(table.keys)).write(table.keys)
    files.open(f"{name}_docs", np.uint32, len(table.docs)).write(table.docs)


def _merge_tables(
    files: _Files, name: str, tables: Sequence[KeyTable], bases: Sequence[int]
) -> None:
    count = sum(len(table.keys) for table in tables)
    keys = files.open(f"{name}_keys", np.uint64, count)
    docs = files.open(f"{name}_docs", np.uint32, count)
    parts = -(-count // _PART_KEYS)
    bounds = np.array([(part << 64) // parts for part in range(1, parts)], np.uint64)
    places = [
        [0, *np.searchsorted(table.keys, bounds).tolist(), len(table.keys)] for table in tables
    ]
    for part in range(parts):
        slices = [slice(at[part], at[part + 1]) for at in places]
        # Later segments have later documents, so that a stable sort leaves them increasing.
        merged = KeyTable.of(
            np.concatenate([table.keys[one] for table, one in zip(tables, slices, strict=True)]),
            np.concatenate(
                [
                    table.docs[one] + np.uint32(base)
                    for table, one, base in zip(tables, slices, bases, strict=False)
                ]
            ),
        )
        keys.write(merged.keys)
        docs.write(merged.docs)


def _copy(rows: npt.NDArray[np.uint8], file: _ArrayFile) -> None:
    step = max(1, _PART_BYTES * len(rows) // max(1, rows.size))
    for start in range(0, len(rows), step):
        file.write(rows[start : start + step])
