"""`ExactDedup`: removes records whose text is the same as one that stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.hashing import hash_texts, normalise_then_hash
from datatools.steps.base import Batch, Decisions, Global, Rows

__all__ = ["ExactDedup"]


class ExactDedup(Global):
    """Remove documents whose text equals that of an earlier one.

    Texts are compared by a 128-bit hash. The first by input path and offset stays. Empty texts are
    equal to each other.

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

    def reads(self) -> frozenset[str]:
        """Return the text column."""
        return frozenset({"id", "text"})

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Bring equal hashes together; all but the first of each leave."""
        removed = rows.map_shards(
            _Hashes(self.compare == "words"), columns=("text",), name="hashes"
        ).group_by("key", _AllButFirst(), order_by=("low", "row"), name="duplicates")
        table = rows.lookup(
            removed, _Evidence(), on=("survivor",), columns=("id",), name="evidence"
        )
        return Decisions(table)


@dataclass(frozen=True)
class _Hashes:
    words: bool

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        hashes = (normalise_then_hash if self.words else hash_texts)(*batch.buffers("text"))
        return pl.DataFrame(
            {"key": hashes[:, 0], "low": hashes[:, 1], "row": rows},
            schema={"key": pl.UInt64, "low": pl.UInt64, "row": pl.UInt64},
        )


@dataclass(frozen=True)
class _AllButFirst:
    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        return frame.select(
            "row", pl.col("row").first().over("key", "low").alias("survivor")
        ).filter(pl.col("row") != pl.col("survivor"))


@dataclass(frozen=True)
class _Evidence:
    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        survivor = records.df["id"][positions["survivor"]]
        return frame.select(
            "row",
            pl.lit("exact_duplicate").alias("reason"),
            pl.struct(survivor.alias("survivor")).struct.json_encode().alias("evidence"),
        )
