"""Texts of records that left: a few of each reason, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from datatools.engine.chain import preview
from datatools.engine.fates import FATES
from datatools.engine.shown import Lowest
from datatools.engine.store import PartRef, iter_batches
from datatools.engine.tasks import Output, TaskEnv
from datatools.engine.view import View

__all__ = ["PreviewTask"]

_SHOWN = {
    "document": ["text"],
    "thread": ["question"],
    "conversation": ["messages"],
    "preference": ["prompt"],
}


@dataclass(frozen=True)
class PreviewTask:
    """Look up the texts of the records of each step and reason that `Lowest` chooses.

    Attributes:
        view: The records before the decision that made the fates.
        fates: Parts whose `row` counts in the view; fates without a row are left out.
    """

    view: View
    fates: tuple[PartRef, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit `id`, `step` and `text`."""
        schema = pl.Schema({"id": pl.String, "step": pl.String, "text": pl.String})
        chosen = self._chosen(env)
        rows = chosen["row"].to_numpy()
        distinct = np.unique(rows)
        texts = self.view.gather(env.root, distinct, _SHOWN[self.view.kind])
        shown = texts.select(preview(self.view.kind)).to_series()
        frame = chosen.select("id", "step", shown[np.searchsorted(distinct, rows)].alias("text"))
        return Output(parts={"data": env.write("data", schema.to_frame(), [frame.cast(schema)])})

    def _chosen(self, env: TaskEnv) -> pl.DataFrame:
        """Return the rows whose texts are looked up, holding few more than those."""
        columns = ["id", "step", "reason", "row"]
        lowest = Lowest()
        found = [FATES.to_frame().select(columns)]
        for part in self.fates:
            for _, frame in iter_batches(env.root, part, columns):
                named = frame.filter(pl.col("row").is_not_null())
                found.append(named.filter(lowest.among(named)))
        few = pl.concat(found)
        return few.filter(Lowest().among(few)).sort("row")
