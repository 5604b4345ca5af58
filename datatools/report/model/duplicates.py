"""Duplicates: what was removed, for which record, and how the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datatools.report.diff import Piece
from datatools.report.model.distributions import Histogram

__all__ = ["Across", "Cluster", "Clusters", "Difference", "SizeCount"]


@dataclass(frozen=True)
class Difference:
    """A removed record against the one that stayed.

    Attributes:
        id: The removed record's id.
        url: Its address, if it has one.
        similarity: How similar they were found, if that was measured.
        pieces: Words of both, of the removed one (`first`) and of the survivor (`second`).
        cut: Whether only the beginnings were compared.
    """

    id: str
    url: str | None
    similarity: float | None
    pieces: tuple[Piece, ...]
    cut: bool


@dataclass(frozen=True)
class Cluster:
    """Records removed for one that stayed.

    Attributes:
        step: Label of the step that removed them.
        survivor: The id of the one that stayed.
        survivor_in: The dataset it is in, if that is another one.
        indexed: The day it was added to an index, if it is in one.
        survivor_url: Its address, if it is known.
        survivor_text: The beginning of its text; None if it is not published, or not any more.
        survivor_left: The reason why it left later, if it did.
        removed: How many were removed.
        lowest: Lowest similarity among them, if it was measured.
        differences: The first few removed records, word by word.
        urls: Addresses of a few others.
    """

    step: str
    survivor: str
    survivor_in: str | None
    indexed: str | None
    survivor_url: str | None
    survivor_text: str | None
    survivor_left: str | None
    removed: int
    lowest: float | None
    differences: tuple[Difference, ...]
    urls: tuple[str, ...]


@dataclass(frozen=True)
class SizeCount:
    """Clusters of about one size.

    Attributes:
        low: Fewest records of such a cluster, the one that stayed counted in.
        high: Most records.
        clusters: How many there are.
        removed: Records removed in them.
    """

    low: int
    high: int
    clusters: int
    removed: int


@dataclass(frozen=True)
class Across:
    """Where removed records and the ones that stayed come from.

    Attributes:
        removed: Sources of removed records, most removed first.
        stayed: Sources of those that stayed, most first; one in another dataset or an index is
            told with it.
        counts: Records removed, one row for each of `removed`, one column for each of `stayed`.
        summed: How many sources the last row and the last column stand for; 0 where they are
            sources like the others.
    """

    removed: tuple[str, ...]
    stayed: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    summed: tuple[int, int] = (0, 0)

    @property
    def largest(self) -> int:
        """The largest of the counts."""
        return max(map(max, self.counts))


@dataclass(frozen=True)
class Clusters:
    """Duplicates of one dataset.

    Attributes:
        removed: Records removed by step label.
        clusters: Survivors that replaced at least one record.
        sizes: Clusters by size, in ranges that double, from the smallest to the largest.
        similarity: Similarity of removed records to their survivors, by the label of the step that
            measured it.
        across: Where they come from.
        largest: The clusters with most removed records, largest first.
    """

    removed: Mapping[str, int]
    clusters: int
    sizes: tuple[SizeCount, ...]
    similarity: Mapping[str, Histogram]
    across: Across
    largest: tuple[Cluster, ...]
