"""What a run would do: its stages, which of them are cached, and why the others are not.

Owns: datasets, publishing, training, verdicts and the report, told in the order in which a run
makes them. Refuses: how long they take (`forecasting`), and running them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.plan import DatasetPlan, segments
from datatools.engine.progress import Silent
from datatools.engine.runner import Runner
from datatools.engine.stages import NotCachedError, Stages
from datatools.engine.store import read_json
from datatools.errors import ConfigError, IntegrityError
from datatools.job.conclusions import (
    Conclusion,
    report_conclusion,
    report_inputs,
    shard_digests,
    training_conclusion,
    verdict_conclusion,
)
from datatools.job.differences import differences
from datatools.job.running import cache_of, resolved
from datatools.outputs.addresses import LocalOutput, output_at
from datatools.pipeline.definition import Pipeline
from datatools.pipeline.inputs import find_inputs

__all__ = ["Plan", "PlannedConclusion", "PlannedDataset", "plan"]


@dataclass(frozen=True)
class PlannedDataset:
    """What a run would do for one dataset.

    Attributes:
        name: Its name.
        parents: Datasets it is made from.
        segments: Per segment its steps' labels and `cached`, `run`, `decide` (measured already;
            only thresholds are applied anew) or `after` (its input is not made yet, so whether it
            is cached cannot be known).
        waits_for: Datasets it reads that a run would make first.
        published: `cached`, `run` or `after`; None if it is not published.
        explained: What steps say of themselves, by label; steps that say nothing are left out.
        units: Units of its input; 0 without a Source.
        input_bytes: Bytes of its input, as stored.
        notes: What the user should know.
    """

    name: str
    parents: Sequence[str]
    segments: Sequence[tuple[Sequence[str], str]]
    waits_for: Sequence[str]
    published: str | None
    explained: Mapping[str, Sequence[str]]
    units: int
    input_bytes: int
    notes: Sequence[str]


@dataclass(frozen=True)
class PlannedConclusion:
    """What a run would do for training, a verdict or the report.

    Attributes:
        name: `train`, `verdict NAME` or `report`.
        datasets: Datasets it reads.
        state: `cached`, `run`, or `after`: only once what it waits for is made can be known
            whether it is cached.
        why: Why it would run, e.g. `train.tokens: 400000 -> 500000` or `pretrain changed`.
        waits_for: Datasets and other conclusions it reads that a run would make first.
    """

    name: str
    datasets: Sequence[str]
    state: str
    why: Sequence[str]
    waits_for: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        datasets: In the order in which they run.
        conclusions: Training, verdicts and the report, in the order in which they run.
        changes: Fields that differ from the last run of this output, as `path: old -> new`.
        free_bytes: Free space on the output's disk; None for an output at a URL.
    """

    datasets: Sequence[PlannedDataset]
    conclusions: Sequence[PlannedConclusion]
    changes: Sequence[str]
    free_bytes: int | None


def plan(pipeline: Pipeline) -> Plan:
    """Return what a run of the pipeline would do, running nothing.

    Raises:
        ConfigError: The pipeline is wrong, or an input file is not there.
    """
    job = pipeline.job()
    find_inputs(pipeline, job)
    there = output_at(pipeline.output)
    there.bring_conclusions()
    output = there.folder
    disk = _disk(output)
    stages = Stages(there.store.address, InlineExecutor(), Silent(), dry=True)
    runner = Runner(job, stages, there.shelf, memory=pipeline.run.memory)
    blocked: set[str] = set()
    manifests: dict[str, Mapping[str, Any]] = {}
    datasets: list[PlannedDataset] = []
    for dataset in job.datasets:
        before = len(stages.events)
        waits_for = [name for name in dataset.needs if name in blocked]
        reached: str | None = "after" if waits_for else None
        if not waits_for:
            try:
                runner.run([dataset.name])
            except NotCachedError as stop:
                reached = stop.name
        if reached is not None:
            blocked.add(dataset.name)
        done = [event.name for event in stages.events[before:]]
        published = None
        if dataset.publish:
            published = "after" if reached else _published(runner, output, dataset.name, manifests)
        units = dataset.units
        datasets.append(
            PlannedDataset(
                dataset.name,
                dataset.parents,
                _states(dataset.name, segments(job, dataset), done, reached),
                waits_for,
                published,
                _explained(dataset),
                len(units),
                sum(unit.end - unit.start for unit in units),
                _notes(units),
            )
        )
    return Plan(
        datasets,
        _conclusions(pipeline, output, datasets, manifests),
        _changes(pipeline, output),
        shutil.disk_usage(disk).free if isinstance(there, LocalOutput) else None,
    )


