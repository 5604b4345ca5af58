"""The error of an export that cannot carry some rows."""

from __future__ import annotations

import polars as pl

from datatools.errors import DataError

__all__ = ["refuse_rows"]


def refuse_rows(where: str, frame: pl.DataFrame, guilty: pl.Series, problem: str) -> None:
    """Stop if any row is guilty, naming up to three of them.

    Args:
        where: The export.
        frame: The rows.
        guilty: Boolean of shape (rows,); null counts as false.
        problem: What is wrong with such a row, as a clause with the row as subject.

    Raises:
        DataError: At least one row is guilty.
    """
    rows = guilty.fill_null(False).arg_true()
    if len(rows):
        named = frame["id"].gather(rows[:3]) if "id" in frame.columns else rows[:3]
        raise DataError(
            where,
            f"{len(rows)} of {frame.height} rows cannot be written: each {problem}",
            got=named.to_list(),
            hint="Filter these rows out, or train from the dataset's own files.",
        )
