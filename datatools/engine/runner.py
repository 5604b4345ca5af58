"""Running a job: datasets one after the other, each a chain of stages over a view.

Owns: what stages a dataset becomes and in what order, its ledger, and what is published. A run
never knows how far an earlier one came: it asks for every stage and finds the committed ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

import datatools
from datatools.engine import publish
from datatools.engine.align import AlignTask, GatherTask, QuarantineTask
from datatools.engine.chain import Link
from datatools.engine.fates import PREVIEW_CHARACTERS, PREVIEWS
from datatools.engine.ledger import InputCounts, StepCounts, total
from datatools.engine.plan import DatasetPlan, Job, Segment, link_key, measure_key, segments
from datatools.engine.publish import FatesTask, PublishTask, SizesTask
from datatools.engine.stages import Stages
from datatools.engine.store import (
    PartRef,
    file_sha256,
    fsync_directory,
    read_json,
    read_part,
    write_atomic,
    write_json,
)
from datatools.engine.tables import Partitioning, StoredRows, StoredTable
from datatools.engine.tasks import (
    ChainTask,
    DecideTask,
    MeasureTask,
    Output,
    SourceTask,
    TaskEnv,
    measure_schema,
)
from datatools.engine.view import Overlay, View
from datatools.errors import ConfigError, DataError, IntegrityError, OutputHeldError
from datatools.records import SCHEMAS, Kind
from datatools.steps.base import Decisions, Global, Order, Source

__all__ = ["DatasetState", "Runner", "held"]

ROWS_PER_GATHERED_SHARD = 65_536
_PUBLISHED = re.compile(r"([a-z]+/)?[a-z]+-\d{5}-of-\d{5}\.(parquet|jsonl)")


@dataclass
class DatasetState:
    """What is known of a dataset once its stages have run.

    Attributes:
        plan: The dataset.
        view: Its records.
        steps: Counts by step label, in order; for a published manifest and the funnel.
        inputs: What became of the input's bytes by source label; empty without a Source.
        fates: Parts with the fates of records that left.
        previews: Parts with texts looked up for some of them.
        notes: What Globals count beside the ledger, by step label.
    """

    plan: DatasetPlan
    view: View
    steps: dict[str, StepCounts] = field(default_factory=dict)
    inputs: dict[str, InputCounts] = field(default_factory=dict)
    fates: list[PartRef] = field(default_factory=list)
    previews: list[PartRef] = field(default_factory=list)
    notes: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def ledger(self) -> StepCounts:
        """The whole dataset's counts."""
        return total(self.steps.values())


