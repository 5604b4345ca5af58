"""`Shuffle`: puts records into an order that the seed and the ids alone decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from datatools.records import Kind
from datatools.steps.base import Batch, Global, Order, Rows

__all__ = ["Shuffle"]


class Shuffle(Global):
    """Put all records into a random order.

    Each record's place comes from a hash of `(seed, label, id)`, so the order of records that stay
    does not change when others are added or removed.

    Example:
        >>> frame = pl.DataFrame({"id": list("abc"), "text": ["A", "B", "C"]})
        >>> Shuffle().apply(frame, seed=1)[0]["text"].to_list()
        ['B', 'A', 'C']
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True
    takes: ClassVar[Kind | None] = None

    def reads(self) -> frozenset[str]:
        """Return the id column."""
        return frozenset({"id"})

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Order:
        """Draw a place for every record and sort by it."""
        draw = _Places(rows.context.seed, rows.context.label)
        places = rows.map_shards(draw, columns=("id",), name="places")
        return Order(places.reduce(_Sorted(), name="order"))


@dataclass(frozen=True)
class _Places:
    seed: int
    label: str

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        prefix = f"{self.seed}:{self.label}:"
        places = [
            xxhash.xxh3_64_intdigest((prefix + id_).encode("utf-8", "surrogatepass"))
            for id_ in batch.df["id"].to_list()
        ]
        return pl.DataFrame(
            {"place": places, "row": rows}, schema={"place": pl.UInt64, "row": pl.UInt64}
        )


@dataclass(frozen=True)
class _Sorted:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sort("place", "row").select("row")
