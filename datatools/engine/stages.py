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
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from datatools.engine.executors.base import Done, Executor, ForeignError
from datatools.engine.progress import Progress
from datatools.engine.remote import Entry
from datatools.engine.store import digest, disk_error
from datatools.engine.stores import StageStore, store_at
from datatools.engine.tasks import Body, Limits, Output, RowBody, Task
from datatools.errors import DataError, DatatoolsError, IntegrityError

__all__ = ["FORMAT", "Bodies", "StageEvent", "Stages"]

Bodies = Sequence[Body] | Callable[[], Sequence[Body]]

FORMAT = 4
"""Part of every key: bumped when the engine's own files change shape."""
MAX_DEATHS = 3
"""How often a task's worker may die before the run stops."""
CAREFUL_AFTER = 2
"""After how many deaths a task of per-row steps is run carefully, to find the row. A worker that
stood still was not killed by its neighbours' memory: its task is run carefully at once."""


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
        root: The store's path, or its URL; stages live in `root/stages/<key>`.
        executor: Runs tasks.
        progress: Told what happens.
        events: What happened, in order.
        dry: Whether to refuse to run anything that is not cached (for `plan`).
        limits: What a task's worker may take.
    """

    root: Path | str
    executor: Executor
    progress: Progress
    events: list[StageEvent] = field(default_factory=list)
    dry: bool = False
    limits: Limits = field(default_factory=Limits)
    _asked: dict[str, list[Output]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def store(self) -> StageStore:
        """Where the stages are kept."""
        return store_at(self.root)

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
        manifest = f"{directory}/manifest.json"
        listing = self.store.listing(directory)
        found = self._committed(manifest, listing)
        if found is not None:
            self._end(name, hashed, found, 0, started)
            return found
        if self.dry:
            raise NotCachedError(name)
        if callable(bodies):
            bodies = bodies()
        root, limits = str(self.root), self.limits
        tasks = [Task(root, directory, i, body, limits) for i, body in enumerate(bodies)]
        outputs = self._tasks_done(tasks, listing)
        waiting = [task for task in tasks if task.index not in outputs]
        self.progress.stage_started(name, len(tasks), len(tasks) - len(waiting))
        outputs |= self._run(name, waiting)
        ordered = [outputs[task.index] for task in tasks]
        self._seal(name, directory, manifest, ordered)
        self.store.remove([task.record for task in tasks])
        self._end(name, hashed, ordered, len(waiting), started)
        return ordered

    def _end(self, name: str, key: str, outputs: list[Output], ran: int, started: float) -> None:
        seconds = time.monotonic() - started
        cached = ran == 0
        self._asked[key] = outputs
        self.events.append(StageEvent(name, key, cached, len(outputs), ran, seconds))
        self.progress.stage_ended(name, cached=cached)

    def _seal(self, name: str, directory: str, manifest: str, outputs: Sequence[Output]) -> None:
        """Commit a stage whose tasks are all done."""
        listing = self.store.listing(directory)
        paths = [part.path for output in outputs for part in output.parts.values()]
        marks = {path: listing[path].mark for path in paths if path in listing}
        if len(marks) != len(paths):
            raise IntegrityError(
                name,
                "lost files that its tasks committed",
                hint="Something else works on the cache. Run again.",
            )
        value = {
            "name": name,
            "key": directory.rpartition("/")[2],
            "outputs": [output.to_json() for output in outputs],
            "marks": marks,
        }
        self.store.seal(manifest, value)

    def _whole(
        self,
        outputs: Sequence[Output],
        listing: Mapping[str, Entry],
        marks: Mapping[str, int | str],
    ) -> bool:
        """Return whether the parts are there as committed.

        A file that is published from a local store is the same file as its part, by hard link, so
        whoever edits it edits the cache. Its mark (its time) tells; its digest decides.
        """
        for output in outputs:
            for part in output.parts.values():
                found = listing.get(part.path)
                if found is None or found.size != part.bytes:
                    return False
                if marks.get(part.path, found.mark) != found.mark and (
                    self.store.sha256(part.path) != part.sha256
                ):
                    if self.dry:
                        return False
                    self.store.remove([part.path])
                    self.progress.message(f"{part.path} was changed: it is made again")
                    return False
        return True

    def _committed(self, manifest: str, listing: Mapping[str, Entry]) -> list[Output] | None:
        """Return a stage's outputs if it is committed; a manifest that is none goes."""
        if manifest not in listing:
            return None
        try:
            value = self.store.read(manifest)
            outputs = [Output.from_json(output) for output in value["outputs"]]
            marks = dict(value["marks"])
        except (FileNotFoundError, IntegrityError, KeyError, TypeError):
            outputs = None
        if outputs is not None and self._whole(outputs, listing, marks):
            return outputs
        if not self.dry:
            self.store.remove([manifest])
        return None

    def _tasks_done(self, tasks: Sequence[Task], listing: Mapping[str, Entry]) -> dict[int, Output]:
        """Return what earlier runs of an unfinished stage left; records that are none go."""
        recorded = [task for task in tasks if task.record in listing]
        records = self.store.read_all([task.record for task in recorded])
        done: dict[int, Output] = {}
        for task in recorded:
            try:
                output = Output.from_json(records[task.record])
            except (KeyError, TypeError):  # torn by a power cut
                continue
            if self._whole([output], listing, {}):
                done[task.index] = output
        self.store.remove([task.record for task in recorded if task.index not in done])
        return done

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
                    if result.note:
                        self.progress.message(result.note)
                    continue
                if result.error is not None:
                    raise self._explain(name, result.error, result.detail)
                count = deaths[result.index] = deaths.get(result.index, 0) + 1
                task = waiting[result.index]
                if count >= MAX_DEATHS:
                    raise DataError(
                        f"{name} task {result.index}",
                        f"its worker died {MAX_DEATHS} times ({result.detail})",
                        hint="Out of memory? Lower `unit_bytes` or `run.workers`, then run again: "
                        "finished work is kept.",
                    )
                then = "trying again"
                if isinstance(task.body, RowBody) and (result.stalled or count >= CAREFUL_AFTER):
                    waiting[result.index] = replace(task, careful=True)
                    then = "trying again with every record behind the fence"
                self.progress.message(f"{name} task {result.index}: {result.detail}; {then}")
        return outputs

    def _explain(self, name: str, error: BaseException, detail: str) -> BaseException:
        if isinstance(error, DatatoolsError):
            return error
        if isinstance(error, OSError) and error.errno is not None:
            return disk_error(f"{name}: {error.filename or self.store.folder}", error)
        told = str(error) if isinstance(error, ForeignError) else f"{type(error).__name__}: {error}"
        log = self.store.folder / "errors" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
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
