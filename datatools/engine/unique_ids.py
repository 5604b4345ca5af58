"""Records whose id an earlier record has: found over a whole dataset, as it was read.

A file can hold a native id twice, and no reader can see that, because a file is read in units. An
id names one record for good, the first that was read: the second is quarantined by the source
before any step sees it, so what becomes of it does not depend on what steps did with the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datatools.engine.stages import Stages
from datatools.engine.store import PartRef, read_part
from datatools.engine.tasks import Output, TaskEnv

__all__ = ["FindRepeatedTask", "find_repeated", "repeated"]


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
        keys: Parts with the column `key`, the hash of each id.
    """

    keys: tuple[PartRef, ...]

    def run(self, env: TaskEnv) -> Output:
        """Return `repeated`: per part the positions of such rows."""
        keys = [read_part(env.root, part, ["key"])["key"].to_numpy() for part in self.keys]
        return Output(values={"repeated": [list(positions) for positions in repeated(keys)]})


def find_repeated(stages: Stages, name: str, keys: Sequence[PartRef]) -> list[tuple[int, ...]]:
    """Return per part the positions of rows whose id an earlier row has."""
    key = {"find repeated ids": [part.sha256 for part in keys]}
    (output,) = stages.stage(f"{name}/unique ids", key, [FindRepeatedTask(tuple(keys))])
    return [tuple(positions) for positions in output.values["repeated"]]