def _disk(output: Path) -> Path:
    """Return a folder on the disk that the output is or will be on.

    Raises:
        ConfigError: The output cannot be a folder there.
    """
    for place in (output, *output.absolute().parents):
        try:
            if not stat.S_ISDIR(os.stat(place).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(
                str(output),
                "cannot be written",
                got=error.strerror,
                hint="Choose another `output:`, or change its permissions.",
            ) from error
        return place
    raise AssertionError("the root folder is always there")


# --------------------------------------------------------------------------------------------------
# Datasets


def _published(
    runner: Runner, output: Path, name: str, manifests: dict[str, Mapping[str, Any]]
) -> str:
    """Say whether a dataset is published as a run would; keep the manifest, if it can be known."""
    try:
        manifests[name] = runner.manifest(name)
    except NotCachedError:
        return "run"
    return "cached" if _json(output / name / "manifest.json") == manifests[name] else "run"


def _json(path: Path) -> Any:
    """Return a JSON file's value, None if it is not there or damaged."""
    try:
        return read_json(path)
    except (FileNotFoundError, IntegrityError):
        return None


def _states(
    name: str, parts: Sequence[Any], done: Sequence[str], reached: str | None
) -> list[tuple[Sequence[str], str]]:
    """Say per segment whether it is cached, would run, or comes after one that would."""
    states: list[tuple[Sequence[str], str]] = []
    stopped = reached == "after"
    for part in parts:
        labels = [link.context.label for link in part.links]
        stem = f"{name}/{'+'.join(labels)}"
        if not stopped and reached is not None and _belongs(reached, stem):
            measured = f"{stem} measure" in done
            states.append((labels, "decide" if measured else "run"))
            stopped = True
        # Between two segments stand stages that look up ids and texts; one of them can be missing.
        elif stopped or not (reached is None or any(_belongs(one, stem) for one in done)):
            states.append((labels, "after"))
            stopped = True
        else:
            states.append((labels, "cached"))
    return states


def _belongs(stage: str, stem: str) -> bool:
    """Return whether a stage is one of the segment's: `d/Split` has no part in `d/Split#2`."""
    return stage in (stem, f"{stem} measure", f"{stem} decide") or stage.startswith(f"{stem}/")


def _explained(dataset: DatasetPlan) -> dict[str, list[str]]:
    said = {link.context.label: list(link.step.explains()) for link in dataset.links}
    return {label: lines for label, lines in said.items() if lines}


def _notes(units: Sequence[Any]) -> list[str]:
    """Name files that cannot be cut, so that one worker reads each."""
    whole = [u for u in units if u.start == 0 and u.end == u.size and u.size > 256_000_000]
    return [f"{u.relpath} ({u.size:,} bytes) is one unit: one worker reads it" for u in whole]


# --------------------------------------------------------------------------------------------------
# Training, verdicts, report


def _conclusions(
    pipeline: Pipeline,
    output: Path,
    datasets: Sequence[PlannedDataset],
    manifests: Mapping[str, Mapping[str, Any]],
) -> list[PlannedConclusion]:
    asked = [training_conclusion(pipeline)] if pipeline.train is not None else []
    asked += [verdict_conclusion(pipeline, name) for name in pipeline.validate_]
    planned = [_planned(one, manifests) for one in asked]
    waits_for = [one.name for one in datasets if one.published in ("run", "after")]
    waits_for += [one.name for one in planned if one.state != "cached"]
    report = report_conclusion(output, cache_of(output))
    summary = _json(output / "run.json")
    same = isinstance(summary, dict) and (
        summary.get("pipeline") == resolved(pipeline)
        and summary.get("datasets") == sorted(manifests)
    )
    inputs = report_inputs(output, list(manifests.values()))
    why = report.reasons(dict.fromkeys(inputs) if waits_for else inputs)
    if not why and not waits_for and not same:
        why = ["the pipeline changed"]
    return [*planned, PlannedConclusion("report", (), _state(why, waits_for), why, waits_for)]


def _planned(one: Conclusion, manifests: Mapping[str, Mapping[str, Any]]) -> PlannedConclusion:
    waits_for = [name for name in one.datasets if name not in manifests]
    known = [name for name in one.datasets if name in manifests]
    why = one.reasons({**dict.fromkeys(waits_for), **shard_digests(manifests, known)})
    return PlannedConclusion(one.name, one.datasets, _state(why, waits_for), why, waits_for)


def _state(why: Sequence[str], waits_for: Sequence[str]) -> str:
    return "run" if why else "after" if waits_for else "cached"


# --------------------------------------------------------------------------------------------------
# Changes


def _changes(pipeline: Pipeline, output: Path) -> list[str]:
    last = _json(output / "run.json")
    if not isinstance(last, dict) or "pipeline" not in last:
        return []
    return differences(last["pipeline"], resolved(pipeline))
