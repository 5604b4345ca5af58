"""Running a job: datasets one after the other, each a chain of stages over a view.

Owns: what stages a dataset becomes and in what order, and its ledger. A run never knows how far an
earlier one came: it asks for every stage and finds the committed ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from datatools.engine.align import AlignTask, GatherTask, OrderTask
from datatools.engine.chain import Link
from datatools.engine.cutting import CutTask, cut_schema
from datatools.engine.layouts import ByShard
from datatools.engine.ledger import InputCounts, StepCounts
from datatools.engine.measuring import measure_schema
from datatools.engine.plan import (
    DatasetPlan,
    Job,
    Segment,
    link_key,
    measure_key,
    segments,
)
from datatools.engine.previews import PreviewTask
from datatools.engine.publisher import Publisher
from datatools.engine.shelf import Shelf
from datatools.engine.stages import Bodies, Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import PartRef, Root, part_schema
from datatools.engine.tables import StoredRows, StoredTable
from datatools.engine.tasks import (
    ChainTask,
    DecideTask,
    MeasureTask,
    Output,
    SourceTask,
    Stopped,
)
from datatools.engine.unique_ids import find_repeated
from datatools.engine.view import Overlay, View
from datatools.records import SCHEMAS, Kind
from datatools.steps.base import Cuts, Decisions, Global, Order, Source

__all__ = ["Runner"]

ROWS_PER_GATHERED_SHARD = 65_536


class Runner:
    """Runs the datasets of a job.

    Args:
        job: What to run.
        stages: Where stages run and are found.
        output: Where datasets are published: a folder, or a shelf that is elsewhere.
        memory: Bytes that global steps may hold at once.
        limit: Read at most this many records, from the first unit of each source.
    """

    def __init__(
        self,
        job: Job,
        stages: Stages,
        output: Path | Shelf,
        *,
        memory: int = 4_000_000_000,
        limit: int | None = None,
    ) -> None:
        self._job = job
        self._stages = stages
        self._publisher = Publisher(job, stages, output, limit)
        self._memory = memory
        self._limit = limit
        self.states: dict[str, DatasetState] = {}

    def run(self, only: Sequence[str] | None = None) -> dict[str, DatasetState]:
        """Run the datasets in order; with `only`, those and what they need.

        Returns:
            States by dataset name.
        """
        every = [dataset.name for dataset in self._job.datasets]
        wanted = self._job.closure(every if only is None else only)
        for dataset in self._job.datasets:
            if dataset.name in wanted and dataset.name not in self.states:
                self.states[dataset.name] = self._dataset(dataset)
        return self.states

    # ------------------------------------------------------------------------------------------
    # Segments

    def _dataset(self, dataset: DatasetPlan) -> DatasetState:
        parts = segments(self._job, dataset)
        if dataset.parents:
            state = DatasetState(dataset, self._parents_view(dataset))
        else:
            state = self._source(dataset, parts.pop(0))
        for segment in parts:
            if segment.kind == "chain":
                self._chain(state, segment)
            elif segment.kind == "filters":
                self._filters(state, segment)
            else:
                self.apply_global(state, segment)
        return state

    def _name(self, dataset: DatasetPlan, links: Sequence[Link], verb: str = "") -> str:
        labels = "+".join(link.context.label for link in links)
        return f"{dataset.name}/{labels}{verb}"

    def _parents_view(self, dataset: DatasetPlan) -> View:
        views = [self.states[name].view for name in dataset.parents]
        if len(views) == 1:
            return views[0]
        # Views with different overlays cannot share shards: write each parent's records plainly.
        kind = views[0].kind
        shared = {
            name: dtype
            for name, dtype in views[0].schema.items()
            if all(view.schema.get(name) == dtype for view in views)
        }
        plain: list[PartRef] = []
        for name, view in zip(dataset.parents, views, strict=True):
            segment = Segment("chain", (), tuple(n for n in view.schema if n not in shared))
            plain += self._stage_chain(f"{dataset.name}/from {name}", view, segment)[0].shards
        schema = pl.Schema({**{n: shared[n] for n in SCHEMAS[kind] if n in shared}, **shared})
        return View(kind, tuple(plain), tuple(part.rows for part in plain), schema)

    def _gather(self, state: DatasetState, outputs: Sequence[Output]) -> None:
        for output in outputs:
            for label, counts in output.counts.items():
                state.steps.setdefault(label, StepCounts()).add(counts)
                if counts.notes:
                    noted = state.notes.setdefault(label, {})
                    noted |= {name: noted.get(name, 0) + n for name, n in counts.notes.items()}
            if "fates" in output.parts:
                state.fates.append(output.parts["fates"])

    def _base_view(self, kind: Kind, links: Sequence[Link], outputs: Sequence[Output]) -> View:
        for link in links:
            kind = link.step.gives or kind
        shards = tuple(output.parts["data"] for output in outputs)
        schema = part_schema(self._stages.store.root, shards[0])
        return View(kind, shards, tuple(part.rows for part in shards), schema)

    def _source(self, dataset: DatasetPlan, segment: Segment) -> DatasetState:
        first, *rest = segment.links
        source = first.step
        assert isinstance(source, Source)
        units = dataset.units if self._limit is None else dataset.units[:1]
        source_label = source.label or dataset.name
        key = {
            "source": link_key(first, frozenset({"paths", "path"})),
            "label": source_label,
            "links": [link_key(link) for link in rest],
            "prune": segment.prune,
            "units": [[u.relpath, u.start, u.end, u.fingerprint] for u in units],
            "limit": self._limit,
        }
        bodies = [
            SourceTask(
                source,
                unit,
                first.context.label,
                source_label,
                tuple(rest),
                segment.prune,
                self._limit,
            )
            for unit in units
        ]
        outputs = self._read(dataset.name, self._name(dataset, segment.links), key, bodies)
        state = DatasetState(dataset, self._base_view(source.gives or "document", rest, outputs))
        self._gather(state, outputs)
        label = first.context.label
        counts = state.inputs.setdefault(label, InputCounts())
        files = state.files.setdefault(label, Counter())
        for unit, output in zip(units, outputs, strict=True):
            assert output.inputs is not None
            counts.add(output.inputs)
            if self._limit is None:
                files[unit.relpath] += output.counts[label].read
        return state

    def _read(
        self, dataset: str, name: str, key: Mapping[str, Any], bodies: Sequence[SourceTask]
    ) -> list[Output]:
        """Read the units of a source, each id once.

        Only when all are read is it known which records have the id of an earlier one. Units that
        hold such records, which few inputs have, are then read again, to leave these out.
        """
        outputs = self._stages.stage(name, key, bodies)
        found = find_repeated(self._stages, dataset, [output.parts["ids"] for output in outputs])
        again = {unit: positions for unit, positions in enumerate(found) if positions}
        if not again:
            return outputs
        mended = self._stages.stage(
            f"{name}/repeated ids",
            {**key, "repeated": list(again.items())},
            [replace(bodies[unit], repeated=positions) for unit, positions in again.items()],
        )
        whole = dict(enumerate(outputs)) | dict(zip(again, mended, strict=True))
        return list(whole.values())

    def _stage_chain(
        self, name: str, view: View, segment: Segment
    ) -> tuple[View, Sequence[Output]]:
        key = {
            "chain": [link_key(link) for link in segment.links],
            "prune": segment.prune,
            "view": view.identity,
        }
        bodies = [
            ChainTask(view, shard, segment.links, segment.prune)
            for shard in range(len(view.shards))
        ]
        outputs = self._stages.stage(name, key, bodies)
        return self._base_view(view.kind, segment.links, outputs), outputs

    def _chain(self, state: DatasetState, segment: Segment) -> None:
        name = self._name(state.plan, segment.links)
        state.view, outputs = self._stage_chain(name, state.view, segment)
        self._gather(state, outputs)

    def _filters(self, state: DatasetState, segment: Segment) -> None:
        view, links = state.view, segment.links
        shards = range(len(view.shards))
        key: Any = {"measure": [measure_key(link) for link in links], "view": view.identity}
        measured = self._stages.stage(
            self._name(state.plan, links, " measure"),
            key,
            [MeasureTask(view, shard, links) for shard in shards],
        )
        parts = tuple(output.parts["data"] for output in measured)
        view = view.with_overlay(Overlay(parts, measure_schema(links), decides=False))
        stopped = [output.values.get("stopped", []) for output in measured]
        key = {
            "decide": [link_key(link) for link in links],
            "view": view.identity,
            **({"stopped": stopped} if any(stopped) else {}),
        }
        bodies = [
            DecideTask(view, shard, links, tuple(Stopped(*one) for one in stopped[shard]))
            for shard in shards
        ]
        decided = self._stages.stage(self._name(state.plan, links, " decide"), key, bodies)
        self._decided(state, view, decided, pl.Schema())

    def _decided(
        self, state: DatasetState, view: View, outputs: Sequence[Output], schema: pl.Schema
    ) -> None:
        self._left(state, view, outputs)
        parts = tuple(output.parts["data"] for output in outputs)
        alive = [output.values["alive"] for output in outputs]
        state.view = view.with_overlay(Overlay(parts, schema, decides=True), alive)

    def _left(self, state: DatasetState, view: View, outputs: Sequence[Output]) -> None:
        """Take in counts and fates of records of a view, and look up the texts of some."""
        self._gather(state, outputs)
        fates = tuple(o.parts["fates"] for o in outputs if "fates" in o.parts)
        if fates:
            looked = self._stages.stage(
                f"{state.plan.name}/texts of dropped records",
                {"preview": [part.sha256 for part in fates], "view": view.identity},
                [PreviewTask(view, fates)],
            )
            state.previews.append(looked[0].parts["data"])

    # ------------------------------------------------------------------------------------------
    # Global steps

    def apply_global(self, state: DatasetState, segment: Segment) -> None:
        """Run one Global over a dataset's view and apply what it decided."""
        (link,) = segment.links
        step = link.step
        assert isinstance(step, Global)
        name = self._name(state.plan, segment.links)
        # What a verb's function reads of the step is in its own fields, and so in its key: what
        # only a later verb reads (how pairs are verified) leaves the earlier ones as they are.
        fields = frozenset(type(step).model_fields)
        own = {**link_key(link, fields), "label": None, "seed": None}
        runner = _KeyedStages(self._stages, own, self._memory)
        rows = StoredRows(runner, name, state.view, link.context)
        others = {
            other: StoredRows(runner, name, self.states[other].view, link.context)
            for other in step.references()
        }
        result = step.lower(rows, others)
        if result.notes:
            state.notes[link.context.label] = dict(result.notes)
        if result.tallies:
            state.tallies[link.context.label] = tuple(result.tallies)
        if isinstance(result, Decisions):
            self._decisions(state, link, result)
        elif isinstance(result, Cuts):
            self._cuts(state, link, result)
        else:
            self._order(state, link, result)

    def _decisions(self, state: DatasetState, link: Link, result: Decisions) -> None:
        assert isinstance(result.table, StoredTable)
        view, label = state.view, link.context.label
        layout = ByShard("row", len(view.shards))
        parts = result.table.parts(layout)
        columns = tuple(result.columns.items())
        outputs = self._stages.stage(
            f"{self._name(state.plan, [link])}/apply",
            {
                "align": [part.sha256 for part in parts],
                "columns": [[name, str(dtype)] for name, dtype in columns],
                "label": label,
                "view": view.identity,
            },
            [AlignTask(view, s, label, parts, columns) for s in range(len(view.shards))],
        )
        self._decided(state, view, outputs, pl.Schema(dict(columns)))

    def _cuts(self, state: DatasetState, link: Link, result: Cuts) -> None:
        assert isinstance(result.table, StoredTable)
        view, label = state.view, link.context.label
        parts = result.table.parts(ByShard("row", len(view.shards)))
        outputs = self._stages.stage(
            f"{self._name(state.plan, [link])}/apply",
            {
                "cut": [part.sha256 for part in parts],
                "empty": result.empty,
                "told": result.told,
                "label": label,
                "view": view.identity,
            },
            [
                CutTask(view, s, label, parts, result.empty, result.told)
                for s in range(len(view.shards))
            ],
        )
        self._left(state, view, outputs)
        shards = tuple(output.parts["data"] for output in outputs)
        alive = tuple(shard.rows for shard in shards)
        schema = cut_schema(view.schema, label, result.told)
        state.view = View(view.kind, shards, alive, schema)

    def _order(self, state: DatasetState, link: Link, result: Order) -> None:
        assert isinstance(result.table, StoredTable)
        view, label = state.view, link.context.label
        (part,) = result.table.parts()
        name = self._name(state.plan, [link])
        key = {"order": part.sha256, "label": label, "view": view.identity}
        ordered = self._stages.stage(
            f"{name}/cut",
            {**key, "left out": result.left_out},
            [OrderTask(view, part, label, result.left_out, ROWS_PER_GATHERED_SHARD)],
        )
        self._left(state, view, ordered)
        order = ordered[0].parts["data"]
        bodies = [GatherTask(view, order, label, shard) for shard in range(len(order.batches))]
        gathered = self._stages.stage(f"{name}/apply", key, bodies)
        self._left(state, view, gathered)
        shards = tuple(output.parts["data"] for output in gathered)
        alive = tuple(shard.rows for shard in shards)
        state.view = View(view.kind, shards, alive, view.schema)

    def publish(self, name: str) -> dict[str, Any]:
        """Publish a dataset that has run and return its manifest.

        Raises:
            DataError: Two records have one id.
        """
        return self._publisher.publish(self.states[name])

    def manifest(self, name: str) -> dict[str, Any]:
        """Return the manifest that `publish` would write, and put nothing in place.

        Raises:
            DataError: Two records have one id.
        """
        return self._publisher.manifest(self.states[name])


class _KeyedStages:
    """Stages of one Global: its own key is part of every stage's key."""

    def __init__(self, stages: Stages, key: Mapping[str, Any], memory: int) -> None:
        self._stages = stages
        self._key = key
        self.memory = memory

    @property
    def root(self) -> Root:
        return self._stages.store.root

    def stage(self, name: str, key: object, bodies: Bodies) -> list[Output]:
        return self._stages.stage(name, {"global": self._key, "verb": key}, bodies)
