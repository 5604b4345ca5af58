"""`SemanticDedup`: removes documents whose embedding points where that of one that stays does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from datatools.errors import ConfigError, DataError
from datatools.kernels.cosine import (
    SKETCH_BITS,
    band_keys,
    choose_bits,
    close_pairs,
    cosines,
    count_without_direction,
    sketches,
)
from datatools.steps.base import Batch, Decisions, Rows
from datatools.steps.dedup.exact_dedup import Evidence
from datatools.steps.dedup.survivor import KeepsOne, Priority, Survivors, joined_with

__all__ = ["SemanticDedup"]

CLOSEST = 8
"""Pairs that one bucket makes for a document at most: with the best of the documents that are close
to it. A bucket of a million copies then makes 8 million pairs, not 10^11."""

_WORDS = tuple(f"sketch_{word}" for word in range(SKETCH_BITS // 64))


class SemanticDedup(KeepsOne):
    """Remove documents whose embedding is close to that of one that stays.

    The embeddings are yours: a column of lists of numbers, which `ReadParquet` passes on with
    `vectors: [embedding]`. Sketches of signs propose pairs, the cosine of each pair is computed
    from the embeddings, and a document is removed only if it reaches the threshold against a
    document that stays: as in `MinHashDedup` there are no transitive merges. About 0.98 of pairs at
    the threshold are found, more above it; the notes tell of buckets with so many close documents
    that only the best were compared. SemDeDup proposes pairs by k-means instead, and loses those
    that a border of clusters parts.

    Documents without an embedding, or with one of zeros, NaN or infinities, stay; the notes count
    them.

    Example:
        >>> vectors = [[1.0, 0.0], [0.99, 0.05], [0.0, 1.0]]
        >>> frame = pl.DataFrame({"text": ["고양이", "cat", "dog"], "embedding": vectors})
        >>> kept, dropped = SemanticDedup(threshold=0.95).apply(frame)
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['고양이', 'dog'], ['semantic_duplicate'])

    References:
        Amro Abbas et al., SemDeDup: Data-efficient learning at web-scale through semantic
        deduplication, 2023. Moses Charikar, Similarity Estimation Techniques from Rounding
        Algorithms, 2002.
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    column: str = "embedding"
    """Column of the embeddings: lists, or arrays, of numbers, all of one length."""
    threshold: float = Field(0.95, gt=0, le=1)
    """Cosine from which a document counts as a duplicate, in (0, 1]. Raising it removes less. What
    a value means depends on the model that made the embeddings: look at some pairs first."""

    def reads(self) -> frozenset[str]:
        """Return the embedding, and the columns of the survivor rule."""
        return frozenset({"id", self.column, *self.priority().columns})

    def reads_of(self, reference: str) -> frozenset[str]:
        """Return the embedding."""
        return frozenset({self.column})

    def explains(self) -> Sequence[str]:
        """Return how pairs of a million documents are searched for."""
        bands, width, limit = choose_bits(self.threshold, 1_000_000)
        return (
            f"of a million documents: {bands} bands of {width} bits; pairs that differ in at most "
            f"{limit} of {SKETCH_BITS} bits are compared",
        )

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Find verified pairs, choose survivors, name the survivor of each removed document."""
        everything, boundary = joined_with(rows, self.against, others)
        bands, width, limit = choose_bits(self.threshold, everything.count)
        keys = _Keys(self.column, rows.context.seed, bands, width, self.priority(boundary))
        candidates = (
            everything.map_shards(keys, columns=keys.columns, fanout=bands, name="sketches")
            .group_by(
                "key",
                _Close(limit, boundary),
                order_by=("priority", "row"),
                at_least=2,
                name="buckets",
            )
            .group_by("left", _Distinct(), order_by=("right",), name="candidates")
        )
        edges = everything.lookup(
            candidates,
            _Verify(self.column, self.threshold),
            on=("left", "right"),
            columns=(self.column,),
            name="verify",
        )
        table = everything.lookup(
            edges.reduce(Survivors(), name="survivors"),
            Evidence("semantic_duplicate", self.against, boundary),
            on=("survivor",),
            columns=("id",),
            name="evidence",
        )
        counted = candidates.reduce(_Count(), name="count pairs").collect()
        without = rows.map_shards(_Without(self.column), columns=(self.column,), name="unusable")
        missing = without.reduce(_Sum(), name="count unusable").collect()
        notes = {
            name: int(frame[name].item()) for frame in (counted, missing) for name in frame.columns
        }
        return Decisions(table, notes=notes)


def _vectors(
    series: pl.Series,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return offsets and numbers of a column of vectors; a null is an empty vector.

    Raises:
        ConfigError: The column holds something else.
    """
    if not isinstance(series.dtype, pl.List | pl.Array) or not series.dtype.inner.is_numeric():
        if series.dtype == pl.Null:
            series = series.cast(pl.List(pl.Float64))
        else:
            raise ConfigError(
                "SemanticDedup.column",
                f"{series.name!r} does not hold lists of numbers",
                got=str(series.dtype),
                hint="Name the column of the embeddings.",
            )
    lists = series.cast(pl.List(pl.Float64))
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    values = lists.filter(pl.Series(lengths > 0)).explode()
    return offsets, values.fill_null(np.nan).to_numpy().astype(np.float64)


