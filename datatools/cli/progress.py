"""Progress on stderr: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from datatools.cli.interrupts import work_begins
from datatools.cli.terminal import echo
from datatools.report.visible import visible

__all__ = ["ShownProgress", "echo_problems"]


class ShownProgress:
    """A run's progress as a person wants to see it."""

    PLAIN_EVERY_S = 5.0

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars: Progress | None = None
        if self._console.is_terminal:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.completed}/{task.total}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
        self._task: TaskID | None = None
        self._started = time.monotonic()
        self._stage_started = self._started
        self._said = self._started
        self._done = 0
        self._total = 0
        self._cached = 0

    def __enter__(self) -> Self:
        work_begins()  # a bar hides the cursor, which Ctrl-C must give back
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        if self._cached:
            self._line(f"{self._cached} stages were already there")

    def _line(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        # In one piece: a bar that is drawn again between two would wipe out the first.
        line = Text.assemble((f"{elapsed:6.1f}s", "dim"), "  ", visible(text))
        self._console.print(line, soft_wrap=True)

    def stage_started(self, name: str, tasks: int, done: int) -> None:
        """Show a new bar."""
        self._stage_started = self._said = time.monotonic()
        self._done, self._total = done, tasks
        if self._bars is not None:
            self._task = self._bars.add_task(name, total=tasks, completed=done)
        if done:
            self._line(f"{name}: {done} of {tasks} tasks were already done")

    def task_ended(self, name: str) -> None:
        """Move the bar on."""
        self.advanced(name, self._done + 1, self._total, "tasks")

    def advanced(self, name: str, done: int, total: int, what: str) -> None:
        """Move the bar to a place."""
        self._done = done
        if self._bars is not None and self._task is not None:
            shown = name if what == "tasks" else f"{name}: {what}"
            self._bars.update(self._task, completed=done, total=total, description=shown)
        elif time.monotonic() - self._said >= self.PLAIN_EVERY_S:
            self._said = time.monotonic()
            self._line(f"{name}: {done} of {total} {what}")

    def stage_ended(self, name: str, *, cached: bool) -> None:
        """Take the bar away and leave a line."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        if cached:
            self._cached += 1
            return
        self._line(f"{name}  {time.monotonic() - self._stage_started:.1f}s")

    def message(self, text: str) -> None:
        """Show a line."""
        self._line(text)


def echo_problems(problems: list[str]) -> None:
    """Show why a run counts as failed."""
    for problem in problems:
        echo("problem: ", fg="yellow", nl=False, err=True)
        echo(problem, err=True)


def echo_notes(notes: list[str]) -> None:
    """Show what a run that succeeded left out."""
    for note in notes:
        echo("note: ", fg="cyan", nl=False, err=True)
        echo(note, err=True)
