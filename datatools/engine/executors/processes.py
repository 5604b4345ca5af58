"""Tasks in worker processes on this machine: the default executor.

Workers are started fresh, never forked (Polars and numba own threads), keep their bound steps
between tasks, and are watched: a worker that dies makes its task `Failed` and is replaced.
`multiprocessing.Pool` is not used because it never notices a killed worker (CPython issue 96062).
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Self

from datatools.engine.executors.base import Failed, Result
from datatools.engine.executors.worker import receive, send
from datatools.engine.tasks import Task

__all__ = ["ProcessExecutor"]

_THREADS = (
    "POLARS_MAX_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


class _Worker:
    def __init__(self) -> None:
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "datatools.engine.executors.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.task: Task | None = None
        self.ready = False
        send(self.stdin, list(sys.path))

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
        """Yield results as they come; a dead worker's task is `Failed` with no error."""
        waiting = deque(tasks)
        left = len(waiting)
        while len(self._workers) < min(self._count, max(1, left)):
            self._workers.append(_Worker())
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.stdout, selectors.EVENT_READ, worker)
                if worker.ready and waiting:
                    self._give(worker, waiting)
            while left:
                for key, _ in selector.select():
                    worker = key.data
                    try:
                        message = receive(worker.stdout)
                    except (EOFError, OSError):
                        selector.unregister(worker.stdout)
                        self._workers.remove(worker)
                        worker.stop()
                        if worker.task is not None:
                            left -= 1
                            yield Failed(worker.task.index, None, _death(worker))
                        elif not worker.ready:
                            raise RuntimeError(
                                f"a worker could not start: {_death(worker)}"
                            ) from None
                        if left:
                            fresh = _Worker()
                            self._workers.append(fresh)
                            selector.register(fresh.stdout, selectors.EVENT_READ, fresh)
                        continue
                    if message == "ready":
                        worker.ready = True
                    else:
                        worker.task = None
                        left -= 1
                        yield message
                    if waiting and worker.task is None:
                        self._give(worker, waiting)

    def _give(self, worker: _Worker, waiting: deque[Task]) -> None:
        worker.task = waiting.popleft()
        try:
            send(worker.stdin, worker.task)
        except BrokenPipeError:
            # It died; the selector reports end of file and the task comes back as Failed.
            return


def _death(worker: _Worker) -> str:
    code = worker.process.returncode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"worker {worker.process.pid} died with {how}"
