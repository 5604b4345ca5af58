"""Records whose id an earlier record has: found over a whole dataset, taken out with a reason.

A file can hold a native id twice, and no reader can see that, because a file is read in units.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.engine.fates import empty_fates, fates_frame
from datatools.engine.store import PartRef, read_part
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import KEEP, View, row_numbers

__all__ = ["FindRepeatedTask", "QuarantineTask", "repeated"]


def repeated(keys: Sequence[npt.NDArray[np.uint64]]) -> list[tuple[int, ...]]:
    """Return per shard the positions of keys that an earlier row has."""
    joined = np.concatenate(keys)
    order = np.argsort(joined, kind="stable")
    again = np.zeros(joined.size, dtype=bool)
    again[order[1:]] = joined[order[1:]] == joined[order[:-1]]
    bounds = np.cumsum([0, *(len(one) for one in keys)])
    return [
        tuple(int(i) for i in np.flatnonzero(again[start:stop]))
        for start, stop in itertools.pairwise(bounds)
    ]


@dataclass(frozen=True)
class FindRepeatedTask:
    """Find the rows whose id an earlier row has.

    Attributes:
        sizes: Parts of `publish.SizesTask`, one per shard, with the hash of each id.
    """

    sizes: tuple[PartRef, ...]

    def run(self, env: TaskEnv) -> Output:
        """Return `repeated`: per shard the positions of such rows."""
        keys = [read_part(env.root, part, ["key"])["key"].to_numpy() for part in self.sizes]
        return Output(values={"repeated": [list(positions) for positions in repeated(keys)]})


@dataclass(frozen=True)
class QuarantineTask:
    """Take some rows of one shard out of a view: what no single task could see to be wrong."""

    view: View
    shard: int
    label: str
    reason: str
    detail: str
    positions: tuple[int, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the overlay and the fates of the rows that leave."""
        frame = self.view.frame(env.root, self.shard, ["id", "url", BYTES])
        gone = pl.Series("gone", [False] * frame.height, dtype=pl.Boolean)
        if self.positions:
            gone = gone.scatter(list(self.positions), True)
        reason = pl.select(pl.when(gone).then(pl.lit(self.reason))).to_series()
        fates = fates_frame(
            frame,
            self.label,
            "quarantined",
            reason,
            detail=pl.Series([self.detail] * frame.height, dtype=pl.String),
            row=pl.Series(row_numbers(self.shard, frame.height), dtype=pl.UInt64),
        )
        keep = (~gone).alias(KEEP).to_frame()
        output = Output(
            parts={"data": env.write("data", keep.clear(), [keep])},
            values={
                "alive": frame.height - fates.height,
                "bytes": int(frame[BYTES].filter(gone).sum()),
            },
        )
        if fates.height:
            output.parts["fates"] = env.write("fates", empty_fates(), [fates])
        return output
