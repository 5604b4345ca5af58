"""Duplicates: who stayed, who left for it, in which words they differ, and where both come from.

Owns: counting and choosing from what dedup steps said. Of every removed record the evidence is held
once, as short columns; texts and addresses are read of those only that are shown. Refuses: deciding
what a duplicate is, and reading evidence (`evidence`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from datatools.dataset import Dataset, open_dataset
from datatools.errors import DatatoolsError
from datatools.inquiry.evidence import replaced_records
from datatools.inquiry.verifying import published
from datatools.report.diff import compare_beginnings
from datatools.report.fates import FATES
from datatools.report.histograms import histogram_of
from datatools.report.model.distributions import Histogram
from datatools.report.model.duplicates import Across, Cluster, Clusters, Difference, SizeCount

__all__ = ["PREVIEW_CHARACTERS", "clusters"]

PREVIEW_CHARACTERS: Final = 400
"""Length at which a run cuts the previews of removed records; one this long may be cut."""

SOURCES_SHOWN: Final = 12
"""Sources of each side that are told apart."""
UNTOLD: Final = "not told"
"""What stands for a source that is not known."""

_LARGEST: Final = 12
_URLS: Final = 4
_DIFFERENCES: Final = 2
_BEGINNING: Final = 600
_CLUSTER: Final = ["step", "survivor", "dataset"]


def clusters(dataset: Dataset) -> Clusters | None:
    """Return the duplicates of a dataset, or None if no step named a survivor.

    The largest clusters come first; of equally large ones, those with a removed record to look at,
    then the least similar.
    """
    path = dataset.path / FATES
    if not path.is_file():
        return None
    gone = (
        replaced_records(path)
        .select(
            *_CLUSTER,
            "source",
            "similarity",
            "added",
            "index_source",
            pl.col("preview").is_not_null().alias("seen"),
        )
        .collect(engine="streaming")
    )
    if not gone.height:
        return None
    grouped = gone.group_by(_CLUSTER).agg(
        pl.len().alias("removed"),
        pl.col("similarity").min().alias("lowest"),
        pl.col("seen").any(),
        pl.col("added").min(),
    )
    removed = gone["step"].value_counts().sort("step")
    homes = _homes(dataset, grouped["dataset"])
    return Clusters(
        removed=dict(removed.rows()),
        clusters=grouped.height,
        sizes=_sizes(grouped["removed"]),
        similarity=_similarity(gone),
        across=_across(gone, homes),
        largest=_largest(path, grouped, homes),
    )


# --------------------------------------------------------------------------------------------------
# Numbers


def _sizes(removed: pl.Series) -> tuple[SizeCount, ...]:
    """Return clusters by size: 2, 3 to 4, 5 to 8 and so on; empty ranges up to the largest too."""
    found: dict[int, tuple[int, int]] = {}
    for number, count in removed.value_counts().rows():
        # A cluster of n removed records has n + 1; the range that holds it ends at a power of two.
        power = number.bit_length()
        clusters, records = found.get(power, (0, 0))
        found[power] = clusters + count, records + count * number
    return tuple(
        SizeCount(2 ** (power - 1) + 1, 2**power, *found.get(power, (0, 0)))
        for power in range(1, max(found) + 1)
    )


def _similarity(gone: pl.DataFrame) -> dict[str, Histogram]:
    found = {}
    for label in gone["step"].unique().sort():
        values = gone.filter(pl.col("step") == label)["similarity"].drop_nulls().to_numpy()
        if len(values):
            # Up to 1, from a round number on: a single value would tell of none otherwise.
            start = min(math.floor(10 * values.min()) / 10, 0.9)
            histogram = histogram_of({"removed": values}, include=(start, 1.0))
            found.update({} if histogram is None else {label: histogram})
    return found


def _across(gone: pl.DataFrame, homes: Mapping[str | None, Dataset | None]) -> Across:
    """Return records removed by the sources of both sides."""
    pairs = pl.concat(
        [
            _with_sources(gone.lazy().filter(pl.col("dataset").eq_missing(name)), name, home)
            for name, home in homes.items()
        ]
    )
    left, rest_left = _shown(pairs, "removed_from")
    right, rest_right = _shown(pairs, "stayed_from")
    rows, columns = (
        [*left, *([None] if rest_left else [])],
        [*right, *([None] if rest_right else [])],
    )
    summed: dict[tuple[str | None, str | None], int] = {}
    for source, stayed, number in pairs.rows():
        key = (source if source in left else None, stayed if stayed in right else None)
        summed[key] = summed.get(key, 0) + number
    return Across(
        removed=tuple(row or f"{rest_left} others" for row in rows),
        stayed=tuple(column or f"{rest_right} others" for column in columns),
        counts=tuple(tuple(summed.get((row, column), 0) for column in columns) for row in rows),
        summed=(rest_left, rest_right),
    )


def _with_sources(gone: pl.LazyFrame, name: str | None, home: Dataset | None) -> pl.DataFrame:
    """Return records removed by the sources of both sides, of one dataset that survivors are in."""
    wanted = gone.select("survivor").unique().collect(engine="streaming")
    stayed = _sources(home, wanted) if home is not None else None
    if stayed is None:
        stayed = wanted.with_columns(pl.lit(None, dtype=pl.String).alias("stayed"))
    indexed = pl.col("added").is_not_null().alias("indexed")
    counted = (
        gone.join(stayed.lazy(), on="survivor", how="left")
        .group_by("source", "stayed", "index_source", indexed)
        .agg(pl.len().alias("removed"))
        .collect(engine="streaming")
    )
    known = pl.when("indexed").then("index_source").otherwise("stayed")
    place = "" if name is None else f" in {name}"
    where = pl.when("indexed").then(pl.lit(" in an index")).otherwise(pl.lit(place))
    return counted.select(
        pl.col("source").fill_null(UNTOLD).alias("removed_from"),
        (known.fill_null(UNTOLD) + where).alias("stayed_from"),
        "removed",
    )


def _sources(home: Dataset, wanted: pl.DataFrame) -> pl.DataFrame:
    """Return `survivor` and `stayed`, its source, of the records that a dataset has or had."""
    columns = [pl.col("id").alias("survivor"), pl.col("source").alias("stayed")]
    files = [*(home.path / shard.path for shard in home.shards), home.path / FATES]
    every = [pl.scan_parquet(file, glob=False).select(columns) for file in files if file.is_file()]
    return (
        pl.concat(every)
        .join(wanted.lazy(), on="survivor", how="semi")
        .unique("survivor", keep="first", maintain_order=True)
        .collect(engine="streaming")
    )


def _shown(pairs: pl.DataFrame, side: str) -> tuple[list[str], int]:
    """Return the sources of a side that are told apart, most records first, and how many are not.

    The last place would go to the rest; a rest of one has it for itself.
    """
    ordered = (
        pairs.group_by(side)
        .agg(pl.col("removed").sum())
        .sort(["removed", side], descending=[True, False])[side]
        .to_list()
    )
    if len(ordered) <= SOURCES_SHOWN + 1:
        return ordered, 0
    return ordered[:SOURCES_SHOWN], len(ordered) - SOURCES_SHOWN


# --------------------------------------------------------------------------------------------------
# Records to look at


def _homes(dataset: Dataset, names: pl.Series) -> dict[str | None, Dataset | None]:
    """Return the datasets that survivors are in, by the name that evidence gives them.

    One that is not published, or cannot be read, is None: the report says so where it tells of
    that dataset itself.
    """
    homes: dict[str | None, Dataset | None] = {}
    siblings = published(dataset.path.parent)
    for name in names.unique().sort(nulls_last=False):
        homes[name] = dataset if name is None else None
        if name in siblings:
            with contextlib.suppress(DatatoolsError):
                homes[name] = open_dataset(siblings[name])
    return homes


def _largest(
    path: Path, grouped: pl.DataFrame, homes: Mapping[str | None, Dataset | None]
) -> tuple[Cluster, ...]:
    least = grouped["removed"].top_k(_LARGEST).min()
    largest = (
        grouped.filter(pl.col("removed") >= least)
        .sort(
            ["removed", "seen", "lowest", "survivor", "step", "dataset"],
            descending=[True, True, False, False, False, False],
            nulls_last=True,
        )
        .head(_LARGEST)
    )
    members = replaced_records(path, by=largest["survivor"].to_list()).collect(engine="streaming")
    members = members.sort(pl.col("preview").is_null(), "similarity", "id", nulls_last=True)
    survivors, left = _survivors(largest, homes), _left(largest, homes)
    found = []
    for row in largest.iter_rows(named=True):
        key = (row["dataset"], row["survivor"])
        own = members.filter(*(pl.col(name).eq_missing(row[name]) for name in _CLUSTER))
        stands = survivors.get(key) if row["added"] is None else None
        found.append(_cluster(row, own, stands, left.get(key)))
    return tuple(found)


_Key = tuple[str | None, str]


def _survivors(
    largest: pl.DataFrame, homes: Mapping[str | None, Dataset | None]
) -> dict[_Key, dict[str, Any]]:
    """Return url, beginning and length of the survivors that are published."""
    found: dict[_Key, dict[str, Any]] = {}
    for name, home in homes.items():
        ids = largest.filter(pl.col("dataset").eq_missing(name))["survivor"]
        if home is None or not len(ids):
            continue
        for shard in home.shards:
            frame = (
                pl.scan_parquet(home.path / shard.path, glob=False)
                .filter(pl.col("id").is_in(ids.implode()))
                .select(
                    "id",
                    "url",
                    pl.col("text").str.slice(0, _BEGINNING),
                    pl.col("text").str.len_chars().alias("characters"),
                )
                .collect()
            )
            found |= {(name, row["id"]): row for row in frame.iter_rows(named=True)}
    return found


def _left(largest: pl.DataFrame, homes: Mapping[str | None, Dataset | None]) -> dict[_Key, str]:
    """Return why survivors left later, in words."""
    found: dict[_Key, str] = {}
    for name, home in homes.items():
        ids = largest.filter(pl.col("dataset").eq_missing(name))["survivor"]
        if home is None or not len(ids) or not (home.path / FATES).is_file():
            continue
        frame = (
            pl.scan_parquet(home.path / FATES, glob=False)
            .filter(pl.col("id").is_in(ids.implode()))
            .select("id", pl.format("{}: {}", "step", "reason").alias("why"))
            .collect()
        )
        found |= {(name, id_): why for id_, why in frame.rows()}
    return found


def _cluster(
    row: Mapping[str, Any], own: pl.DataFrame, survivor: Mapping[str, Any] | None, left: str | None
) -> Cluster:
    differences: tuple[Difference, ...] = ()
    if survivor:  # records with a preview come first
        shown = own.head(_DIFFERENCES).filter(pl.col("preview").is_not_null())
        text, characters = survivor["text"] or "", survivor["characters"] or 0
        differences = tuple(_difference(one, text, characters) for one in shown.to_dicts())
    indexed = row["added"]
    url = survivor["url"] if survivor else own["index_url"][0] if indexed else None
    return Cluster(
        step=row["step"],
        survivor=row["survivor"],
        survivor_in=row["dataset"],
        indexed=indexed,
        survivor_url=url,
        survivor_text=survivor["text"] if survivor else None,
        survivor_left=None if indexed else left,
        removed=row["removed"],
        lowest=row["lowest"],
        differences=differences,
        urls=tuple(own[len(differences) :]["url"].drop_nulls().head(_URLS).to_list()),
    )


def _difference(one: Mapping[str, Any], survivor: str, characters: int) -> Difference:
    cut = len(one["preview"]) >= PREVIEW_CHARACTERS
    return Difference(
        id=one["id"],
        url=one["url"],
        similarity=one["similarity"],
        pieces=tuple(compare_beginnings(one["preview"], survivor, first_is_cut=cut)),
        cut=cut or characters > len(survivor),
    )
