"""`Split`: which records are held out, decided by their group, never by their row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash
from pydantic import Field

from datatools.records import Kind
from datatools.steps.base import Batch, Decisions, Global, Rows

__all__ = ["Split"]

TRAIN, VALIDATION = "train", "validation"


class Split(Global):
    """Put each record into `train` or `validation`, near-duplicate prompts always together.

    The draw is a hash of `(seed, group)`, where the group is `group_id` or, for records that have
    none, the `id`. It does not depend on the step's label or dataset, so threads, conversations and
    pairs of one question fall on the same side everywhere.

    With `hold_with`, documents follow their questions: a page is held out exactly when one of its
    threads' groups is. Pages without threads are drawn by their own id; one that quotes a held-out
    question without saying so in markup is not found out.

    Example:
        >>> frame = pl.DataFrame({"text": ["a", "b", "c", "d"], "id": list("abcd")})
        >>> kept, dropped = Split(validation=0.5).apply(frame)
        >>> kept["split"].to_list()
        ['train', 'validation', 'validation', 'validation']
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True
    takes: ClassVar[Kind | None] = None

    validation: float = Field(0.1, ge=0, lt=1)
    """Share of groups held out, in [0, 1). Raising it moves further groups to the held-out side and
    moves none back."""
    hold_with: tuple[str, ...] = ()
    """Datasets made from this one's pages; a page whose question is held out there is held out
    here."""

    def reads(self) -> frozenset[str]:
        """Return the columns the draw is made from."""
        return frozenset({"id"})

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the new column."""
        return {"split": pl.String()}

    def references(self) -> Sequence[str]:
        """Return the datasets named by `hold_with`."""
        return self.hold_with

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Draw by group; with `hold_with`, let pages follow their threads."""
        seed = rows.context.seed
        grouped = "group_id" in rows.columns
        draw = _Draw(seed, self.validation, grouped)
        table = rows.map_shards(draw, columns=draw.columns, name="draw")
        for number, name in enumerate(self.hold_with):
            held = _HeldPages(seed, self.validation, f"held_{number}")
            pages = others[name].map_shards(held, columns=held.columns, name=f"pages of {name}")
            sides = pages.group_by("page", _AnyHeld(held.column), name=f"sides of {name}")
            table = table.join(sides, "page", how="left", name=f"follow {name}")
        if self.hold_with:
            follow = _Follow(tuple(f"held_{n}" for n in range(len(self.hold_with))))
            table = table.group_by("row", follow, name="decide")
        return Decisions(table, dict(self.adds()))


def _draws(seed: int, fraction: float, groups: Sequence[str]) -> list[bool]:
    """Return whether each group is held out: whether its hash, in [0, 1), is below `fraction`."""
    limit = int(fraction * 2**64)
    return [
        xxhash.xxh3_64_intdigest(f"{seed}:{group}".encode("utf-8", "surrogatepass")) < limit
        for group in groups
    ]


def _page_keys(ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    return np.array(
        [xxhash.xxh3_64_intdigest(page.encode("utf-8", "surrogatepass")) for page in ids],
        dtype=np.uint64,
    )


@dataclass(frozen=True)
class _Draw:
    seed: int
    fraction: float
    grouped: bool

    @property
    def columns(self) -> tuple[str, ...]:
        return ("id", "group_id") if self.grouped else ("id",)

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        ids = batch.df["id"]
        groups = batch.df["group_id"].fill_null(ids) if self.grouped else ids
        sides = [
            VALIDATION if held else TRAIN
            for held in _draws(self.seed, self.fraction, groups.to_list())
        ]
        return pl.DataFrame(
            {"row": rows, "page": _page_keys(ids.to_list()), "split": sides},
            schema={"row": pl.UInt64, "page": pl.UInt64, "split": pl.String},
        )


@dataclass(frozen=True)
class _HeldPages:
    """Per record of another dataset: the page it came from, and whether its group is held out."""

    seed: int
    fraction: float
    column: str

    columns: ClassVar[tuple[str, ...]] = ("id", "group_id", "doc_id")

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        frame = batch.df.filter(pl.col("doc_id").is_not_null())
        groups = frame["group_id"].fill_null(frame["id"]).to_list()
        return pl.DataFrame(
            {
                "page": _page_keys(frame["doc_id"].to_list()),
                self.column: _draws(self.seed, self.fraction, groups),
            },
            schema={"page": pl.UInt64, self.column: pl.Boolean},
        )


@dataclass(frozen=True)
class _AnyHeld:
    column: str

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        return frame.group_by("page", maintain_order=True).agg(pl.col(self.column).any())


@dataclass(frozen=True)
class _Follow:
    columns: tuple[str, ...]

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        held = pl.any_horizontal(self.columns)
        known = pl.any_horizontal([pl.col(name).is_not_null() for name in self.columns])
        side = pl.when(held.fill_null(False)).then(pl.lit(VALIDATION)).otherwise(pl.lit(TRAIN))
        return frame.select(
            "row", pl.when(known).then(side).otherwise(pl.col("split")).alias("split")
        )
