"""What a run would do: its stages, which of them are cached, and what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.plan import segments
from datatools.engine.progress import Silent
from datatools.engine.runner import Runner
from datatools.engine.stages import NotCachedError, Stages
from datatools.engine.store import read_json
from datatools.errors import IntegrityError
from datatools.pipeline import Pipeline
from datatools.running import cache_of, resolved
from datatools.steps.base import Source

__all__ = ["DatasetForecast", "Plan", "plan"]


@dataclass(frozen=True)
class DatasetForecast:
    """What a run would do for one dataset.

    Attributes:
        name: Its name.
        parents: Datasets it is made from.
        segments: Per segment its steps' labels and `cached`, `run` or `after` (its input is not
            made yet, so whether it is cached cannot be known).
        units: Units of its input; 0 without a Source.
        input_bytes: Bytes of its input, as stored.
        notes: What the user should know.
    """

    name: str
    parents: Sequence[str]
    segments: Sequence[tuple[Sequence[str], str]]
    units: int
    input_bytes: int
    notes: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        datasets: In the order in which they run.
        changes: Fields that differ from the last run of this output, as `path: old -> new`.
        free_bytes: Free space on the output's disk.
    """

    datasets: Sequence[DatasetForecast]
    changes: Sequence[str]
    free_bytes: int


def plan(pipeline: Pipeline) -> Plan:
    """Return what a run of the pipeline would do, running nothing.

    Raises:
        ConfigError: The pipeline is wrong, or an input file is not there.
    """
    import shutil

    job = pipeline.job()
    output = Path(pipeline.output)
    events: list[str] = []
    stages = Stages(cache_of(output), InlineExecutor(), Silent(), dry=True)
    runner = Runner(job, stages, output, memory=pipeline.run.memory)
    blocked: set[str] = set()
    forecasts: list[DatasetForecast] = []
    for dataset in job.datasets:
        before = len(stages.events)
        reached: str | None = None
        if blocked & set(dataset.needs):
            blocked.add(dataset.name)
            reached = "after"
        else:
            try:
                runner.run([dataset.name])
            except NotCachedError as stop:
                blocked.add(dataset.name)
                reached = stop.name
        done = [event.name for event in stages.events[before:]]
        states = _states(dataset.name, segments(job, dataset), done, reached)
        units = _units(dataset)
        events += done
        forecasts.append(
            DatasetForecast(
                dataset.name,
                dataset.parents,
                states,
                len(units),
                sum(unit.end - unit.start for unit in units),
                _notes(units),
            )
        )
    where = output if output.exists() else Path.cwd()
    return Plan(forecasts, _changes(pipeline, output), shutil.disk_usage(where).free)


def _states(
    name: str, parts: Sequence[Any], done: Sequence[str], reached: str | None
) -> list[tuple[Sequence[str], str]]:
    """Say per segment whether it is cached, would run, or comes after one that would."""
    states: list[tuple[Sequence[str], str]] = []
    stopped = reached == "after"
    for part in parts:
        labels = [link.context.label for link in part.links]
        stem = f"{name}/{'+'.join(labels)}"
        if stopped:
            states.append((labels, "after"))
        elif reached is not None and reached.startswith(stem):
            measured = f"{stem} measure" in done
            states.append((labels, "decide" if measured else "run"))
            stopped = True
        else:
            states.append((labels, "cached"))
    return states


def _units(dataset: Any) -> list[Any]:
    first = dataset.links[0].step if dataset.links else None
    return first.units() if isinstance(first, Source) else []


def _notes(units: Sequence[Any]) -> list[str]:
    """Name files that cannot be cut, so that one worker reads each."""
    whole = [u for u in units if u.start == 0 and u.end == u.size and u.size > 256_000_000]
    return [f"{u.relpath} ({u.size:,} bytes) is one unit: one worker reads it" for u in whole]


def _changes(pipeline: Pipeline, output: Path) -> list[str]:
    try:
        last = read_json(output / "run.json")["pipeline"]
    except (FileNotFoundError, IntegrityError, KeyError):
        return []
    changes: list[str] = []
    _compare("", last, resolved(pipeline), changes)
    return changes


def _compare(path: str, old: Any, new: Any, changes: list[str]) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            _compare(f"{path}.{key}" if path else key, old.get(key), new.get(key), changes)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            _compare(f"{path}[{index}]", left, right, changes)
    elif old != new:
        changes.append(f"{path}: {old!r} -> {new!r}")
