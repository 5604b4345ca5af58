"""Running a pipeline from end to end: datasets, publishing, training, verdicts, report.

Owns: the order of the whole job, what counts as success, and the files that say so. Each part is
cached by what it is made from, so a second run changes nothing and a changed line recomputes what
it touches.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from datatools.engine.executors.base import Executor
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.executors.processes import ProcessExecutor
from datatools.engine.lock import held
from datatools.engine.progress import Progress, Silent
from datatools.engine.runner import Runner
from datatools.engine.stages import StageEvent, Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import (
    digest,
    disk_error,
    drop_stale_temporaries,
    file_sha256,
    read_json,
    write_json,
)
from datatools.errors import ConfigError, IntegrityError
from datatools.pipeline import Pipeline, RunSettings, load_pipeline
from datatools.steps import STEPS
from datatools.steps.base import Step

__all__ = ["RunResult", "cache_of", "resolved", "run"]


def cache_of(output: Path) -> Path:
    """Return the folder of intermediate stages of an output; it may be deleted at any time."""
    return output / ".cache"


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        output: The output folder.
        datasets: Manifests of published datasets, by name.
        events: What happened to each stage, in order.
        train: The training report, if the pipeline trains.
        verdicts: The verdicts by name.
        report: The report page, if one was written.
        problems: Why the run counts as failed; empty when it succeeded.
        notes: Damaged input that the run was allowed to leave out.
        seconds: Wall time.
    """

    output: Path
    datasets: Mapping[str, Mapping[str, Any]]
    events: Sequence[StageEvent]
    train: Mapping[str, Any] | None = None
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    report: Path | None = None
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the run succeeded."""
        return not self.problems


@contextlib.contextmanager
def executor_for(settings: RunSettings) -> Iterator[Executor]:
    """Start the executor that the settings name, and stop it at the end."""
    if settings.executor == "ray":
        from datatools.engine.executors.ray import RayExecutor

        with RayExecutor(settings.ray_address, settings.workers) as executor:
            yield executor
        return
    workers = settings.workers or os.cpu_count() or 1
    inline = settings.executor == "inline"
    with InlineExecutor() if inline else ProcessExecutor(workers) as chosen:
        yield chosen


def run(
    pipeline: Pipeline | str | os.PathLike[str],
    *,
    only: Sequence[str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a pipeline and return what it did.

    Args:
        pipeline: The pipeline, or the path of its file.
        only: Datasets to make (with what they need); training, verdicts and report are then left
            out.
        limit: Read at most this many records from the first unit of each source, to try a pipeline
            out.
        progress: Told what happens.

    Raises:
        ConfigError: The pipeline is wrong; nothing was run.
        OutputHeldError: Another run holds the output; nothing was changed.
        DatatoolsError: The run stopped; finished work is kept and the next run goes on from it.
    """
    if not isinstance(pipeline, Pipeline):
        pipeline = load_pipeline(pipeline)
    job = pipeline.job()
    for name in only or ():
        if name not in pipeline.datasets:
            raise ConfigError(
                "--only",
                "there is no such dataset",
                got=name,
                hint=f"Known: {', '.join(pipeline.datasets)}.",
            )
    progress = progress or Silent()
    output = Path(pipeline.output)
    started = time.monotonic()
    owner = f"{pipeline.name} on {socket.gethostname()}, process {os.getpid()}"
    cache = cache_of(output)
    with (
        _disk_errors(output),
        held(output, owner),
        _Watched(progress, cache / "status.json", pipeline.name) as watched,
    ):
        cache.mkdir(exist_ok=True)
        drop_stale_temporaries(output)
        with executor_for(pipeline.run) as executor:
            stages = Stages(cache, executor, watched)
            runner = Runner(job, stages, output, memory=pipeline.run.memory, limit=limit)
            states = runner.run(only)
            manifests = {
                name: runner.publish(name) for name in states if pipeline.datasets[name].publish
            }
        problems = _problems(pipeline.run, states)
        notes = [line for name, state in states.items() for line in _incomplete(name, state)]
        notes = [line for line in notes if line not in problems]
        result = RunResult(output, manifests, stages.events, problems=problems, notes=notes)
        _write_summary(pipeline, result)
        if only is None:
            result = _after(pipeline, result, watched)
        else:
            _forget_stale(pipeline, output, watched)
        result = _replace(result, seconds=time.monotonic() - started)
        _remember_stages(
            cache, result, whole=limit is None and set(states) == set(pipeline.datasets)
        )
        watched.finish(result)
    return result


