"""One document's life: where it was in the crawl, what was measured, what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from datatools.errors import DataError, nearest
from datatools.inquiry.looking_up import FATES, manifest_of, reading
from datatools.inquiry.replacing import Replaced, Survivor, replaced_by, survivor_of
from datatools.inquiry.verifying import left_over, published
from datatools.outputs.addresses import output_at

__all__ = ["Life", "Station", "explain"]


@dataclass(frozen=True)
class Station:
    """What one dataset says of a record.

    Attributes:
        dataset: Its name.
        id: The record's id there.
        parent: The id of the document it was made from, if it was made from another.
        outcome: `published`, `dropped` or `quarantined`.
        where: The shard and row it became; None when it is gone.
        step: Label of the step that decided; None when it is published.
        reason: The reason code.
        rule: `measure value, rule threshold` of a filter's decision, in words.
        detail: The step's evidence, decoded where it is JSON.
        survivor: The record that stayed in its place, and what became of that one.
        replaced: The records that it replaced, if it did.
        signals: What was measured on it.
        origin: Input file and offset.
        url: Its address.
    """

    dataset: str
    id: str
    parent: str | None = None
    outcome: str = "published"
    where: str | None = None
    step: str | None = None
    reason: str | None = None
    rule: str | None = None
    detail: Any = None
    survivor: Survivor | None = None
    replaced: Replaced | None = None
    signals: Mapping[str, Any] | None = None
    origin: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Life:
    """A record's stations in pipeline order, with those of what was made from it."""

    asked: str
    stations: Sequence[Station]


def explain(output: Path | str, asked: str) -> Life:
    """Tell what became of a record, in the datasets that the pipeline has now.

    Args:
        output: A pipeline's output, a folder or a URL.
        asked: The id of a record, at least 8 digits of it, or a page's URL.

    Raises:
        DataError: No dataset knows it.
        IntegrityError: A published file is damaged.
    """
    there = output_at(output)
    there.bring_datasets()
    folders = published(there.folder)
    for name in left_over(there.folder):
        del folders[name]
    order = _order(folders)
    found: list[Station] = []
    ids: set[str] = set()
    for name in order:
        stations = _stations(name, folders, asked, ids)
        found += stations
        ids |= {station.id for station in stations}
    if not found:
        raise DataError(
            asked,
            f"is not in any dataset of {output}",
            hint=_suggest(folders, asked),
        )
    replaced = replaced_by(folders, ids)
    return Life(asked, [replace(s, replaced=replaced.get((s.dataset, s.id))) for s in found])


def _order(folders: Mapping[str, Path]) -> list[str]:
    """Return dataset names, parents before children."""
    parents = {name: list(manifest_of(folder)["from"]) for name, folder in folders.items()}
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name not in parents:
            return
        for parent in parents[name]:
            visit(parent)
        ordered.append(name)

    for name in parents:
        visit(name)
    return ordered


def _matches(columns: Sequence[str], asked: str, ids: set[str]) -> pl.Expr:
    conditions = [pl.col("id") == asked]
    if len(asked) >= 8:
        conditions.append(pl.col("id").str.starts_with(asked))
    if "url" in columns:
        conditions.append(pl.col("url") == asked)
    for name in ("id", "doc_id"):
        if name in columns and ids:
            conditions.append(pl.col(name).is_in(sorted(ids)))
    return pl.any_horizontal([condition.fill_null(False) for condition in conditions])


def _stations(name: str, folders: Mapping[str, Path], asked: str, ids: set[str]) -> list[Station]:
    folder = folders[name]
    stations: list[Station] = []
    for shard in manifest_of(folder)["shards"]:
        path = folder / shard["path"]
        with reading(path):
            columns = [c for c in ("id", "url", "doc_id") if c in pl.read_parquet_schema(path)]
            rows = (
                pl.scan_parquet(path, glob=False)
                .select(columns)
                .with_row_index("row")
                .filter(_matches(columns, asked, ids))
                .collect()
            )
        if rows.height:
            path = folder / "sidecar" / shard["path"]
            with reading(path):
                beside = pl.read_parquet(path, glob=False)
            for row in rows.iter_rows(named=True):
                stations.append(_published(name, shard["path"], row, beside))
    path = folder / FATES
    with reading(path):
        gone = (
            pl.scan_parquet(path, glob=False)
            .filter(_matches(("id", "url"), asked, ids))
            .collect(engine="streaming")
        )
    stations += [_gone(name, folders, row) for row in gone.iter_rows(named=True)]
    return stations


def _published(name: str, path: str, row: Mapping[str, Any], beside: pl.DataFrame) -> Station:
    signals = beside.row(row["row"], named=True)
    origin = signals.pop("origin", None)
    offset = signals.pop("offset", None)
    signals.pop("id", None)
    return Station(
        dataset=name,
        id=row["id"],
        parent=row.get("doc_id"),
        where=f"{path} row {row['row']}",
        signals={k: v for k, v in signals.items() if v is not None},
        origin=None if origin is None else f"{origin} at {offset}",
        url=row.get("url"),
    )


def _gone(name: str, folders: Mapping[str, Path], row: Mapping[str, Any]) -> Station:
    detail: Any = row["detail"]
    if isinstance(detail, str) and detail.startswith("{"):
        with contextlib.suppress(orjson.JSONDecodeError):  # a step's own words
            detail = orjson.loads(detail)
    rule = None
    if row["measure"] is not None:
        undefined = row["value"] is None
        rule = f"{row['measure']} " + (
            "is undefined" if undefined else f"{row['value']} {row['threshold']}"
        )
    return Station(
        dataset=name,
        id=row["id"],
        outcome=row["fate"],
        step=row["step"],
        reason=row["reason"],
        rule=rule,
        detail=detail,
        survivor=survivor_of(folders, name, row),
        url=row["url"],
    )


def _suggest(folders: Mapping[str, Path], asked: str) -> str:
    urls: list[str] = []
    for folder in folders.values():
        path = folder / FATES
        with reading(path):
            known = pl.scan_parquet(path, glob=False).select(pl.col("url").drop_nulls())
            urls += known.head(2000).collect()["url"].to_list()
    close = nearest(asked, urls) if "/" in asked else None
    return f"Did you mean {close}?" if close else "Give an id (or 8 digits of it) or a page's URL."
