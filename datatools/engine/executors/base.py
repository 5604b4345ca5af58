"""The executor contract: `map(tasks)` yields a result per task, in any order; a failure is a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from datatools.engine.tasks import Output, Task

__all__ = ["Done", "Executor", "Failed", "Result"]


@dataclass(frozen=True)
class Done:
    """A task that committed its record."""

    index: int
    output: Output


@dataclass(frozen=True)
class Failed:
    """A task that did not.

    Attributes:
        index: The task's number.
        error: The exception, when the body raised one; None when its worker died.
        detail: Traceback text, or how the worker died.
    """

    index: int
    error: BaseException | None
    detail: str


Result = Done | Failed


class Executor(Protocol):
    """Runs tasks. Retries, resume and accounting are the runner's, so executors stay alike."""

    def map(self, tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield one result per task, in the order in which they end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