def _remember_stages(cache: Path, result: RunResult, *, whole: bool) -> None:
    """Write which stages `gc` keeps: a partial run adds to those of the last whole one."""
    path = cache / "used.json"
    used = {event.key for event in result.events}
    if not whole:
        with contextlib.suppress(FileNotFoundError, IntegrityError, TypeError):
            used |= set(read_json(path))
    write_json(path, sorted(used))


@contextlib.contextmanager
def _disk_errors(output: Path) -> Iterator[None]:
    """Tell of a disk that refuses as a `DataError`; finished work is kept."""
    try:
        yield
    except OSError as error:
        raise disk_error(str(error.filename or output), error) from error


def _replace(result: RunResult, **changes: Any) -> RunResult:
    import dataclasses

    return dataclasses.replace(result, **changes)


def _problems(settings: RunSettings, states: Mapping[str, DatasetState]) -> list[str]:
    """Return why the run counts as failed."""
    problems: list[str] = []
    for name, state in states.items():
        own = state.ledger
        lost = own.quarantined.total()
        entered = own.read + own.created
        fraction = lost / entered if entered else 0.0
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in own.quarantined.most_common())
        if settings.on_input_error == "fail":
            if lost:
                problems.append(f"{name}: {lost:,} of {entered:,} records quarantined ({reasons})")
            problems += _incomplete(name, state)
            continue
        for label, counts in state.inputs.items():
            unread = sum(item["end"] - item["start"] for item in counts.incomplete)
            if unread > settings.max_quarantine_fraction * counts.size:
                problems.append(
                    f"{name}: {label} could not read {unread:,} of {counts.size:,}, more than the "
                    f"allowed {settings.max_quarantine_fraction:.3%}"
                )
                problems += _incomplete(name, state)
        if fraction > settings.max_quarantine_fraction:
            problems.append(
                f"{name}: {lost:,} of {entered:,} records quarantined, more than the allowed "
                f"{settings.max_quarantine_fraction:.3%} ({reasons})"
            )
    return problems


def _incomplete(name: str, state: DatasetState) -> list[str]:
    """Name the parts of the input that could not be read."""
    return [
        f"{name}: {label} could not read {item['path']} "
        f"bytes {item['start']:,} to {item['end']:,}: {item['detail']}"
        for label, counts in state.inputs.items()
        for item in counts.incomplete
    ]


# --------------------------------------------------------------------------------------------------
# After the datasets: training, verdicts, report


def _forget_verdicts(output: Path, names: Iterable[str]) -> None:
    """Delete verdicts that an earlier form of the pipeline asked for."""
    for mark in output.glob("verdicts/*.key"):
        if mark.stem not in names:
            for suffix in (".json", ".receipts.parquet", ".key"):
                mark.with_suffix(suffix).unlink(missing_ok=True)


def _after(pipeline: Pipeline, result: RunResult, progress: _Watched) -> RunResult:
    train = _train(pipeline, result, progress) if pipeline.train else None
    verdicts = {name: _verdict(pipeline, result, name, progress) for name in pipeline.validate_}
    result = _replace(result, train=train, verdicts=verdicts)
    _forget_verdicts(result.output, pipeline.validate_)
    return _replace(result, report=_report(pipeline, result, progress))


def _report(pipeline: Pipeline, result: RunResult, progress: _Watched) -> Path:
    """Write the report page, unless it was written from these very numbers."""
    from datatools.report.planted import find_truth

    output = result.output
    told = [output / "run.json", output / "models" / "train.json"]
    told += [*output.glob("*/manifest.json"), *output.glob("verdicts/*.json")]
    truth = find_truth(list(result.datasets.values()))
    told += [truth] if truth is not None else []
    numbers = {str(path): file_sha256(path) for path in told if path.exists()}
    key = digest({"numbers": numbers, "versions": _training_versions()})
    page, mark = output / "report.html", cache_of(output) / "report.key"
    if page.exists() and mark.exists() and mark.read_text() == key:
        progress.stage_ended("report", cached=True)
        return page
    from datatools.report.build import write_report

    progress.stage_started("report", 1, 0)
    page = write_report(output, title=pipeline.name)
    mark.write_text(key)
    progress.stage_ended("report", cached=False)
    return page


