"""The ledger: what became of every record and every byte.

At every step `read + created = kept + dropped + quarantined`. A row replaced by its children counts
as dropped `expanded`, rows merged into one as dropped `merged`; children count as created. Bytes
are accounted at the source: consumed, skipped and incomplete ranges tile every unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["EXPANDED", "MERGED", "InputCounts", "StepCounts", "emptied_by", "total"]

EXPANDED = "expanded"
MERGED = "merged"


@dataclass
class StepCounts:
    """Counts of one step, summed over tasks.

    Attributes:
        read: Records that came in.
        created: Records that the step made (children, merged rows, repeats).
        kept: Records that went on.
        dropped: Records that left, by reason.
        quarantined: Records that could not be used, by reason.
        removed: Characters removed from kept records, by reason.
        text_bytes: UTF-8 bytes of text in the kept records.
        notes: What a per-batch step of one task counts beside the ledger. Told apart from it, so
            that these are not added to another task's.
    """

    read: int = 0
    created: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    text_bytes: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def balance(self) -> int:
        """Records unaccounted for: 0, or the ledger is wrong."""
        left = self.kept + self.dropped.total() + self.quarantined.total()
        return self.read + self.created - left

    def add(self, other: Self) -> None:
        """Add another task's counts."""
        self.read += other.read
        self.created += other.created
        self.kept += other.kept
        self.dropped.update(other.dropped)
        self.quarantined.update(other.quarantined)
        self.removed.update(other.removed)
        self.text_bytes += other.text_bytes

    def to_json(self) -> dict[str, Any]:
        """Return the counts as the ledger object of a manifest."""
        return {
            "read": self.read,
            "created": self.created,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": dict(sorted(self.quarantined.items())),
            "removed": dict(sorted(self.removed.items())),
            "text_bytes": self.text_bytes,
            **({"notes": dict(self.notes)} if self.notes else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the counts that `to_json` wrote."""
        return cls(
            read=value["read"],
            created=value["created"],
            kept=value["kept"],
            dropped=Counter(value["dropped"]),
            quarantined=Counter(value["quarantined"]),
            removed=Counter(value["removed"]),
            text_bytes=value["text_bytes"],
            notes=Counter(value.get("notes", {})),
        )


@dataclass
class InputCounts:
    """Bytes (or rows, where a format has no byte offsets) of the input, by what became of them."""

    size: int = 0
    consumed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    incomplete: list[dict[str, Any]] = field(default_factory=list)

    @property
    def balance(self) -> int:
        """Input unaccounted for: 0, or the reader is wrong."""
        missing = sum(item["end"] - item["start"] for item in self.incomplete)
        return int(self.size - self.consumed - self.skipped.total() - missing)

    def add(self, other: Self) -> None:
        """Add another unit's counts."""
        self.size += other.size
        self.consumed += other.consumed
        self.skipped.update(other.skipped)
        self.incomplete.extend(other.incomplete)

    def to_json(self) -> dict[str, Any]:
        """Return the counts as the input object of a manifest."""
        return {
            "size": self.size,
            "consumed": self.consumed,
            "skipped": dict(sorted(self.skipped.items())),
            "incomplete": self.incomplete,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the counts that `to_json` wrote."""
        return cls(
            size=value["size"],
            consumed=value["consumed"],
            skipped=Counter(value["skipped"]),
            incomplete=list(value["incomplete"]),
        )


def total(steps: Iterable[StepCounts]) -> StepCounts:
    """Return a dataset's ledger from its steps', in order.

    `read` is what the first step read, `kept` what the last one kept; the rest adds up.
    """
    steps = list(steps)
    whole = StepCounts()
    for counts in steps:
        whole.created += counts.created
        whole.dropped.update(counts.dropped)
        whole.quarantined.update(counts.quarantined)
        whole.removed.update(counts.removed)
    if steps:
        whole.read = steps[0].read
        whole.kept = steps[-1].kept
        whole.text_bytes = steps[-1].text_bytes
    return whole


def emptied_by(steps: Mapping[str, StepCounts]) -> str | None:
    """Say which step left no record of those that came to it; None if none ever came.

    Args:
        steps: Counts by label, in order, of a dataset without records.

    Example:
        >>> steps = {"Read": StepCounts(read=2, kept=2), "Short": StepCounts(read=2)}
        >>> steps["Short"].dropped["too_short"] = 2
        >>> emptied_by(steps)
        'Short kept none of 2 records (too_short 2)'
    """
    for label, counts in steps.items():
        entered = counts.read + counts.created
        if entered and not counts.kept:
            gone = (counts.dropped + counts.quarantined).most_common()
            reasons = ", ".join(f"{reason} {n:,}" for reason, n in gone)
            return f"{label} kept none of {entered:,} records ({reasons})"
    return None
