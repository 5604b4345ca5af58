"""`IndexDedup`: removes what an index of documents kept earlier has already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar

import polars as pl
from pydantic import field_validator

from datatools.errors import DatatoolsError
from datatools.steps.base import Batch, Context, Map, Mapped

if TYPE_CHECKING:
    from datatools.dedup_index import DedupIndex, State

__all__ = ["IndexDedup"]

_PINNED = "pinned"


class IndexDedup(Map):
    """Remove documents that are near duplicates of one in an index of documents kept earlier.

    The index is read and never written; `datatools index add` adds what a run published. The one
    that stays and the estimated similarity are stored as evidence. What the index holds is part of
    the result's key: when it has grown, the step runs again, and a run compares with the index as
    it was when the run was planned. With `before`, additions from that day on play no part.
    The manifest's notes count the buckets of which only the earliest 256 documents were compared,
    once for each document that was looked up in one.

    No text is stored in an index, so that similarity is estimated, with a standard error of 0.035
    at 0.8 for 128 permutations. Of pairs that are exactly at the threshold about half are removed.

    Example:
        >>> import tempfile
        >>> from datatools.dedup_index import DedupIndex
        >>> index = DedupIndex.create(tempfile.mkdtemp() + "/kept.index")
        >>> text = "the quick brown fox jumps over the lazy dog and runs into the green wood"
        >>> _ = index.add(pl.DataFrame({"id": ["kept"], "text": [text]}))
        >>> frame = pl.DataFrame({"text": [text.title() + "!", "another text"]})
        >>> kept, dropped = IndexDedup(index=index.address).apply(frame)
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['another text'], ['in_index'])
    """

    version: ClassVar[int] = 1

    index: str
    """The index: a folder, or `redis://host:port/db?name=NAME`. `datatools index create` makes
    one."""
    before: date | None = None
    """A day; only documents added before it count. A job that adds what it published on that day
    and runs again then gives the same result. By default every document counts."""

    @field_validator("index")
    @classmethod
    def _is_there(cls, value: str) -> str:
        try:
            _open(value)
        except DatatoolsError as error:
            raise ValueError(f"{error.problem}. {error.hint or ''}".strip()) from error
        return value

    def reads(self) -> frozenset[str]:
        """Return id and text."""
        return frozenset({"id", "text"})

    def digests(self) -> Mapping[str, str]:
        """Return the digest of what the index holds, and compare with no more than that."""
        state = _open(self.index).state(self.before)
        # Travels to the workers with the step and is no field: it follows from the index.
        self.__dict__[_PINNED] = state
        return {"index": state.content}

    def explains(self) -> Sequence[str]:
        """Return what the index holds and how it is searched."""
        index = _open(self.index)
        told = index.describe()
        return [
            f"{index.state(self.before).documents:,} documents in the index, similar from "
            f"{told.parameters.threshold:g} on (estimated, standard error "
            f"{told.standard_error:.3f})"
        ]

    def apply(self, df: pl.DataFrame, *, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Run the step on a frame, against the index as it is now; see `Transform.apply`."""
        self.__dict__.pop(_PINNED, None)  # of an earlier run
        return super().apply(df, seed=seed)

    def bind(self, context: Context) -> _Bound:
        """Open the index in the state that the run was planned with."""
        index = _open(self.index)
        state: State | None = self.__dict__.get(_PINNED)
        return _Bound(index, index.state(self.before) if state is None else state)


class _Bound:
    def __init__(self, index: DedupIndex, state: State) -> None:
        self._index = index
        self._state = state

    def map(self, batch: Batch) -> Mapped:
        found = self._index.match(batch.df, at=self._state)
        gone = found["match"].is_not_null()
        told = pl.struct(
            pl.col("match").alias("survivor"),
            pl.col("similarity").round(4),
            "added",
            "source",
            "url",
        ).struct.json_encode()
        answers = found.select(
            pl.when(gone).then(pl.lit("in_index")).alias("reason"),
            pl.when(gone).then(told).alias("evidence"),
        )
        notes = {
            "buckets_cut": int(found["buckets_cut"].sum()),
            "pairs_not_compared": int(found["not_compared"].sum()),
        }
        return Mapped(batch.df, dropped=answers["reason"], detail=answers["evidence"], notes=notes)


def _open(address: str) -> DedupIndex:
    from datatools.dedup_index import DedupIndex

    return DedupIndex.open(address)
