"""What each rule of a filter did: how many records came to it, and how many it dropped.

A rule that saw a thousand records and dropped none may be set too wide; one that saw none, because
the rules before it left nothing, says nothing at all. Only filters declare their rules: other steps
name their reasons as they go, so that a reason they never gave is not known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from datatools.engine.decide import active_rules
from datatools.engine.ledger import StepCounts
from datatools.steps.base import Step

__all__ = ["RuleCount", "rule_counts"]


@dataclass(frozen=True)
class RuleCount:
    """What the rules of one reason did in a run.

    Attributes:
        reason: Their reason code.
        saw: Records that came to the first of them: those that no earlier reason dropped.
        dropped: Of them, the records that were dropped.
    """

    reason: str
    saw: int
    dropped: int

    def to_json(self) -> dict[str, Any]:
        """Return the counts as an entry of `rules` in a manifest."""
        return asdict(self)


def rule_counts(step: Step, counts: StepCounts) -> tuple[RuleCount, ...]:
    """Return what each rule of a step did, in the order in which rules are tried.

    Rules of one reason count together, where the first of them stands. A rule whose threshold is
    None is off and left out. A step without declared rules has none.

    Args:
        step: Any step.
        counts: What the ledger says of it.

    Example:
        >>> from datatools import steps
        >>> counts = StepCounts(read=10, kept=7)
        >>> counts.dropped["language_not_kept"] = 3
        >>> for rule in rule_counts(steps.LanguageFilter(keep=("ko",), min_score=0.5), counts):
        ...     print(rule.reason, rule.saw, rule.dropped)
        language_not_kept 10 3
        language_low_score 7 0
    """
    found: dict[str, RuleCount] = {}
    left = counts.read
    for rule, _ in active_rules(step):
        if rule.reason not in found:
            dropped = counts.dropped[rule.reason]
            found[rule.reason] = RuleCount(rule.reason, left, dropped)
            left -= dropped
    return tuple(found.values())
