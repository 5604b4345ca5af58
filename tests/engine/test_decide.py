import math
import operator
import subprocess
import sys
from typing import ClassVar

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.engine.decide import column_of, decide
from datatools.steps.base import Filter, Rule

OPS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "in": lambda value, options: value in options,
    "not_in": lambda value, options: value not in options,
}


class Rulebook(Filter):
    """Rules made up by the test."""

    measures: ClassVar = {"ratio": pl.Float64, "count": pl.Int64, "kind": pl.String}
    book: tuple[tuple[str, str, str, str], ...] = ()
    a: float | None = None
    b: float | None = None
    c: int | None = None
    d: tuple[str, ...] | None = None
    e: tuple[int, ...] | None = None

    def bind(self, context):
        return self

    def rules(self):
        return tuple(Rule(*rule) for rule in self.book)


def oracle(step, row):
    """Return (dropped, quarantined, measure) of one row, as the contract says it."""
    active = [(r, getattr(step, r.field)) for r in step.rules()]
    active = [(r, threshold) for r, threshold in active if threshold is not None]

    def undefined(value):
        return value is None or (isinstance(value, float) and math.isnan(value))

    for rule, threshold in active:
        value = row[rule.measure]
        if not undefined(value) and OPS[rule.op](value, threshold):
            return rule.reason, None, rule.measure
    for rule, _ in active:
        if undefined(row[rule.measure]):
            return None, f"undefined:{rule.measure}", rule.measure
    return None, None, None


small = st.integers(-3, 3)
ratios = st.none() | st.just(math.nan) | st.just(math.inf) | small.map(lambda n: n / 2)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "ratio": ratios,
            "count": st.none() | small,
            "kind": st.none() | st.sampled_from(["en", "ko", "und", ""]),
        }
    ),
    max_size=6,
)
numeric = st.sampled_from(["<", "<=", ">", ">=", "=="])
options = st.sampled_from(["in", "not_in"])
rule = st.one_of(
    st.tuples(st.just("ratio"), numeric, st.sampled_from("ab")),
    st.tuples(st.just("count"), numeric, st.just("c")),
    st.tuples(st.just("kind"), options, st.just("d")),
    st.tuples(st.just("count"), options, st.just("e")),
)
steps = st.builds(
    lambda book, a, b, c, d, e: Rulebook(
        book=tuple((f"reason {i}", *made) for i, made in enumerate(book)), a=a, b=b, c=c, d=d, e=e
    ),
    st.lists(rule, max_size=5),
    st.none() | small.map(lambda n: n / 2),
    st.none() | small.map(lambda n: n / 2),
    st.none() | small,
    st.none() | st.lists(st.sampled_from(["en", "ko"]), max_size=2).map(tuple),
    st.none() | st.lists(small, max_size=2).map(tuple),
)


@given(step=steps, rows=rows)
def test_decisions_are_those_of_the_slow_oracle(step, rows):
    frame = pl.DataFrame(rows, schema=Rulebook.measures)
    frame = frame.rename({name: column_of("F", name) for name in frame.columns})
    verdicts = decide("F", step, frame)
    for series in (verdicts.dropped, verdicts.value, verdicts.threshold, verdicts.keeps):
        assert len(series) == len(rows)
    got = zip(verdicts.dropped, verdicts.quarantined, verdicts.measure, strict=True)
    assert list(got) == [oracle(step, row) for row in rows]
    assert verdicts.keeps.to_list() == [oracle(step, row)[:2] == (None, None) for row in rows]


def decided(step, **columns):
    frame = pl.DataFrame({column_of("F", name): values for name, values in columns.items()})
    return decide("F", step, frame)


def test_the_first_rule_that_fires_is_the_reason():
    step = Rulebook(
        book=(("small", "ratio", "<", "a"), ("smaller", "ratio", "<", "b")), a=2.0, b=9.0
    )
    verdicts = decided(step, ratio=[1.0, 5.0, 10.0])
    assert verdicts.dropped.to_list() == ["small", "smaller", None]
    assert verdicts.value.to_list() == ["1.0", "5.0", None]
    assert verdicts.threshold.to_list() == ["< 2.0", "< 9.0", None]


def test_a_later_rule_that_fires_wins_over_an_undefined_measure():
    step = Rulebook(book=(("r", "ratio", "<", "a"), ("c", "count", ">", "c")), a=0.0, c=5)
    verdicts = decided(step, ratio=[math.nan, None, math.nan], count=[9, 9, 1])
    assert verdicts.dropped.to_list() == ["c", "c", None]
    assert verdicts.quarantined.to_list() == [None, None, "undefined:ratio"]


def test_an_undefined_measure_that_no_active_rule_reads_is_no_matter():
    step = Rulebook(book=(("r", "ratio", "<", "a"), ("c", "count", ">", "c")), a=None, c=5)
    assert decided(step, ratio=[math.nan], count=[1]).keeps.to_list() == [True]


def test_without_active_rules_every_record_stays():
    assert decided(Rulebook(), ratio=[1.0, None]).keeps.to_list() == [True, True]
    assert decided(Rulebook(), ratio=[]).keeps.to_list() == []


def test_a_number_at_the_threshold_does_not_fire_a_strict_rule():
    step = Rulebook(book=(("r", "ratio", ">", "a"),), a=0.1 + 0.2)
    verdicts = decided(step, ratio=[0.3, 0.1 + 0.2, math.nextafter(0.1 + 0.2, 1)])
    assert verdicts.keeps.to_list() == [True, True, False]


class Halves(Filter):
    """One rule for one kind of record, one for the other."""

    measures: ClassVar = {"ratio": pl.Float64, "kind": pl.String}
    a: float | None = 1.0
    b: float | None = 2.0

    def bind(self, context):
        return self

    def rules(self):
        return (
            Rule("low", "ratio", "<", "a", only=("kind", "en")),
            Rule("low", "ratio", "<", "b", only=("kind", "ko")),
        )


def test_a_rule_limited_to_a_category_says_nothing_of_other_records():
    frame = pl.DataFrame(
        {
            "H.ratio": [0.5, 1.5, 1.5, 0.5, None, None],
            "H.kind": ["en", "en", "ko", "und", "ko", None],
        },
        schema={"H.ratio": pl.Float64, "H.kind": pl.String},
    )
    verdicts = decide("H", Halves(), frame)
    assert verdicts.dropped.to_list() == ["low", None, "low", None, None, None]
    assert verdicts.threshold.to_list() == ["< 1.0", None, "< 2.0", None, None, None]
    undefined = [None, None, None, None, "undefined:ratio", None]
    assert verdicts.quarantined.to_list() == undefined
    off = decide("H", Halves(b=None), frame)
    assert off.dropped.to_list() == ["low", None, None, None, None, None]
    assert off.quarantined.to_list() == [None] * 6


def test_large_integers_are_compared_exactly():
    step = Rulebook(book=(("c", "count", ">", "c"),), c=2**62)
    assert decided(step, count=[2**62, 2**62 + 1]).keeps.to_list() == [True, False]


def test_categories_are_shown_in_the_order_of_the_field():
    step = Rulebook(book=(("language", "kind", "not_in", "d"),), d=("ko", "en"))
    verdicts = decided(step, kind=["fr", "ko"])
    assert verdicts.value.to_list() == ["fr", None]
    assert verdicts.threshold.to_list() == ["not_in [ko, en]", None]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_set_of_categories_is_shown_alike_under_any_hash_seed(seed):
    code = "from datatools.engine.decide import _show; print(_show(frozenset('zyxwvu')))"
    shown = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
    )
    assert shown.stdout.strip() == "[u, v, w, x, y, z]"
