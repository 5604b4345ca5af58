"""`DedupIndex`: what an index of kept documents does, wherever it is stored.

Owns creating and opening one by its address, reading what is to be added, and telling what was
matched. Refuses: storage (`local_index`, `redis_index`).
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from os import PathLike

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from datatools.dataset import Dataset, open_dataset
from datatools.dedup_index.history import History, State
from datatools.dedup_index.segment import Record
from datatools.dedup_index.sketching import Parameters
from datatools.engine.chain import split_batches
from datatools.engine.store import digest
from datatools.errors import ConfigError, DataError, IntegrityError
from datatools.kernels.shingles import Unit
from datatools.outputs.addresses import dataset_at_hand
from datatools.steps.base import MAX_BATCH_ROWS, Batch

__all__ = ["BUCKET", "Added", "DedupIndex", "Description", "Found"]

BUCKET = 256
"""Documents of a bucket that a new one is compared with, the earliest first: a template in a
million pages then costs 256 comparisons, not a million."""

_MATCHES = {
    "id": pl.String,
    "match": pl.String,
    "similarity": pl.Float64,
    "added": pl.Date,
    "source": pl.String,
    "url": pl.String,
    "buckets_cut": pl.UInt32,
    "not_compared": pl.UInt64,
}
_COLUMNS = ("id", "text", "source", "url")


@dataclass(frozen=True)
class Added:
    """What an addition came to.

    Attributes:
        documents: Documents that are new in the index.
        known: Documents whose id was there before, which were left as they were.
        again: Whether this very dataset was there before, so that nothing was read.
    """

    documents: int
    known: int
    again: bool = False


@dataclass(frozen=True)
class Description:
    """An index in numbers.

    Attributes:
        address: Its folder or URL.
        documents: Documents it holds.
        parameters: What was fixed when it was created.
        bands: Bands of the search.
        rows: Permutations per band.
        standard_error: Of the estimated similarity, for a pair at the threshold.
        content: Digest of what it holds, hexadecimal.
        additions: How many commits made it.
        first: Day of the first one.
        last: Day of the last one.
        segments: Pieces it is stored in; None in Redis.
        bytes: Size on disk; None in Redis.
    """

    address: str
    documents: int
    parameters: Parameters
    bands: int
    rows: int
    standard_error: float
    content: str
    additions: int
    first: date | None
    last: date | None
    segments: int | None
    bytes: int | None


@dataclass(frozen=True)
class Found:
    """The most similar document of each row, before it is told.

    Attributes:
        number: int64 of shape (rows,), its number; -1 if there is none that is similar enough.
        similarity: float64 of shape (rows,), of no meaning without a match.
        skipped: int64 of shape (rows, buckets), documents of each bucket beyond the first `BUCKET`,
            which were not compared.
        records: The matched documents by number.
    """

    number: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]
    skipped: npt.NDArray[np.int64]
    records: Mapping[int, Record]


class DedupIndex(abc.ABC):
    """Documents that were kept, found again by near duplicates of them.

    No text is stored: a match is verified by the sketches of both texts, whose share of equal bytes
    estimates the Jaccard similarity of their shingles with a standard error of 0.035 at 0.8 for 128
    permutations. A text with fewer words than a shingle is matched only by exactly its words.

    Results do not depend on how documents were added or how they are stored: of all candidates the
    most similar one is the match, of equally similar ones the one added first.

    Example:
        >>> import tempfile
        >>> index = DedupIndex.create(tempfile.mkdtemp() + "/kept.index")
        >>> text = "the quick brown fox jumps over the lazy dog and runs into the green wood"
        >>> kept = pl.DataFrame({"id": ["a"], "text": [text]})
        >>> index.add(kept).documents, index.add(kept).documents, len(index)
        (1, 0, 1)
        >>> new = pl.DataFrame({"id": ["b", "c"], "text": [text.title() + "!", "another text"]})
        >>> index.match(new).select("id", "match", "similarity").rows()
        [('b', 'a', 1.0), ('c', None, None)]
    """

    def __init__(self, address: str, parameters: Parameters, history: History) -> None:
        self.address = address
        self.parameters = parameters
        self.history = history

    @staticmethod
    def create(
        address: str | PathLike[str],
        *,
        threshold: float = 0.8,
        ngram: int = 5,
        unit: Unit = "word",
        num_perm: int = 128,
        seed: int = 1,
    ) -> DedupIndex:
        """Make an empty index; its parameters are fixed from then on.

        Args:
            address: A folder that does not exist yet, or `redis://host:port/db?name=NAME`.
            threshold: Estimated Jaccard similarity from which a document is matched, in (0, 1].
            ngram: Tokens per shingle.
            unit: What a token is: `word`, `char` or `auto`; in Redis only `word`.
            num_perm: Permutations; bytes of a sketch.
            seed: Seed of the permutations; in Redis datasketch's.

        Raises:
            ConfigError: There is something at the address, or a parameter is out of range.
        """
        where = str(address)
        parameters = Parameters.checked(
            where,
            {
                "threshold": threshold,
                "ngram": ngram,
                "unit": unit,
                "num_perm": num_perm,
                "seed": seed,
            },
        )
        return _backend(where).create_at(where, parameters)

    @staticmethod
    def open(address: str | PathLike[str]) -> DedupIndex:
        """Open an index as it is now.

        What others add later is seen when it is opened again.

        Raises:
            ConfigError: There is no index at the address.
            IntegrityError: The index is damaged.
        """
        return _backend(str(address)).open_at(str(address))

    def __len__(self) -> int:
        return self.state().documents

    def state(self, before: date | None = None) -> State:
        """Return the index's state, or the one it had without what was added on a day or later."""
        return self.history.state(before)

    def add(
        self, frames: pl.DataFrame | Iterable[pl.DataFrame], *, added: date | None = None
    ) -> Added:
        """Add documents: all of them in one commit, or none.

        A document whose id is in the index is left as it was, whatever its text is now; of two
        with one id the first is added.

        Args:
            frames: Columns `id` and `text`; `source` and `url` are kept if they are there.
            added: The day it counts for, not before that of the last addition. Default: today in
                UTC.

        Raises:
            ConfigError: A column is missing, or the day goes back.
            DataError: An id is null.
            OutputHeldError: Another process is adding.
        """
        given = [frames] if isinstance(frames, pl.DataFrame) else frames
        return self._add(self._batches(given), added, None, None)

    def add_dataset(self, path: str | PathLike[str], *, added: date | None = None) -> Added:
        """Add the documents of a published dataset, all splits; a second time adds nothing.

        Args:
            path: Folder or URL of the dataset.
            added: See `add`.

        Raises:
            DataError: The folder holds no published dataset, or one of other records.
            OutputHeldError: Another process is adding.
        """
        dataset = _documents(path)
        identity = digest(sorted(shard.sha256 for shard in dataset.shards))
        return self._add(self._batches(_rows(dataset)), added, identity, dataset.name)

    def match(self, frame: pl.DataFrame, *, at: State | None = None) -> pl.DataFrame:
        """Return for each row the most similar document of the index.

        A document that is in the index matches itself.

        Args:
            frame: Columns `id` and `text`.
            at: A state of this index; documents added after it do not count. Default: the newest.

        Returns:
            One row per row: `id`; `match`, the id of the document in the index, or null if none is
            similar enough; `similarity` (estimated, from 0 to 1); `added`, `source` and `url` of
            the match; `buckets_cut`, how many of the row's buckets held more than 256 documents, of
            which the earliest 256 were compared; and `not_compared`, how many others they held.

        Raises:
            ConfigError: A column is missing, or the index never was in that state.
        """
        _check_columns(self.address, frame)
        state = self.state() if at is None else at
        if not self.history.holds(state):
            raise ConfigError(
                self.address,
                "never was in the state that is asked for",
                got=state.content,
                hint="It was made again, or is another one. Run again.",
            )
        told = [
            self._told(piece, self._match(Batch(piece), state.documents))
            for piece in split_batches(frame.select("id", "text"), "document")
        ]
        return pl.concat(told) if told else pl.DataFrame(schema=_MATCHES)

    def match_dataset(
        self, path: str | PathLike[str], *, at: State | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield what `match` returns for the documents of a published dataset, piece by piece.

        Args:
            path: Folder or URL of the dataset.
            at: See `match`.

        Raises:
            DataError: The folder holds no published dataset, or one of other records.
        """
        for frame in _rows(_documents(path)):
            yield self.match(frame, at=at)

    def _told(self, piece: pl.DataFrame, found: Found) -> pl.DataFrame:
        numbers = found.number.tolist()
        days = self.history.days(list(found.records))
        none: tuple[None, None, None] = (None, None, None)
        matches = [found.records.get(number, none) for number in numbers]
        return pl.DataFrame(
            {
                "id": piece["id"],
                "match": [match[0] for match in matches],
                "similarity": pl.Series(found.similarity).set(pl.Series(found.number < 0), None),
                "added": [days.get(number) for number in numbers],
                "source": [match[1] for match in matches],
                "url": [match[2] for match in matches],
                "buckets_cut": (found.skipped > 0).sum(axis=1),
                "not_compared": found.skipped.sum(axis=1),
            },
            schema=_MATCHES,
        )

    def describe(self) -> Description:
        """Return the index in numbers."""
        segments, size = self._stored()
        bands, rows = self.parameters.bands
        additions = self.history.additions
        return Description(
            address=self.address,
            documents=len(self),
            parameters=self.parameters,
            bands=bands,
            rows=rows,
            standard_error=round(self._standard_error(), 4),
            content=self.state().content,
            additions=len(additions),
            first=additions[0].added if additions else None,
            last=additions[-1].added if additions else None,
            segments=segments,
            bytes=size,
        )

    def _batches(self, frames: Iterable[pl.DataFrame]) -> Iterator[Batch]:
        for frame in frames:
            _check_columns(self.address, frame)
            missing = [
                pl.lit(None, pl.String).alias(name)
                for name in _COLUMNS
                if name not in frame.columns
            ]
            rows = frame.with_columns(missing).select(_COLUMNS)
            if rows["id"].null_count():
                raise DataError(self.address, "a document without an id cannot be added")
            for piece in split_batches(rows, "document"):
                yield Batch(piece)

    @classmethod
    @abc.abstractmethod
    def create_at(cls, address: str, parameters: Parameters) -> DedupIndex:
        """Make an empty index of this kind."""

    @classmethod
    @abc.abstractmethod
    def open_at(cls, address: str) -> DedupIndex:
        """Open an index of this kind."""

    @abc.abstractmethod
    def compact(self) -> None:
        """Store the same documents in one piece, which is searched faster. Changes no result."""

    @abc.abstractmethod
    def verify(self) -> None:
        """Compare everything that is stored with its digest.

        Raises:
            IntegrityError: Something was changed.
        """

    @abc.abstractmethod
    def _add(
        self,
        batches: Iterator[Batch],
        added: date | None,
        dataset: str | None,
        name: str | None,
    ) -> Added: ...

    @abc.abstractmethod
    def _match(self, batch: Batch, documents: int) -> Found: ...

    @abc.abstractmethod
    def _stored(self) -> tuple[int | None, int | None]:
        """Return the number of pieces and their size in bytes."""

    def _standard_error(self) -> float:
        return self.parameters.standard_error(self.parameters.threshold)


def _backend(address: str) -> type[DedupIndex]:
    if address.startswith(("redis://", "rediss://")):
        from datatools.dedup_index.redis_index import RedisIndex

        return RedisIndex
    if "://" in address:
        raise ConfigError(
            address,
            "an index cannot be kept there",
            hint="Give a folder of this machine, or redis://host:port/db?name=NAME.",
        )
    from datatools.dedup_index.local_index import LocalIndex

    return LocalIndex


def _check_columns(where: str, frame: pl.DataFrame) -> None:
    for name in ("id", "text"):
        if frame.schema.get(name) != pl.String:
            found = frame.schema.get(name)
            raise ConfigError(
                where,
                f"needs a column {name!r} of strings",
                got="none" if found is None else str(found),
                hint="Name or cast the column.",
            )


def _documents(path: str | PathLike[str]) -> Dataset:
    dataset = open_dataset(dataset_at_hand(str(path)))
    if dataset.kind != "document":
        raise DataError(
            str(path),
            "holds no documents, and an index knows nothing else",
            got=dataset.kind,
            hint="Give the dataset that these records were made from.",
        )
    return dataset


def _rows(dataset: Dataset) -> Iterator[pl.DataFrame]:
    for shard in dataset.shards:
        path = dataset.path / shard.path
        with pq.ParquetFile(path) as file:
            columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
            batches = file.iter_batches(MAX_BATCH_ROWS, columns=columns)
            while True:
                try:
                    batch = next(batches, None)
                except (OSError, ValueError) as error:  # pyarrow raises both for damage
                    raise IntegrityError(
                        str(path),
                        f"cannot be read: {error}",
                        hint="`datatools verify` says which files are damaged.",
                    ) from error
                if batch is None:
                    break
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame
