"""The public reader of published datasets.

Owns: opening a folder with a manifest, checking that its shards are the ones the manifest lists,
and handing their rows out as frames. Refuses: a folder without a manifest (a publication that did
not finish has none), and hashing (`datatools verify` does that).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from datatools.engine.ledger import StepCounts, emptied_by
from datatools.errors import ConfigError, DataError, IntegrityError, nearest, suggestion
from datatools.outputs.addresses import dataset_at_hand

__all__ = ["Dataset", "ShardFile", "open_dataset"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ShardFile:
    """One Parquet file of a published dataset.

    Attributes:
        path: Path relative to the dataset's folder, `/`-separated.
        rows: Rows it holds.
        bytes: Size on disk.
        sha256: Digest of its bytes, hexadecimal.
        split: Name of the split it belongs to.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    split: str


@dataclass(frozen=True)
class Dataset:
    """A published dataset, ready to read.

    Attributes:
        path: The folder.
        kind: Record kind the manifest names, e.g. `document`.
        shards: The Parquet files, in order.
        manifest: The whole manifest, as parsed.
    """

    path: Path
    kind: str
    shards: tuple[ShardFile, ...]
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, which is the dataset's."""
        return self.path.name

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, in the manifest's order."""
        return tuple(dict.fromkeys(shard.split for shard in self.shards))

    @property
    def held_out(self) -> str | None:
        """The split to measure on: `validation`, else `test`, else none."""
        return next((name for name in ("validation", "test") if name in self.splits), None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, from the first shard; none without a shard."""
        if not self.shards:
            return ()
        return tuple(pl.read_parquet_schema(self.path / self.shards[0].path))

    @property
    def empty_because(self) -> str:
        """Which step left no record, here or in a dataset that this one was made from.

        Of an empty dataset only; datasets that are not published cannot be asked.
        """
        steps = self.manifest.get("steps", [])
        told = emptied_by({s["label"]: StepCounts.from_json(s["counts"]) for s in steps})
        if told is not None:
            return told
        parents = list(self.manifest.get("from", []))
        for folder in (self.path.parent / parent for parent in parents):
            parent = open_dataset(folder) if (folder / MANIFEST).is_file() else None
            if parent is not None and not parent.manifest["rows"]:
                return f"none came from {parent.name}, where {parent.empty_because}"
        return f"none came from {', '.join(parents) or 'its input'}"

    def rows(self, split: str) -> int:
        """Return the number of rows of a split.

        Raises:
            ConfigError: The dataset has no such split.
        """
        return sum(shard.rows for shard in self._shards(split))

    def frame(self, split: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a split's rows, shards in order.

        Args:
            split: One of `splits`.
            columns: Columns to read, in this order; all by default.

        Raises:
            ConfigError: The dataset has no such split, or a shard no such column.
        """
        frames = []
        for shard in self._shards(split):
            file = self.path / shard.path
            if columns is not None:
                present = pl.read_parquet_schema(file)
                for column in columns:
                    if column not in present:
                        guess = nearest(column, present)
                        raise ConfigError(
                            str(file),
                            f"has no column {column!r}; it has {', '.join(present)}",
                            hint=f"Did you mean {guess!r}?" if guess else None,
                        )
            names = None if columns is None else list(columns)
            frames.append(pl.read_parquet(file, columns=names, glob=False))
        frame = pl.concat(frames, rechunk=False)
        return frame if columns is None else frame.select(columns)

    def _shards(self, split: str) -> list[ShardFile]:
        shards = [shard for shard in self.shards if shard.split == split]
        if not shards:
            raise ConfigError(
                str(self.path),
                "has no such split",
                got=split,
                hint=suggestion(split, self.splits),
            )
        return shards


def _datasets_near(folder: Path) -> str:
    """Say which datasets the user may have meant by a folder that is none."""
    inside = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if inside:
        return f"It holds {'some' if len(inside) > 1 else 'one'}: {', '.join(map(str, inside))}."
    beside = [str(path.parent) for path in sorted(folder.parent.glob(f"*/{MANIFEST}"))]
    if beside:
        return suggestion(str(folder), beside)
    return "Point at OUT/<dataset> of a finished run."


def open_dataset(path: str | PathLike[str]) -> Dataset:
    """Open a published dataset.

    The sizes and row counts of its shards are compared with the manifest, from file sizes and
    Parquet footers alone; no row is read.

    Args:
        path: Folder with `manifest.json` and the shards it lists, or its URL: what changed of it
            since it was last opened is then brought to this machine.

    Raises:
        DataError: The folder has no manifest, or the manifest is not one of a dataset.
        IntegrityError: A shard is missing, or its size or row count differs from the manifest.

    Example:
        >>> import json, pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> file = folder / "train-00000-of-00001.parquet"
        >>> pl.DataFrame({"id": ["a"], "text": ["안녕하세요"]}).write_parquet(file)
        >>> shard = {"path": file.name, "rows": 1, "bytes": file.stat().st_size,
        ...          "sha256": "", "split": "train"}
        >>> manifest = {"kind": "document", "rows": 1, "shards": [shard]}
        >>> _ = (folder / "manifest.json").write_text(json.dumps(manifest))
        >>> dataset = open_dataset(folder)
        >>> dataset.splits, dataset.rows("train"), dataset.frame("train")["text"].to_list()
        (('train',), 1, ['안녕하세요'])
    """
    folder = dataset_at_hand(path)
    file = folder / MANIFEST
    if not file.is_file():
        raise DataError(
            str(folder),
            f"is not a published dataset: it has no {MANIFEST}",
            hint=_datasets_near(folder),
        )
    try:
        manifest = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(str(file), f"is not JSON: {error}") from error
    try:
        shards = tuple(
            ShardFile(
                path=str(shard["path"]),
                rows=int(shard["rows"]),
                bytes=int(shard["bytes"]),
                sha256=str(shard["sha256"]),
                split=str(shard["split"]),
            )
            for shard in manifest["shards"]
        )
        kind, total = str(manifest["kind"]), int(manifest["rows"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            str(file),
            f"lacks kind, rows or shards[path, rows, bytes, sha256, split]: {error!r}",
            hint="Publish the dataset again.",
        ) from error
    for shard in shards:
        _check(folder, shard)
    if total != sum(shard.rows for shard in shards):
        raise IntegrityError(
            str(file), f"says {total} rows, its shards say {sum(s.rows for s in shards)}"
        )
    return Dataset(path=folder, kind=kind, shards=shards, manifest=manifest)


def _check(folder: Path, shard: ShardFile) -> None:
    relative = PurePosixPath(shard.path)
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(str(folder / MANIFEST), "names a shard outside its folder", got=shard.path)
    file = folder / relative
    again = "Publish the dataset again, or restore the file."
    if not file.is_file():
        raise IntegrityError(str(file), "is in the manifest and not in the folder", hint=again)
    if file.stat().st_size != shard.bytes:
        raise IntegrityError(
            str(file),
            f"should be {shard.bytes} bytes long",
            got=file.stat().st_size,
            hint=again,
        )
    try:
        rows = pq.read_metadata(file).num_rows
    except (OSError, ValueError) as error:  # pyarrow raises both for a broken footer
        raise IntegrityError(str(file), f"is not Parquet: {error}", hint=again) from error
    if rows != shard.rows:
        raise IntegrityError(str(file), f"should hold {shard.rows} rows", got=rows, hint=again)
