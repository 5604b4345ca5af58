"""`MinHashDedup`: removes near duplicates, each against a document that stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from datatools.kernels.minhash import choose_bands
from datatools.kernels.unionfind import choose_survivors
from datatools.steps.base import Batch, Decisions, Global, Rows
from datatools.steps.dedup.near_duplicates import Search

__all__ = ["MinHashDedup"]


class MinHashDedup(Global):
    r"""Remove documents that are near duplicates of one that stays.

    MinHash with banding proposes pairs; with `verify: exact` each pair's Jaccard similarity is
    computed from its texts, and a document is removed only if it reaches the threshold against a
    document that stays. There are no transitive merges: of a chain a-b-c without the pair a-c, c
    stays. The survivor and the similarity are stored as evidence.

    Words are those of `\w+` over the lower-cased text, so punctuation and case play no part. A
    text with fewer words than a shingle is a duplicate only of a text with exactly its words.

    Example:
        >>> text = "the quick brown fox jumps over the lazy dog and runs into the green wood"
        >>> frame = pl.DataFrame({"text": [text, text.title() + "!", "another text"]})
        >>> kept, dropped = MinHashDedup(threshold=0.8).apply(frame)
        >>> kept.height, dropped["reason"].to_list()
        (2, ['near_duplicate'])

    References:
        Andrei Broder, On the resemblance and containment of documents, 1997.
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    threshold: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of shingle sets from which a document counts as a duplicate, in (0, 1].
    Raising it removes less. Bands and rows follow from it: 0.98 of pairs at the threshold are
    found."""
    keep: Literal["longest", "first"] = "longest"
    """Which of two duplicates stays: the one with more bytes of text, or the one that comes first
    by input path and offset. Ties go to the first."""
    ngram: int = Field(5, ge=1, le=64)
    """Tokens per shingle. Raising it makes small edits count more: 1 % of words edited leaves a
    mean similarity of 0.92 with 5-word shingles, 5 % leaves 0.66."""
    unit: Literal["word", "char"] = "word"
    """Whether a token is a word or a character. Characters suit scripts without spaces."""
    num_perm: int = Field(128, ge=16, le=4096)
    """Permutations, the length of a signature. Raising it sharpens the search and costs time."""
    verify: Literal["exact", "none"] = "exact"
    """Whether candidates are compared by their texts. With `none`, sharing a bucket is enough:
    faster, and about a third of what it removes is less similar than the threshold."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        choose_bands(self.threshold, self.num_perm)  # refuses what no choice of bands finds
        return self

    def reads(self) -> frozenset[str]:
        """Return the text column."""
        return frozenset({"id", "text"})

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Find verified pairs, choose survivors, name the survivor of each removed document."""
        search = Search(
            column="text",
            threshold=self.threshold,
            ngram=self.ngram,
            unit=self.unit,
            num_perm=self.num_perm,
            seed=rows.context.seed,
            longest_first=self.keep == "longest",
            verify=self.verify == "exact",
        )
        edges, candidates = search.pairs(rows)
        removed = edges.reduce(_Survivors(), name="survivors")
        table = rows.lookup(
            removed, _Evidence(), on=("survivor",), columns=("id",), name="evidence"
        )
        return Decisions(table, notes={"pairs_not_compared": search.skipped(candidates)})


@dataclass(frozen=True)
class _Survivors:
    """From verified pairs to the rows that leave, each with the row that stays in its place."""

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        left, right = frame["left"].to_numpy(), frame["right"].to_numpy()
        ends = pl.DataFrame(
            {
                "row": np.concatenate([left, right]),
                "priority": np.concatenate(
                    [frame["left_priority"].to_numpy(), frame["right_priority"].to_numpy()]
                ),
            },
            schema={"row": pl.UInt64, "priority": pl.UInt64},
        )
        rows = ends.unique().sort("priority", "row")["row"].to_numpy()
        # Vertices are numbered by priority; rows are found through their sorted order.
        by_row = np.argsort(rows)
        at = by_row[np.searchsorted(rows, left, sorter=by_row)] if left.size else left.astype(int)
        to = by_row[np.searchsorted(rows, right, sorter=by_row)] if left.size else at
        survivor = choose_survivors(at.astype(np.int64), to.astype(np.int64), len(rows))
        gone = np.flatnonzero(survivor >= 0)
        removed = pl.DataFrame(
            {"row": rows[gone], "survivor": rows[survivor[gone]]},
            schema={"row": pl.UInt64, "survivor": pl.UInt64},
        )
        measured = frame.select(
            pl.col("left").alias("survivor"), pl.col("right").alias("row"), "common", "union"
        )
        return removed.join(
            measured, on=["row", "survivor"], how="left", maintain_order="left"
        ).sort("row")


@dataclass(frozen=True)
class _Evidence:
    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        survivor = records.df["id"][positions["survivor"]]
        return frame.select(
            "row",
            pl.lit("near_duplicate").alias("reason"),
            pl.struct(
                survivor.alias("survivor"),
                (pl.col("common") / pl.col("union")).round(4).alias("similarity"),
            )
            .struct.json_encode()
            .alias("evidence"),
        )
