"""Tasks on a Ray cluster: Ray Core only, and all data on the shared store.

Ray's own retries are off: the runner retries alike everywhere. A node that dies makes its tasks
`Failed`, and they are tried again on another. A worker whose per-row steps stand still ends itself,
and what it says of it is in Ray's own logs; here it counts as any lost worker. Workers are not
replaced for the memory they hold: Ray's memory monitor does that, by its own measure.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Self

from datatools.engine.executors.base import Done, Failed, Result
from datatools.engine.executors.environment import ALLOCATOR, THREADS
from datatools.engine.executors.worker import cannot_travel
from datatools.engine.tasks import Task, execute_watched
from datatools.errors import ConfigError

__all__ = ["RayExecutor"]

MINIMUM = (2, 54)
"""Oldest Ray without the unauthenticated dashboard calls of CVE-2026-27482."""


def _run(index: int, pickled: bytes, path: list[str]) -> Result:
    # The driver's import path first: a task of a step of one's own could not be unpickled without.
    sys.path[:] = path
    try:
        task = pickle.loads(pickled)  # noqa: S301 - from our own driver
    except Exception as error:
        return Failed.of(index, cannot_travel(error))
    try:
        return Done(index, execute_watched(task))
    except BaseException as error:  # user code may raise SystemExit, which would end the worker
        return Failed.of(index, error)


class RayExecutor:
    """Runs each task as a Ray task.

    Args:
        address: Cluster to join, e.g. `auto` or `ray://host:10001`; None starts one on this
            machine, on the loopback interface and without a dashboard.
        workers: Cores of a cluster started here; None takes all. A joined cluster decides for
            itself.

    Raises:
        ConfigError: Ray is not installed, too old, or the cluster cannot be reached.
    """

    def __init__(self, address: str | None, workers: int | None) -> None:
        self._address = address
        self._workers = workers
        self._started = False

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError(
                "run.executor", "Ray is not installed", hint="pip install 'datatools[ray]'"
            ) from None
        version = tuple(int(part) for part in ray.__version__.split(".")[:2])
        if version < MINIMUM:
            wanted = ".".join(map(str, MINIMUM))
            raise ConfigError("run.executor", f"Ray must be at least {wanted}", got=ray.__version__)
        if not ray.is_initialized():
            here: dict[str, Any] = {"num_cpus": self._workers, "_node_ip_address": "127.0.0.1"}
            try:
                ray.init(
                    # Without an address Ray joins whatever cluster it finds on this machine.
                    address=self._address or "local",
                    include_dashboard=False if self._address is None else None,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                    **(here if self._address is None else {}),
                )
            except ConnectionError as error:
                raise ConfigError(
                    "run.ray_address", f"cannot be reached: {error}", got=self._address
                ) from None
            self._started = True
        return self

    def __exit__(self, *exception: object) -> None:
        import ray

        if self._started:
            ray.shutdown()

    def map(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield results as they come; a lost node's or worker's task is `Failed` with no error."""
        import ray
        from ray.exceptions import RayError

        remote = ray.remote(_run).options(
            max_retries=0, num_cpus=1, runtime_env={"env_vars": {**ALLOCATOR, **THREADS}}
        )
        path = list(sys.path)
        running: dict[Any, int] = {}
        for task in tasks:
            try:
                pickled = pickle.dumps(task)
            except Exception as error:
                yield Failed.of(task.index, cannot_travel(error))
                continue
            running[remote.remote(task.index, pickled, path)] = task.index
        try:
            while running:
                ready, _ = ray.wait(list(running), num_returns=1)
                for reference in ready:
                    index = running.pop(reference)
                    try:
                        yield ray.get(reference)
                    except RayError as error:
                        lost = f"its Ray worker was lost ({type(error).__name__})"
                        yield Failed(index, None, lost)
        finally:
            # Closed before its end: nothing of this run may write once the output is let go.
            for reference in running:
                ray.cancel(reference, force=True)