@contextlib.contextmanager
def held(output: Path, owner: str) -> Iterator[None]:
    """Hold an output for this run; a second run on it is refused at once.

    Raises:
        OutputHeldError: Another run holds it; nothing on disk was changed.
        ConfigError: The folder cannot be made or written to.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(
            str(output),
            "cannot be written",
            got=error.strerror,
            hint="Choose another `output:`, or change its permissions.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            raise OutputHeldError(
                str(output),
                "another run holds this output",
                got=holder,
                hint="Wait for it to end, or choose another `output:`.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner.encode(), 0)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _PreviewTask:
    """Look up the text of the first records of each reason, for people to look at."""

    view: View
    fates: tuple[PartRef, ...]

    def run(self, env: TaskEnv) -> Output:
        from datatools.engine.chain import preview

        schema = pl.Schema({"id": pl.String, "step": pl.String, "text": pl.String})
        columns = ["id", "step", "reason", "row"]
        found = pl.concat([read_part(env.root, part, columns) for part in self.fates])
        first = (
            found.filter(pl.col("row").is_not_null())
            .with_columns(
                pl.int_range(pl.len()).over("step", "reason").alias("nth"),
            )
            .filter(pl.col("nth") < PREVIEWS)
            .sort("row")
        )
        rows = first["row"].to_numpy()
        needed = {
            "document": ["text"],
            "thread": ["question"],
            "conversation": ["messages"],
            "preference": ["prompt"],
        }[self.view.kind]
        texts = self.view.gather(env.root, np.unique(rows), needed)
        shown = texts.select(preview(self.view.kind).str.slice(0, PREVIEW_CHARACTERS)).to_series()
        picked = shown[np.searchsorted(np.unique(rows), rows)] if rows.size else shown
        frame = first.select("id", "step").with_columns(picked.alias("text"))
        return Output(parts={"data": env.write("data", schema.to_frame(), [frame.cast(schema)])})


class Runner:
    """Runs the datasets of a job.

    Args:
        job: What to run.
        stages: Where stages run and are found.
        output: Where datasets are published.
        memory: Bytes that global steps may hold at once.
        limit: Read at most this many records, from the first unit of each source.
    """

    def __init__(
        self,
        job: Job,
        stages: Stages,
        output: Path,
        *,
        memory: int = 4_000_000_000,
        limit: int | None = None,
    ) -> None:
        self._job = job
        self._stages = stages
        self._output = output
        self._memory = memory
        self._limit = limit
        self.states: dict[str, DatasetState] = {}

    def run(self, only: Sequence[str] | None = None) -> dict[str, DatasetState]:
        """Run the datasets in order; with `only`, those and what they need.

        Returns:
            States by dataset name.
        """
        wanted = self._closure(only)
        for dataset in self._job.datasets:
            if dataset.name in wanted and dataset.name not in self.states:
                self.states[dataset.name] = self._dataset(dataset)
        return self.states

    def _closure(self, only: Sequence[str] | None) -> set[str]:
        if only is None:
            return {dataset.name for dataset in self._job.datasets}
        wanted: set[str] = set()
        left = list(only)
        while left:
            name = left.pop()
            wanted.add(name)
            left += [n for n in self._job.dataset(name).needs if n not in wanted]
        return wanted

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
            if "fates" in output.parts:
                state.fates.append(output.parts["fates"])

    def _base_view(self, kind: Kind, links: Sequence[Link], outputs: Sequence[Output]) -> View:
        for link in links:
            kind = link.step.gives or kind
        shards = tuple(output.parts["data"] for output in outputs)
        schema = read_part(self._stages.root, shards[0]).schema
        return View(kind, shards, tuple(part.rows for part in shards), schema)

    def _source(self, dataset: DatasetPlan, segment: Segment) -> DatasetState:
        first, *rest = segment.links
        source = first.step
        assert isinstance(source, Source)
        units = source.units() if self._limit is None else source.units()[:1]
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
        outputs = self._stages.stage(self._name(dataset, segment.links), key, bodies)
        state = DatasetState(dataset, self._base_view(source.gives or "document", rest, outputs))
        self._gather(state, outputs)
        counts = state.inputs.setdefault(first.context.label, InputCounts())
        for output in outputs:
            assert output.inputs is not None
            counts.add(output.inputs)
        self._quarantine_repeated_ids(state, segment.links[-1].context.label)
        return state

    def _sizes(self, name: str, view: View) -> list[pl.DataFrame]:
        bodies = [SizesTask(view, shard) for shard in range(len(view.shards))]
        sized = self._stages.stage(f"{name}/sizes", {"sizes": view.identity}, bodies)
        return [read_part(self._stages.root, output.parts["data"]) for output in sized]

    def _quarantine_repeated_ids(self, state: DatasetState, label: str) -> None:
        """Take out records whose id an earlier record has: a file can hold a native id twice.

        No reader can see that, because a file is read in units. It is told at the last step of the
        pass that read the records.
        """
        view = state.view
        repeated = _repeated(
            [frame["key"].to_numpy() for frame in self._sizes(state.plan.name, view)]
        )
        count = sum(len(positions) for positions in repeated)
        if not count:
            return
        detail = "an earlier record of this dataset has the same id"
        bodies = [
            QuarantineTask(view, shard, label, "repeated_id", detail, positions)
            for shard, positions in enumerate(repeated)
        ]
        key = {"repeated ids": repeated, "view": view.identity, "label": label}
        outputs = self._stages.stage(f"{state.plan.name}/repeated ids", key, bodies)
        self._decided(state, view, outputs, pl.Schema())
        counts = state.steps[label]
        counts.kept -= count
        counts.quarantined["repeated_id"] += count
        counts.text_bytes -= sum(output.values["bytes"] for output in outputs)

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
        key = {
            "decide": [link_key(link) for link in links],
            "view": view.identity,
        }
        decided = self._stages.stage(
            self._name(state.plan, links, " decide"),
            key,
            [DecideTask(view, shard, links) for shard in shards],
        )
        self._decided(state, view, decided, pl.Schema())

    def _decided(
        self, state: DatasetState, view: View, outputs: Sequence[Output], schema: pl.Schema
    ) -> None:
        self._gather(state, outputs)
        fates = tuple(o.parts["fates"] for o in outputs if "fates" in o.parts)
        if fates:
            looked = self._stages.stage(
                f"{state.plan.name}/texts of dropped records",
                {"preview": [part.sha256 for part in fates], "view": view.identity},
                [_PreviewTask(view, fates)],
            )
            state.previews.append(looked[0].parts["data"])
        parts = tuple(output.parts["data"] for output in outputs)
        alive = [output.values["alive"] for output in outputs]
        state.view = view.with_overlay(Overlay(parts, schema, decides=True), alive)

    # ------------------------------------------------------------------------------------------
    # Global steps

    def apply_global(self, state: DatasetState, segment: Segment) -> None:
        """Run one Global over a dataset's view and apply what it decided."""
        (link,) = segment.links
        step = link.step
        assert isinstance(step, Global)
        name = self._name(state.plan, segment.links)
        runner = _KeyedStages(self._stages, link_key(link), self._memory)
        rows = StoredRows(runner, name, state.view, link.context)
        others = {
            other: StoredRows(runner, name, self.states[other].view, link.context)
            for other in step.references()
        }
        result = step.lower(rows, others)
        if isinstance(result, Decisions):
            self._decisions(state, link, result)
        else:
            self._order(state, link, result)

    def _decisions(self, state: DatasetState, link: Link, result: Decisions) -> None:
        assert isinstance(result.table, StoredTable)
        view, label = state.view, link.context.label
        if result.notes:
            state.notes[label] = dict(result.notes)
        layout = Partitioning("row", (), len(view.shards), by_shard=True)
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

    def _order(self, state: DatasetState, link: Link, result: Order) -> None:
        assert isinstance(result.table, StoredTable)
        view, label = state.view, link.context.label
        (part,) = result.table.parts()
        cuts = range(0, max(1, part.rows), ROWS_PER_GATHERED_SHARD)
        bodies = [GatherTask(view, part, label, at, at + ROWS_PER_GATHERED_SHARD) for at in cuts]
        key = {"order": part.sha256, "label": label, "view": view.identity}
        outputs = self._stages.stage(f"{self._name(state.plan, [link])}/apply", key, bodies)
        shards = tuple(output.parts["data"] for output in outputs)
        counts = StepCounts(read=view.rows)
        for output in outputs:
            counts.kept += output.counts[label].kept
            counts.text_bytes += output.counts[label].text_bytes
        rows = read_part(self._stages.root, part)["row"]
        distinct = rows.n_unique()
        counts.created = rows.len() - distinct
        if distinct < view.rows:
            counts.dropped["left_out"] = view.rows - distinct
        state.steps[label] = counts
        alive = tuple(shard.rows for shard in shards)
        state.view = View(view.kind, shards, alive, view.schema)

    # ------------------------------------------------------------------------------------------
    # Publishing

    def publish(self, name: str) -> dict[str, Any]:
        """Publish a dataset and return its manifest.

        Raises:
            DataError: Two records have one id.
        """
        state = self.states[name]
        view, stages = state.view, self._stages
        sizes = self._sizes(name, view)
        _refuse_repeated_ids(name, sizes)
        shards = publish.cut(sizes, self._job.shard_bytes)
        exports = tuple(e for e in state.plan.exports if view.kind in e.accepts())
        bodies = [
            PublishTask(view, split, tuple(pieces), exports)
            for split, cuts in shards.items()
            for pieces in cuts
        ]
        key = {
            "publish": view.identity,
            "cuts": [[b.split, [[p.shard, p.start, p.stop] for p in b.pieces]] for b in bodies],
            "exports": [
                {
                    "name": type(e).__name__,
                    "version": e.version,
                    "fields": e.model_dump(mode="json"),
                }
                for e in exports
            ],
        }
        written = stages.stage(f"{name}/publish", key, bodies)
        fated = stages.stage(
            f"{name}/fates",
            {
                "fates": [part.sha256 for part in state.fates],
                "previews": [part.sha256 for part in state.previews],
            },
            [FatesTask(tuple(state.fates), tuple(state.previews))],
        )
        manifest, files = self._manifest(state, bodies, written, exports)
        files["sidecar/fates.parquet"] = fated[0].parts["fates"]
        manifest["files"] += [_entry("sidecar/fates.parquet", fated[0].parts["fates"])]
        _place(stages.root, self._output / name, files, manifest, publish.card(manifest, exports))
        return manifest

    def _manifest(
        self,
        state: DatasetState,
        bodies: Sequence[PublishTask],
        written: Sequence[Output],
        exports: Sequence[Any],
    ) -> tuple[dict[str, Any], dict[str, PartRef]]:
        counts: dict[str, int] = {}
        for body in bodies:
            counts[body.split] = counts.get(body.split, 0) + 1
        seen: dict[str, int] = {}
        shards: list[dict[str, Any]] = []
        beside: list[dict[str, Any]] = []
        files: dict[str, PartRef] = {}
        for body, output in zip(bodies, written, strict=True):
            number = seen.get(body.split, 0)
            seen[body.split] = number + 1
            stem = f"{body.split}-{number:05d}-of-{counts[body.split]:05d}"
            for role, part in output.parts.items():
                suffix = part.path.rsplit(".", 1)[1]
                path = f"{stem}.{suffix}" if role == "main" else f"{role}/{stem}.{suffix}"
                files[path] = part
                if role == "main":
                    shards.append({**_entry(path, part), "split": body.split})
                else:
                    beside.append(_entry(path, part))
        origins = self._origins(state)
        manifest = {
            "format": 1,
            "pipeline": self._job.name,
            "dataset": state.plan.name,
            "kind": state.view.kind,
            "rows": sum(shard["rows"] for shard in shards),
            "shards": shards,
            "files": beside,
            "ledger": state.ledger.to_json(),
            "steps": [
                {
                    "label": link.context.label,
                    "step": link.step.name(),
                    "version": link.step.version,
                    "fields": link.step.model_dump(mode="json"),
                    "counts": state.steps[link.context.label].to_json(),
                    "notes": state.notes.get(link.context.label, {}),
                }
                for link in state.plan.links
            ],
            "from": list(state.plan.parents),
            "inputs": {label: counts.to_json() for label, counts in state.inputs.items()},
            "exports": [export.folder for export in exports],
            "origins": origins,
            "seed": state.plan.links[0].context.seed if state.plan.links else 0,
            "versions": _versions(),
            **({"limited": self._limit} if self._limit is not None else {}),
        }
        return manifest, files

    def _origins(self, state: DatasetState) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], int] = {}
        for shard in range(len(state.view.shards)):
            for frame in state.view.batches(self._stages.root, shard, ["source", "license"]):
                for source, license_, rows in frame.group_by("source", "license").len().iter_rows():
                    key = (source or "", license_ or "")
                    found[key] = found.get(key, 0) + rows
        return [
            {"source": source, "license": license_, "rows": rows}
            for (source, license_), rows in sorted(found.items())
        ]


