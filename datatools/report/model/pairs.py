"""Preferences to look at."""

from __future__ import annotations

from dataclasses import dataclass

from datatools.report.model.chats import Message

__all__ = ["Pair"]


@dataclass(frozen=True)
class Pair:
    """A published preference.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        language: Its language, if it is known.
        prompt: The messages before.
        chosen: The preferred answer.
        rejected: The other.
        strength: How strongly it was preferred, if that is known.
    """

    id: str
    url: str | None
    language: str | None
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    strength: float | None
