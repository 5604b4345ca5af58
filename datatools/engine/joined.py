"""A joined view: several datasets' records in one row of numbers.

The first view's records keep their numbers, so what is decided about them needs no translation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.engine.store import Root, digest
from datatools.engine.view import View, row_numbers

__all__ = ["JoinedView"]


@dataclass(frozen=True)
class JoinedView:
    """Views one after the other, seen in the first one's columns.

    A column that a later view does not have, or has in another type, is null there.
    """

    views: tuple[View, ...]

    @property
    def schema(self) -> pl.Schema:
        """Columns of the first view."""
        return self.views[0].schema

    @property
    def rows(self) -> int:
        """Alive rows of all views."""
        return sum(view.rows for view in self.views)

    @property
    def shard_bytes(self) -> tuple[int, ...]:
        """Size of each shard."""
        return tuple(size for view in self.views for size in view.shard_bytes)

    @cached_property
    def digest(self) -> str:
        """What enters the keys of stages that read this view."""
        return digest([view.digest for view in self.views])

    def _at(self, shard: int) -> tuple[View, int]:
        for view in self.views:
            if shard < len(view.shards):
                return view, shard
            shard -= len(view.shards)
        raise AssertionError("a shard that is not there")

    def shard_identity(self, shard: int) -> list[str]:
        """Return the digests of a shard and of its overlays."""
        view, own = self._at(shard)
        return view.shard_identity(own)

    def batches(
        self, root: Root, shard: int, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the alive rows of a shard; see `View.batches`."""
        view, own = self._at(shard)
        names = list(self.schema) if columns is None else list(columns)
        for frame in view.batches(root, own, self._known(view, names)):
            yield self._whole(frame, names)

    def gather(
        self, root: Root, rows: npt.NDArray[np.uint64], columns: Sequence[str]
    ) -> pl.DataFrame:
        """Return the records of increasing, distinct row numbers; see `View.gather`."""
        pieces: list[pl.DataFrame] = []
        first = 0
        for view in self.views:
            start, stop = (row_numbers(s, 1)[0] for s in (first, first + len(view.shards)))
            low, high = np.searchsorted(rows, (start, stop))
            found = view.gather(root, rows[low:high] - start, self._known(view, columns))
            pieces.append(self._whole(found, columns))
            first += len(view.shards)
        return pl.concat(pieces)

    def _known(self, view: View, columns: Sequence[str]) -> list[str]:
        known = [name for name in columns if view.schema.get(name) == self.schema[name]]
        return known or ["id"]  # rows are counted by some column

    def _whole(self, frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        missing = [name for name in columns if name not in frame.columns]
        return frame.with_columns(
            pl.lit(None, self.schema[name]).alias(name) for name in missing
        ).select(columns)
