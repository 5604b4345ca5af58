"""Near-duplicate clusters: who stayed, who left for it, and in which words they differ.

Owns: reading the evidence of dedup steps. Refuses: deciding what a duplicate is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from datatools.dataset import Dataset
from datatools.report.diff import word_diff
from datatools.report.fates import FATES
from datatools.report.histograms import histogram_of
from datatools.report.model import Cluster, Clusters, Difference

__all__ = ["PREVIEW_CHARACTERS", "clusters"]

PREVIEW_CHARACTERS: Final = 400
"""Length at which a run cuts the previews of removed records; one this long may be cut."""

_LARGEST: Final = 12
_URLS: Final = 4
_DIFFERENCES: Final = 2
_BEGINNING: Final = 600


def clusters(dataset: Dataset) -> Clusters | None:
    """Return the duplicates of a dataset, or None if no step named a survivor.

    The largest clusters come first; of equally large ones, those with a removed record to look at,
    then the least similar.
    """
    path = dataset.path / FATES
    if not path.is_file():
        return None
    gone = (
        pl.scan_parquet(path, glob=False)
        .filter(pl.col("detail").str.starts_with('{"survivor"') & (pl.col("fate") == "dropped"))
        .with_columns(
            pl.col("detail").str.json_path_match("$.survivor").alias("survivor"),
            pl.col("detail")
            .str.json_path_match("$.similarity")
            .cast(pl.Float64, strict=False)
            .alias("similarity"),
        )
        .filter(pl.col("survivor").is_not_null())
    )
    grouped = (
        gone.group_by("step", "survivor")
        .agg(
            pl.len().alias("removed"),
            pl.col("similarity").min().alias("lowest"),
            pl.col("preview").is_not_null().any().alias("seen"),
        )
        .sort(
            ["removed", "seen", "lowest", "survivor", "step"],
            descending=[True, True, False, False, False],
            nulls_last=True,
        )
        .collect()
    )
    if not grouped.height:
        return None
    largest = grouped.head(_LARGEST)
    ids = largest["survivor"].to_list()
    members = (
        gone.filter(pl.col("survivor").is_in(ids))
        .select("id", "url", "step", "preview", "survivor", "similarity")
        .collect()
    )
    survivors, left = _survivors(dataset, ids), _left(path, ids)
    removed = grouped.group_by("step").agg(pl.col("removed").sum()).sort("step")
    similarity = gone.select(pl.col("similarity").drop_nulls()).collect()["similarity"]
    return Clusters(
        removed=dict(removed.rows()),
        clusters=grouped.height,
        similarity=histogram_of({"removed": similarity.to_numpy()}),
        largest=tuple(
            _cluster(row, members, survivors.get(row["survivor"]), left.get(row["survivor"]))
            for row in largest.iter_rows(named=True)
        ),
    )


def _survivors(dataset: Dataset, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return id, url and beginning of the survivors that are published."""
    found: dict[str, dict[str, Any]] = {}
    for shard in dataset.shards:
        frame = (
            pl.scan_parquet(dataset.path / shard.path, glob=False)
            .filter(pl.col("id").is_in(list(ids)))
            .select(
                "id",
                "url",
                pl.col("text").str.slice(0, _BEGINNING),
                pl.col("text").str.len_chars().alias("characters"),
            )
            .collect()
        )
        found |= {row["id"]: row for row in frame.iter_rows(named=True)}
    return found


def _left(path: Path, ids: Sequence[str]) -> dict[str, str]:
    """Return why survivors left later, in words."""
    frame = (
        pl.scan_parquet(path, glob=False)
        .filter(pl.col("id").is_in(list(ids)))
        .select("id", pl.format("{}: {}", "step", "reason").alias("why"))
        .collect()
    )
    return dict(frame.rows())


def _cluster(
    row: dict[str, Any], gone: pl.DataFrame, survivor: dict[str, Any] | None, left: str | None
) -> Cluster:
    own = gone.filter(
        (pl.col("survivor") == row["survivor"]) & (pl.col("step") == row["step"])
    ).sort(pl.col("preview").is_null(), "similarity", maintain_order=True, nulls_last=True)
    shown = own.filter(pl.col("preview").is_not_null()).head(_DIFFERENCES)
    return Cluster(
        step=row["step"],
        survivor=row["survivor"],
        survivor_url=survivor["url"] if survivor else None,
        survivor_text=survivor["text"] if survivor else None,
        survivor_left=left,
        removed=row["removed"],
        lowest=row["lowest"],
        urls=tuple(own["url"].drop_nulls().head(_URLS).to_list()),
        differences=tuple(
            _difference(one, survivor["text"] or "", survivor["characters"] or 0)
            for one in shown.iter_rows(named=True)
        )
        if survivor
        else (),
    )


def _difference(one: dict[str, Any], survivor: str, characters: int) -> Difference:
    preview = one["preview"]
    cut = len(preview) >= PREVIEW_CHARACTERS
    pieces = word_diff(_lines(_whole_words(preview) if cut else preview), _lines(survivor))
    # Where the preview ends, the removed text does not: what follows in the survivor says nothing.
    if cut and pieces and pieces[-1].side == "second":
        pieces.pop()
    return Difference(
        id=one["id"],
        url=one["url"],
        similarity=one["similarity"],
        pieces=tuple(pieces),
        cut=cut or characters > len(survivor),
    )


def _whole_words(text: str) -> str:
    """Return a cut text without its last word, which may be cut too."""
    shorter = text.rstrip()
    return shorter[: -len(shorter.split()[-1])] if shorter and shorter == text else shorter


def _lines(text: str) -> str:
    """Return a text with its blanks made equal: words are compared, not layout."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
