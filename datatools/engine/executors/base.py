"""The executor contract: `map(tasks)` yields a result per task; a failure is a value."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from datatools.engine.tasks import Output, Task

__all__ = ["Done", "Executor", "Failed", "ForeignError", "Result"]


class ForeignError(Exception):
    """An exception that cannot be sent to another process; says what it was."""


@dataclass(frozen=True)
class Done:
    """A task that committed its record.

    Attributes:
        index: The task's number.
        output: What it left behind.
        note: Something worth a line, about its worker.
    """

    index: int
    output: Output
    note: str = ""


@dataclass(frozen=True)
class Failed:
    """A task that did not.

    Attributes:
        index: The task's number.
        error: The exception, when the body raised one; None when its worker died.
        detail: Traceback text, or how the worker died.
        stalled: Whether the worker died of standing still.
    """

    index: int
    error: BaseException | None
    detail: str
    stalled: bool = False

    @classmethod
    def of(cls, index: int, error: BaseException) -> Self:
        """Return the failure of a body, in a form that another process can read.

        Want of memory, and what is neither an `Exception` nor a way of Python's to stop (a panic of
        a Rust library), count as deaths: another try, or a careful one, may do better.

        Many exceptions pickle and do not unpickle: those whose `__init__` takes other arguments
        than it hands to `Exception`.
        """
        told = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
        if isinstance(error, MemoryError) or not isinstance(error, told):
            return cls(index, None, f"its worker gave up ({type(error).__name__}: {error})")
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
