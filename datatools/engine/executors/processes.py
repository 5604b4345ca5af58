"""Tasks in worker processes on this machine: the default executor.

Workers are started fresh, never forked (Polars and numba own threads), keep their bound steps
between tasks, and are watched: a worker that dies makes its task `Failed` and is replaced. One
whose per-row steps stand still ends itself (`heartbeat.py`). One that has grown is replaced between
two tasks.
`multiprocessing.Pool` is not used because it never notices a killed worker (CPython issue 96062).
"""

from __future__ import annotations

import contextlib
import selectors
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, Self

import psutil

from datatools.engine.executors.base import Done, Failed, Result
from datatools.engine.executors.environment import worker_environment
from datatools.engine.executors.worker import cannot_travel, packed, receive
from datatools.engine.tasks import Task
from datatools.errors import DataError
from datatools.heartbeat import place

__all__ = ["ProcessExecutor"]

MAX_STILLBORN = 3
"""How many workers in a row may die while they start."""
GROWTH = 1.25
"""How much more than after its first task a worker must hold to be replaced: models and compiled
kernels, which the next worker would load again, are no growth."""


class _Worker:
    def __init__(self) -> None:
        # Where it stood, if it stands still; closed by `stop`.
        self._stalls = tempfile.TemporaryFile()  # noqa: SIM115
        stalls = self._stalls.fileno()
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "datatools.engine.executors.worker", str(stalls)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(),
            pass_fds=(stalls,),
        )
        self._first_bytes: int | None = None
        self.task: Task | None = None
        self.ready = False
        # If it has died already, the selector reports end of file.
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(packed(list(sys.path)))
            self.stdin.flush()

    @property
    def stdin(self) -> BinaryIO:
        assert self.process.stdin is not None
        return self.process.stdin  # type: ignore[return-value]

    @property
    def stdout(self) -> BinaryIO:
        assert self.process.stdout is not None
        return self.process.stdout  # type: ignore[return-value]

    def stop(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stalls.seek(0)
        self._last_words = self._stalls.read().decode("utf-8", "replace")
        self._stalls.close()

    def death(self) -> str:
        """Return how the worker died."""
        code = self.process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"worker {self.process.pid} died with {how}"

    def failure(self, task: Task) -> Failed:
        """Return what its death makes of its task; it has been stopped."""
        if not self._last_words:
            return Failed(task.index, None, self.death())
        where = place(self._last_words)
        stood = f"stood still for {task.limits.stall_s:g} s" + (f" in {where}" if where else "")
        return Failed(task.index, None, f"worker {self.process.pid} {stood}", stalled=True)

    def grown(self, task: Task) -> int:
        """Return the bytes it holds after a task if they are too many, else 0."""
        held = _held(self.process.pid)
        if self._first_bytes is None:
            self._first_bytes = held
        too_many = held > task.limits.memory_bytes and held > GROWTH * self._first_bytes
        return held if too_many else 0


def _held(pid: int) -> int:
    """Return the memory of a process in bytes, without mapped files, which cost nothing to drop."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:  # it has died since it answered, which its pipe will tell
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


class ProcessExecutor:
    """Runs tasks in `workers` processes, which live as long as the executor.

    Args:
        workers: Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self._count = workers
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            if exception[0] is not None:
                worker.process.kill()
            worker.stop()
        self._workers = []

    @property
    def pids(self) -> list[int]:
        """Process ids of the live workers."""
        return [worker.process.pid for worker in self._workers]

    def map(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield results as they come; a dead worker's task is `Failed` with no error.

        Raises:
            DataError: Workers die while they start, again and again.
        """
        try:
            yield from self._serve(deque(tasks))
        finally:
            # Closed before its end: a busy worker's answer would be taken for another task's.
            for worker in [worker for worker in self._workers if worker.task is not None]:
                worker.process.kill()
                worker.stop()
                self._workers.remove(worker)

    def _serve(self, waiting: deque[Task]) -> Iterator[Result]:
        left = len(waiting)
        stillborn = 0
        while len(self._workers) < min(self._count, left):
            self._workers.append(_Worker())
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.stdout, selectors.EVENT_READ, worker)
            idle = [worker for worker in self._workers if worker.ready]
            while left:
                for worker in idle:
                    while waiting and worker.task is None:
                        refused = _give(worker, waiting.popleft())
                        if refused is not None:
                            left -= 1
                            yield refused
                idle = []
                for key, _ in selector.select() if left else ():
                    worker = key.data
                    try:
                        message = receive(worker.stdout)
                    except (EOFError, OSError):
                        self._leave(worker, selector)
                        if not worker.ready:
                            stillborn += 1
                            if stillborn >= MAX_STILLBORN:
                                raise _cannot_start(worker) from None
                        if worker.task is not None:
                            left -= 1
                            yield worker.failure(worker.task)
                        if left:
                            self._start(selector)
                        continue
                    if worker.task is None:
                        assert message == "ready"
                        worker.ready = True
                        stillborn = 0
                        idle.append(worker)
                        continue
                    task, worker.task = worker.task, None
                    left -= 1
                    held = worker.grown(task)
                    if not held:
                        idle.append(worker)
                        yield message
                        continue
                    self._leave(worker, selector)
                    if left:
                        self._start(selector)
                    note = f"worker {worker.process.pid} held {held >> 20:,} MiB and was replaced"
                    yield replace(message, note=note) if isinstance(message, Done) else message

    def _start(self, selector: selectors.BaseSelector) -> None:
        worker = _Worker()
        self._workers.append(worker)
        selector.register(worker.stdout, selectors.EVENT_READ, worker)

    def _leave(self, worker: _Worker, selector: selectors.BaseSelector) -> None:
        selector.unregister(worker.stdout)
        self._workers.remove(worker)
        worker.stop()


def _give(worker: _Worker, task: Task) -> Failed | None:
    """Send a task to an idle worker; return the failure of one that cannot be sent."""
    try:
        message = packed(task.index) + packed(task)
    except Exception as error:
        return Failed.of(task.index, cannot_travel(error))
    worker.task = task
    # If it has died, the selector reports end of file and the task comes back as Failed.
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.write(message)
        worker.stdin.flush()
    return None


def _cannot_start(worker: _Worker) -> DataError:
    return DataError(
        "run.executor",
        f"{MAX_STILLBORN} workers in a row died while they started ({worker.death()})",
        hint="Look at what they printed. Out of memory? Lower `run.workers`.",
    )
