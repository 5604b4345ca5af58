"""The survivor rule: which of two duplicates stays, whatever the order or the number of workers.

Owns the fields that say it, the number it makes of a record, and the choice among pairs that were
verified. Refuses: what a duplicate is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import model_validator

from datatools.errors import ConfigError
from datatools.kernels.unionfind import choose_survivors
from datatools.steps.base import Batch, Global, Rows

__all__ = ["KeepsOne", "Priority", "SurvivorRule", "Survivors", "joined_with"]

SurvivorRule = Literal["longest", "first", "newest", "best", "source"]

PROTECTED = 0
"""Priority of a record of another dataset: it always stays."""
_LAST = np.uint64(2**64 - 1)
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True)
class Priority:
    """The number that orders duplicates: lower stays; ties go to the first by path and offset.

    Attributes:
        rule: One of the survivor rules.
        text: The text column, whose bytes `longest` counts.
        best_by: The column that `best` compares: integers as they are, other numbers as float64.
        source_order: Source labels, best first, for `source`.
        boundary: Row number from which records belong to another dataset and are never removed.
    """

    rule: SurvivorRule
    text: str = "text"
    best_by: str | None = None
    source_order: tuple[str, ...] = ()
    boundary: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the rule reads."""
        return {
            "longest": (self.text,),
            "first": (),
            "newest": ("date",),
            "best": (self.best_by,) if self.best_by else (),
            "source": ("source",),
        }[self.rule]

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return the priority of each record: uint64 of shape (rows,), at least 1 if it may leave.

        A record without a date, without a number or of a source that is not listed comes last.
        """
        numbers = self._numbers(batch)
        if self.boundary is not None:
            numbers[rows >= np.uint64(self.boundary)] = PROTECTED
        return numbers

    def _numbers(self, batch: Batch) -> npt.NDArray[np.uint64]:
        if self.rule == "first":
            return np.ones(len(batch), np.uint64)
        if self.rule == "longest":
            offsets, _ = batch.buffers(self.text)
            # Small numbers, which take little room where they are stored by the million.
            return np.uint64(1 << 40) - np.diff(offsets).astype(np.uint64)
        if self.rule == "source":
            places = {name: place for place, name in enumerate(self.source_order, 1)}
            last = len(self.source_order) + 1
            return np.array(
                [places.get(name, last) for name in batch.df["source"].to_list()], np.uint64
            )
        if self.rule == "newest":
            moments = [_seconds(date) for date in batch.df["date"].to_list()]
            return _largest_first(pl.Series(moments, dtype=pl.Float64))
        assert self.best_by is not None
        column = batch.df[self.best_by]
        if column.dtype == pl.UInt64:
            return _largest_unsigned_first(column)
        if column.dtype.is_integer() and column.dtype != pl.Int128:
            return _largest_signed_first(column.cast(pl.Int64))
        if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
            raise ConfigError(
                "best_by",
                f"{column.name!r} does not hold numbers",
                got=str(column.dtype),
                hint="Name a numeric column, such as a filter's measure.",
            )
        return _largest_first(column.cast(pl.Float64))


# There are two numbers too few for all integers, because 0 and the last one have a meaning. At one
# end three integers are therefore one: that where nobody counts.


def _largest_unsigned_first(values: pl.Series) -> npt.NDArray[np.uint64]:
    """Return what `_largest_first` does, exactly; the three largest are one."""
    known = values.fill_null(0).to_numpy()
    numbers = _LAST - np.uint64(1) - np.minimum(known, _LAST - np.uint64(2))
    return np.where(values.is_null().to_numpy(), _LAST, numbers)


def _largest_signed_first(values: pl.Series) -> npt.NDArray[np.uint64]:
    """Return what `_largest_first` does, exactly; the three smallest are one."""
    known = values.fill_null(0).to_numpy().view(np.uint64) ^ _SIGN  # increases with the integers
    numbers = _LAST - np.maximum(known, np.uint64(2)) + np.uint64(1)
    return np.where(values.is_null().to_numpy(), _LAST, numbers)


def _seconds(date: str | None) -> float | None:
    """Return an ISO 8601 date as seconds since 1970; without a zone it counts as UTC."""
    try:
        moment = datetime.fromisoformat(date) if date else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _largest_first(values: pl.Series) -> npt.NDArray[np.uint64]:
    """Return numbers that increase as `values` decrease; null and NaN come last."""
    known = values.fill_nan(None)
    # -0.0 and 0.0 are one number. The bits of floats increase with them once negative ones are
    # turned over.
    bits = (known.fill_null(0.0).to_numpy() + 0.0).view(np.uint64)
    increasing = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    numbers = _LAST - np.uint64(1) - increasing
    numbers = np.maximum(numbers, np.uint64(1))
    numbers[known.is_null().to_numpy()] = _LAST
    return numbers


class KeepsOne(Global):
    """A dedup: of records that are duplicates one stays, and which is a matter of these fields."""

    keep: SurvivorRule = "first"
    """Which of two duplicates stays: the one with more bytes of text, the one that comes first by
    input path and offset, the one with the newest `date`, the one with the larger number in the
    column `best_by`, or the one whose `source` comes first in `source_order`. Ties go to the
    first."""
    best_by: str | None = None
    """Numeric column for `keep: best`. Larger is better; records without a number come last."""
    source_order: tuple[str, ...] = ()
    """Source labels for `keep: source`, best first. Sources not listed come last."""
    against: str | None = None
    """Another dataset whose records are never removed: what is a duplicate of one of them leaves,
    before this dataset's own records are compared."""

    @model_validator(mode="after")
    def _rule_is_whole(self) -> Self:
        for field, rule in (("best_by", "best"), ("source_order", "source")):
            given = bool(getattr(self, field))
            if given and self.keep != rule:
                raise ConfigError(
                    field, f"is read only with `keep: {rule}`", got=f"keep: {self.keep}"
                )
            if not given and self.keep == rule:
                raise ConfigError("keep", f"`{rule}` needs `{field}`", hint=f"Add `{field}:`.")
        return self

    def reads(self) -> frozenset[str]:
        """Return the text column and those of the survivor rule."""
        return frozenset({"id", "text", *self.priority().columns})

    def references(self) -> tuple[str, ...]:
        """Return the dataset named by `against`."""
        return () if self.against is None else (self.against,)

    def reads_of(self, reference: str) -> frozenset[str]:
        """Return what is compared: records without it are duplicates of nothing, or of blanks."""
        return frozenset({"text"})

    def priority(self, boundary: int | None = None, text: str = "text") -> Priority:
        """Return the survivor rule as a number of a record."""
        return Priority(self.keep, text, self.best_by, self.source_order, boundary)


def joined_with(
    rows: Rows, against: str | None, others: Mapping[str, Rows]
) -> tuple[Rows, int | None]:
    """Return the rows with those of `against` after them, and the row number where those begin."""
    return (rows, None) if against is None else rows.followed_by(others[against])


@dataclass(frozen=True)
class Survivors:
    """From verified pairs to the rows that leave, each with the row that stays in its place.

    Takes `left` and `right` (row numbers), `left_priority`, `right_priority` and `similarity`;
    gives `row`, `survivor` and `similarity`.
    """

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that leave, in order."""
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
            pl.col("left").alias("survivor"), pl.col("right").alias("row"), "similarity"
        )
        return removed.join(
            measured, on=["row", "survivor"], how="left", maintain_order="left"
        ).sort("row")
