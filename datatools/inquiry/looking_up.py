"""Single records of published datasets: where one stands, or why it left.

Owns: reading one record out of many without holding the others. Refuses: what a record's life means
(`explaining`), and whole datasets (`dataset`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from datatools.engine.store import read_json
from datatools.errors import IntegrityError

__all__ = ["BEGINNING", "FATES", "Standing", "fate", "manifest_of", "reading", "standing"]

FATES: Final = "sidecar/fates.parquet"
BEGINNING: Final = 600
"""Characters of a text that are read to compare it: half as many again as previews have."""

_DAMAGED: Final = (
    "`datatools verify` says what is damaged; `datatools gc --all` and a new run mend it."
)


@dataclass(frozen=True)
class Standing:
    """A published record.

    Attributes:
        where: Its shard and row.
        url: Its address, if it has one.
        text: The beginning of its text; None if it is of a kind without one.
        is_cut: Whether the text goes on.
    """

    where: str
    url: str | None
    text: str | None
    is_cut: bool


def manifest_of(folder: Path) -> Mapping[str, Any]:
    """Return a dataset's manifest.

    Raises:
        IntegrityError: It is damaged.
    """
    path = folder / "manifest.json"
    manifest = read_json(path)
    if not isinstance(manifest, Mapping) or not all(
        isinstance(manifest.get(name), list) for name in ("from", "shards", "steps")
    ):
        raise IntegrityError(str(path), "is not the manifest of a dataset", hint=_DAMAGED)
    return manifest


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell of a file that is gone or damaged as an `IntegrityError`."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        problem = str(error).partition("\n")[0]
        raise IntegrityError(str(path), f"cannot be read: {problem}", hint=_DAMAGED) from error


def standing(folder: Path, id_: str) -> Standing | None:
    """Return a record of a dataset, or None if it is not published there.

    Raises:
        IntegrityError: A file is damaged.
    """
    for shard in manifest_of(folder)["shards"]:
        path = folder / shard["path"]
        with reading(path):
            has_text = "text" in pl.read_parquet_schema(path)
            text = pl.col("text") if has_text else pl.lit(None, dtype=pl.String)
            found = (
                pl.scan_parquet(path, glob=False, row_index_name="row")
                .filter(pl.col("id") == id_)
                .select(
                    "row",
                    "url",
                    text.str.slice(0, BEGINNING).alias("text"),
                    (text.str.len_chars() > BEGINNING).fill_null(False).alias("is_cut"),
                )
                .collect(engine="streaming")
            )
        for row, url, beginning, is_cut in found.rows():
            return Standing(f"{shard['path']} row {row}", url, beginning, is_cut)
    return None


def fate(folder: Path, id_: str) -> dict[str, Any] | None:
    """Return the row of a dataset's fates about a record, or None if it did not leave there.

    Raises:
        IntegrityError: The file is damaged.
    """
    path = folder / FATES
    with reading(path):
        found = pl.scan_parquet(path, glob=False).filter(pl.col("id") == id_)
        rows = found.collect(engine="streaming").to_dicts()
    return rows[0] if rows else None
