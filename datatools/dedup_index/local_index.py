"""An index in a folder: immutable segments, and a manifest that says which of them count.

Owns the commit, the lock of its one writer, and compaction. The manifest is written last and
atomically: a reader sees the index before an addition or after it, and a segment that no manifest
names is removed by the next writer. Segments that a compaction replaced are deleted at once; who
has them open goes on reading them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from datatools.dedup_index.history import Addition, History
from datatools.dedup_index.index import BUCKET, Added, DedupIndex, Found
from datatools.dedup_index.segment import Segment, SegmentRef, hash_ids
from datatools.dedup_index.segment_files import merge, write_segment
from datatools.dedup_index.sketching import Parameters, Sketches
from datatools.engine.lock import held
from datatools.engine.store import (
    digest,
    disk_error,
    drop_stale_temporaries,
    read_json,
    write_json,
)
from datatools.errors import ConfigError, IntegrityError, OutputHeldError
from datatools.kernels.closest import closest
from datatools.kernels.sketches import estimate
from datatools.steps.base import MAX_BATCH_ROWS, Batch

__all__ = ["LocalIndex"]

_MANIFEST = "index.json"
_FORMAT = 1
_PIECE = 1 << 17
"""Documents written as one segment: what an addition holds in memory, about 150 MB."""


class LocalIndex(DedupIndex):
    """An index in a folder of this machine; see `DedupIndex`."""

    def __init__(self, address: str, manifest: Mapping[str, Any]) -> None:
        self._folder = Path(address)
        self._segments: tuple[Segment, ...] = ()
        parameters = Parameters.checked(address, manifest["parameters"])
        super().__init__(address, parameters, History(digest(parameters.model_dump())))
        self._load(manifest)

    @classmethod
    def create_at(cls, address: str, parameters: Parameters) -> LocalIndex:
        """Make an empty index in a new folder."""
        folder = Path(address)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            there = "an index" if (folder / _MANIFEST).is_file() else "something else"
            raise ConfigError(
                address,
                f"there is {there} already",
                hint="Open it, or give a folder that does not exist.",
            )
        manifest = {
            "format": _FORMAT,
            "parameters": parameters.model_dump(),
            "next": 1,
            "segments": [],
            "additions": [],
        }
        try:
            write_json(folder / _MANIFEST, manifest)
        except OSError as error:
            raise disk_error(address, error) from error
        return cls(address, manifest)

    @classmethod
    def open_at(cls, address: str) -> LocalIndex:
        """Open the index in a folder."""
        return cls(address, _manifest(Path(address)))

    def compact(self) -> None:
        """Merge all segments into one; needs room on the disk for the index a second time."""
        with self._writing() as manifest:
            if len(self._segments) > 1:
                merged = self._merged(self._segments, manifest["next"])
                self._commit(manifest, (merged,), self.history, manifest["next"] + 1)

    def verify(self) -> None:
        """Hash every file of every segment."""
        for segment in self._segments:
            segment.verify()

    def _stored(self) -> tuple[int, int]:
        sizes = [segment.ref.bytes for segment in self._segments]
        return len(sizes), sum(sizes)

    # ----------------------------------------------------------------------------------------------
    # Reading

    def _load(self, manifest: Mapping[str, Any]) -> None:
        """Open what a manifest names, or a later one, if a writer has replaced it meanwhile."""
        while True:
            opened = {segment.ref.name: segment for segment in self._segments}
            try:
                refs = [SegmentRef.from_json(one) for one in manifest["segments"]]
                self._segments = tuple(
                    opened.get(ref.name) or Segment(self._folder, ref) for ref in refs
                )
                break
            except FileNotFoundError as error:
                newer = _manifest(self._folder)
                if newer == manifest:
                    raise IntegrityError(
                        str(error.filename),
                        "is missing from the index",
                        hint="Make the index again from the datasets that it holds.",
                    ) from None
                manifest = newer
        additions = tuple(Addition.from_json(one) for one in manifest["additions"])
        self.history = History(self.history.empty, additions)

    def _match(self, batch: Batch, documents: int) -> Found:
        sketches = self.parameters.sketches(batch)
        number, skipped = self._closest(sketches, documents)
        similarity = estimate(sketches.sketch, self._sketches(number))
        number[similarity < self.parameters.threshold] = -1
        records = {}
        for one in np.unique(number[number >= 0]).tolist():
            segment, doc = self._at(one)
            records[one] = segment.record(doc)
        return Found(number, similarity, skipped, records)

    def _sketches(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the sketches of documents, uint8 of shape (numbers, num_perm).

        Those of no document (-1) are all zeros, which no threshold depends on.
        """
        found = np.zeros((len(numbers), self.parameters.num_perm), np.uint8)
        base = 0
        for segment in self._segments:
            here = (numbers >= base) & (numbers < base + len(segment))
            found[here] = segment.sketches[numbers[here] - base]
            base += len(segment)
        return found

    def _closest(
        self, sketches: Sketches, documents: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the most similar candidate of each row, or -1, and what each bucket left out."""
        rows = len(sketches.count)
        equal = np.zeros(rows, np.int64)
        best = np.full(rows, -1, np.int64)
        quota = np.full(sketches.keys.shape, BUCKET, np.int64)
        skipped = np.zeros(sketches.keys.shape, np.int64)
        base = 0
        for segment in self._segments:
            if base >= documents:
                break
            first, last = segment.bands.find(sketches.keys)
            last = np.where(sketches.counts, last, first)
            closest(
                sketches.sketch,
                first,
                last,
                segment.bands.docs,
                segment.sketches,
                limit=documents - base,
                base=base,
                quota=quota,
                equal=equal,
                best=best,
                skipped=skipped,
            )
            base += len(segment)
        return best, skipped

    def _at(self, number: int) -> tuple[Segment, int]:
        """Return the segment of a document and its number there."""
        for segment in self._segments:
            if number < len(segment):
                return segment, number
            number -= len(segment)
        raise IndexError(number)

    # ----------------------------------------------------------------------------------------------
    # Writing

    @contextlib.contextmanager
    def _writing(self) -> Iterator[dict[str, Any]]:
        """Hold the index as its one writer, in its newest state."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(held(self._folder, f"process {os.getpid()}"))
            except OutputHeldError as error:
                raise OutputHeldError(
                    self.address,
                    "another process is changing this index",
                    got=error.got,
                    hint="Wait for it to end.",
                ) from None
            try:
                manifest = _manifest(self._folder)
                self._load(manifest)
                self._sweep()
                yield manifest
            except OSError as error:
                raise disk_error(self.address, error) from error
            finally:
                with contextlib.suppress(OSError):  # else the next writer removes it
                    self._sweep()

    def _sweep(self) -> None:
        """Remove what no manifest names."""
        drop_stale_temporaries(self._folder)
        named = {one["name"] for one in _manifest(self._folder)["segments"]}
        for folder in self._folder.glob("segment-*"):
            if folder.name not in named:
                shutil.rmtree(folder)

    def _add(
        self,
        batches: Iterator[Batch],
        added: date | None,
        dataset: str | None,
        name: str | None,
    ) -> Added:
        with self._writing() as manifest:
            if dataset is not None and self.history.holds_dataset(dataset):
                return Added(0, 0, again=True)
            day = self.history.day(self.address, added)
            written = _Pieces(self._folder, self.parameters, self._segments, manifest["next"])
            for batch in batches:
                written.take(batch)
            written.flush()
            history = self.history
            if written.documents or dataset is not None:
                history = history.followed_by(
                    day, written.documents, written.content, dataset, name
                )
                segments = (*self._segments, *written.segments)
                place = _to_merge([len(one) for one in segments])
                number = written.number
                if place < len(segments) - 1:
                    merged = self._merged(segments[place:], number)
                    segments, number = (*segments[:place], merged), number + 1
                self._commit(manifest, segments, history, number)
            return Added(written.documents, written.known)

    def _merged(self, segments: Sequence[Segment], number: int) -> Segment:
        return Segment(self._folder, merge(segments, _place(self._folder, number)))

    def _commit(
        self,
        manifest: Mapping[str, Any],
        segments: tuple[Segment, ...],
        history: History,
        number: int,
    ) -> None:
        value = {
            **manifest,
            "next": number,
            "segments": [segment.ref.to_json() for segment in segments],
            "additions": [addition.to_json() for addition in history.additions],
        }
        write_json(self._folder / _MANIFEST, value)
        self._segments, self.history = segments, history


class _Pieces:
    """An addition's documents, written as segments that do not count yet.

    Attributes:
        segments: Those written.
        number: Number of the next segment.
        documents: Documents in them.
        known: Documents left out because their id was there.
        content: Digest of everything added, in order; how it was cut plays no part.
    """

    def __init__(
        self, folder: Path, parameters: Parameters, there: Sequence[Segment], number: int
    ) -> None:
        self._folder = folder
        self._parameters = parameters
        self._there = tuple(there)
        self._ids: dict[str, None] = {}
        # One string of bytes and room for the whole piece, of which memory is taken as it fills:
        # what is kept batch by batch or row by row leaves holes several times its size.
        self._records = bytearray()
        rows = _PIECE + MAX_BATCH_ROWS
        self._ends = np.empty(rows, np.uint64)
        self._sketches = Sketches(
            np.empty((rows, parameters.bands[0]), np.uint64),
            np.empty(rows, np.int64),
            np.empty((rows, parameters.num_perm), np.uint8),
        )
        self.segments: list[Segment] = []
        self.number = number
        self.documents = 0
        self.known = 0
        self._told = hashlib.sha256()
        self._sketched = hashlib.sha256()

    @property
    def content(self) -> str:
        return digest([self._told.hexdigest(), self._sketched.hexdigest()])

    def take(self, batch: Batch) -> None:
        ids = batch.df["id"].to_list()
        hashes = hash_ids(ids)
        there = np.zeros(len(ids), np.bool_)
        for segment in (*self._there, *self.segments):
            there |= segment.known(ids, hashes)
        fresh = []
        for row, (one, known) in enumerate(zip(ids, there.tolist(), strict=True)):
            if not known and one not in self._ids:
                self._ids[one] = None
                fresh.append(row)
        self.known += len(ids) - len(fresh)
        if not fresh:
            return
        new = batch if len(fresh) == len(ids) else Batch(batch.df[fresh])
        sketches = self._parameters.sketches(new)
        rows = new.df.select("id", "source", "url").iter_rows()
        records = [orjson.dumps(row) for row in rows]
        told = b"".join(records)
        self._told.update(told)
        self._sketched.update(sketches.sketch.data)
        place = slice(len(self._ids) - len(fresh), len(self._ids))
        lengths = np.array([len(one) for one in records], np.uint64)
        self._ends[place] = np.uint64(len(self._records)) + np.cumsum(lengths)
        self._records += told
        self._sketches.keys[place] = sketches.keys
        self._sketches.count[place] = sketches.count
        self._sketches.sketch[place] = sketches.sketch
        self.documents += len(fresh)
        if len(self._ids) >= _PIECE:
            self.flush()

    def flush(self) -> None:
        count = len(self._ids)
        if not count:
            return
        place = _place(self._folder, self.number)
        ref = write_segment(
            place,
            list(self._ids),
            np.frombuffer(self._records, np.uint8),
            self._ends[:count],
            self._sketches[:count],
        )
        self.segments.append(Segment(self._folder, ref))
        self.number += 1
        self._ids, self._records = {}, bytearray()


def _place(folder: Path, number: int) -> Path:
    return folder / f"segment-{number:08d}"


def _to_merge(sizes: Sequence[int]) -> int:
    """Return the first segment of those to be merged: none is larger than all that follow it.

    Of equal additions each document is then written once per doubling of the index, and the index
    has at most one segment per doubling.

    Example:
        >>> _to_merge([2, 1]), _to_merge([2, 1, 1]), _to_merge([8, 2, 1, 1])
        (1, 0, 1)
    """
    following = 0
    place = len(sizes) - 1
    for at in range(len(sizes) - 1, -1, -1):
        if sizes[at] <= following:
            place = at
        following += sizes[at]
    return place


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = read_json(folder / _MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            str(folder),
            "there is no index",
            hint=f"Make one: datatools index create {folder}",
        ) from None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise IntegrityError(
            str(folder / _MANIFEST),
            "is not the manifest of an index that this version reads",
            hint="Make the index again from the datasets that it holds.",
        )
    return found
