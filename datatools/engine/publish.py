"""Publishing: from a view to files that any tool reads.

A published dataset is `<split>-00000-of-00012.parquet` (the record kind's columns), `sidecar/`
(where a record came from and what was measured on it, joined by `id`; and the fates of records that
are not here), a folder per export format, `manifest.json` and a card. The manifest is written last:
a folder without one is not a dataset.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow.parquet as pq

from datatools.engine.fates import FATES, PUBLISHED_FATES
from datatools.engine.shown import Lowest
from datatools.engine.store import PartRef, iter_batches, read_part, to_arrow, write_atomic
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import View
from datatools.fence import FENCED_REASONS
from datatools.records import SCHEMAS, UNPUBLISHED, Kind, id_keys
from datatools.steps.base import Export

__all__ = [
    "DEFAULT_SPLIT",
    "FatesTask",
    "Piece",
    "PublishTask",
    "SizesTask",
    "card",
    "cut",
    "main_columns",
]

DEFAULT_SPLIT = "train"
SPLIT = "split"
_SIDECAR_ONLY = ("origin", "offset")


def main_columns(kind: Kind) -> list[str]:
    """Return the columns of a published record."""
    hidden = {*UNPUBLISHED, *_SIDECAR_ONLY}
    return [name for name in SCHEMAS[kind] if name not in hidden]


@dataclass(frozen=True)
class SizesTask:
    """Say of every alive row of a shard its split and its size; read no text."""

    view: View
    shard: int

    def run(self, env: TaskEnv) -> Output:
        """Commit `split` (String), `bytes` (i64) and `key` (u64, hash of the id)."""
        has_split = SPLIT in self.view.schema
        names = ["id", BYTES, *([SPLIT] if has_split else [])]
        frame = self.view.frame(env.root, self.shard, names)
        sizes = frame.select(
            (pl.col(SPLIT) if has_split else pl.lit(DEFAULT_SPLIT)).alias("split"),
            pl.col(BYTES).alias("bytes"),
            id_keys(frame["id"]),
        )
        return Output(parts={"data": env.write("data", sizes.clear(), [sizes])})


@dataclass(frozen=True)
class Piece:
    """Rows of one split in one shard: the `start`-th to the `stop`-th of them."""

    shard: int
    start: int
    stop: int


def cut(sizes: Sequence[pl.DataFrame], shard_bytes: int) -> dict[str, list[list[Piece]]]:
    """Return the published shards of each split, as pieces of the view's shards.

    Args:
        sizes: Per shard the columns `split` and `bytes`.
        shard_bytes: A published shard ends with the record that reaches this many bytes of text.

    Returns:
        By split, sorted by name; at least one (possibly empty) shard for `train` when no row is
        left.
    """
    splits = sorted({name for frame in sizes for name in frame["split"].unique().to_list()})
    shards: dict[str, list[list[Piece]]] = {}
    for split in splits or [DEFAULT_SPLIT]:
        done: list[list[Piece]] = []
        current: list[Piece] = []
        used = 0
        for shard, frame in enumerate(sizes):
            weights = frame.filter(pl.col("split") == split)["bytes"].to_numpy()
            start = 0
            while start < weights.size:
                reached = used + np.cumsum(weights[start:])
                stop = start + int(np.searchsorted(reached, shard_bytes)) + 1
                full = stop <= weights.size
                stop = min(stop, weights.size)
                current.append(Piece(shard, start, stop))
                used = int(reached[stop - start - 1])
                start = stop
                if full:
                    done.append(current)
                    current, used = [], 0
        if current or not done:
            done.append(current)
        shards[split] = done
    return shards


@dataclass(frozen=True)
class PublishTask:
    """Write one published shard: records, sidecar and exports."""

    view: View
    split: str
    pieces: tuple[Piece, ...]
    exports: tuple[Export, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the files of this shard under roles `main`, `sidecar` and the exports' folders."""
        kind = self.view.kind
        main = main_columns(kind)
        hidden = {BYTES, SPLIT, *UNPUBLISHED}
        beside = ["id", *(n for n in self.view.schema if n not in main and n not in hidden)]
        names = [name for name in self.view.schema if name != BYTES]
        files: dict[str, _Growing] = {"main": _Growing(), "sidecar": _Growing()}
        files |= {export.folder: _Growing() for export in self.exports}
        empty = self.view.schema.to_frame().select(names)
        origins: Counter[tuple[str, str]] = Counter()
        for frame in itertools.chain([empty], self._frames(env, names)):
            for source, license_, rows in frame.group_by("source", "license").len().iter_rows():
                origins[source or "", license_ or ""] += rows
            files["main"].add(frame.select(main))
            files["sidecar"].add(frame.select(beside))
            for export in self.exports:
                files[export.folder].add(export.convert(frame, kind))
        suffixes = {export.folder: export.suffix for export in self.exports}
        parts = {
            role: growing.write(env, role, suffixes.get(role, "parquet"))
            for role, growing in files.items()
        }
        told = [[source, license_, rows] for (source, license_), rows in sorted(origins.items())]
        return Output(parts=parts, values={"split": self.split, "origins": told})

    def _frames(self, env: TaskEnv, names: list[str]) -> Iterator[pl.DataFrame]:
        for piece in self.pieces:
            position = 0
            for frame in self.view.batches(env.root, piece.shard, names):
                rows = frame.filter(pl.col(SPLIT) == self.split) if SPLIT in names else frame
                low = max(0, piece.start - position)
                high = min(rows.height, piece.stop - position)
                if high > low:
                    yield rows[low:high]
                position += rows.height


