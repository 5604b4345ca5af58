"""Planted defects, and what the run did about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DefectCount", "Planted", "PlantedMiss"]


@dataclass(frozen=True)
class PlantedMiss:
    """A planted defect that was not caught.

    Attributes:
        url: The page.
        found: Where its records are, in words.
    """

    url: str
    found: str


@dataclass(frozen=True)
class DefectCount:
    """What became of one kind of planted defect.

    Attributes:
        defect: The kind.
        expect: What should become of it, in words.
        planted: Times it was planted.
        caught: Of them, those treated as they should be.
        untested: Of them, those that no step of this pipeline is for.
        how: What became of those caught, by count, most frequent first.
        misses: The others.
    """

    defect: str
    expect: str
    planted: int
    caught: int
    untested: int
    how: Mapping[str, int]
    misses: tuple[PlantedMiss, ...]


@dataclass(frozen=True)
class Planted:
    """The truth of a crawl with planted defects, against what the run did.

    Attributes:
        path: The file that says what was planted.
        defects: By kind.
    """

    path: str
    defects: tuple[DefectCount, ...]

    @property
    def planted(self) -> int:
        """All planted defects that some step of the pipeline is for."""
        return sum(one.planted - one.untested for one in self.defects)

    @property
    def caught(self) -> int:
        """All that were caught."""
        return sum(one.caught for one in self.defects)
