"""`GroupPrompts`: gives near-duplicate questions one `group_id`, so that splits never part them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from datatools.kernels.minhash import choose_bands
from datatools.kernels.shingles import Unit
from datatools.kernels.unionfind import components
from datatools.records import Kind
from datatools.steps.base import Batch, Decisions, Global, Rows
from datatools.steps.dedup.near_duplicates import Search, Sketch
from datatools.steps.dedup.recall import explain_recall
from datatools.steps.dedup.survivor import Priority

__all__ = ["GroupPrompts"]


class GroupPrompts(Global):
    """Give each thread the id of its near-duplicate cluster as `group_id`; remove nothing.

    Clusters are connected components of verified pairs: transitive on purpose, because a split must
    not part a chain of rewordings. A thread alone is its own group.

    Example:
        >>> ask = "How do I sharpen a kitchen knife at home without a stone"
        >>> frame = pl.DataFrame({"id": ["a", "b", "c"], "question": [ask, ask + "?", "Why?"]})
        >>> kept, _ = GroupPrompts().apply(frame)
        >>> kept["group_id"].to_list()
        ['a', 'a', 'c']
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True
    takes: ClassVar[Kind | None] = "thread"

    threshold: float = Field(0.7, gt=0, le=1)
    """Jaccard similarity of shingle sets from which two questions belong together. Lowering it
    makes larger groups."""
    ngram: int = Field(5, ge=1, le=64)
    """Tokens per shingle. Raising it makes small edits count more."""
    unit: Unit = "char"
    """What a token is: a `word`, a `char`, or `auto`; see `MinHashDedup`. Characters suit
    short questions and Korean, whose particles change words."""
    num_perm: int = Field(128, ge=16, le=4096)
    """Permutations, the length of a signature."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        choose_bands(self.threshold, self.num_perm)  # refuses what no choice of bands finds
        return self

    def explains(self) -> Sequence[str]:
        """Return the bands and rows that follow from the threshold, and what they find."""
        return explain_recall(self.threshold, self.num_perm)

    def reads(self) -> frozenset[str]:
        """Return the question column."""
        return frozenset({"id", "question"})

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the column it fills."""
        return {"group_id": pl.String()}

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Find verified pairs, join them into components, name each by its first thread's id."""
        search = Search(
            column="question",
            threshold=self.threshold,
            sketch=Sketch(self.ngram, self.unit, self.num_perm, rows.context.seed),
            priority=Priority("first"),
        )
        edges, candidates = search.pairs(rows)
        roots = edges.reduce(_Components(), name="components")
        named = rows.lookup(roots, _RootIds(), on=("root",), columns=("id",), name="group ids")
        table = (
            rows.map_shards(_Alone(), columns=("id",), name="threads")
            .join(named, "row", how="left", name="groups")
            .group_by("row", _Named(), name="name groups")
        )
        return Decisions(table, dict(self.adds()), notes=search.notes(candidates))


@dataclass(frozen=True)
class _Components:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        left, right = frame["left"].to_numpy(), frame["right"].to_numpy()
        rows = np.unique(np.concatenate([left, right]))
        root = components(
            np.searchsorted(rows, left).astype(np.int64),
            np.searchsorted(rows, right).astype(np.int64),
            len(rows),
        )
        return pl.DataFrame(
            {"row": rows, "root": rows[root]}, schema={"row": pl.UInt64, "root": pl.UInt64}
        )


@dataclass(frozen=True)
class _RootIds:
    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        return frame.select("row", records.df["id"][positions["root"]].alias("group"))


@dataclass(frozen=True)
class _Alone:
    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        return pl.DataFrame(
            {"row": rows, "own": batch.df["id"]}, schema={"row": pl.UInt64, "own": pl.String}
        )


@dataclass(frozen=True)
class _Named:
    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        return frame.select("row", pl.coalesce("group", "own").alias("group_id"))
