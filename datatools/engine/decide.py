"""Deciding over measures: the first rule that fires is the reason.

Reads no text. A null or NaN in a measure that an active rule reads, when no rule fires, quarantines
the record as `undefined:<measure>`: a number that could not be computed is not a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
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
    undefined = _distinct_measures(active)
    tests = []
    for number, (rule, threshold) in enumerate(active):
        column = pl.col(column_of(label, rule.measure))
        unknown = _is_undefined(column, measures.schema[column_of(label, rule.measure)])
        fires = _fires(rule, column, threshold).fill_null(False) & ~unknown
        if rule.only is not None:
            fires &= _is_category(label, *rule.only)
        tests.append(fires.alias(f"fires {number}"))
    for number, (rule, _) in enumerate(undefined):
        column = pl.col(column_of(label, rule.measure))
        unknown = _is_undefined(column, measures.schema[column_of(label, rule.measure)])
        if rule.only is not None:
            unknown &= _is_category(label, *rule.only)
        tests.append(unknown.alias(f"undefined {number}"))
    found = measures.select(tests)
    fired = _first(found.select(pl.col("^fires .*$")), measures.height)
    missing = _first(found.select(pl.col("^undefined .*$")), measures.height)
    missing[fired >= 0] = -1
    measure = _named([rule.measure for rule, _ in active], fired)
    values: list[str | None] = [None] * measures.height
    for number in np.unique(fired[fired >= 0]).tolist():
        rows = np.flatnonzero(fired == number)
        shown = measures[column_of(label, active[number][0].measure)].gather(rows).cast(pl.String)
        for row, value in zip(rows.tolist(), shown.to_list(), strict=True):
            values[row] = value
    return Verdicts(
        _named([rule.reason for rule, _ in active], fired),
        _named([f"undefined:{rule.measure}" for rule, _ in undefined], missing),
        measure.fill_null(_named([rule.measure for rule, _ in undefined], missing)),
        pl.Series(values, dtype=pl.String),
        _named([f"{rule.op} {_show(threshold)}" for rule, threshold in active], fired),
    )


def _first(tests: pl.DataFrame, height: int) -> npt.NDArray[np.int64]:
    """Return the first test that holds for each row, -1 for none."""
    first = np.full(height, -1, np.int64)
    for number in range(tests.width - 1, -1, -1):
        first[tests.to_series(number).to_numpy()] = number
    return first


def _named(names: Sequence[str], numbers: npt.NDArray[np.int64]) -> pl.Series:
    """Return the name of each number, null for -1."""
    listed = pl.Series([*names, None], dtype=pl.String)
    return listed.gather(np.where(numbers < 0, len(names), numbers))


def _is_category(label: str, measure: str, value: str) -> pl.Expr:
    return pl.col(column_of(label, measure)).eq_missing(pl.lit(value))


def _is_undefined(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    undefined = column.is_null()
    return undefined | column.is_nan().fill_null(True) if dtype.is_float() else undefined


def _distinct_measures(active: Sequence[tuple[Rule, Any]]) -> list[tuple[Rule, Any]]:
    seen: dict[tuple[str, tuple[str, str] | None], tuple[Rule, Any]] = {}
    for rule, threshold in active:
        seen.setdefault((rule.measure, rule.only), (rule, threshold))
    return list(seen.values())


def _show(threshold: object) -> str:
    if isinstance(threshold, tuple | list | frozenset | set):
        # A set has no order of its own that two runs would share.
        items = sorted(threshold) if isinstance(threshold, frozenset | set) else threshold
        return "[" + ", ".join(str(item) for item in items) + "]"
    return str(threshold)
