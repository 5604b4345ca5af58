"""Fates: one row for every record that did not go on, with why.

Owns: the table of dropped and quarantined records that `explain` and the report read. A kept record
has no fate; a record replaced by its children has the fate `expanded`.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

__all__ = [
    "FATES",
    "PREVIEWS",
    "PREVIEW_CHARACTERS",
    "PUBLISHED_FATES",
    "empty_fates",
    "fates_frame",
]

FATES = pl.Schema(
    {
        "id": pl.String,
        "url": pl.String,
        "source": pl.String,
        "step": pl.String,
        "fate": pl.String,
        "reason": pl.String,
        "measure": pl.String,
        "value": pl.String,
        "threshold": pl.String,
        "detail": pl.String,
        "row": pl.UInt64,
        "preview": pl.String,
    }
)
"""`source` is the record's own, or of what a reader could not use the reader's label. `fate` is
`dropped` or `quarantined`. `measure`, `value` and `threshold` say which rule fired on what;
`detail` is the step's own words or JSON evidence; `row` is the record's number in the stage's
input, where there is one; `preview` the start of its text, for a few records of each reason."""

PUBLISHED_FATES = pl.Schema({name: dtype for name, dtype in FATES.items() if name != "row"})
"""`sidecar/fates.parquet`: without `row`, which counts in shards that only the engine sees."""

PREVIEWS = 5
"""Records of each step and reason whose texts are kept."""
PREVIEW_CHARACTERS = 400


def empty_fates() -> pl.DataFrame:
    """Return a fates table without rows."""
    return FATES.to_frame()


def fates_frame(
    df: pl.DataFrame,
    step: str,
    fate: Literal["dropped", "quarantined"],
    reason: pl.Series,
    **columns: pl.Series | None,
) -> pl.DataFrame:
    """Return the fates of the rows of `df` whose `reason` is not null.

    Args:
        df: Records, with `id`; `url` and `source` are taken from it where it has them.
        step: Label of the step that decided.
        fate: Where they went.
        reason: Per row a reason or null.
        columns: Other fate columns, aligned with `df`.
    """
    known = ("id", "url", "source")
    given: dict[str, pl.Series] = {name: df[name] for name in known if name in df.columns}
    given |= {"reason": reason}
    given |= {name: series for name, series in columns.items() if series is not None}
    frame = pl.DataFrame({name: series.cast(FATES[name]) for name, series in given.items()}).filter(
        pl.col("reason").is_not_null()
    )
    return frame.with_columns(
        pl.lit(step).alias("step"),
        pl.lit(fate).alias("fate"),
        *(
            pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in FATES.items()
            if name not in given and name not in ("step", "fate")
        ),
    ).select(list(FATES))
