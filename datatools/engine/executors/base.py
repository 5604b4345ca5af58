"""The executor contract: `map(tasks)` yields a result per task; a failure is a value."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from datatools.engine.tasks import Output, Task

__all__ = ["Done", "Executor", "Failed", "ForeignError", "Result"]


class ForeignError(Exception):
    """An exception that cannot be sent to another process; says what it was."""


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

    @classmethod
    def of(cls, index: int, error: BaseException) -> Self:
        """Return the failure of a body, in a form that another process can read.

        Many exceptions pickle and do not unpickle: those whose `__init__` takes other arguments
        than it hands to `Exception`.
        """
        detail = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - made on the line itself
        except Exception:
            error = ForeignError(f"{type(error).__name__}: {error}")
        return cls(index, error, detail)


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
