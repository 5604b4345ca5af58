"""Texts of records that left: the first few of each reason, for people to look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl

from datatools.engine.chain import preview
from datatools.engine.fates import PREVIEWS
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
    """Look up the text of the first records of each step and reason.

    Attributes:
        view: The records before the decision that made the fates.
        fates: Parts whose `row` counts in the view; fates without a row are left out.
    """

    view: View
    fates: tuple[PartRef, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit `id`, `step` and `text`."""
        schema = pl.Schema({"id": pl.String, "step": pl.String, "text": pl.String})
        first = self._first(env)
        rows = first["row"].to_numpy()
        distinct = np.unique(rows)
        texts = self.view.gather(env.root, distinct, _SHOWN[self.view.kind])
        shown = texts.select(preview(self.view.kind)).to_series()
        frame = first.select("id", "step", shown[np.searchsorted(distinct, rows)].alias("text"))
        return Output(parts={"data": env.write("data", schema.to_frame(), [frame.cast(schema)])})

    def _first(self, env: TaskEnv) -> pl.DataFrame:
        """Return the first rows of each step and reason, holding no more than those."""
        columns = ["id", "step", "reason", "row"]
        seen: Counter[tuple[str, str]] = Counter()
        found: list[tuple[str, str, str, int]] = []
        for part in self.fates:
            for _, frame in iter_batches(env.root, part, columns):
                named = frame.filter(pl.col("row").is_not_null())
                for row in (
                    named.group_by("step", "reason", maintain_order=True)
                    .head(PREVIEWS)
                    .select(columns)
                    .iter_rows()
                ):
                    seen[row[1], row[2]] += 1
                    if seen[row[1], row[2]] <= PREVIEWS:
                        found.append(row)
        schema = {"id": pl.String, "step": pl.String, "reason": pl.String, "row": pl.UInt64}
        return pl.DataFrame(found, schema=schema, orient="row").sort("row")
