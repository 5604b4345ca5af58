"""Applying what a Global decided: align it with the shards, or cut shards anew in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.engine.fates import empty_fates, fates_frame
from datatools.engine.ledger import StepCounts
from datatools.engine.store import PartRef, read_batch, read_part
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import KEEP, View, row_numbers, split_rows
from datatools.records import make_id

__all__ = ["AlignTask", "GatherTask", "OrderTask", "decision_schema"]


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
        about = self.view.frame(env.root, self.shard, ["id", "url", "source", BYTES])
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
class OrderTask:
    """Check an order against the records, drop those it leaves out, and cut it into new shards.

    Attributes:
        view: The records.
        part: The order, whose rows fit into memory.
        label: Label of the step.
        left_out: Reason of records that the order does not name, if it may leave any out.
        shard_rows: Rows of a new shard.
    """

    view: View
    part: PartRef
    label: str
    left_out: str | None
    shard_rows: int

    def run(self, env: TaskEnv) -> Output:
        """Commit `row` and `copy`, a batch per new shard, and the fates of rows left out.

        `copy` counts how often the row came before: 0 is the record itself.
        """
        rows = read_part(env.root, self.part, ["row"])["row"].to_numpy()
        alive = np.array(self.view.alive, dtype=np.int64)
        shards, positions = split_rows(rows)
        if rows.size and (shards.max() >= alive.size or (positions >= alive[shards]).any()):
            raise TypeError(f"{self.label} ordered a record that is not there")
        copies = _copies(rows)
        counts = StepCounts(read=self.view.rows, created=int(np.count_nonzero(copies)))
        missing = counts.read + counts.created - rows.size
        if missing and self.left_out is None:
            raise TypeError(
                f"{self.label} left {missing} of {counts.read} records out of its order and gives "
                "no reason"
            )
        order = pl.DataFrame({"row": rows, "copy": copies}, schema=_ORDER)
        cut = order.iter_slices(self.shard_rows) if rows.size else [order]
        output = Output(
            parts={"data": env.write("data", order.clear(), iter(cut))},
            counts={self.label: counts},
        )
        if missing:
            counts.dropped[str(self.left_out)] = missing
            fates = self._fates(env, rows)
            output.parts["fates"] = env.write("fates", empty_fates(), fates)
        return output

    def _fates(self, env: TaskEnv, rows: npt.NDArray[np.uint64]) -> Iterator[pl.DataFrame]:
        named = np.unique(rows)
        for shard, count in enumerate(self.view.alive):
            bounds = np.array([shard, shard + 1], dtype=np.uint64) << np.uint64(32)
            low, high = np.searchsorted(named, bounds)
            gone = np.setdiff1d(row_numbers(shard, count), named[low:high], assume_unique=True)
            frame = self.view.gather(env.root, gone, ["id", "url", "source"])
            yield fates_frame(
                frame,
                self.label,
                "dropped",
                pl.repeat(self.left_out, frame.height, dtype=pl.String, eager=True),
                row=pl.Series(gone, dtype=pl.UInt64),
            )


_ORDER = pl.Schema({"row": pl.UInt64, "copy": pl.UInt32})


def _copies(rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Return per row how often it came before.

    Example:
        >>> _copies(np.array([7, 3, 7, 7, 3], dtype=np.uint64)).tolist()
        [0, 0, 1, 2, 1]
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))[: rows.size]
    runs = np.diff(np.append(first, rows.size))
    copies = np.empty(rows.size, dtype=np.uint32)
    copies[order] = np.arange(rows.size) - np.repeat(first, runs)
    return copies


@dataclass(frozen=True)
class GatherTask:
    """Cut one new shard: the records of one batch of an order, which may repeat rows.

    Attributes:
        view: The records.
        part: The data part of `OrderTask`.
        label: Label of the step.
        shard: The new shard.
    """

    view: View
    part: PartRef
    label: str
    shard: int

    def run(self, env: TaskEnv) -> Output:
        """Commit the new shard, in the order's order."""
        order = read_batch(env.root, self.part, self.shard)
        distinct, back = np.unique(order["row"].to_numpy(), return_inverse=True)
        found = self.view.gather(env.root, distinct, list(self.view.schema))
        counts = StepCounts(kept=order.height)

        def pieces() -> Iterator[pl.DataFrame]:
            for begin in range(0, order.height, 4096):
                piece = found[back[begin : begin + 4096]]
                piece = self._named(piece, order["copy"][begin : begin + 4096])
                counts.text_bytes += int(piece[BYTES].sum())
                yield piece

        data = env.write("data", self.view.schema.to_frame(), pieces())
        return Output(parts={"data": data}, counts={self.label: counts})

    def _named(self, piece: pl.DataFrame, copies: pl.Series) -> pl.DataFrame:
        """Return records with ids for those that are copies."""
        if not copies.sum():
            return piece
        ids = [
            make_id(id_, self.label, copy) if copy else id_
            for id_, copy in zip(piece["id"], copies, strict=True)
        ]
        return piece.with_columns(pl.Series("id", ids, dtype=pl.String))
