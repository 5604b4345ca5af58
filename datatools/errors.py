"""The error family: what went wrong, where, what was got, and what to do about it.

Every error a user can cause is a `DatatoolsError`. The command line prints its message and exits
with its `exit_code`; nothing here is ever shown as a traceback. Errors that are ours (a broken
invariant) stay ordinary exceptions, so that they are seen and fixed.

    DatatoolsError
    ├── ConfigError         exit 2   a pipeline file, a step field or a command-line value is wrong
    ├── DataError           exit 1   the input cannot be used as asked
    │   └── UnsupportedFormatError   the file is of a kind this reader does not read
    ├── IntegrityError      exit 1   stored bytes differ from what their manifest says
    └── OutputHeldError     exit 3   another run is writing to this output
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

__all__ = [
    "ConfigError",
    "DataError",
    "DatatoolsError",
    "IntegrityError",
    "OutputHeldError",
    "UnsupportedFormatError",
    "nearest",
    "suggestion",
]


def nearest(got: str, names: Iterable[str]) -> str | None:
    """Return the name a typo most likely meant, or None when nothing is close.

    Example:
        >>> nearest("treshold", ["threshold", "keep"])
        'threshold'
    """
    names = list(names)
    folded = {name.lower().replace("-", "_"): name for name in names}
    close = difflib.get_close_matches(got.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def suggestion(got: str, names: Iterable[str]) -> str:
    """Return a hint for a name that does not exist: the nearest one, else all there are.

    Example:
        >>> suggestion("claen", ["pages", "clean"]), suggestion("x", ["pages", "clean"])
        ("Did you mean 'clean'?", 'Known: pages, clean.')
    """
    names = list(names)
    close = nearest(got, names)
    return f"Did you mean {close!r}?" if close else f"Known: {', '.join(names) or 'none'}."


class DatatoolsError(Exception):
    """A failure the user can act on.

    Args:
        where: The place: a file with line, a step with field, a record id.
        problem: What is wrong, as a clause.
        got: What was found instead; its repr is shown, shortened to 80 characters.
        hint: What to do, as a sentence.
    """

    exit_code = 1
    _NOTHING = object()

    def __init__(
        self, where: str, problem: str, *, got: object = _NOTHING, hint: str | None = None
    ) -> None:
        self.where = where
        self.problem = problem
        self.got = None if got is self._NOTHING else got
        self.hint = hint
        message = f"{where}: {problem}"
        if got is not self._NOTHING:
            shown = repr(got)
            message += f" (got {shown if len(shown) <= 80 else shown[:77] + '...'})"
        message += "."
        if hint:
            message += f" {hint}"
        super().__init__(message)

    def at(self, where: str) -> Self:
        """Return the same error about another place, which knows better where the mistake is.

        Example:
            >>> print(ConfigError("threshold", "must be at most 1", got=80).at("web.yaml:12"))
            web.yaml:12: must be at most 1 (got 80).
        """
        got = {} if self.got is None else {"got": self.got}
        return type(self)(where, self.problem, hint=self.hint, **got)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries; keyword-only arguments need telling how.
        return (_rebuild, (type(self), self.where, self.problem, self.got, self.hint, str(self)))


def _rebuild(
    kind: type[DatatoolsError], where: str, problem: str, got: object, hint: str | None, text: str
) -> DatatoolsError:
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    error.where, error.problem, error.got, error.hint = where, problem, got, hint
    return error


class ConfigError(DatatoolsError):
    """A pipeline file, a step field or a command-line value is wrong."""

    exit_code = 2


class DataError(DatatoolsError):
    """The input cannot be used as asked."""


class UnsupportedFormatError(DataError):
    """The file is of a kind this reader does not read."""


class IntegrityError(DatatoolsError):
    """Stored bytes differ from what their manifest says."""


class OutputHeldError(DatatoolsError):
    """Another run is writing to this output."""

    exit_code = 3
