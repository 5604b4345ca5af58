"""What a run tells while it goes: a small interface, and an implementation that says nothing."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Told about stages and tasks, in order, from one thread."""

    def stage_started(self, name: str, tasks: int, done: int) -> None:
        """A stage begins; `done` of its tasks were found finished."""

    def task_ended(self, name: str) -> None:
        """One of its tasks has been committed."""

    def advanced(self, name: str, done: int, total: int, what: str) -> None:
        """A stage that is no list of tasks (training, a verdict) has come so far."""

    def stage_ended(self, name: str, *, cached: bool) -> None:
        """The stage is committed, or was found committed."""

    def message(self, text: str) -> None:
        """Something worth a line."""


class Silent:
    """Says nothing."""

    def stage_started(self, name: str, tasks: int, done: int) -> None:
        """Say nothing."""

    def task_ended(self, name: str) -> None:
        """Say nothing."""

    def advanced(self, name: str, done: int, total: int, what: str) -> None:
        """Say nothing."""

    def stage_ended(self, name: str, *, cached: bool) -> None:
        """Say nothing."""

    def message(self, text: str) -> None:
        """Say nothing."""
