"""Conversations to look at, with what the loss covers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Conversation", "Message", "Segment"]


@dataclass(frozen=True)
class Segment:
    """A run of a rendered conversation.

    Attributes:
        text: The run.
        trained: Whether the loss covers it.
    """

    text: str
    trained: bool


@dataclass(frozen=True)
class Message:
    """A chat message.

    Attributes:
        role: Who speaks.
        text: The beginning of what is said.
        left_out: Characters that are not shown.
        trained: Whether the loss covers it.
    """

    role: str
    text: str
    left_out: int
    trained: bool


@dataclass(frozen=True)
class Conversation:
    """A published conversation: as rendered, where the dataset says how, else by message.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        language: Its language, if it is known.
        segments: The rendered text, cut at the edges of the loss mask; empty if it is not rendered.
        messages: The messages; empty if it is rendered.
        left_out: Characters of the rendered text that are not shown.
    """

    id: str
    url: str | None
    language: str | None
    segments: tuple[Segment, ...]
    messages: tuple[Message, ...]
    left_out: int