def _shards(output: Path, names: Sequence[str]) -> dict[str, list[str]]:
    manifests = {name: read_json(output / name / "manifest.json") for name in names}
    return {name: [shard["sha256"] for shard in manifests[name]["shards"]] for name in names}


def _train_key(pipeline: Pipeline, output: Path) -> str:
    settings = pipeline.train
    assert settings is not None
    names = [n for n in (settings.pretrain, settings.instruct, settings.preference) if n]
    return digest(
        {
            "train": settings.model_dump(mode="json"),
            "seed": pipeline.seed,
            "shards": _shards(output, names),
            "versions": _training_versions(),
        }
    )


def _verdict_key(pipeline: Pipeline, output: Path, name: str) -> str:
    settings = pipeline.validate_[name]
    return digest(
        {
            "validate": settings.model_dump(mode="json"),
            "seed": pipeline.seed,
            "shards": _shards(output, settings.compare),
            "versions": _training_versions(),
        }
    )


def _forget_stale(pipeline: Pipeline, output: Path, progress: _Watched) -> None:
    """Delete numbers and pages about data that a partial run has replaced."""
    results: list[tuple[Path, Callable[[], str]]] = []
    if pipeline.train is not None:
        results.append((output / "models" / "train.json", partial(_train_key, pipeline, output)))
    for name in pipeline.validate_:
        path = output / "verdicts" / f"{name}.json"
        results.append((path, partial(_verdict_key, pipeline, output, name)))
    for path, key in results:
        mark = path.with_suffix(".key")
        try:
            fresh = mark.read_text() == key()
        except FileNotFoundError:
            fresh = not path.exists()
        if not fresh:
            for stale in (mark, path, path.with_suffix(".receipts.parquet")):
                stale.unlink(missing_ok=True)
            (output / "report.html").unlink(missing_ok=True)
            progress.message(f"{path} was about other data and is gone: run the whole pipeline")


def _kept(
    path: Path, key: str, make: Callable[[], None], beside: Sequence[Path] = ()
) -> tuple[Any, bool]:
    """Return the JSON at `path` if it was made from `key`, else make it again.

    Files `beside` it that are gone mean that it must be made again, too.
    """
    mark = path.with_suffix(".key")
    try:
        if mark.read_text() == key and all(file.exists() for file in beside):
            return read_json(path), True
    except (FileNotFoundError, IntegrityError):
        pass
    mark.unlink(missing_ok=True)
    make()
    value = read_json(path)
    mark.write_text(key)
    return value, False


def _train(pipeline: Pipeline, result: RunResult, progress: _Watched) -> Any:
    settings = pipeline.train
    assert settings is not None
    names = [n for n in (settings.pretrain, settings.instruct, settings.preference) if n]
    key = _train_key(pipeline, result.output)
    path = result.output / "models" / "train.json"

    def make() -> None:
        from datatools.train.api import DEFAULT_PROBES, train_all

        train_all(
            result.output,
            pretrain=settings.pretrain,
            instruct=settings.instruct,
            preference=settings.preference,
            size=settings.size,
            tokens=settings.tokens,
            seed=pipeline.seed,
            probes=settings.probes or DEFAULT_PROBES,
            progress=lambda name, done, total: progress.advanced("train", done, total, name),
        )

    progress.stage_started("train", 1, 0)
    models = [result.output / "models" / name / "model.safetensors" for name in names]
    value, cached = _kept(path, key, make, models)
    progress.stage_ended("train", cached=cached)
    return value


