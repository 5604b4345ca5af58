"""What rules did, against a filter that decides record by record in plain Python."""

import math

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from datatools import steps
from datatools.engine.decide import decide
from datatools.engine.ledger import StepCounts
from datatools.engine.rule_counts import rule_counts
from datatools.steps.base import Filter, Rule


class Bounds(Filter):
    """Five rules over two numbers; two of them have one reason."""

    measures = {"a": pl.Float64, "b": pl.Float64}  # noqa: RUF012 - a ClassVar in the base
    low_a: float | None = None
    """Smallest a."""
    high_a: float | None = None
    """Largest a."""
    low_b: float | None = None
    """Smallest b."""
    high_b: float | None = None
    """Largest b."""

    def bind(self, context):
        return self

    def measure(self, batch):
        return batch.df.select("a", "b")

    def rules(self):
        return (
            Rule("a_outside", "a", "<", "low_a"),
            Rule("a_outside", "a", ">", "high_a"),
            Rule("b_low", "b", "<", "low_b"),
            Rule("b_high", "b", ">", "high_b"),
        )


def slow_counts(step, rows):
    """Return per reason how many records came to it and how many it dropped."""
    tests = {
        "a_outside": [(0, "low_a", -1), (0, "high_a", 1)],
        "b_low": [(1, "low_b", -1)],
        "b_high": [(1, "high_b", 1)],
    }
    found, left = [], rows
    for reason, bounds in tests.items():
        active = [
            (i, getattr(step, f), sign) for i, f, sign in bounds if getattr(step, f) is not None
        ]
        if active:
            gone = [r for r in left if any(sign * (r[i] - limit) > 0 for i, limit, sign in active)]
            found.append((reason, len(left), len(gone)))
            left = [row for row in left if row not in gone]
    return found


limits = st.none() | st.integers(-3, 3)
numbers = st.integers(-4, 4).map(float) | st.just(math.nan)


@given(
    limits, limits, limits, limits, st.lists(st.tuples(numbers, numbers), max_size=12, unique=True)
)
def test_each_reason_saw_what_those_before_it_let_pass(low_a, high_a, low_b, high_b, rows):
    step = Bounds(low_a=low_a, high_a=high_a, low_b=low_b, high_b=high_b)
    frame = pl.DataFrame(
        rows, schema={"Bounds.a": pl.Float64, "Bounds.b": pl.Float64}, orient="row"
    )
    verdicts = decide("Bounds", step, frame)
    counts = StepCounts(read=len(rows), kept=int(verdicts.keeps.sum()))
    counts.dropped.update(verdicts.dropped.drop_nulls().to_list())
    counts.quarantined.update(verdicts.quarantined.drop_nulls().to_list())
    found = [(one.reason, one.saw, one.dropped) for one in rule_counts(step, counts)]
    assert found == slow_counts(step, rows)


def test_a_step_without_declared_rules_has_none():
    assert rule_counts(steps.ExactDedup(), StepCounts(read=3, kept=3)) == ()
    assert rule_counts(steps.ExtractText(), StepCounts(read=3, kept=3)) == ()


def test_of_a_filter_that_read_nothing_no_rule_saw_anything():
    found = rule_counts(steps.GopherQuality(), StepCounts())
    assert {(rule.saw, rule.dropped) for rule in found} == {(0, 0)}
    assert "gopher_below_avg_threshold" in [rule.reason for rule in found]
    assert len({rule.reason for rule in found}) == len(found)
