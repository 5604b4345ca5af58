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
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from datatools.engine.executors.base import Executor
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.executors.processes import ProcessExecutor
from datatools.engine.progress import Progress, Silent
from datatools.engine.rule_counts import RuleCount
from datatools.engine.runner import Runner
from datatools.engine.stages import StageEvent, Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import disk_error, indented_json, read_json, write_atomic, write_json
from datatools.engine.stores import StageStore
from datatools.engine.tasks import Limits
from datatools.errors import ConfigError, DatatoolsError, IntegrityError, suggestion
from datatools.inquiry.verifying import left_over
from datatools.job.conclusions import (
    Conclusion,
    report_conclusion,
    report_inputs,
    shard_digests,
    training_conclusion,
    verdict_conclusion,
)
from datatools.job.gaps import counted_in, gap_words
from datatools.job.remarks import remarks
from datatools.outputs.addresses import CACHE, Output, output_at
from datatools.pipeline.definition import Pipeline, RunSettings, load_pipeline
from datatools.pipeline.inputs import find_inputs
from datatools.pipeline.own_output import TRIAL
from datatools.steps import STEPS
from datatools.steps.base import Step

__all__ = ["RunResult", "cache_of", "resolved", "run"]

LEAST_WORKER_BYTES = 1 << 30
"""A worker's share of the memory on machines with many cores: below it, what steps load once would
already be too much."""


def cache_of(output: Path) -> Path:
    """Return the folder of intermediate stages of an output; it may be deleted at any time."""
    return output / CACHE


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        output: The folder where the output's files lie on this machine; of a run with a limit the
            folder `trial` in it. Of an output at a URL it is the desk, with what the run needed.
        datasets: Manifests of published datasets, by name.
        events: What happened to each stage, in order.
        train: The training report, if the pipeline trains.
        verdicts: The verdicts by name.
        report: The report page, if one was written.
        problems: Why the run counts as failed; empty when it succeeded.
        rules: What each rule of each filter did, by dataset and step label.
        notes: What a run that succeeded still has to tell: damaged input that it was allowed to
            leave out, rules that never fired, files and datasets without records, datasets that
            the pipeline has no more.
        seconds: Wall time.
        address: How people call the output: its folder or its URL.
    """

    output: Path
    datasets: Mapping[str, Mapping[str, Any]]
    events: Sequence[StageEvent]
    train: Mapping[str, Any] | None = None
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    report: Path | None = None
    problems: Sequence[str] = ()
    rules: Mapping[str, Mapping[str, Sequence[RuleCount]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seconds: float = 0.0
    address: str = ""

    @property
    def ok(self) -> bool:
        """Whether the run succeeded."""
        return not self.problems


def limits_of(settings: RunSettings) -> Limits:
    """Return what a worker may take: its share of the run's memory, and the time to stand still."""
    share = settings.memory // _workers(settings)
    return Limits(settings.stall_s, max(LEAST_WORKER_BYTES, share))


def _workers(settings: RunSettings) -> int:
    return 1 if settings.executor == "inline" else settings.workers or os.cpu_count() or 1


@contextlib.contextmanager
def executor_for(settings: RunSettings) -> Iterator[Executor]:
    """Start the executor that the settings name, and stop it at the end."""
    if settings.executor == "ray":
        from datatools.engine.executors.ray import RayExecutor

        with RayExecutor(settings.ray_address, settings.workers) as executor:
            yield executor
        return
    inline = settings.executor == "inline"
    with InlineExecutor() if inline else ProcessExecutor(_workers(settings)) as chosen:
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
            out. A trial writes to the folder `trial` in the output, and to nothing else.
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
                hint=suggestion(name, pipeline.datasets),
            )
    find_inputs(pipeline, job, only)
    progress = progress or Silent()
    whole = output = output_at(pipeline.output)
    if urlsplit(whole.address).scheme == "memory" and pipeline.run.executor != "inline":
        raise ConfigError(
            "output",
            "lies in the memory of this process, where the workers cannot write",
            got=whole.address,
            hint="Set `run.executor` to inline, or give a folder or the URL of a store.",
        )
    if limit is not None:
        output = whole.at(TRIAL)
        pipeline = pipeline.model_copy(update={"output": output.address})
    started = time.monotonic()
    owner = f"{pipeline.name} on {socket.gethostname()}, process {os.getpid()}"
    with (
        _disk_errors(output.folder),
        whole.held(owner),  # for a trial, too: a run sweeps all that lies below its output
        contextlib.nullcontext() if output is whole else output.held(owner),
        _Watched(progress, output, pipeline.name) as watched,
    ):
        output.sweep()
        with executor_for(pipeline.run) as executor:
            stages = Stages(output.store.address, executor, watched, limits=limits_of(pipeline.run))
            runner = Runner(job, stages, output.shelf, memory=pipeline.run.memory, limit=limit)
            states = runner.run(only)
            manifests = {
                name: runner.publish(name) for name in states if pipeline.datasets[name].publish
            }
        problems = _problems(pipeline.run, states)
        notes = [line for name, state in states.items() for line in _incomplete(name, state)]
        notes = [line for line in notes if line not in problems] + remarks(states)
        rules = {name: state.rules for name, state in states.items()}
        result = RunResult(
            output.folder,
            manifests,
            stages.events,
            problems=problems,
            rules=rules,
            notes=notes,
            address=output.address,
        )
        output.bring_conclusions()
        _write_summary(pipeline, result)
        output.send()
        if manifests:
            result = _replace(result, notes=[*notes, *_left_over(output)])
        if only is None:
            result = _after(pipeline, result, watched)
        else:
            _forget_stale(pipeline, output.folder, watched)
        output.send()
        result = _replace(result, seconds=time.monotonic() - started)
        _remember_stages(output.store, result, whole=set(states) == set(pipeline.datasets))
        watched.finish(result)
    return result


