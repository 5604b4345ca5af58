"""What a run would do: its stages, which of them are cached, and what changed."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.plan import segments, units_of
from datatools.engine.progress import Silent
from datatools.engine.runner import Runner
from datatools.engine.stages import NotCachedError, Stages
from datatools.engine.store import read_json
from datatools.errors import ConfigError, IntegrityError
from datatools.pipeline import Pipeline
from datatools.running import RunResult, cache_of, resolved, run

__all__ = ["DatasetForecast", "Forecast", "Plan", "forecast", "plan"]


@dataclass(frozen=True)
class DatasetForecast:
    """What a run would do for one dataset.

    Attributes:
        name: Its name.
        parents: Datasets it is made from.
        segments: Per segment its steps' labels and `cached`, `run`, `decide` (measured already;
            only thresholds are applied anew) or `after` (its input is not made yet, so whether it
            is cached cannot be known).
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


@dataclass(frozen=True)
class Forecast:
    """What a run of everything, nothing cached, would take, by proportion from a sample.

    Attributes:
        sample_records: Records that were run.
        sample_bytes: Bytes of input they came from.
        input_bytes: Bytes of the whole input.
        seconds: Wall time of the datasets, without training and verdicts.
        disk_bytes: Cache and published files together; what is published is linked, not copied.
        memory_bytes: Memory of all workers: what one held, times their number.
    """

    sample_records: int
    sample_bytes: int
    input_bytes: int
    seconds: float
    disk_bytes: int
    memory_bytes: int


def forecast(pipeline: Pipeline, records: int = 500) -> Forecast:
    """Run a sample of each source in this process and say what the whole would take.

    The sample is the first records of each source's first unit, so a crawl whose files differ much
    is forecast badly; the figures are good to about a factor of two.

    Args:
        pipeline: The pipeline.
        records: Records per source.

    Raises:
        DatatoolsError: The sample could not be run.
    """
    whole = sum(unit.end - unit.start for d in pipeline.job().datasets for unit in units_of(d))
    workers = pipeline.run.workers or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="datatools-forecast-") as folder:

        def sample(name: str, limit: int) -> RunResult:
            settings = pipeline.run.model_copy(
                update={"executor": "inline", "on_input_error": "quarantine"}
            )
            output = str(Path(folder) / name)
            tried = pipeline.model_copy(update={"run": settings, "output": output})
            return run(tried, only=list(pipeline.datasets), limit=limit)

        # A first, tiny run loads models and compiled kernels, which a real run does once.
        sample("warm", 8)
        result = sample("sample", records)
        sources = [m for m in result.datasets.values() if m["inputs"]]
        read = sum(m["steps"][0]["counts"]["read"] for m in sources)
        consumed = sum(
            counts["consumed"] + sum(counts["skipped"].values())
            for manifest in sources
            for counts in manifest["inputs"].values()
        )
        stored = sum(
            path.stat().st_size
            for path in (Path(folder) / "sample" / ".cache").rglob("*")
            if path.is_file()
        )
    times = whole / consumed if consumed else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Forecast(
        read, consumed, whole, result.seconds * times / workers, int(stored * times), peak * workers
    )


def plan(pipeline: Pipeline) -> Plan:
    """Return what a run of the pipeline would do, running nothing.

    Raises:
        ConfigError: The pipeline is wrong, or an input file is not there.
    """
    job = pipeline.job()
    output = Path(pipeline.output)
    disk = _disk(output)
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
        units = units_of(dataset)
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
    return Plan(forecasts, _changes(pipeline, output), shutil.disk_usage(disk).free)


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
        changes.append(f"{path}: {_brief(old)} -> {_brief(new)}")


def _brief(value: Any) -> str:
    """Return a value in words; of steps and datasets only names, for their fields fill pages."""
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return "[" + ", ".join(", ".join(item) for item in value) + "]"
    return "{" + ", ".join(value) + "}" if isinstance(value, Mapping) else repr(value)
