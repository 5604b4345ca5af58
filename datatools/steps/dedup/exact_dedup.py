"""`ExactDedup`: removes records whose text is the same as one that stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.hashing import hash_texts, normalise_then_hash
from datatools.steps.base import Batch, Decisions, Rows, Table
from datatools.steps.dedup.survivor import KeepsOne, Priority, joined_with

__all__ = ["Evidence", "ExactDedup", "equal_keys"]


class ExactDedup(KeepsOne):
    """Remove documents whose text equals that of one that stays.

    Texts are compared by a 128-bit hash. Empty texts are equal to each other. With `against`, a
    document whose text is in the other dataset leaves, too.

    Example:
        >>> frame = pl.DataFrame({"text": ["같은 글", "다른 글", "같은 글"]})
        >>> kept, dropped = ExactDedup().apply(frame)
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['같은 글', '다른 글'], ['exact_duplicate'])

    References:
        Yann Collet, xxHash, XXH3 128 bits, 2019.
    """

    version: ClassVar[int] = 1

    compare: Literal["text", "words"] = "text"
    """What must be equal: every byte, or the lower-cased words in order (punctuation, case and
    spacing play no part)."""

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Bring equal hashes together; all but the best of each leave."""
        everything, boundary = joined_with(rows, self.against, others)
        hashes = _Hashes(self.compare == "words", self.priority(boundary))
        keys = everything.map_shards(hashes, columns=hashes.columns, name="hashes")
        evidence = Evidence("exact_duplicate", self.against, boundary)
        return Decisions(equal_keys(everything, keys, evidence))


def equal_keys(rows: Rows, keys: Table, evidence: Evidence) -> Table:
    """Return the decisions about rows with equal keys: all but the best of each leave.

    Args:
        rows: The records.
        keys: `key` and `low` (the halves of a 128-bit hash), `priority` and `row`, all UInt64.
        evidence: What is told of those that leave.
    """
    removed = keys.group_by(
        "key",
        _AllButBest(evidence.boundary),
        order_by=("low", "priority", "row"),
        at_least=2,
        name="duplicates",
    )
    return rows.lookup(removed, evidence, on=("survivor",), columns=("id",), name="evidence")


@dataclass(frozen=True)
class _Hashes:
    words: bool
    priority: Priority

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("text", *self.priority.columns)))

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        hashes = (normalise_then_hash if self.words else hash_texts)(*batch.buffers("text"))
        return pl.DataFrame(
            {
                "key": hashes[:, 0],
                "low": hashes[:, 1],
                "row": rows,
                "priority": self.priority(batch, rows),
            },
            schema=dict.fromkeys(("key", "low", "row", "priority"), pl.UInt64),
        )


@dataclass(frozen=True)
class _AllButBest:
    """The rows that leave, each with its `survivor`: the first row of its `key` and `low`.

    Attributes:
        boundary: See `Rows.followed_by`.
    """

    boundary: int | None

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return `row` and `survivor` of rows sorted by `key` and `low`, the best one first."""
        removed = frame.select(
            "row", pl.col("row").first().over("key", "low").alias("survivor")
        ).filter(pl.col("row") != pl.col("survivor"))
        if self.boundary is not None:
            removed = removed.filter(pl.col("row") < self.boundary)
        return removed


@dataclass(frozen=True)
class Evidence:
    """Who stays in a removed record's place, and how similar they are where that was measured.

    Attributes:
        reason: Why the records of the table leave.
        against: The dataset that survivors from `boundary` on belong to.
        boundary: See `Rows.followed_by`.
    """

    reason: str
    against: str | None
    boundary: int | None

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        """Return the decisions about the rows of `frame`."""
        told: list[pl.Expr | pl.Series] = [
            records.df["id"][positions["survivor"]].alias("survivor")
        ]
        if self.boundary is not None:
            other = pl.col("survivor") >= self.boundary
            told.append(pl.when(other).then(pl.lit(self.against)).alias("dataset"))
        if "similarity" in frame.columns:
            told.append(pl.col("similarity").round(4))
        return frame.select(
            "row",
            pl.lit(self.reason).alias("reason"),
            pl.struct(told).struct.json_encode().alias("evidence"),
        )
