"""How measures, lengths and languages are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Histogram", "LanguageCount", "Measure", "Threshold"]


@dataclass(frozen=True)
class Histogram:
    """Counts between edges.

    Attributes:
        edges: Increasing, one more than there are bins; the last bin includes its upper edge.
        series: Counts of each bin by series, drawn on top of each other in this order.
        logarithmic: Whether the edges are spaced by ratio.
    """

    edges: tuple[float, ...]
    series: Mapping[str, tuple[int, ...]]
    logarithmic: bool


@dataclass(frozen=True)
class Threshold:
    """A rule's limit.

    Attributes:
        operator: The comparison that drops, e.g. `<`.
        value: The limit.
    """

    operator: str
    value: float


@dataclass(frozen=True)
class Measure:
    """A filter's measure over the records it let pass and those it dropped.

    Attributes:
        step: The filter's label.
        name: The measure's name.
        thresholds: Limits of the rules that fired.
        dropped: Records these rules dropped.
        histogram: Published records and dropped ones; None for a category.
        categories: Dropped records by value, most frequent first, for a category.
        rule: The rule in words, for a category.
    """

    step: str
    name: str
    thresholds: tuple[Threshold, ...]
    dropped: int
    histogram: Histogram | None
    categories: Mapping[str, int]
    rule: str


@dataclass(frozen=True)
class LanguageCount:
    """Records of one language.

    Attributes:
        language: Its code, or `und`.
        rows: Records.
        text_bytes: UTF-8 bytes of their texts.
    """

    language: str
    rows: int
    text_bytes: int
