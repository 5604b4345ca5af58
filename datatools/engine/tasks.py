"""Tasks: the bodies of stages, run by any executor.

A task reads committed parts and commits its own under names made from its index, its record
`NNNNN.json` last; a task whose record exists is done. Bodies are picklable and know no executor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import polars as pl

from datatools.engine.careful import CarefulSteps, RowLimits
from datatools.engine.chain import Chain, Link, preview, split_batches, text_bytes
from datatools.engine.decide import Verdicts, decide
from datatools.engine.fates import FATES, empty_fates, fates_frame
from datatools.engine.ledger import InputCounts, StepCounts
from datatools.engine.measuring import measure, measure_schema
from datatools.engine.shown import Lowest
from datatools.engine.store import PartRef, Root, write_part
from datatools.engine.stores import store_at
from datatools.engine.view import KEEP, View, row_numbers
from datatools.heartbeat import beat, ends_when_still
from datatools.records import SCHEMAS, Kind, conform, id_keys
from datatools.steps.base import TEXT_BYTES, Filter, Source, Unit

__all__ = [
    "BYTES",
    "ChainTask",
    "DecideTask",
    "Limits",
    "MeasureTask",
    "Output",
    "RowBody",
    "SourceTask",
    "Stopped",
    "Task",
    "TaskEnv",
    "execute",
    "execute_watched",
]

BYTES = TEXT_BYTES
"""Column of every base shard: UTF-8 bytes of text in the record, so that counting reads no text."""


@dataclass
class Output:
    """What a task leaves behind; written as its record.

    Attributes:
        parts: Committed parts by role (`data`, `fates`).
        counts: Ledger counts by step label, in chain order.
        inputs: What became of the input's bytes; sources only.
        values: Small JSON values.
    """

    parts: dict[str, PartRef] = field(default_factory=dict)
    counts: dict[str, StepCounts] = field(default_factory=dict)
    inputs: InputCounts | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the task's record."""
        return {
            "parts": {role: part.to_json() for role, part in self.parts.items()},
            # A list, because JSON objects are written with sorted keys and steps have an order.
            "counts": [[label, counts.to_json()] for label, counts in self.counts.items()],
            "inputs": None if self.inputs is None else self.inputs.to_json(),
            "values": self.values,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Output:
        """Return the output that `to_json` wrote."""
        return cls(
            parts={role: PartRef.from_json(part) for role, part in value["parts"].items()},
            counts={label: StepCounts.from_json(counts) for label, counts in value["counts"]},
            inputs=None if value["inputs"] is None else InputCounts.from_json(value["inputs"]),
            values=value["values"],
        )


@dataclass(frozen=True)
class TaskEnv:
    """Where a task reads and writes.

    Attributes:
        root: What parts are read from.
        stage: The stage's directory, relative to the store.
        index: The task's number in its stage.
        careful: What one row may take when every step runs behind the fence; None runs them here.
    """

    root: Root
    stage: str
    index: int
    careful: RowLimits | None = None

    @property
    def folder(self) -> Path:
        """Where parts are written: the store's folder on this machine."""
        return self.root if isinstance(self.root, Path) else self.root.folder

    def write(
        self, role: str, schema: pl.DataFrame, frames: Iterator[pl.DataFrame] | list[pl.DataFrame]
    ) -> PartRef:
        """Commit a part of this task."""
        path = f"{self.stage}/{self.index:05d}-{role}.arrow"
        return write_part(self.folder, path, schema, iter(frames))


class Body(Protocol):
    """What a task does."""

    def run(self, env: TaskEnv) -> Output:
        """Read, work, commit parts; return what was committed."""


class RowBody:
    """A body that runs per-row steps: it beats as it goes, and can be run carefully.

    What a Global does has no rows to go by, so no time without a beat would mean that it hangs, and
    no row could be found guilty.
    """


@dataclass(frozen=True)
class Limits:
    """What a task's worker may take. Nothing here is part of a key or changes what comes out.

    Attributes:
        stall_s: Seconds in which a `RowBody` must have done a batch's next step, or read the next
            records. A row that is run carefully has a tenth of it.
        memory_bytes: What one worker may hold between tasks, and what one row may add when it is
            run carefully.
    """

    stall_s: float = 600.0
    memory_bytes: int = 2_000_000_000

    @property
    def row(self) -> RowLimits:
        """What one row may take when it is run carefully."""
        return RowLimits(self.stall_s / 10, self.memory_bytes)


@dataclass(frozen=True)
class Task:
    """One independent piece of a stage.

    Attributes:
        root: The store's path, or its URL: every machine opens it for itself.
        stage: The stage's directory, relative to the store.
        index: The task's number in its stage.
        body: What it does.
        limits: What its worker may take.
        careful: Whether every per-row step runs behind the fence, to find a row that kills.
    """

    root: str
    stage: str
    index: int
    body: Body
    limits: Limits = Limits()
    careful: bool = False

    @property
    def record(self) -> str:
        """The file, relative to the store, whose existence says that the task is done."""
        return f"{self.stage}/{self.index:05d}.json"


def execute(task: Task) -> Output:
    """Run a task and commit its record; a task that is already done is read back."""
    store = store_at(task.root)
    done = store.recorded(task.record)
    if done is not None:
        return Output.from_json(done)
    careful = task.limits.row if task.careful else None
    try:
        output = task.body.run(TaskEnv(store.root, task.stage, task.index, careful))
    except BaseException:
        close_chains()  # stopped within a batch, they are of no use to the next try
        raise
    store.commit(task.record, output.to_json(), list(output.parts.values()))
    return output


def execute_watched(task: Task, file: IO[bytes] | None = None) -> Output:
    """Run a task in a process of its own, which ends when per-row steps stand still.

    Args:
        task: The task.
        file: Gets the tracebacks of a process that ends so; None means stderr.
    """
    if not isinstance(task.body, RowBody):
        return execute(task)
    with ends_when_still(task.limits.stall_s, file):
        return execute(task)


# --------------------------------------------------------------------------------------------------
# Bound chains are kept between the tasks of one stage: binding loads models and starts children.

_chains: OrderedDict[object, Chain] = OrderedDict()


def _chain(links: Sequence[Link], kind: Kind, careful: RowLimits | None) -> Chain:
    key = (tuple((link.step, link.context) for link in links), kind, careful)
    chain = _chains.pop(key, None)
    if chain is None:
        if _chains:
            _, old = _chains.popitem(last=False)
            old.close()
        bound = None if careful is None else CarefulSteps(links, careful).bound()
        chain = Chain(links, kind, bound)
    _chains[key] = chain
    return chain


def close_chains() -> None:
    """Release the bound steps that this process keeps."""
    while _chains:
        _chains.popitem()[1].close()


def _run_chain(
    env: TaskEnv,
    batches: Iterator[pl.DataFrame],
    empty: pl.DataFrame,
    kind: Kind,
    links: Sequence[Link],
    prune: Sequence[str],
    output: Output,
) -> tuple[list[pl.DataFrame], Kind]:
    """Write a chain's result as the `data` part; return the fates of its steps and its kind."""
    chain = _chain(links, kind, env.careful)
    for link in links:
        if link.step.gives is not None:
            kind = link.step.gives

    def finish(frame: pl.DataFrame) -> pl.DataFrame:
        frame = frame.drop([name for name in (*prune, BYTES) if name in frame.columns])
        return frame.with_columns(text_bytes(kind).alias(BYTES))

    # An empty batch first tells the schema, which a shard without rows must have too.
    schema = finish(chain.run(empty))
    chain.reset()
    fates: list[pl.DataFrame] = []

    def results() -> Iterator[pl.DataFrame]:
        for batch in batches:
            frame = finish(chain.run(batch))
            fates.append(chain.take_fates())
            if frame.height:
                yield frame

    output.parts["data"] = env.write("data", schema, results())
    output.counts.update(chain.counts)
    return fates, kind


def _write_fates(env: TaskEnv, output: Output, fates: list[pl.DataFrame]) -> None:
    frames = [frame for frame in fates if frame.height]
    if frames:
        output.parts["fates"] = env.write("fates", empty_fates(), frames)


# --------------------------------------------------------------------------------------------------
# Sources


class _Log:
    """A ReadLog that checks that what a source says tiles its unit."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._ranges: list[tuple[int, int]] = []
        self.counts = InputCounts(size=unit.end - unit.start)
        self.fates: list[dict[str, object]] = []

    def consumed(self, start: int, end: int) -> None:
        self._ranges.append((start, end))
        self.counts.consumed += end - start

    def skipped(self, start: int, end: int, reason: str) -> None:
        self._ranges.append((start, end))
        self.counts.skipped[reason] += end - start

    def incomplete(self, start: int, end: int, detail: str) -> None:
        self._ranges.append((start, end))
        self.counts.incomplete.append(
            {"path": self._unit.relpath, "start": start, "end": end, "detail": detail}
        )

    def quarantined(self, id: str, reason: str, *, offset: int, detail: str = "") -> None:
        where = f"{self._unit.relpath} at {offset}"
        self.fates.append(
            {"id": id, "reason": reason, "detail": f"{where}: {detail}" if detail else where}
        )

    def close(self, source: str) -> None:
        position = self._unit.start
        for start, end in sorted(self._ranges):
            if start != position or end < start:
                raise AssertionError(
                    f"{source} did not account for every byte of {self._unit.relpath}: "
                    f"after {position} comes [{start}, {end})"
                )
            position = end
        if position != self._unit.end:
            raise AssertionError(
                f"{source} did not account for every byte of {self._unit.relpath}: "
                f"it stopped at {position} of {self._unit.end}"
            )


@dataclass(frozen=True)
class SourceTask(RowBody):
    """Read one unit and run the per-batch steps that follow in the same pass.

    Attributes:
        source: The source.
        unit: What it reads.
        label: Label of the source as a step.
        source_label: Source label that ids are made with.
        links: The steps that follow.
        prune: Columns that nothing below reads.
        limit: Most records to read.
        repeated: Positions of records to quarantine, because an earlier record has their id.
    """

    source: Source
    unit: Unit
    label: str
    source_label: str
    links: tuple[Link, ...]
    prune: tuple[str, ...]
    limit: int | None = None
    repeated: tuple[int, ...] = ()

    def run(self, env: TaskEnv) -> Output:
        """Commit the unit's shard, its fates, a hash of every id, and what became of its bytes."""
        output = Output()
        log = _Log(self.unit)
        counts = StepCounts()
        output.counts[self.label] = counts
        kind = self.source.gives or "document"

        keys = [id_keys(pl.Series([], dtype=pl.String))]
        twice: list[pl.DataFrame] = []
        lowest = Lowest()

        def records() -> Iterator[pl.DataFrame]:
            position = 0
            for frame in self.source.read(self.unit, log, self.source_label):
                beat()
                frame = conform(frame, kind)
                if frame["id"].null_count():
                    raise TypeError(f"{self.label} made a record without an id")
                if self.limit is not None:
                    frame = frame.head(self.limit - position)
                keys.append(id_keys(frame["id"]))
                again = np.isin(np.arange(position, position + frame.height), self.repeated)
                position += frame.height
                if again.any():
                    twice.append(self._twice(frame.filter(again), kind, lowest))
                    frame = frame.filter(~again)
                counts.kept += frame.height
                counts.text_bytes += int(frame.select(text_bytes(kind).sum()).item())
                yield from split_batches(frame, kind)
                if position == self.limit:
                    return

        empty = pl.Schema({**SCHEMAS[kind], **self.source.adds()}).to_frame()
        fates, _ = _run_chain(env, records(), empty, kind, self.links, self.prune, output)
        # With a limit the reader was stopped on its way, and says nothing of what it did not reach.
        if self.limit is None:
            log.close(self.label)
        output.parts["ids"] = env.write("ids", keys[0].to_frame(), [pl.concat(keys).to_frame()])
        if log.fates:
            frame = pl.DataFrame(log.fates, schema_overrides=FATES).with_columns(
                pl.lit(self.source_label).alias("source")
            )
            lost = fates_frame(
                frame, self.label, "quarantined", frame["reason"], detail=frame["detail"]
            )
            twice.insert(0, lost)
        for lost in twice:
            counts.quarantined.update(lost["reason"].to_list())
        fates = [*twice, *fates]
        counts.read = counts.kept + counts.quarantined.total()
        output.inputs = log.counts
        _write_fates(env, output, fates)
        return output

    def _twice(self, frame: pl.DataFrame, kind: Kind, lowest: Lowest) -> pl.DataFrame:
        """Return the fates of records whose id an earlier one has, some with their text."""
        fates = fates_frame(
            frame,
            self.label,
            "quarantined",
            pl.repeat("repeated_id", frame.height, eager=True),
            detail=pl.repeat(
                "an earlier record of this dataset has the same id", frame.height, eager=True
            ),
            preview=frame.select(preview(kind)).to_series(),
        )
        return fates.with_columns(pl.when(lowest.among(fates)).then("preview").alias("preview"))


# --------------------------------------------------------------------------------------------------
# Per-batch stages over views


@dataclass(frozen=True)
class ChainTask(RowBody):
    """Run per-batch steps over one shard."""

    view: View
    shard: int
    links: tuple[Link, ...]
    prune: tuple[str, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the new shard and its fates."""
        output = Output()
        columns = [name for name in self.view.schema if name != BYTES]
        empty = pl.Schema({name: self.view.schema[name] for name in columns}).to_frame()
        batches = self.view.batches(env.root, self.shard, columns)
        fates, _ = _run_chain(env, batches, empty, self.view.kind, self.links, self.prune, output)
        _write_fates(env, output, fates)
        return output


@dataclass(frozen=True)
class Stopped:
    """A row whose measuring the fence stopped: it is quarantined where its filter decides.

    Attributes:
        position: Its place among the shard's alive rows.
        label: The filter that could not measure it.
        reason: The fence's reason.
        detail: The fence's words.
    """

    position: int
    label: str
    reason: str
    detail: str


@dataclass(frozen=True)
class MeasureTask(RowBody):
    """Measure every alive row of one shard for adjacent filters; thresholds play no part."""

    view: View
    shard: int
    links: tuple[Link, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the measures, aligned with the shard's alive rows.

        Careful, `values["stopped"]` says which rows could not be measured, as `Stopped` values.
        """
        names: list[str] = []
        for link in self.links:
            names += [name for name in sorted(link.step.reads()) if name not in names]

        batches = self.view.batches(env.root, self.shard, names)
        schema = measure_schema(self.links).to_frame()
        if env.careful is None:
            measured = (measure(self.links, frame) for frame in batches)
            return Output(parts={"data": env.write("data", schema, measured)})
        stopped: list[Stopped] = []
        steps = CarefulSteps(self.links, env.careful)
        try:
            frames = self._careful(steps, batches, stopped)
            output = Output(parts={"data": env.write("data", schema, frames)})
        finally:
            steps.close()
        if stopped:
            output.values["stopped"] = [astuple(one) for one in stopped]
        return output

    def _careful(
        self, steps: CarefulSteps, batches: Iterator[pl.DataFrame], stopped: list[Stopped]
    ) -> Iterator[pl.DataFrame]:
        """Yield the measures of each batch; a row that one filter loses is not shown to the next.

        What a lost row lacks is null.
        """
        at = 0
        for frame in batches:
            left = pl.Series("row", range(frame.height), dtype=pl.UInt32)
            columns: list[pl.DataFrame] = []
            for link, step in zip(self.links, steps.bound(), strict=True):
                found, lost = step.measure(frame[left])
                every = pl.DataFrame({"row": range(frame.height)}, schema={"row": pl.UInt32})
                beside = found.with_columns(left)
                columns.append(every.join(beside, "row", how="left", maintain_order="left"))
                for row, failure in zip(left, lost, strict=True):
                    if failure is not None:
                        label = link.context.label
                        stopped.append(Stopped(at + row, label, failure.reason, failure.detail))
                good = [failure is None for failure in lost]
                left = left.filter(pl.Series(good, dtype=pl.Boolean))
            yield pl.concat([found.drop("row") for found in columns], how="horizontal")
            at += frame.height


@dataclass(frozen=True)
class DecideTask:
    """Decide every alive row of one shard from its measures, reading no text."""

    view: View
    shard: int
    links: tuple[Link, ...]
    stopped: tuple[Stopped, ...] = ()

    def run(self, env: TaskEnv) -> Output:
        """Commit which rows stay, and the fates of the others."""
        output = Output()
        names = ["id", "url", "source", BYTES, *measure_schema(self.links)]
        frame = self.view.frame(env.root, self.shard, names)
        rows = pl.Series("row", row_numbers(self.shard, frame.height), dtype=pl.UInt64)
        keep = pl.Series(KEEP, [True] * frame.height, dtype=pl.Boolean)
        fates: list[pl.DataFrame] = []
        for link in self.links:
            assert isinstance(link.step, Filter)
            label = link.context.label
            counts = output.counts[label] = StepCounts(read=int(keep.sum()))
            verdicts = decide(label, link.step, frame)
            stopped = {one.position: one for one in self.stopped if one.label == label}
            detail = None
            if stopped:
                verdicts, detail = _with_stopped(verdicts, stopped)
            for fate, reasons, target in (
                ("dropped", verdicts.dropped, counts.dropped),
                ("quarantined", verdicts.quarantined, counts.quarantined),
            ):
                entered = pl.select(pl.when(keep).then(reasons)).to_series()
                gone = fates_frame(
                    frame,
                    label,
                    fate,  # type: ignore[arg-type]
                    entered,
                    measure=verdicts.measure,
                    value=verdicts.value,
                    threshold=verdicts.threshold,
                    detail=detail,
                    row=rows,
                )
                target.update(gone["reason"].to_list())
                fates.append(gone)
            keep = (keep & verdicts.keeps).alias(KEEP)
            counts.kept = int(keep.sum())
            counts.text_bytes = int(frame[BYTES].filter(keep).sum())
        output.parts["data"] = env.write("data", keep.to_frame().clear(), [keep.to_frame()])
        output.values["alive"] = int(keep.sum())
        _write_fates(env, output, fates)
        return output


def _with_stopped(verdicts: Verdicts, stopped: Mapping[int, Stopped]) -> tuple[Verdicts, pl.Series]:
    """Return the verdicts with the rows that could not be measured quarantined, and the details."""
    positions = list(stopped)

    def put(series: pl.Series, values: list[str | None]) -> pl.Series:
        return series.cast(pl.String).scatter(positions, pl.Series(values, dtype=pl.String))

    nothing: list[str | None] = [None] * len(positions)
    reasons: list[str | None] = [one.reason for one in stopped.values()]
    details: list[str | None] = [one.detail for one in stopped.values()]
    changed = Verdicts(
        dropped=put(verdicts.dropped, nothing),
        quarantined=put(verdicts.quarantined, reasons),
        measure=put(verdicts.measure, nothing),
        value=put(verdicts.value, nothing),
        threshold=put(verdicts.threshold, nothing),
    )
    none = pl.Series("detail", [None] * len(verdicts.dropped), dtype=pl.String)
    return changed, put(none, details)