def _remember_stages(store: StageStore, result: RunResult, *, whole: bool) -> None:
    """Write which stages `gc` keeps: a partial run adds to those of the last whole one."""
    used = {event.key for event in result.events}
    if not whole:
        with contextlib.suppress(FileNotFoundError, IntegrityError, TypeError):
            used |= set(store.read("used.json"))
    store.write("used.json", sorted(used))


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


def _left_over(output: Output) -> list[str]:
    """Name published datasets that the pipeline has no more: nobody else would."""
    return [
        f"{output.address}/{name} is left over: the pipeline does not publish it any more, and the "
        "report leaves it out; delete the folder if you do not need it"
        for name in left_over(output.folder)
    ]


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
                    f"{name}: {label} could not read {unread:,} of {counts.size:,} "
                    f"{counted_in(label)}, more than the allowed "
                    f"{settings.max_quarantine_fraction:.3%}"
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
        f"{name}: {gap_words(label, gap)}"
        for label, counts in state.inputs.items()
        for gap in counts.incomplete
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
    page = report_conclusion(result.output, cache_of(result.output))
    inputs = report_inputs(result.output, list(result.datasets.values()))

    def make() -> None:
        from datatools.report.build import write_report

        write_report(result.output, title=pipeline.name)

    _make_unless_kept(page, inputs, make, progress)
    return page.path


def _forget_stale(pipeline: Pipeline, output: Path, progress: _Watched) -> None:
    """Delete numbers and pages about data that a partial run has replaced."""
    asked = [verdict_conclusion(pipeline, name) for name in pipeline.validate_]
    if pipeline.train is not None:
        asked.append(training_conclusion(pipeline))
    for one in asked:
        try:
            manifests = {n: read_json(output / n / "manifest.json") for n in one.datasets}
            fresh = not one.reasons(shard_digests(manifests, one.datasets))
        except FileNotFoundError:  # a dataset of it was never published
            fresh = False
        if not fresh and one.path.exists():
            for stale in (one.mark, one.path, one.path.with_suffix(".receipts.parquet")):
                stale.unlink(missing_ok=True)
            (output / "report.html").unlink(missing_ok=True)
            progress.message(f"{one.path} was about other data and is gone: run the whole pipeline")


def _make_unless_kept(
    one: Conclusion, inputs: Mapping[str, str], make: Callable[[], None], progress: _Watched
) -> None:
    """Make a conclusion, unless it is there and was made from these inputs."""
    progress.stage_started(one.name, 1, 0)
    cached = not one.reasons(inputs)
    if not cached:
        progress.output.bring_datasets(one.datasets or None)
        one.mark.unlink(missing_ok=True)
        make()
        write_json(one.mark, one.recipe(inputs))
        progress.output.send()
    progress.stage_ended(one.name, cached=cached)


def _train(pipeline: Pipeline, result: RunResult, progress: _Watched) -> Any:
    settings = pipeline.train
    assert settings is not None
    one = training_conclusion(pipeline)

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

    inputs = shard_digests(result.datasets, one.datasets)
    _make_unless_kept(one, inputs, make, progress)
    return read_json(one.path)


def _verdict(pipeline: Pipeline, result: RunResult, name: str, progress: _Watched) -> Any:
    settings = pipeline.validate_[name]
    one = verdict_conclusion(pipeline, name)

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
            progress=lambda done, total, what: progress.advanced(one.name, done, total, what),
        )
        one.path.parent.mkdir(exist_ok=True)
        receipts.save(one.path.with_suffix(".receipts.parquet"))
        write_json(one.path, recompute(receipts).model_dump(mode="json"))

    inputs = shard_digests(result.datasets, one.datasets)
    _make_unless_kept(one, inputs, make, progress)
    return read_json(one.path)


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
    path = result.output / "run.json"
    value = {
        "pipeline": resolved(pipeline),
        "datasets": sorted(result.datasets),
        "problems": list(result.problems),
    }
    data = indented_json(value)
    if not path.exists() or path.read_bytes() != data:
        write_atomic(path, lambda file: file.write(data))


class _Watched:
    """Passes progress on, and keeps a status file that `datatools status` reads.

    Attributes:
        output: The output that the run writes to.
    """

    def __init__(self, progress: Progress, output: Output, name: str) -> None:
        self.output = output
        self._progress = progress
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
            # A full disk, or a store out of reach, is told of by what stopped the run.
            with contextlib.suppress(OSError, DatatoolsError):
                self._save(now=True)

    def _save(self, *, now: bool) -> None:
        clock = time.monotonic()
        if now or clock - self._written >= self.output.status_every_s:
            self._written = clock
            self._status["updated"] = time.time()
            self.output.store.write("status.json", self._status)

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
