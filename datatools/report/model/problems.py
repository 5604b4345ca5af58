"""What the fence stopped."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoppedRecord"]


@dataclass(frozen=True)
class StoppedRecord:
    """A record that killed, hung or flooded the process that worked on it, even alone.

    Attributes:
        id: Its id.
        step: Label of the step.
        reason: `fence_crash`, `fence_timeout`, `fence_memory` or `fence_error`.
        detail: What happened.
    """

    id: str
    step: str
    reason: str
    detail: str
