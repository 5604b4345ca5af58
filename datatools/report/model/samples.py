"""Records to look at: published ones, and some that left for each reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["GoneSample", "ReasonSamples", "Sample"]


@dataclass(frozen=True)
class Sample:
    """A published record.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        text: The beginning of its text.
        characters: Characters of the whole text.
        language: Its language, if it is known.
        signals: What was measured on it, as text, by name.
    """

    id: str
    url: str | None
    text: str
    characters: int
    language: str | None
    signals: Mapping[str, str]


@dataclass(frozen=True)
class GoneSample:
    """A record that left.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        preview: The beginning of its text, if it was kept for people to look at.
        rule: The rule that fired, e.g. `word_count 12 < 50`, if a rule did.
        detail: The step's own words, or evidence.
    """

    id: str
    url: str | None
    preview: str | None
    rule: str | None
    detail: str | None


@dataclass(frozen=True)
class ReasonSamples:
    """Records that left a step for one reason.

    Attributes:
        step: The step's label.
        fate: Where they went.
        reason: The reason code.
        count: All of them.
        samples: The first few.
    """

    step: str
    fate: Literal["dropped", "quarantined"]
    reason: str
    count: int
    samples: tuple[GoneSample, ...]