@dataclass(frozen=True)
class _Keys:
    """Per document and band: the bucket's key, the row, its priority and its sketch."""

    column: str
    seed: int
    bands: int
    width: int
    priority: Priority

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.column, *self.priority.columns)))

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        try:
            sketch, usable = sketches(*_vectors(batch.df[self.column]), seed=self.seed)
        except ValueError as error:
            raise _uneven(self.column, str(error)) from error
        sketch = sketch[usable]
        keys = band_keys(sketch, self.bands, self.width)
        columns = {
            "key": keys.ravel(),
            "row": np.repeat(rows[usable], self.bands),
            "priority": np.repeat(self.priority(batch, rows)[usable], self.bands),
        }
        for word, name in enumerate(_WORDS):
            columns[name] = np.repeat(sketch[:, word], self.bands)
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.UInt64))


def _uneven(column: str, problem: str) -> DataError:
    return DataError(
        f"column {column}", problem, hint="Embeddings of one model are all of one length."
    )


@dataclass(frozen=True)
class _Close:
    """Pairs of each bucket whose sketches are close, the better one on the left."""

    limit: int
    boundary: int | None

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        sketch = frame.select(_WORDS).to_numpy(order="c").reshape(-1, len(_WORDS))
        left, right, skipped = close_pairs(
            starts, sketch.astype(np.uint64, copy=False), limit=self.limit, most=CLOSEST
        )
        bucket = np.searchsorted(starts, right, side="right")
        rows, priority = frame["row"].to_numpy(), frame["priority"].to_numpy()
        pairs = pl.DataFrame(
            {
                "left": rows[left],
                "right": rows[right],
                "left_priority": priority[left],
                "right_priority": priority[right],
                "skipped": skipped,
                "bucket": bucket,
            },
            schema={**_PAIR, "skipped": pl.Int64, "bucket": pl.Int64},
        )
        if self.boundary is not None:
            # Records of the other dataset are not compared with each other.
            pairs = pairs.filter(pl.col("right") < self.boundary)
        # A bucket is told with one of its pairs.
        first = pl.int_range(pl.len()).over("bucket") == 0
        cut = (first & ((pl.col("skipped") > 0).any().over("bucket"))).cast(pl.Int64)
        return pairs.select(*_PAIR, "skipped", cut.alias("cut"))


_PAIR = dict.fromkeys(("left", "right", "left_priority", "right_priority"), pl.UInt64)


@dataclass(frozen=True)
class _Distinct:
    """Pairs that several buckets propose, once."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        return frame.group_by("left", "right", maintain_order=True).agg(
            pl.col("left_priority", "right_priority").first(), pl.col("cut", "skipped").sum()
        )


@dataclass(frozen=True)
class _Verify:
    """The cosine of every candidate pair; too small ones are left out."""

    column: str
    threshold: float

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        vectors = _vectors(records.df[self.column])
        try:
            similarity = cosines(*vectors, positions["left"], positions["right"])
        except ValueError as error:
            raise _uneven(self.column, str(error)) from error
        return frame.with_columns(pl.Series("similarity", similarity, dtype=pl.Float64)).filter(
            pl.Series(similarity >= self.threshold)
        )


@dataclass(frozen=True)
class _Count:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(
            pl.len().alias("pairs_proposed"),
            pl.col("cut").sum().alias("buckets_cut"),
            pl.col("skipped").sum().alias("pairs_not_compared"),
        )


@dataclass(frozen=True)
class _Without:
    column: str

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        count = count_without_direction(*_vectors(batch.df[self.column]))
        return pl.DataFrame({"without_embedding": [count]}, schema={"without_embedding": pl.Int64})


@dataclass(frozen=True)
class _Sum:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(pl.all().sum())
