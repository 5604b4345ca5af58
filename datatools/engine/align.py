"""Applying what a Global decided: align it with the shards, or cut shards anew in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from datatools.engine.fates import empty_fates, fates_frame
from datatools.engine.ledger import StepCounts
from datatools.engine.store import PartRef, read_batch
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import KEEP, View, row_numbers

__all__ = ["AlignTask", "GatherTask", "decision_schema"]


def decision_schema(columns: dict[str, pl.DataType]) -> pl.Schema:
    """Return the schema every decision table is brought to."""
    fixed = {"row": pl.UInt64(), "reason": pl.String(), "evidence": pl.String()}
    return pl.Schema({**fixed, **columns})


@dataclass(frozen=True)
class AlignTask:
    """Bring the decisions about one shard into its order: which rows stay, and new columns."""

    view: View
    shard: int
    label: str
    parts: tuple[PartRef, ...]
    columns: tuple[tuple[str, pl.DataType], ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the overlay and the fates of the rows that leave."""
        schema = decision_schema(dict(self.columns))
        frames = [read_batch(env.root, part, self.shard) for part in self.parts]
        decided = pl.concat(
            [
                schema.to_frame(),
                *(
                    frame.select(
                        (pl.col(name) if name in frame.columns else pl.lit(None))
                        .cast(dtype)
                        .alias(name)
                        for name, dtype in schema.items()
                    )
                    for frame in frames
                ),
            ]
        )
        if decided["row"].n_unique() != decided.height:
            raise TypeError(f"{self.label} decided some record twice")
        about = self.view.frame(env.root, self.shard, ["id", "url", BYTES])
        rows = pl.Series("row", row_numbers(self.shard, about.height), dtype=pl.UInt64)
        frame = about.with_columns(rows).join(decided, on="row", how="left", maintain_order="left")
        if frame["reason"].count() != decided["reason"].count():
            raise TypeError(f"{self.label} decided about a record that is not there")
        keep = frame["reason"].is_null().alias(KEEP)
        gone = fates_frame(
            frame,
            self.label,
            "dropped",
            frame["reason"],
            detail=frame["evidence"],
            row=frame["row"],
        )
        counts = StepCounts(
            read=frame.height,
            kept=int(keep.sum()),
            text_bytes=int(frame[BYTES].filter(keep).sum()),
        )
        counts.dropped.update(gone["reason"].to_list())
        overlay = frame.with_columns(keep).select([*(name for name, _ in self.columns), KEEP])
        output = Output(
            parts={"data": env.write("data", overlay.clear(), [overlay])},
            counts={self.label: counts},
            values={"alive": int(keep.sum())},
        )
        if gone.height:
            output.parts["fates"] = env.write("fates", empty_fates(), [gone])
        return output


@dataclass(frozen=True)
class GatherTask:
    """Cut one new shard: the records of `start:stop` of an order, which may repeat rows."""

    view: View
    part: PartRef
    label: str
    start: int
    stop: int

    def run(self, env: TaskEnv) -> Output:
        """Commit the new shard, in the order's order."""
        rows = read_batch(env.root, self.part, 0)["row"].to_numpy()[self.start : self.stop]
        names = list(self.view.schema)
        distinct, back = np.unique(rows, return_inverse=True)
        found = self.view.gather(env.root, distinct, names)
        counts = StepCounts(kept=rows.size)

        def pieces() -> Iterator[pl.DataFrame]:
            for begin in range(0, rows.size, 4096):
                piece = found[back[begin : begin + 4096]]
                counts.text_bytes += int(piece[BYTES].sum())
                yield piece

        empty = self.view.schema.to_frame()
        data = env.write("data", empty, pieces())
        return Output(parts={"data": data}, counts={self.label: counts})
