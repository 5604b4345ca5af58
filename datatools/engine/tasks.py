"""Tasks: the bodies of stages, run by any executor.

A task reads committed parts and commits its own under names made from its index, its record
`NNNNN.json` last; a task whose record exists is done. Bodies are picklable and know no executor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from datatools.engine.chain import Chain, Link, split_batches, text_bytes
from datatools.engine.decide import column_of, decide
from datatools.engine.fates import FATES, empty_fates, fates_frame
from datatools.engine.ledger import InputCounts, StepCounts
from datatools.engine.store import PartRef, read_json, write_json, write_part
from datatools.engine.view import KEEP, View, row_numbers
from datatools.records import SCHEMAS, Kind, conform
from datatools.steps.base import Batch, Filter, Source, Unit

__all__ = [
    "BYTES",
    "ChainTask",
    "DecideTask",
    "MeasureTask",
    "Output",
    "SourceTask",
    "Task",
    "TaskEnv",
    "execute",
]

BYTES = "__bytes"
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
        root: The store's root.
        stage: The stage's directory, relative to the root.
        index: The task's number in its stage.
    """

    root: Path
    stage: str
    index: int

    def write(
        self, role: str, schema: pl.DataFrame, frames: Iterator[pl.DataFrame] | list[pl.DataFrame]
    ) -> PartRef:
        """Commit a part of this task."""
        path = f"{self.stage}/{self.index:05d}-{role}.arrow"
        return write_part(self.root, path, schema, iter(frames))


class Body(Protocol):
    """What a task does."""

    def run(self, env: TaskEnv) -> Output:
        """Read, work, commit parts; return what was committed."""


@dataclass(frozen=True)
class Task:
    """One independent piece of a stage."""

    root: str
    stage: str
    index: int
    body: Body

    @property
    def record(self) -> Path:
        """The file whose existence says that the task is done."""
        return Path(self.root) / self.stage / f"{self.index:05d}.json"


def execute(task: Task) -> Output:
    """Run a task and commit its record; a task that is already done is read back."""
    if task.record.exists():
        return Output.from_json(read_json(task.record))
    output = task.body.run(TaskEnv(Path(task.root), task.stage, task.index))
    # A record that a power cut tears is not valid JSON, and the task runs again.
    write_json(task.record, output.to_json(), durable="none")
    return output


# --------------------------------------------------------------------------------------------------
# Bound chains are kept between the tasks of one stage: binding loads models and starts children.

_chains: OrderedDict[object, Chain] = OrderedDict()


def _chain(links: Sequence[Link], kind: Kind) -> Chain:
    key = (tuple((link.step, link.context) for link in links), kind)
    chain = _chains.pop(key, None)
    if chain is None:
        if _chains:
            _, old = _chains.popitem(last=False)
            old.close()
        chain = Chain(links, kind)
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
    chain = _chain(links, kind)
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
class SourceTask:
    """Read one unit and run the per-batch steps that follow in the same pass."""

    source: Source
    unit: Unit
    label: str
    source_label: str
    links: tuple[Link, ...]
    prune: tuple[str, ...]
    limit: int | None = None

    def run(self, env: TaskEnv) -> Output:
        """Commit the unit's shard, its fates and what became of its bytes."""
        output = Output()
        log = _Log(self.unit)
        counts = StepCounts()
        output.counts[self.label] = counts
        kind = self.source.gives or "document"

        def records() -> Iterator[pl.DataFrame]:
            for frame in self.source.read(self.unit, log, self.source_label):
                frame = conform(frame, kind)
                if frame["id"].null_count():
                    raise TypeError(f"{self.label} made a record without an id")
                if self.limit is not None:
                    frame = frame.head(self.limit - counts.kept)
                counts.kept += frame.height
                counts.text_bytes += int(frame.select(text_bytes(kind).sum()).item())
                yield from split_batches(frame, kind)
                if counts.kept == self.limit:
                    return

        empty = SCHEMAS[kind].to_frame()
        fates, _ = _run_chain(env, records(), empty, kind, self.links, self.prune, output)
        # With a limit the reader was stopped on its way, and says nothing of what it did not reach.
        if self.limit is None:
            log.close(self.label)
        if log.fates:
            frame = pl.DataFrame(log.fates, schema_overrides=FATES)
            lost = fates_frame(
                frame, self.label, "quarantined", frame["reason"], detail=frame["detail"]
            )
            counts.quarantined.update(frame["reason"].to_list())
            fates = [lost, *fates]
        counts.read = counts.kept + counts.quarantined.total()
        output.inputs = log.counts
        _write_fates(env, output, fates)
        return output


# --------------------------------------------------------------------------------------------------
# Per-batch stages over views


@dataclass(frozen=True)
class ChainTask:
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


_filters: OrderedDict[Link, Any] = OrderedDict()


def _bound_filter(link: Link) -> Any:
    if link not in _filters:
        while len(_filters) >= 16:
            _filters.popitem(last=False)
        assert isinstance(link.step, Filter)
        _filters[link] = link.step.bind(link.context)
    return _filters[link]


def measure(links: Sequence[Link], df: pl.DataFrame) -> pl.DataFrame:
    """Return the measures of a group of filters for one batch, as columns `label.measure`."""
    batch = Batch(df)
    columns: list[pl.Series] = []
    for link in links:
        step = link.step
        assert isinstance(step, Filter)
        frame = _bound_filter(link).measure(batch)
        if frame.height != df.height or set(frame.columns) != set(step.measures):
            raise TypeError(
                f"{link.context.label} must measure {sorted(step.measures)} for every row "
                f"(got {sorted(frame.columns)} for {frame.height} of {df.height} rows)"
            )
        columns += [
            frame[name].cast(dtype).alias(column_of(link.context.label, name))
            for name, dtype in step.measures.items()
        ]
    return pl.DataFrame(columns)


def measure_schema(links: Sequence[Link]) -> pl.Schema:
    """Return the schema of what `measure` returns."""
    return pl.Schema(
        {
            column_of(link.context.label, name): dtype
            for link in links
            if isinstance(link.step, Filter)
            for name, dtype in link.step.measures.items()
        }
    )


@dataclass(frozen=True)
class MeasureTask:
    """Measure every alive row of one shard for adjacent filters; thresholds play no part."""

    view: View
    shard: int
    links: tuple[Link, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit the measures, aligned with the shard's alive rows."""
        names: list[str] = []
        for link in self.links:
            names += [name for name in sorted(link.step.reads()) if name not in names]

        def measured() -> Iterator[pl.DataFrame]:
            for frame in self.view.batches(env.root, self.shard, names):
                yield measure(self.links, frame)

        schema = measure_schema(self.links).to_frame()
        return Output(parts={"data": env.write("data", schema, measured())})


@dataclass(frozen=True)
class DecideTask:
    """Decide every alive row of one shard from its measures, reading no text."""

    view: View
    shard: int
    links: tuple[Link, ...]

    def run(self, env: TaskEnv) -> Output:
        """Commit which rows stay, and the fates of the others."""
        output = Output()
        names = ["id", "url", BYTES, *measure_schema(self.links)]
        frame = self.view.frame(env.root, self.shard, names)
        rows = pl.Series("row", row_numbers(self.shard, frame.height), dtype=pl.UInt64)
        keep = pl.Series(KEEP, [True] * frame.height, dtype=pl.Boolean)
        fates: list[pl.DataFrame] = []
        for link in self.links:
            assert isinstance(link.step, Filter)
            label = link.context.label
            counts = output.counts[label] = StepCounts(read=int(keep.sum()))
            verdicts = decide(label, link.step, frame)
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