class _KeyedStages:
    """Stages of one Global: its own key is part of every stage's key."""

    def __init__(self, stages: Stages, key: Mapping[str, Any], memory: int) -> None:
        self._stages = stages
        self._key = key
        self.memory = memory

    @property
    def root(self) -> Path:
        return self._stages.root

    def stage(self, name: str, key: object, bodies: Sequence[Any]) -> list[Output]:
        return self._stages.stage(name, {"global": self._key, "verb": key}, bodies)


def _entry(path: str, part: PartRef) -> dict[str, Any]:
    return {"path": path, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}


def _versions() -> dict[str, str]:
    import platform

    import pyarrow as pa

    return {
        "datatools": datatools.__version__,
        "python": platform.python_version(),
        "polars": pl.__version__,
        "pyarrow": pa.__version__,
    }


def _repeated(keys: Sequence[npt.NDArray[np.uint64]]) -> list[tuple[int, ...]]:
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


def _refuse_repeated_ids(name: str, sizes: Sequence[pl.DataFrame]) -> None:
    repeated = sum(map(len, _repeated([frame["key"].to_numpy() for frame in sizes])))
    if repeated:
        raise DataError(
            f"dataset {name}",
            f"{repeated} records share an id with another record",
            hint="`from:` names datasets that hold the same records: put what they share into one "
            "of them only.",
        )


