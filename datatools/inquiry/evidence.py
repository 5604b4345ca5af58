"""What dedup steps say of the records they removed: who stayed in their place, and how similar.

Owns: reading that evidence, the JSON details of fates that begin with a `survivor`. Refuses:
writing it (the steps do), and finding the survivor's own record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

__all__ = ["EVIDENCE", "replaced_records", "with_evidence"]

EVIDENCE: Final = pl.Schema(
    {
        "survivor": pl.String,
        "similarity": pl.Float64,
        "dataset": pl.String,
        "added": pl.String,
        "index_source": pl.String,
        "index_url": pl.String,
    }
)
"""What is told of the one that stayed: its id; how similar the two are, from 0 to 1, where that was
measured; the dataset it is in, if that is another one of the pipeline; and if it is in an index the
day it was added, its source and its address."""

_KEYS: Final = ("survivor", "similarity", "dataset", "added", "source", "url")

# Evidence is flat. Anything else would end the reading of a whole file, so it is told apart first.
_STRING: Final = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
_NUMBER: Final = r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?"
_FLAT: Final = (
    rf'^\{{"survivor": ?{_STRING}(?:, ?{_STRING}: ?(?:{_STRING}|{_NUMBER}|null|true|false))*\}}$'
)

_PLAIN: Final = re.compile(r"[\w.-]+", re.ASCII)
"""What JSON writes in one way only, as ids are."""


def with_evidence(fates: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows whose `detail` is evidence, with the columns `EVIDENCE` in its place.

    A detail without a survivor, or one of another form, is no evidence.

    Args:
        fates: Rows with a String column `detail`.

    Example:
        >>> detail = ['{"survivor":"ab12","similarity":0.9}', '{"survivor":null}', "같은 글", None]
        >>> told = with_evidence(pl.LazyFrame({"detail": detail})).collect()
        >>> told["survivor"].to_list(), told["similarity"].to_list()
        (['ab12'], [0.9])
    """
    told = pl.col("detail").str.json_decode(pl.Struct(dict.fromkeys(_KEYS, pl.String())))
    fields = [
        told.struct.field(key).cast(dtype, strict=False).alias(name)
        for key, (name, dtype) in zip(_KEYS, EVIDENCE.items(), strict=True)
    ]
    evidence = fates.filter(pl.col("detail").str.contains(_FLAT))
    return evidence.with_columns(fields).drop("detail")


def replaced_records(fates: Path, *, by: Sequence[str] | None = None) -> pl.LazyFrame:
    """Return the dropped records that another one replaced, in the order of the file.

    Args:
        fates: A dataset's `sidecar/fates.parquet`.
        by: Ids of survivors, at least one; only what these replaced is returned. By default
            everything is.

    Returns:
        `id`, `url`, `source`, `step` and `preview` of the removed record, and the columns
        `EVIDENCE`. Nothing is read before it is collected, and then piece by piece.
    """
    rows = pl.scan_parquet(fates, glob=False).filter(pl.col("fate") == "dropped")
    if by is not None and all(map(_PLAIN.fullmatch, by)):  # before anything is parsed
        rows = rows.filter(pl.col("detail").str.contains_any(list(by)))
    found = with_evidence(rows.select("id", "url", "source", "step", "preview", "detail"))
    return found if by is None else found.filter(pl.col("survivor").is_in(list(by)))
