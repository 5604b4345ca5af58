"""Cuts with the id of the record that still has what was cut.

Owns the way from row numbers to what a reader is told: of each record one cut, the longest, names
its survivor, so that the sidecar grows with the records and not with the cuts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.steps.base import Batch, Rows, Table

__all__ = ["CUTS", "with_survivors"]

CUTS = pl.Schema(
    {
        "row": pl.UInt64,
        "start": pl.Int64,
        "stop": pl.Int64,
        "reason": pl.String,
        "source": pl.UInt64,
        "stays": pl.Boolean,
    }
)
"""Columns of cuts before their survivors have names: `source` is the row that has the span, too;
`stays` says whether it stays there."""


def with_survivors(rows: Rows, cuts: Table) -> Table:
    """Return the table that `Cuts` takes from one with the columns `CUTS`."""
    order = ("start", "stop", "source")
    longest = cuts.group_by("row", _TellLongest(), order_by=order, name="longest")
    return rows.lookup(longest, _Named(), on=("source",), columns=("id",), name="names")


@dataclass(frozen=True)
class _TellLongest:
    """The same cuts; `stays` is left true for the longest that stays elsewhere, or the first."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        length = pl.when("stays").then(pl.col("stop") - pl.col("start")).otherwise(-1)
        told = pl.col("stays") & (pl.int_range(pl.len()) == length.arg_max()).over("row")
        row = pl.col("row")
        # A row that names no survivor names itself, which is read with it.
        return frame.with_columns(told.alias("stays")).with_columns(
            pl.when("stays").then("source").otherwise(row).alias("source")
        )


@dataclass(frozen=True)
class _Named:
    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        ids = records.df["id"][positions["source"]].alias("survivor")
        return frame.select(
            "row", "start", "stop", "reason", pl.when("stays").then(ids).alias("survivor")
        )
