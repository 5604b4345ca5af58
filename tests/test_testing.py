"""The contract kit finds what it says it finds."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl
import pytest

from datatools import steps
from datatools.records import SCHEMAS
from datatools.steps.base import Decisions, Expanded, Filter, FlatMap, Global, Map, Mapped, Rule
from datatools.testing import check_step, nasty_records

EXAMPLE = """Does what the test says.

    Example:
        >>> 1 + 1
        2
"""


class Good(Map):
    __doc__ = EXAMPLE

    suffix: str = "!"
    """Added to every text."""
    hidden: int = 0
    """Breaks the promise that the test says."""

    def reads(self):
        return frozenset({"text"})

    def bind(self, context):
        return self

    def map(self, batch):
        return Mapped(batch.df.with_columns((pl.col("text") + self.suffix).alias("text")))


def broken(name, base=Good, **body):
    """Return a step class that differs from a good one in one thing."""
    body = {"__doc__": EXAMPLE, "__module__": __name__, **body}
    made = type(name, (base,), body)
    globals()[name] = made  # pickles are found by name
    return made


def test_a_good_step_passes():
    check_step(Good())
    check_step(Good(), pl.DataFrame({"text": ["한국어", None], "mine": [1, 2]}))


def maps(function):
    return {"map": lambda self, batch: function(self, batch)}


def by_position(self, batch):
    numbers = pl.Series("number", range(batch.df.height), dtype=pl.Int64)
    return Mapped(batch.df.with_columns(numbers))


calls = iter(range(10**9))


def by_call(self, batch):
    return Mapped(batch.df.with_columns(pl.lit(next(calls)).alias("call")))


def afraid_of_null(self, batch):
    for text in batch.df["text"]:
        text.upper()
    return Mapped(batch.df)


def loses_the_last(self, batch):
    return Mapped(batch.df.head(max(0, batch.df.height - 1)))


def shape_from_data(self, batch):
    extra = [pl.lit(1).alias("extra")] if batch.df.height else []
    return Mapped(batch.df.with_columns(extra))


BROKEN = {
    "Undocumented": ({"__doc__": None}, "has no docstring"),
    "Unsaid": ({"__doc__": "no sentence\n\n>>> 1\n1\n"}, "whose summary is no sentence"),
    "NoExample": ({"__doc__": "Says something."}, "has no example in its docstring"),
    "FalseExample": (
        {"__doc__": "Says something.\n\n>>> 1 + 1\n3\n"},
        "has an example that does not hold",
    ),
    "ByPosition": (maps(by_position), "depends on where its input is cut"),
    "ByCall": (maps(by_call), "does not do the same twice: row 0, call:"),
    "LosesTheLast": (maps(loses_the_last), "must return the same rows"),
    "ShapeFromData": (maps(shape_from_data), "returned other columns for another batch: extra"),
    "ForgetsReads": (
        {"reads": lambda self: frozenset({"text", "title"})},
        r"reads \['text', 'title'\]: give a `frame` that has them",
    ),
    "SaysItAdds": (
        {"adds": lambda self: {"score": pl.Float64()}},
        "says that it adds 'score' as Float64, and gives None",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_promise_is_named(name):
    body, message = BROKEN[name]
    with pytest.raises((AssertionError, TypeError), match=message):
        check_step(broken(name, **body)())


def test_a_step_that_cannot_take_a_null_is_found():
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'upper'"):
        check_step(broken("AfraidOfNull", **maps(afraid_of_null))())


class NoFieldDocstring(Good):
    __doc__ = EXAMPLE
    silent: int = 3


class Unordered(Good):
    __doc__ = EXAMPLE
    kinds: frozenset[str] = frozenset({"a", "b"})
    """Kinds."""


class Thawed(Good):
    __doc__ = EXAMPLE
    model_config: ClassVar = {"frozen": False}


class TakesAnything(Good):
    __doc__ = EXAMPLE
    model_config: ClassVar = {"extra": "ignore"}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (NoFieldDocstring(), "has no docstring below its field 'silent'"),
        (Unordered(), "keeps 'kinds' as a set, whose order no two runs share"),
        (Thawed(), "is not frozen: its field 'suffix' can be set"),
        (TakesAnything(), "takes fields that it does not have"),
    ],
)
def test_a_broken_model_is_named(step, message):
    with pytest.raises(AssertionError, match=message):
        check_step(step)


class Short(Filter):
    __doc__ = EXAMPLE
    measures: ClassVar = {"characters": pl.Int64}
    minimum: int | None = 3
    """Fewest characters."""

    def reads(self):
        return frozenset({"text"})

    def bind(self, context):
        return self

    def rules(self):
        return (Rule("short", "characters", "<", "minimum"),)

    def measure(self, batch):
        return batch.df.select(pl.col("text").str.len_chars().cast(pl.Int64).alias("characters"))


class ByThreshold(Short):
    __doc__ = EXAMPLE

    def measure(self, batch):
        limit = pl.lit(self.minimum or 0)
        return super().measure(batch).with_columns(pl.min_horizontal("characters", limit))


class ReadsMore(Short):
    __doc__ = EXAMPLE

    def measure(self, batch):
        batch.df["url"]
        return super().measure(batch)


class WrongRule(Short):
    __doc__ = EXAMPLE

    def rules(self):
        return (Rule("short", "words", "<", "minimum"),)


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (ByThreshold(), AssertionError, "measures otherwise when its thresholds change"),
        (ReadsMore(), pl.exceptions.ColumnNotFoundError, "url"),
        (WrongRule(), AssertionError, "has a rule over 'words', which it does not measure"),
    ],
)
def test_a_broken_filter_is_named(step, error, message):
    check_step(Short())
    with pytest.raises(error, match=message):
        check_step(step)


class Parts(FlatMap):
    __doc__ = EXAMPLE
    forget: bool = False
    """Whether to say nothing of records without parts."""

    def reads(self):
        return frozenset({"text"})

    def bind(self, context):
        return self

    def flat_map(self, batch):
        texts = [(text or "").split("\n") for text in batch.df["text"]]
        rows = [
            {"parent": i, "key": str(n), "text": part}
            for i, parts in enumerate(texts)
            for n, part in enumerate(parts)
            if part
        ]
        schema = {"parent": pl.UInt32, "key": pl.String, "text": pl.String}
        none = [None if self.forget or any(parts) else "no_parts" for parts in texts]
        return Expanded(pl.DataFrame(rows, schema=schema), dropped=pl.Series(none, dtype=pl.String))


def test_a_flat_map_that_loses_a_parent_is_found():
    check_step(Parts())
    with pytest.raises(TypeError, match="gave a record neither children nor a reason"):
        check_step(Parts(forget=True))


@dataclass(frozen=True)
class _Numbers:
    divisor: int

    def __call__(self, batch, rows):
        return pl.DataFrame({"row": rows, "number": rows // self.divisor})


class Numbered(Global):
    __doc__ = EXAMPLE
    divisor: int = 1
    """What a row's number is divided by: 2^32 leaves its shard."""

    def adds(self):
        return {"number": pl.UInt64()}

    def lower(self, rows, others):
        table = rows.map_shards(_Numbers(self.divisor), columns=("id",), name="numbers")
        return Decisions(table, dict(self.adds()))


def test_a_global_that_depends_on_shards_is_found():
    check_step(steps.Shuffle())
    with pytest.raises(AssertionError, match="depends on where its input is cut"):
        check_step(Numbered(divisor=2**32))


@pytest.mark.parametrize("kind", list(SCHEMAS))
def test_nasty_records_have_their_schema_and_nulls_everywhere_but_in_the_id(kind):
    frame = nasty_records(kind)
    assert frame.schema == SCHEMAS[kind]
    assert frame["id"].n_unique() == frame.height
    for name in frame.columns:
        assert (frame[name].null_count() > 0) == (name != "id")