def _place(
    root: Path,
    folder: Path,
    files: Mapping[str, PartRef],
    manifest: Mapping[str, Any],
    text: str,
) -> None:
    """Put a dataset's files under their final names, the manifest last.

    A manifest that already says the same is left alone, so that a cached run changes nothing.
    """
    target = folder / "manifest.json"
    if _reads(target) == manifest and _stands(root, folder, files):
        return
    folder.mkdir(parents=True, exist_ok=True)
    # From here on the old dataset is gone; a crash leaves a folder that is not a dataset.
    if target.exists():
        target.unlink()
        fsync_directory(folder)
    for old in sorted(folder.rglob("*")):
        # Only what publishing itself names so: a stranger's file is not ours to delete.
        relative = old.relative_to(folder).as_posix()
        if relative not in files and _PUBLISHED.fullmatch(relative):
            old.unlink()
    for path, part in files.items():
        _link(root / part.path, folder / path)
    for directory in {(folder / path).parent for path in files}:
        fsync_directory(directory)
    write_atomic(folder / "README.md", lambda file: file.write(text.encode()))
    write_json(target, manifest)


def _reads(path: Path) -> Any:
    try:
        return read_json(path)
    except (FileNotFoundError, IntegrityError):
        return None


def _stands(root: Path, folder: Path, files: Mapping[str, PartRef]) -> bool:
    """Return whether the published files are those of the cache: the same file, or equal bytes."""
    for path, part in files.items():
        try:
            if os.path.samefile(folder / path, root / part.path):
                continue
            if file_sha256(folder / path) != part.sha256:
                return False
        except OSError:
            return False
    return True


def _link(source: Path, target: Path) -> None:
    """Give a committed file its final name, by hard link where the file system has them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Renaming one name of a file over another does nothing, and would leave the temporary name.
    if target.exists() and target.samefile(source):
        return
    temporary = target.parent / f".tmp-{os.getpid()}-{target.name}"
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        with source.open("rb") as reader:
            write_atomic(target, lambda file: shutil.copyfileobj(reader, file, 1 << 20))
        return
    os.replace(temporary, target)
