"""Deciding over measures: the first rule that fires is the reason.

Reads no text. A null or NaN in a measure that an active rule reads, when no rule fires, quarantines
the record as `undefined:<measure>`: a number that could not be computed is not a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from datatools.steps.base import Filter, Rule, Step

__all__ = ["Verdicts", "active_rules", "column_of", "decide"]


def column_of(label: str, measure: str) -> str:
    """Return the column that holds a filter's measure, e.g. `GopherQuality.words`."""
    return f"{label}.{measure}"


@dataclass(frozen=True)
class Verdicts:
    """Per row what one filter decided; all series have the input's length.

    Attributes:
        dropped: Reason or null.
        quarantined: Reason or null; never set where `dropped` is.
        measure: Name of the measure the reason rests on.
        value: Its value, as text.
        threshold: The rule and its threshold, e.g. `< 50`.
    """

    dropped: pl.Series
    quarantined: pl.Series
    measure: pl.Series
    value: pl.Series
    threshold: pl.Series

    @property
    def keeps(self) -> pl.Series:
        """Whether the row stays."""
        return self.dropped.is_null() & self.quarantined.is_null()


def active_rules(step: Step) -> list[tuple[Rule, Any]]:
    """Return a filter's rules whose threshold is not None, with it; other steps have none."""
    if not isinstance(step, Filter):
        return []
    found = [(rule, getattr(step, rule.field)) for rule in step.rules()]
    return [(rule, threshold) for rule, threshold in found if threshold is not None]


def _fires(rule: Rule, column: pl.Expr, threshold: Any) -> pl.Expr:
    if rule.op == "in":
        return column.is_in(list(threshold))
    if rule.op == "not_in":
        return ~column.is_in(list(threshold))
    compare = {"<": column.lt, "<=": column.le, ">": column.gt, ">=": column.ge, "==": column.eq}
    return compare[rule.op](threshold)


def decide(label: str, step: Filter, measures: pl.DataFrame) -> Verdicts:
    """Decide every row of a table of measures.

    Args:
        label: The filter's label; its measures are the columns `label.measure`.
        step: The filter, whose fields hold the thresholds.
        measures: The measured columns, one row per record.
    """
    active = active_rules(step)
    dropped: pl.Expr = pl.lit(None, dtype=pl.String)
    quarantined: pl.Expr = pl.lit(None, dtype=pl.String)
    measure: pl.Expr = pl.lit(None, dtype=pl.String)
    value: pl.Expr = pl.lit(None, dtype=pl.String)
    shown: pl.Expr = pl.lit(None, dtype=pl.String)
    # Built from the last rule to the first, so that the first one wins.
    for rule, _ in reversed(_distinct_measures(active)):
        column = pl.col(column_of(label, rule.measure))
        undefined = _is_undefined(column, measures.schema[column_of(label, rule.measure)])
        name = pl.lit(rule.measure)
        quarantined = (
            pl.when(undefined).then(pl.lit(f"undefined:{rule.measure}")).otherwise(quarantined)
        )
        measure = pl.when(undefined).then(name).otherwise(measure)
    for rule, threshold in reversed(active):
        column = pl.col(column_of(label, rule.measure))
        undefined = _is_undefined(column, measures.schema[column_of(label, rule.measure)])
        fires = _fires(rule, column, threshold).fill_null(False) & ~undefined
        dropped = pl.when(fires).then(pl.lit(rule.reason)).otherwise(dropped)
        quarantined = pl.when(fires).then(None).otherwise(quarantined)
        measure = pl.when(fires).then(pl.lit(rule.measure)).otherwise(measure)
        value = pl.when(fires).then(column.cast(pl.String)).otherwise(value)
        told = f"{rule.op} {_show(threshold)}"
        shown = pl.when(fires).then(pl.lit(told)).otherwise(shown)
    result = measures.select(
        dropped.alias("dropped"),
        quarantined.alias("quarantined"),
        measure.alias("measure"),
        value.alias("value"),
        shown.alias("threshold"),
    )
    if result.height != measures.height:  # every expression was a literal
        result = pl.concat([result] * measures.height) if measures.height else result.clear()
    return Verdicts(*(result[name] for name in result.columns))


def _is_undefined(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    undefined = column.is_null()
    return undefined | column.is_nan().fill_null(True) if dtype.is_float() else undefined


def _distinct_measures(active: Sequence[tuple[Rule, Any]]) -> list[tuple[Rule, Any]]:
    seen: dict[str, tuple[Rule, Any]] = {}
    for rule, threshold in active:
        seen.setdefault(rule.measure, (rule, threshold))
    return list(seen.values())


def _show(threshold: object) -> str:
    if isinstance(threshold, tuple | list | frozenset | set):
        # A set has no order of its own that two runs would share.
        items = sorted(threshold) if isinstance(threshold, frozenset | set) else threshold
        return "[" + ", ".join(str(item) for item in items) + "]"
    return str(threshold)
