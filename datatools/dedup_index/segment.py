"""One immutable piece of an index: arrays on disk, memory-mapped and searched in place.

Owns what the files of a segment hold and how documents are found in them. Refuses: writing them
(see `segment_files`), and which segments an index has.

    band_keys.npy, band_docs.npy   sorted by (key, document): who has a band key
    id_keys.npy, id_docs.npy       the same for the hashes of ids
    sketches.npy                   one row of bytes per document
    record_ends.npy, records.npy   `[id, source, url]` of each document as JSON

A document's number in its segment is its place in the order of addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import xxhash

from datatools.engine.store import file_sha256
from datatools.errors import IntegrityError

__all__ = ["KeyTable", "Record", "Segment", "SegmentRef", "hash_ids"]

Record = tuple[str, str | None, str | None]
"""Id, source and URL of a document."""

_FILES = (
    "band_keys",
    "band_docs",
    "id_keys",
    "id_docs",
    "sketches",
    "record_ends",
    "records",
)


@dataclass(frozen=True)
class SegmentRef:
    """A segment as the index's manifest names it.

    Attributes:
        name: Its folder.
        documents: Documents it holds.
        files: Size and SHA-256 of each file.
    """

    name: str
    documents: int
    files: Mapping[str, tuple[int, str]]

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(size for size, _ in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """Return the reference as the manifest holds it."""
        files = {
            name: {"bytes": size, "sha256": sha256} for name, (size, sha256) in self.files.items()
        }
        return {"name": self.name, "documents": self.documents, "files": files}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SegmentRef:
        """Return the reference that `to_json` wrote."""
        files = {name: (one["bytes"], one["sha256"]) for name, one in value["files"].items()}
        return cls(value["name"], value["documents"], files)


@dataclass(frozen=True)
class KeyTable:
    """Which documents have a key.

    Attributes:
        keys: uint64 of shape (n,), increasing.
        docs: uint32 of shape (n,), increasing among equal keys.
    """

    keys: npt.NDArray[np.uint64]
    docs: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, keys: npt.NDArray[np.uint64], docs: npt.NDArray[np.uint32]) -> KeyTable:
        """Return the table of pairs whose documents increase."""
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], docs[order])

    def find(
        self, wanted: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the pairs of each key begin and end, equal for a key that is not there.

        Args:
            wanted: uint64 of any shape.

        Returns:
            Two int64 arrays of that shape.

        Complexity:
            O(m log n) for m keys, which are sorted first so that neighbours share pages.

        Example:
            >>> table = KeyTable(np.array([3, 7, 7], np.uint64), np.array([0, 0, 1], np.uint32))
            >>> [found.tolist() for found in table.find(np.array([7, 5], np.uint64))]
            [[1, 1], [3, 1]]
        """
        order = np.argsort(wanted, axis=None)
        sought = wanted.ravel()[order]
        begin = np.searchsorted(self.keys, sought)
        end = begin.copy()
        inside = np.flatnonzero(begin < len(self.keys))
        hits = inside[self.keys[begin[inside]] == sought[inside]]
        end[hits] = np.searchsorted(self.keys, sought[hits], side="right")
        first = np.empty(wanted.size, np.int64)
        last = np.empty(wanted.size, np.int64)
        first[order], last[order] = begin, end
        return first.reshape(wanted.shape), last.reshape(wanted.shape)


def hash_ids(ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return the 64-bit XXH3 hashes of ids."""
    return np.array([xxhash.xxh3_64_intdigest(one.encode()) for one in ids], np.uint64)


class Segment:
    """A committed segment, read where it lies."""

    def __init__(self, folder: Path, ref: SegmentRef) -> None:
        self.ref = ref
        self._folder = folder / ref.name
        self._arrays: dict[str, Any] = {}
        for name in _FILES:
            self._arrays[name] = self._mapped(f"{name}.npy")

    def __len__(self) -> int:
        return self.ref.documents

    def _mapped(self, file: str) -> Any:
        path = self._folder / file
        size, _ = self.ref.files[file]
        found = path.stat().st_size  # FileNotFoundError: the segment was merged into another
        if found != size:
            raise IntegrityError(
                str(path),
                f"should be {size} bytes long",
                got=found,
                hint="Make the index again from the datasets that it holds.",
            )
        return np.asarray(np.load(path, mmap_mode="r"))

    @cached_property
    def bands(self) -> KeyTable:
        """Who has a band key, or the hash of a short text."""
        return KeyTable(self._arrays["band_keys"], self._arrays["band_docs"])

    @cached_property
    def ids(self) -> KeyTable:
        """Who has the hash of an id."""
        return KeyTable(self._arrays["id_keys"], self._arrays["id_docs"])

    @property
    def sketches(self) -> npt.NDArray[np.uint8]:
        """The sketches, uint8 of shape (documents, num_perm)."""
        sketches: npt.NDArray[np.uint8] = self._arrays["sketches"]
        return sketches

    @property
    def record_ends(self) -> npt.NDArray[np.uint64]:
        """Where the record of each document ends, uint64 of shape (documents,)."""
        ends: npt.NDArray[np.uint64] = self._arrays["record_ends"]
        return ends

    @property
    def records(self) -> npt.NDArray[np.uint8]:
        """The records' bytes."""
        records: npt.NDArray[np.uint8] = self._arrays["records"]
        return records

    def record(self, doc: int) -> Record:
        """Return id, source and URL of a document."""
        start = int(self.record_ends[doc - 1]) if doc else 0
        id, source, url = orjson.loads(self.records[start : int(self.record_ends[doc])].tobytes())
        return id, source, url

    def known(self, ids: Sequence[str], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Return which ids the segment has; `hashes` are theirs."""
        first, last = self.ids.find(hashes)
        found = np.zeros(len(ids), np.bool_)
        for row in np.flatnonzero(first < last).tolist():
            docs = self.ids.docs[first[row] : last[row]].tolist()
            found[row] = any(self.record(doc)[0] == ids[row] for doc in docs)
        return found

    def verify(self) -> None:
        """Hash every file.

        Raises:
            IntegrityError: One holds other bytes than those that were committed.
        """
        for file, (_, sha256) in self.ref.files.items():
            found = file_sha256(self._folder / file)
            if found != sha256:
                raise IntegrityError(
                    str(self._folder / file),
                    f"does not hold the bytes that were committed (expected sha256 {sha256})",
                    got=found,
                    hint="Make the index again from the datasets that it holds.",
                )