def _verdict(pipeline: Pipeline, result: RunResult, name: str, progress: _Watched) -> Any:
    settings = pipeline.validate_[name]
    key = _verdict_key(pipeline, result.output, name)
    folder = result.output / "verdicts"
    path = folder / f"{name}.json"

    def make() -> None:
        from datatools.judge.compare import measure
        from datatools.judge.decision import recompute

        before, after = settings.compare
        receipts = measure(
            result.output / before,
            result.output / after,
            tier=settings.tier,
            seed=pipeline.seed,
            names=settings.compare,
            progress=lambda done, total, what: progress.advanced(
                f"verdict {name}", done, total, what
            ),
        )
        folder.mkdir(exist_ok=True)
        receipts.save(folder / f"{name}.receipts.parquet")
        write_json(path, recompute(receipts).model_dump(mode="json"))

    progress.stage_started(f"verdict {name}", 1, 0)
    value, cached = _kept(path, key, make)
    progress.stage_ended(f"verdict {name}", cached=cached)
    return value


def _training_versions() -> dict[str, str]:
    import importlib.metadata

    import datatools

    return {"datatools": datatools.__version__, "torch": importlib.metadata.version("torch")}


def _spelled(step: Step) -> str:
    """Return a step as a pipeline file names it: its class, with the module if it is not ours."""
    kind = type(step)
    return step.name() if step.name() in STEPS else f"{kind.__module__}:{kind.__qualname__}"


def resolved(pipeline: Pipeline) -> dict[str, Any]:
    """Return the pipeline as JSON with every default filled in."""
    import orjson

    datasets = {
        name: {
            "from": list(dataset.parents) or None,
            "steps": [{_spelled(step): step.model_dump(mode="json")} for step in dataset.steps],
            "export": [
                {export.folder: export.model_dump(mode="json")} for export in dataset.export
            ],
            "publish": dataset.publish,
        }
        for name, dataset in pipeline.datasets.items()
    }
    plain = pipeline.model_dump(mode="json", by_alias=True, exclude={"datasets"})
    value: dict[str, Any] = orjson.loads(orjson.dumps({**plain, "datasets": datasets}))
    return value


def _write_summary(pipeline: Pipeline, result: RunResult) -> None:
    """Write `run.json`: the resolved pipeline, and what the run of it came to."""
    write_json(
        result.output / "run.json",
        {
            "pipeline": resolved(pipeline),
            "datasets": sorted(result.datasets),
            "problems": list(result.problems),
        },
    )


class _Watched:
    """Passes progress on, and keeps a status file that `datatools status` reads."""

    EVERY_S = 1.0

    def __init__(self, progress: Progress, path: Path, name: str) -> None:
        self._progress = progress
        self._path = path
        self._status: dict[str, Any] = {
            "pipeline": name,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": time.time(),
            "state": "running",
            "stage": None,
            "done": 0,
            "tasks": 0,
            "stages_ended": 0,
            "stages_cached": 0,
        }
        self._written = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:
            self._status["state"] = "stopped"
            with contextlib.suppress(OSError):  # a full disk is told of by what stopped the run
                self._save(now=True)

    def _save(self, *, now: bool) -> None:
        clock = time.monotonic()
        if now or clock - self._written >= self.EVERY_S:
            self._written = clock
            self._status["updated"] = time.time()
            write_json(self._path, self._status, durable="none")

    def stage_started(self, name: str, tasks: int, done: int) -> None:
        self._status.update(stage=name, tasks=tasks, done=done)
        self._save(now=False)
        self._progress.stage_started(name, tasks, done)

    def task_ended(self, name: str) -> None:
        self._status["done"] += 1
        self._save(now=False)
        self._progress.task_ended(name)

    def advanced(self, name: str, done: int, total: int, what: str) -> None:
        self._status.update(done=done, tasks=total)
        self._save(now=False)
        self._progress.advanced(name, done, total, what)

    def stage_ended(self, name: str, *, cached: bool) -> None:
        self._status["stages_ended"] += 1
        self._status["stages_cached"] += cached
        self._progress.stage_ended(name, cached=cached)

    def message(self, text: str) -> None:
        self._progress.message(text)

    def finish(self, result: RunResult) -> None:
        self._status.update(state="ended" if result.ok else "failed", stage=None)
        self._save(now=True)