class _Growing:
    """Frames of one file, joined into row groups of about 64 MiB so that memory stays bounded."""

    ROW_GROUP_BYTES = 64 << 20

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def write(self, env: TaskEnv, role: str, suffix: str) -> PartRef:
        rows = sum(frame.height for frame in self._frames)

        def parquet(file: Any) -> None:
            schema = to_arrow(self._frames[0]).schema
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                group: list[pl.DataFrame] = []
                size = 0
                for frame in self._frames:
                    group.append(frame)
                    size += int(frame.estimated_size())
                    if size >= self.ROW_GROUP_BYTES:
                        writer.write_table(to_arrow(pl.concat(group)))
                        group, size = [], 0
                if rows and group:
                    writer.write_table(to_arrow(pl.concat(group)))

        def jsonl(file: Any) -> None:
            for frame in self._frames:
                for row in frame.iter_rows(named=True):
                    file.write(orjson.dumps(row) + b"\n")

        path = f"{env.stage}/{env.index:05d}-{role}.{suffix}"
        write = parquet if suffix == "parquet" else jsonl
        size, sha256 = write_atomic(env.folder / path, write, durable="bytes")
        return PartRef(path, rows, size, sha256, ())


_CHOICE = {name: FATES[name] for name in ("id", "step", "reason")}

FENCE_LISTED = 1000
"""Records stopped by the fence that a manifest names; it counts them all."""


