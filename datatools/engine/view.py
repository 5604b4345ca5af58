"""A view: what a dataset is at one point of its chain, without rewriting text.

A view is base shards (the text) and overlays. An overlay is a stage's result aligned with the rows
that are alive before it: new columns, and optionally which rows stay. Filters and global decisions
only add overlays, so deciding never copies text, and everything below reads through the same few
lines.

Row numbers are `shard << 32 | position among the alive rows`, so they increase in canonical order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.engine.store import PartRef, Root, digest, iter_batches, read_part
from datatools.records import Kind

__all__ = ["KEEP", "Overlay", "View", "row_numbers", "split_rows"]

KEEP = "__keep"
"""Overlay column that says which rows stay; absent when all do."""


def row_numbers(shard: int, count: int, start: int = 0) -> npt.NDArray[np.uint64]:
    """Return the row numbers of `count` alive rows of a shard, from position `start`."""
    first = np.uint64(shard) << np.uint64(32)
    return first + np.arange(start, start + count, dtype=np.uint64)


def split_rows(
    rows: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the shard and the position of each row number."""
    shards = (rows >> np.uint64(32)).astype(np.int64)
    return shards, (rows & np.uint64(0xFFFFFFFF)).astype(np.int64)


@dataclass(frozen=True)
class Overlay:
    """One part per base shard, aligned with the rows alive before it.

    Attributes:
        parts: Parts in shard order.
        schema: Columns it adds, without `KEEP`.
        decides: Whether it has a `KEEP` column.
    """

    parts: tuple[PartRef, ...]
    schema: pl.Schema
    decides: bool


@dataclass(frozen=True)
class View:
    """Base shards seen through overlays.

    Attributes:
        kind: Record kind.
        shards: Base shards in canonical order.
        alive: Alive rows per shard, after every overlay.
        schema: Columns, overlays included.
        overlays: In the order in which they apply.
    """

    kind: Kind
    shards: tuple[PartRef, ...]
    alive: tuple[int, ...]
    schema: pl.Schema
    overlays: tuple[Overlay, ...] = ()

    @property
    def rows(self) -> int:
        """Alive rows of all shards."""
        return sum(self.alive)

    @property
    def shard_bytes(self) -> tuple[int, ...]:
        """Size of each base shard on disk."""
        return tuple(part.bytes for part in self.shards)

    @cached_property
    def digest(self) -> str:
        """The digest of `identity`: short, for keys that name the view many times."""
        return digest(self.identity)

    def shard_identity(self, shard: int) -> list[str]:
        """Return the digests of a base shard and of its overlays."""
        overlays = [overlay.parts[shard].sha256 for overlay in self.overlays]
        return [self.shards[shard].sha256, *overlays]

    @cached_property
    def identity(self) -> dict[str, object]:
        """What enters the keys of stages that read this view."""
        return {
            "kind": self.kind,
            "schema": {name: str(dtype) for name, dtype in self.schema.items()},
            "shards": [part.sha256 for part in self.shards],
            "overlays": [[part.sha256 for part in overlay.parts] for overlay in self.overlays],
        }

    def with_overlay(self, overlay: Overlay, alive: Sequence[int] | None = None) -> View:
        """Return the view with one more overlay; `alive` counts its rows when it decides."""
        return replace(
            self,
            overlays=(*self.overlays, overlay),
            alive=tuple(alive) if alive is not None else self.alive,
            schema=pl.Schema({**self.schema, **overlay.schema}),
        )

    def _selection(
        self, root: Root, shard: int, columns: Sequence[str]
    ) -> tuple[npt.NDArray[np.int64], pl.DataFrame | None]:
        """Return the alive base positions of a shard and the wanted overlay columns beside them."""
        alive = np.arange(self.shards[shard].rows, dtype=np.int64)
        beside: pl.DataFrame | None = None
        for overlay in self.overlays:
            wanted = [name for name in overlay.schema if name in columns]
            read = wanted + ([KEEP] if overlay.decides else [])
            if not read:
                continue
            frame = read_part(root, overlay.parts[shard], read)
            if frame.height != alive.size:
                raise AssertionError("an overlay is not aligned with its shard")
            if wanted:
                new = frame.select(wanted)
                # A later overlay wins: a second Split decides anew.
                beside = new if beside is None else beside.with_columns(new)
            if overlay.decides:
                keep = frame[KEEP].to_numpy()
                alive = alive[keep]
                beside = None if beside is None else beside.filter(frame[KEEP])
        return alive, beside

    def batches(
        self, root: Root, shard: int, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the alive rows of a shard, batch by batch, with the wanted columns.

        Args:
            root: The store's root.
            shard: Index of the shard.
            columns: Columns in the wanted order; None means all.
        """
        names = list(self.schema) if columns is None else list(columns)
        alive, beside = self._selection(root, shard, names)
        from_base = [name for name in names if beside is None or name not in beside.columns]
        if not from_base:
            assert beside is not None
            yield from (piece.select(names) for piece in beside.iter_slices(4096))
            return

        def has_alive(start: int, stop: int) -> bool:
            low, high = np.searchsorted(alive, (start, stop))
            return bool(high > low)

        for start, frame in iter_batches(root, self.shards[shard], from_base, has_alive):
            low, high = np.searchsorted(alive, (start, start + frame.height))
            rows = frame if high - low == frame.height else frame[alive[low:high] - start]
            if beside is not None:
                rows = rows.hstack(beside[int(low) : int(high)])
            yield rows.select(names)

    def frame(self, root: Root, shard: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return all alive rows of a shard as one frame."""
        names = list(self.schema) if columns is None else list(columns)
        empty = pl.Schema({name: self.schema[name] for name in names}).to_frame()
        return pl.concat([empty, *self.batches(root, shard, names)])

    def gather(
        self, root: Root, rows: npt.NDArray[np.uint64], columns: Sequence[str]
    ) -> pl.DataFrame:
        """Return the records of increasing, distinct row numbers, reading only their batches."""
        shards, positions = split_rows(rows)
        empty = pl.Schema({name: self.schema[name] for name in columns}).to_frame()
        pieces = [empty]
        for shard in np.unique(shards):
            wanted = positions[shards == shard]
            pieces.append(self._gather_shard(root, int(shard), wanted, list(columns)))
        return pl.concat(pieces)

    def _gather_shard(
        self, root: Root, shard: int, wanted: npt.NDArray[np.int64], names: list[str]
    ) -> pl.DataFrame:
        alive, beside = self._selection(root, shard, names)
        base = alive[wanted]
        from_base = [name for name in names if beside is None or name not in beside.columns]
        found: list[pl.DataFrame] = []

        def has_wanted(start: int, stop: int) -> bool:
            low, high = np.searchsorted(base, (start, stop))
            return bool(high > low)

        if from_base:
            for start, frame in iter_batches(root, self.shards[shard], from_base, has_wanted):
                low, high = np.searchsorted(base, (start, start + frame.height))
                found.append(frame[base[low:high] - start])
        beside = None if beside is None else beside[wanted]
        if not found:
            assert beside is not None
            return beside.select(names)
        rows = pl.concat(found)
        return (rows if beside is None else rows.hstack(beside)).select(names)
