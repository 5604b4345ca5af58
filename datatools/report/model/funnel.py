"""Every record of a dataset, step by step: the ledger as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from datatools.engine.rule_counts import RuleCount
from datatools.steps.base import Tally

__all__ = ["APART", "SplitFacts", "StepLedger"]

APART: Final = ("expanded", "merged")
"""Reserved reasons of records that were replaced, not lost: shown apart from what was dropped."""


@dataclass(frozen=True)
class StepLedger:
    """One step's counts.

    Attributes:
        label: The step's label in its dataset.
        version: The step's version.
        settings: Field names and values, the latter as JSON.
        read: Records that came in.
        created: Records that the step made.
        kept: Records that went on.
        dropped: Records lost by reason, without those in `APART`.
        apart: Records replaced by their children or merged, by reason.
        quarantined: Records that could not be used, by reason.
        removed: Characters removed from kept records, by reason.
        text_bytes: UTF-8 bytes of text in the kept records.
        notes: What the step counts beside the ledger.
        rules: What each declared rule did.
        tallies: Tables that the step shows, as its manifest has them.
    """

    label: str
    version: int
    settings: Mapping[str, str]
    read: int
    created: int
    kept: int
    dropped: Mapping[str, int]
    apart: Mapping[str, int]
    quarantined: Mapping[str, int]
    removed: Mapping[str, int]
    text_bytes: int
    notes: Mapping[str, int]
    rules: tuple[RuleCount, ...] = ()
    tallies: tuple[Tally, ...] = ()

    @property
    def idle_rules(self) -> list[RuleCount]:
        """Rules that dropped none of the records that came to them."""
        return [rule for rule in self.rules if rule.saw and not rule.dropped]

    @property
    def unreached_rules(self) -> list[RuleCount]:
        """Rules to which no record came, so that they say nothing."""
        return [rule for rule in self.rules if not rule.saw]

    @property
    def lost(self) -> int:
        """Records dropped."""
        return sum(self.dropped.values())

    @property
    def replaced(self) -> int:
        """Records replaced by children or merged."""
        return sum(self.apart.values())

    @property
    def refused(self) -> int:
        """Records quarantined."""
        return sum(self.quarantined.values())

    @property
    def entered(self) -> int:
        """Records that came in or were made."""
        return self.read + self.created

    @property
    def unaccounted(self) -> int:
        """Records the ledger does not explain: 0, or something is wrong."""
        return self.entered - self.kept - self.lost - self.replaced - self.refused


@dataclass(frozen=True)
class SplitFacts:
    """A published split.

    Attributes:
        name: Its name.
        rows: Records.
        shards: Files.
        disk_bytes: Their size on disk.
    """

    name: str
    rows: int
    shards: int
    disk_bytes: int
