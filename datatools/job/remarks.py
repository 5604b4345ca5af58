"""Remarks: what a run that succeeded still has to tell, so that nothing is passed over in silence.

Owns: the words about rules that never fired, pairs that a search for duplicates did not
compare, input files without records, datasets that came out empty, and folders of datasets that the
pipeline does not have any more. Refuses: what makes a run fail, which `running` tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from datatools.engine.ledger import emptied_by
from datatools.engine.rule_counts import RuleCount
from datatools.engine.state import DatasetState

__all__ = ["empty_datasets", "large_buckets", "remarks", "silent_rules"]

_NAMED = 5
"""Files that are named; of more only the number is told."""


def remarks(states: Mapping[str, DatasetState]) -> list[str]:
    """Return what is remarkable about the datasets of a run, one line each.

    Args:
        states: Datasets by name, as run.
    """
    return [
        *(line for name, state in states.items() for line in _files_without_records(name, state)),
        *empty_datasets(states),
        *(
            line
            for name, state in states.items()
            for label, rules in state.rules.items()
            for line in silent_rules(f"{label} in {name}", rules)
        ),
        *(
            f"{label} in {name}: {told}"
            for name, state in states.items()
            for label, notes in state.notes.items()
            if (told := large_buckets(notes)) is not None
        ),
    ]


def large_buckets(notes: Mapping[str, int]) -> str | None:
    """Say which pairs a search for duplicates left out; None if it compared all it proposed.

    Args:
        notes: What a step counts beside the ledger.

    Example:
        >>> large_buckets({"buckets_cut": 3, "pairs_not_compared": 12_345})
        '3 buckets were too large: 12,345 pairs not compared'
        >>> large_buckets({"buckets_cut": 1, "pairs_not_compared": 1})
        '1 bucket was too large: 1 pair not compared'
        >>> large_buckets({"buckets_cut": 0, "pairs_proposed": 7}) is None
        True
    """
    cut, skipped = notes.get("buckets_cut", 0), notes.get("pairs_not_compared", 0)
    if not cut:
        return None
    which = "1 bucket was too large" if cut == 1 else f"{cut:,} buckets were too large"
    return f"{which}: {skipped:,} pair{'s' * (skipped != 1)} not compared"


def silent_rules(where: str, rules: Sequence[RuleCount]) -> Iterator[str]:
    """Name the rules that dropped no record, those that saw some apart from those that saw none.

    Args:
        where: The step.
        rules: Its rules; nothing is told where each has fired.

    Example:
        >>> short = RuleCount("short", saw=9, dropped=7)
        >>> long, odd = (RuleCount(reason, saw=2, dropped=0) for reason in ("long", "odd"))
        >>> list(silent_rules("Length in pages", [short, long, odd]))
        ['Length in pages: never fired on 2 records: long, odd']
        >>> left = [RuleCount("short", 9, 9), RuleCount("odd", 0, 0)]
        >>> list(silent_rules("Length in pages", left))
        ['Length in pages: no record was left for odd']
        >>> list(silent_rules("Length in pages", [long, odd]))
        ['Length in pages: none of its 2 rules fired on 2 records']
        >>> list(silent_rules("Length in pages", [RuleCount("short", 0, 0)]))
        ['Length in pages: no record came to it, so no rule could fire']
    """
    if not rules:
        return
    most = rules[0].saw
    if not most:
        yield f"{where}: no record came to it, so no rule could fire"
    elif len(rules) > 1 and not any(rule.dropped for rule in rules):
        yield f"{where}: none of its {len(rules)} rules fired on {most:,} records"
    else:
        idle: dict[int, list[str]] = {}
        for rule in rules:
            if not rule.dropped:
                idle.setdefault(rule.saw, []).append(rule.reason)
        unseen = idle.pop(0, [])
        if idle:
            told = [f"on {saw:,} records: {', '.join(reasons)}" for saw, reasons in idle.items()]
            yield f"{where}: never fired {'; '.join(told)}"
        if unseen:
            yield f"{where}: no record was left for {', '.join(unseen)}"


def empty_datasets(states: Mapping[str, DatasetState]) -> list[str]:
    """Name the datasets without records, each with the step that left none."""
    return [
        f"{name} holds no records: "
        + (emptied_by(state.steps) or f"none came from {_origin(state)}")
        for name, state in states.items()
        if not state.view.rows
    ]


def _origin(state: DatasetState) -> str:
    return ", ".join(state.plan.parents) or "its input"


def _files_without_records(name: str, state: DatasetState) -> Iterator[str]:
    for label, files in state.files.items():
        silent = [path for path, records in files.items() if not records]
        if silent:
            more = f" and {len(silent) - _NAMED:,} more" if len(silent) > _NAMED else ""
            yield (
                f"{name}: {label} found no record in {len(silent):,} of {len(files):,} files: "
                f"{', '.join(silent[:_NAMED])}{more}"
            )