@dataclass(frozen=True)
class FatesTask:
    """Write the fates of a dataset as one Parquet file, with the texts that were looked up."""

    parts: tuple[PartRef, ...]
    previews: tuple[PartRef, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the file; `values["fence"]` says what the fence stopped."""
        stopped = 0
        listed: list[dict[str, Any]] = []
        shown = [read_part(env.root, part) for part in self.previews]
        found = pl.concat(
            [pl.DataFrame(schema={"id": pl.String, "step": pl.String, "text": pl.String}), *shown]
        ).unique(["id", "step"], keep="first", maintain_order=True)
        rows = sum(part.rows for part in self.parts)
        chosen = self._chosen(env)

        def write(file: Any) -> None:
            nonlocal stopped
            schema = to_arrow(PUBLISHED_FATES.to_frame()).schema
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                start = 0
                for part in self.parts:
                    for _, frame in iter_batches(env.root, part):
                        place = np.arange(start, start + frame.height)
                        start += frame.height
                        shown = pl.Series(np.isin(place, chosen))
                        lost = frame.filter(pl.col("reason").is_in(FENCED_REASONS))
                        stopped += lost.height
                        told = lost.head(FENCE_LISTED - len(listed))
                        listed.extend(told.select("id", "step", "reason", "detail").to_dicts())
                        joined = (
                            frame.join(found, on=["id", "step"], how="left", maintain_order="left")
                            .with_columns(
                                pl.when(shown).then(pl.coalesce("preview", "text")).alias("preview")
                            )
                            .select(list(PUBLISHED_FATES))
                        )
                        writer.write_table(to_arrow(joined))

        path = f"{env.stage}/{env.index:05d}-fates.parquet"
        size, sha256 = write_atomic(env.folder / path, write, durable="bytes")
        fates = PartRef(path, rows, size, sha256, ())
        fence = {"total": stopped, "records": listed}
        return Output(parts={"fates": fates}, values={"fence": fence})

    def _chosen(self, env: TaskEnv) -> npt.NDArray[np.int64]:
        """Return which fates show their texts: each task chose among its own only."""
        lowest = Lowest()
        found = [pl.DataFrame(schema={"place": pl.Int64, **_CHOICE})]
        start = 0
        for part in self.parts:
            for _, frame in iter_batches(env.root, part, list(_CHOICE)):
                places = pl.int_range(start, start + frame.height, eager=True).alias("place")
                start += frame.height
                found.append(frame.select(places, *_CHOICE).filter(lowest.among(frame)))
        few = pl.concat(found)
        return few.filter(Lowest().among(few))["place"].to_numpy()


def card(manifest: Mapping[str, Any], exports: Sequence[Export]) -> str:
    """Return the dataset card: front matter that `datasets.load_dataset` reads, then the facts.

    Args:
        manifest: The dataset's manifest.
        exports: Formats beside the records.
    """
    splits = list(dict.fromkeys(shard["split"] for shard in manifest["shards"]))
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split in splits:
        lines += [f"  - split: {split}", f"    path: {split}-*.parquet"]
    for export in exports:
        if export.suffix == "parquet":
            lines += [f"- config_name: {export.folder}", "  data_files:"]
            for split in splits:
                lines += [f"  - split: {split}", f"    path: {export.folder}/{split}-*.parquet"]
    lines += ["---", "", f"# {manifest['dataset']}", ""]
    lines += [
        f"{manifest['rows']:,} {manifest['kind']} records, made by the pipeline "
        f"`{manifest['pipeline']}` with datatools {manifest['versions']['datatools']}.",
        *(
            ["", "**A trial: the run read only the first records of its input.**"]
            if "limited" in manifest
            else []
        ),
        "",
        "| split | shards | records |",
        "|---|---|---|",
    ]
    for split in splits:
        shards = [shard for shard in manifest["shards"] if shard["split"] == split]
        lines.append(f"| {split} | {len(shards)} | {sum(s['rows'] for s in shards):,} |")
    lines += ["", "## Steps", "", "| step | read | created | kept | dropped | quarantined |"]
    lines.append("|---|---|---|---|---|---|")
    for step in manifest["steps"]:
        counts = step["counts"]
        lines.append(
            f"| {step['label']} | {counts['read']:,} | {counts['created']:,} | "
            f"{counts['kept']:,} | {_reasons(counts['dropped'])} | "
            f"{_reasons(counts['quarantined'])} |"
        )
    for step in manifest["steps"]:
        for tally in step.get("tallies", ()):
            lines += ["", f"## {step['label']}: {tally['title']}", ""]
            lines += _tally_lines(tally["rows"])
    lines += ["", "## Sources and licences", ""]
    if manifest["origins"]:
        lines += ["| source | licence | records |", "|---|---|---|"]
        for origin in manifest["origins"]:
            licence = origin["license"] or "not stated"
            lines.append(f"| {origin['source']} | {licence} | {origin['rows']:,} |")
    lines += [
        "",
        "Every record is accounted for: read + created = kept + dropped + quarantined at each "
        "step. `sidecar/` holds, by `id`, where a record came from and what was measured on it, "
        "and in `fates.parquet` what became of the records that are not here.",
        "",
    ]
    return "\n".join(lines)


def _tally_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["Nothing."]
    head = [f"| {' | '.join(rows[0])} |", "|---" * len(rows[0]) + "|"]
    return head + [f"| {' | '.join(map(_tally_cell, row.values()))} |" for row in rows]


def _tally_cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return " ".join(value.replace("|", "\\|").split())
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n:,}" for reason, n in counts.items()) or "0"
