"""Applying what a Global takes out of texts: every shard is written once more, without the spans.

Filters and other decisions leave the text where it is, because most rows of a shard stay as they
are. A dedup of lines or spans changes most texts that it does not drop, so new shards cost no more
than an overlay of texts would, and what reads them below pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from datatools.engine.chain import text_bytes
from datatools.engine.fates import empty_fates, fates_frame
from datatools.engine.ledger import StepCounts
from datatools.engine.store import PartRef, read_batch
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import View, row_numbers
from datatools.kernels.cuts import cut_spans
from datatools.steps.base import Batch

__all__ = ["CutTask", "cut_schema"]

_CUTS = pl.Schema(
    {
        "row": pl.UInt64,
        "start": pl.Int64,
        "stop": pl.Int64,
        "reason": pl.String,
        "survivor": pl.String,
    }
)
_ORDER = ["row", "start", "stop", "reason"]


def cut_schema(schema: pl.Schema, label: str, told: str) -> pl.Schema:
    """Return the columns of records that spans were taken from: what was taken, and who has it."""
    new = {f"{label}.removed": pl.Int64(), f"{label}.{told}": pl.String()}
    return pl.Schema({**schema, **new})


@dataclass(frozen=True)
class CutTask:
    """Write one shard without the spans that a Global takes out of it.

    Attributes:
        view: The records.
        shard: Which shard of the view.
        label: Label of the step.
        parts: The table of `Cuts`, laid out by shard.
        empty: Reason with which a record leaves of which nothing but whitespace is left.
        told: What a cut's `survivor` is called in records and evidence.
    """

    view: View
    shard: int
    label: str
    parts: tuple[PartRef, ...]
    empty: str
    told: str

    def run(self, env: TaskEnv) -> Output:
        """Commit the new shard and the fates of the records that leave."""
        cuts = _Cuts(self._cuts(env))
        counts = StepCounts()
        fates: list[pl.DataFrame] = []

        def pieces() -> Iterator[pl.DataFrame]:
            for frame in self.view.batches(env.root, self.shard):
                rows = row_numbers(self.shard, frame.height, counts.read)
                counts.read += frame.height
                kept, gone = self._cut(frame, rows, cuts.of(rows), counts)
                fates.append(gone)
                yield kept

        empty = cut_schema(self.view.schema, self.label, self.told).to_frame()
        output = Output(parts={"data": env.write("data", empty, pieces())})
        if cuts.left:
            raise TypeError(f"{self.label} cut a record that is not there")
        output.counts[self.label] = counts
        if counts.dropped:
            output.parts["fates"] = env.write("fates", empty_fates(), fates)
        return output

    def _cuts(self, env: TaskEnv) -> pl.DataFrame:
        frames = [read_batch(env.root, part, self.shard) for part in self.parts]
        brought = [
            frame.select(
                (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in _CUTS.items()
            )
            for frame in frames
        ]
        return pl.concat([_CUTS.to_frame(), *brought]).sort(_ORDER, maintain_order=True)

    def _cut(
        self,
        frame: pl.DataFrame,
        rows: npt.NDArray[np.uint64],
        cuts: pl.DataFrame,
        counts: StepCounts,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the records of a batch that stay, without the spans, and the others' fates."""
        at = np.searchsorted(rows, cuts["row"].to_numpy()).astype(np.int64)
        try:
            offsets, data, removed = cut_spans(
                *Batch(frame).buffers("text"), at, cuts["start"].to_numpy(), cuts["stop"].to_numpy()
            )
        except IndexError as error:
            raise TypeError(f"{self.label} cut what is not in a text: {error}") from error
        cuts = cuts.with_columns(pl.Series("at", at), pl.Series("removed", removed))
        found = cuts.group_by("at").agg(
            pl.col("removed").sum(), pl.col("survivor").drop_nulls().first()
        )
        every = pl.DataFrame({"at": np.arange(frame.height)})
        beside = every.join(found, on="at", how="left", maintain_order="left").with_columns(
            pl.when(pl.col("removed").is_not_null())
            .then(_strings(offsets, data))
            .otherwise(frame["text"])
            .alias("text")
        )
        blank = pl.col("text").str.strip_chars() == ""
        empty = beside.select(
            (pl.col("removed").is_not_null() & blank).fill_null(False)
        ).to_series()
        kept = (
            frame.with_columns(
                beside["text"],
                beside["removed"].alias(f"{self.label}.removed"),
                beside["survivor"].alias(f"{self.label}.{self.told}"),
            )
            .with_columns(text_bytes(self.view.kind).alias(BYTES))
            .filter(~empty)
        )
        gone = fates_frame(
            frame,
            self.label,
            "dropped",
            pl.select(pl.when(empty).then(pl.lit(self.empty))).to_series(),
            detail=beside.select(
                pl.struct(pl.col("survivor").alias(self.told), "removed").struct.json_encode()
            ).to_series(),
            row=pl.Series(rows, dtype=pl.UInt64),
        )
        counts.kept += kept.height
        counts.dropped.update(gone["reason"].to_list())
        counts.text_bytes += int(kept[BYTES].sum())
        taken = cuts.filter(~empty.gather(at)).group_by("reason").agg(pl.col("removed").sum())
        counts.removed.update({reason: count for reason, count in taken.iter_rows() if count})
        return kept.select(cut_schema(self.view.schema, self.label, self.told).names()), gone


@dataclass
class _Cuts:
    """The cuts of a shard in the order of its rows, handed out batch by batch."""

    frame: pl.DataFrame
    _start: int = field(default=0, init=False)

    def of(self, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        """Return the cuts of the next rows."""
        stop = int(np.searchsorted(self.frame["row"].to_numpy(), rows[-1], side="right"))
        piece = self.frame[self._start : stop]
        self._start = stop
        return piece

    @property
    def left(self) -> int:
        """Cuts that no row has asked for."""
        return self.frame.height - self._start


def _strings(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> pl.Series:
    array = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )
    return pl.Series("text", array, dtype=pl.String)
