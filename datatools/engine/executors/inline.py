"""Tasks one after the other in this process: for tests, debugging and small frames.

A row that kills the process ends the run with it, and one that hangs is waited for: nothing here
outlives the work to notice. Finished tasks are kept, so the same pipeline run again with `executor:
processes` goes on from there and finds the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

from datatools.engine.executors.base import Done, Failed, Result
from datatools.engine.tasks import Task, close_chains, execute

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """Runs every task in the calling process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        close_chains()

    def map(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield results in task order."""
        for task in tasks:
            yield _result(task)


def _result(task: Task) -> Result:
    try:
        return Done(task.index, execute(task))
    except (KeyboardInterrupt, GeneratorExit):  # Ctrl-C is for the whole program
        raise
    except BaseException as error:
        failed = Failed.of(task.index, error)
        # Nothing has to travel here: an exception that cannot is told as it is.
        return failed if failed.error is None else replace(failed, error=error)
