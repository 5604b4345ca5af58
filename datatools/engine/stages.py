"""Stages: a keyed list of tasks that is run once, resumed where it stopped, and found again.

The one place where an executor's results become committed state: retries, resume and the manifest
of a stage are here, alike for every executor. A stage's directory is named by its key; its manifest
is written last, so a directory without one is a stage that has not ended, whose finished tasks
count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datatools.engine.executors.base import Done, Executor, ForeignError
from datatools.engine.progress import Progress
from datatools.engine.store import (
    digest,
    disk_error,
    file_sha256,
    fsync_directory,
    read_json,
    write_json,
)
from datatools.engine.tasks import Body, Output, Task
from datatools.errors import DataError, DatatoolsError, IntegrityError

__all__ = ["FORMAT", "Bodies", "StageEvent", "Stages"]

Bodies = Sequence[Body] | Callable[[], Sequence[Body]]

FORMAT = 1
"""Part of every key: bumped when the engine's own files change shape."""
MAX_DEATHS = 3
"""How often a task's worker may die before the run stops."""


@dataclass(frozen=True)
class StageEvent:
    """What happened to a stage in this run.

    Attributes:
        name: Its label, `dataset/step`.
        key: Its key.
        cached: Whether it was found committed.
        tasks: Its tasks.
        ran: Tasks that ran now (the others were found finished).
        seconds: Wall time.
    """

    name: str
    key: str
    cached: bool
    tasks: int
    ran: int
    seconds: float


@dataclass
class Stages:
    """Runs stages through an executor into a store.

    Attributes:
        root: The store's root; stages live in `root/stages/<key>`.
        executor: Runs tasks.
        progress: Told what happens.
        events: What happened, in order.
        dry: Whether to refuse to run anything that is not cached (for `plan`).
    """

    root: Path
    executor: Executor
    progress: Progress
    events: list[StageEvent] = field(default_factory=list)
    dry: bool = False
    _asked: dict[str, list[Output]] = field(default_factory=dict, init=False, repr=False)

    def stage(self, name: str, key: object, bodies: Bodies) -> list[Output]:
        """Return the outputs of a stage's tasks, in order, running those that are not committed.

        Args:
            name: Label for people; not part of the key.
            key: JSON-able value; equal keys mean equal outputs.
            bodies: One per task, or a function that makes them, called only when the stage must
                run.

        Raises:
            DatatoolsError: A task failed in a way that running again cannot mend.
            NotCachedError: In a dry run, when the stage is not committed.
        """
        started = time.monotonic()
        hashed = digest({"format": FORMAT, "key": key})[:32]
        if hashed in self._asked:
            return self._asked[hashed]
        directory = f"stages/{hashed}"
        manifest = self.root / directory / "manifest.json"
        found = self._committed(manifest)
        if found is not None:
            self._end(name, hashed, found, 0, started)
            return found
        if self.dry:
            raise NotCachedError(name)
        if callable(bodies):
            bodies = bodies()
        tasks = [Task(str(self.root), directory, i, body) for i, body in enumerate(bodies)]
        waiting = [task for task in tasks if not self._task_done(task)]
        self.progress.stage_started(name, len(tasks), len(tasks) - len(waiting))
        outputs = self._run(name, waiting)
        for task in tasks:
            if task.index not in outputs:
                outputs[task.index] = Output.from_json(read_json(task.record))
        ordered = [outputs[task.index] for task in tasks]
        fsync_directory(manifest.parent)
        write_json(
            manifest,
            {
                "name": name,
                "key": hashed,
                "outputs": [output.to_json() for output in ordered],
                "times": self._times(ordered),
            },
        )
        for task in tasks:
            task.record.unlink(missing_ok=True)
        self._end(name, hashed, ordered, len(waiting), started)
        return ordered

    def _end(self, name: str, key: str, outputs: list[Output], ran: int, started: float) -> None:
        seconds = time.monotonic() - started
        cached = ran == 0
        self._asked[key] = outputs
        self.events.append(StageEvent(name, key, cached, len(outputs), ran, seconds))
        self.progress.stage_ended(name, cached=cached)

    def _whole(self, outputs: Sequence[Output], times: Mapping[str, int]) -> bool:
        """Return whether the parts are there as committed.

        A published file is the same file as its part, by hard link, so whoever edits it edits the
        cache. Its time tells; its digest decides.
        """
        for output in outputs:
            for part in output.parts.values():
                path = self.root / part.path
                try:
                    status = os.stat(path)
                    if status.st_size != part.bytes:
                        return False
                    if times.get(part.path, status.st_mtime_ns) != status.st_mtime_ns and (
                        file_sha256(path) != part.sha256
                    ):
                        path.unlink()
                        self.progress.message(f"{part.path} was changed: it is made again")
                        return False
                except OSError:
                    return False
        return True

    def _times(self, outputs: Sequence[Output]) -> dict[str, int]:
        paths = [part.path for output in outputs for part in output.parts.values()]
        return {path: os.stat(self.root / path).st_mtime_ns for path in paths}

    def _committed(self, manifest: Path) -> list[Output] | None:
        try:
            value = read_json(manifest)
            outputs = [Output.from_json(output) for output in value["outputs"]]
            times = dict(value["times"])
        except (FileNotFoundError, IntegrityError, KeyError, TypeError):
            return None
        return outputs if self._whole(outputs, times) else None

    def _task_done(self, task: Task) -> bool:
        try:
            output = Output.from_json(read_json(task.record))
        except FileNotFoundError:
            return False
        except (IntegrityError, KeyError, TypeError):
            output = None  # torn by a power cut
        if output is not None and self._whole([output], {}):
            return True
        task.record.unlink()
        return False

    def _run(self, name: str, tasks: Sequence[Task]) -> dict[int, Output]:
        outputs: dict[int, Output] = {}
        deaths: dict[int, int] = {}
        waiting = {task.index: task for task in tasks}
        while waiting:
            for result in self.executor.map([waiting[i] for i in sorted(waiting)]):
                if isinstance(result, Done):
                    outputs[result.index] = result.output
                    del waiting[result.index]
                    self.progress.task_ended(name)
                    continue
                if result.error is not None:
                    raise self._explain(name, result.error, result.detail)
                deaths[result.index] = deaths.get(result.index, 0) + 1
                self.progress.message(f"{name} task {result.index}: {result.detail}; trying again")
                if deaths[result.index] >= MAX_DEATHS:
                    raise DataError(
                        f"{name} task {result.index}",
                        f"its worker died {MAX_DEATHS} times ({result.detail})",
                        hint="Out of memory? Lower `unit_bytes` or `run.workers`, then run again: "
                        "finished work is kept.",
                    )
        return outputs

    def _explain(self, name: str, error: BaseException, detail: str) -> BaseException:
        if isinstance(error, DatatoolsError):
            return error
        if isinstance(error, OSError) and error.errno is not None:
            return disk_error(f"{name}: {error.filename or self.root}", error)
        told = str(error) if isinstance(error, ForeignError) else f"{type(error).__name__}: {error}"
        log = self.root / "errors" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(detail, encoding="utf-8", errors="backslashreplace")
        return DataError(
            name,
            f"failed with {told}",
            hint=f"The traceback is in {log}. Finished work is kept.",
        )


class NotCachedError(Exception):
    """In a dry run: the first stage of a chain that would have to run."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
