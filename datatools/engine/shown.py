"""Which of the records that left have their texts kept for people to look at.

Of each step and reason those with the lowest ids. An id is a hash, so these are no special records;
and each part of the records can choose for itself, so that they are the same ones however the input
was cut into units, shards and batches.
"""

from __future__ import annotations

import polars as pl

from datatools.engine.fates import PREVIEWS

__all__ = ["Lowest"]

_SCHEMA = pl.Schema({"at": pl.UInt32, "id": pl.String, "step": pl.String, "reason": pl.String})


class Lowest:
    """The few lowest ids of each step and reason, of all fates that it was told of.

    What it holds is bounded by the number of steps and reasons.

    Example:
        >>> lowest = Lowest()
        >>> ids = [f"{n:02}" for n in range(99)]
        >>> fates = pl.DataFrame({"id": ids, "step": "Length", "reason": "짧다"})
        >>> lowest.among(fates[50:]).sum(), lowest.among(fates[:50]).sum()
        (5, 5)
        >>> lowest.among(fates[5:50]).sum()
        0
    """

    def __init__(self) -> None:
        self._held = _SCHEMA.to_frame()

    def among(self, fates: pl.DataFrame) -> pl.Series:
        """Return per fate whether it is among the lowest of those so far, of equal ids the first.

        A later fate may take the place of one that was: to have the last word, ask another `Lowest`
        about those that were chosen.

        Args:
            fates: Columns `id`, `step` and `reason`.
        """
        new = fates.select("id", "step", "reason").with_row_index("at")
        lowest = (
            pl.concat([self._held, new])
            .sort("id", maintain_order=True)
            .group_by("step", "reason", maintain_order=True)
            .head(PREVIEWS)
            .select(_SCHEMA.names())
        )
        self._held = lowest.with_columns(pl.lit(None, pl.UInt32).alias("at"))
        chosen = pl.repeat(False, fates.height, dtype=pl.Boolean, eager=True)
        at = lowest["at"].drop_nulls()
        return chosen.scatter(at, True) if at.len() else chosen
