"""What became of the input, byte by byte or row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datatools.job.gaps import Counted

__all__ = ["Gap", "InputLedger"]


@dataclass(frozen=True)
class Gap:
    """A piece of input that could not be read.

    Attributes:
        path: The file.
        start: First byte, or row group.
        end: One past the last.
        detail: Why.
    """

    path: str
    start: int
    end: int
    detail: str


@dataclass(frozen=True)
class InputLedger:
    """What became of a source's input.

    Attributes:
        label: The source step's label.
        unit: What is counted: `bytes`, or `row groups` where a format has no byte offsets.
        size: All of it.
        consumed: What was turned into records.
        skipped: What holds no record, by reason.
        gaps: What could not be read.
    """

    label: str
    unit: Counted
    size: int
    consumed: int
    skipped: Mapping[str, int]
    gaps: tuple[Gap, ...]

    @property
    def passed_over(self) -> int:
        """Skipped, for all reasons."""
        return sum(self.skipped.values())

    @property
    def missing(self) -> int:
        """What could not be read."""
        return sum(gap.end - gap.start for gap in self.gaps)

    @property
    def unaccounted(self) -> int:
        """What no range covers: 0 after a whole run."""
        return self.size - self.consumed - self.passed_over - self.missing
