"""What is known of a dataset while a job runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from datatools.engine.ledger import InputCounts, StepCounts, total
from datatools.engine.plan import DatasetPlan
from datatools.engine.rule_counts import RuleCount, rule_counts
from datatools.engine.store import PartRef
from datatools.engine.view import View
from datatools.steps.base import Tally

__all__ = ["DatasetState"]


@dataclass
class DatasetState:
    """What is known of a dataset once its stages have run.

    Attributes:
        plan: The dataset.
        view: Its records.
        steps: Counts by step label, in order; for a published manifest and the funnel.
        inputs: What became of the input's bytes by source label; empty without a Source.
        files: Records read of each input file by source label; empty in a trial, which does not
            read files to their ends.
        fates: Parts with the fates of records that left.
        previews: Parts with texts looked up for some of them.
        notes: What steps count beside the ledger, by step label.
        tallies: Tables that Globals show, by step label.
    """

    plan: DatasetPlan
    view: View
    steps: dict[str, StepCounts] = field(default_factory=dict)
    inputs: dict[str, InputCounts] = field(default_factory=dict)
    files: dict[str, Counter[str]] = field(default_factory=dict)
    fates: list[PartRef] = field(default_factory=list)
    previews: list[PartRef] = field(default_factory=list)
    notes: dict[str, dict[str, int]] = field(default_factory=dict)
    tallies: dict[str, tuple[Tally, ...]] = field(default_factory=dict)

    @property
    def ledger(self) -> StepCounts:
        """The whole dataset's counts."""
        return total(self.steps.values())

    @property
    def rules(self) -> dict[str, tuple[RuleCount, ...]]:
        """What each declared rule did, by step label; steps without rules have an empty entry."""
        return {
            link.context.label: rule_counts(link.step, self.steps[link.context.label])
            for link in self.plan.links
        }
