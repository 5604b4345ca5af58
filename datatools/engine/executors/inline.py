"""Tasks one after the other in this process: for tests, debugging and small frames."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
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
            try:
                yield Done(task.index, execute(task))
            except Exception as error:
                yield Failed(task.index, error, traceback.format_exc())
