"""Rows as a Global sees them, over texts that a test gives."""

from __future__ import annotations

import itertools

import polars as pl

from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.progress import Silent
from datatools.engine.stages import Stages
from datatools.engine.store import write_part
from datatools.engine.tables import StoredRows
from datatools.engine.view import View
from datatools.steps.base import Context

fresh = itertools.count()


class Runner:
    """What tables need of the runner, with a memory that the test sets."""

    def __init__(self, root, memory):
        self.root = root
        self.memory = memory
        self.stages = Stages(root, InlineExecutor(), Silent())

    def stage(self, name, key, bodies):
        return self.stages.stage(name, {"test": str(self.root), "verb": key}, bodies)


def rows_of(root, shards, memory=10**9, column="text"):
    """Return rows whose texts are given by shard, two to a batch; ids are `shard-position`."""
    parts = []
    schema = pl.Schema({"id": pl.String, column: pl.String})
    for texts in shards:
        frame = pl.DataFrame(
            {"id": [f"{len(parts)}-{i}" for i in range(len(texts))], column: texts},
            schema=schema,
        )
        pieces = [frame[at : at + 2] for at in range(0, max(frame.height, 1), 2)]
        parts.append(write_part(root, f"{next(fresh)}.arrow", frame.clear(), iter(pieces)))
    view = View("document", tuple(parts), tuple(part.rows for part in parts), schema)
    return StoredRows(Runner(root, memory), "test", view, Context(0, "test"))
