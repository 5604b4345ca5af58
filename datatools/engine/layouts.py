"""Layouts: which partition of a table a row belongs to.

A table that is about to be shuffled is written partitioned: one file per task, one record batch per
partition. A layout says where a row goes and nothing else; rows keep their order in a partition,
and who reads a partition sorts it.

Nothing here depends on the number of workers: partitions are counted from rows and bytes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["ByBlocks", "ByKey", "ByShard", "Layout", "blocks", "split"]


class Layout(Protocol):
    """How rows are spread over partitions. A frozen dataclass: it is part of keys."""

    @property
    def count(self) -> int:
        """Number of partitions."""

    def place(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the partition of each row: int64 of shape (rows,), in `[0, count)`."""


def split(layout: Layout, frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the frame's rows by partition, in their order."""
    if layout.count == 1:
        return [frame]
    where = layout.place(frame)
    order = np.argsort(where, kind="stable")
    ordered = frame[order]
    bounds = np.searchsorted(where[order], np.arange(layout.count + 1))
    return [ordered[int(start) : int(stop)] for start, stop in itertools.pairwise(bounds)]


def _mix64(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble keys so that partitions are even (Steele et al., SplitMix, 2014)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


@dataclass(frozen=True)
class ByKey:
    """Equal keys meet in one partition.

    Attributes:
        key: An unsigned 64-bit column.
        count: Partitions.
    """

    key: str
    count: int

    def place(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the partition of each row, by a hash of its key."""
        high = _mix64(frame[self.key].to_numpy().astype(np.uint64)) >> np.uint64(32)
        return ((high * np.uint64(self.count)) >> np.uint64(32)).astype(np.int64)


@dataclass(frozen=True)
class ByShard:
    """Rows that name a record of a shard are in that shard's partition.

    Attributes:
        column: A row-number column.
        count: Shards.
    """

    column: str
    count: int

    def place(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the shard that each row names."""
        where = (frame[self.column].to_numpy() >> np.uint64(32)).astype(np.int64)
        if where.size and where.max() >= self.count:
            raise TypeError(f"{self.column} names a record that is not there")
        return where


@dataclass(frozen=True)
class ByBlocks:
    """Rows that name records of the same blocks of shards are in one partition.

    So whoever looks the records up reads each block a few times, and not a record batch per row.

    Attributes:
        columns: One or two row-number columns. Of two, which names which block plays no part.
        starts: First shard of each block.
    """

    columns: tuple[str, ...]
    starts: tuple[int, ...]

    @property
    def count(self) -> int:
        """Blocks, or unordered pairs of blocks."""
        n = len(self.starts)
        return n if len(self.columns) == 1 else n * (n + 1) // 2

    def place(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Return the number of the block, or of the pair of blocks, that each row names."""
        named = [
            np.searchsorted(
                self.starts, (frame[name].to_numpy() >> np.uint64(32)).astype(np.int64), "right"
            )
            - 1
            for name in self.columns
        ]
        if len(named) == 1:
            return named[0].astype(np.int64)
        low, high = np.minimum(*named), np.maximum(*named)
        where: npt.NDArray[np.int64] = (high * (high + 1) // 2 + low).astype(np.int64)
        return where


def blocks(shard_bytes: Sequence[int], budget: int, at_least: int = 1) -> tuple[int, ...]:
    """Return the first shards of blocks of consecutive shards.

    Args:
        shard_bytes: Size of each shard.
        budget: Bytes from which a block is full. A larger shard is a block of its own.
        at_least: Blocks to make even if fewer would do, as far as there are shards.

    Example:
        >>> blocks([5, 5, 5, 20], budget=10)
        (0, 2, 3)
    """
    budget = min(budget, -(-sum(shard_bytes) // at_least))
    starts: list[int] = [0]
    used = 0
    for shard, size in enumerate(shard_bytes):
        if used and used + size > budget:
            starts.append(shard)
            used = 0
        used += size
    return tuple(starts)


def layout_key(layout: Layout | None) -> Any:
    """Return what a layout contributes to a stage's key."""
    if layout is None:
        return None
    return {"layout": type(layout).__name__, **dataclasses.asdict(layout)}  # type: ignore[call-overload]
