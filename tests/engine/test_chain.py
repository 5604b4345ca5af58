import itertools

import polars as pl
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.engine.chain import Chain, Link, preview, split_batches, text_bytes
from datatools.records import SCHEMAS, conform, make_id
from datatools.steps.base import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ROWS,
    Context,
    Expanded,
    FlatMap,
    Map,
    Mapped,
)


def documents(*texts):
    ids = [f"id-{i}" for i in range(len(texts))]
    return conform(
        pl.DataFrame({"id": ids, "text": list(texts)}, schema_overrides=TEXTS), "document"
    )


TEXTS = {"id": pl.String, "text": pl.String}


def chain_of(*steps, kind="document"):
    return Chain([Link(step, Context(0, step.name())) for step in steps], kind)


class Does(Map):
    """Does what the test says."""

    how: str

    def bind(self, context):
        return self

    def map(self, batch):
        df = batch.df
        one = pl.Series(["asked"])
        each = pl.Series(["asked"] * df.height, dtype=pl.String)
        return {
            "lose a row": lambda: Mapped(df.head(df.height - 1)),
            "double a row": lambda: Mapped(pl.concat([df, df.head(1)])),
            "reverse": lambda: Mapped(df.reverse()),
            "change ids": lambda: Mapped(df.with_columns(pl.lit("x").alias("id"))),
            "lose ids": lambda: Mapped(df.drop("id")),
            "one reason": lambda: Mapped(df, dropped=one),
            "one quarantine": lambda: Mapped(df, quarantined=one),
            "one detail": lambda: Mapped(df, detail=one),
            "drop and quarantine": lambda: Mapped(df, dropped=each, quarantined=each),
            "other columns": lambda: Mapped(
                df.with_columns(pl.lit(1).alias("extra")) if df.height > 1 else df
            ),
            "other types": lambda: Mapped(
                df.with_columns(pl.lit(1 if df.height > 1 else "one").alias("extra"))
            ),
            "nothing": lambda: Mapped(df),
        }[self.how]()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("lose a row", r"Does is a Map and must return the same rows \(got 2 for 3\)"),
        ("double a row", r"Does is a Map and must return the same rows \(got 4 for 3\)"),
        ("reverse", r"Does is a Map and must leave ids and order alone"),
        ("change ids", r"Does is a Map and must leave ids and order alone"),
        ("lose ids", r"Does is a Map and must leave ids and order alone"),
        ("one reason", r"Does returned 1 values of `dropped` for 3 rows"),
        ("one quarantine", r"Does returned 1 values of `quarantined` for 3 rows"),
        ("one detail", r"Does returned 1 values of `detail` for 3 rows"),
    ],
)
def test_a_map_that_breaks_its_contract_is_told_so(how, message):
    with pytest.raises(TypeError, match=message):
        chain_of(Does(how=how)).run(documents("a", "b", "c"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "other columns",
            r"Does returned other columns for another batch: extra: Int32 is now None",
        ),
        (
            "other types",
            r"Does returned other columns for another batch: extra: Int32 is now String",
        ),
    ],
)
def test_columns_that_change_between_batches_are_told(how, message):
    chain = chain_of(Does(how=how))
    chain.run(documents("a", "b"))
    with pytest.raises(TypeError, match=message):
        chain.run(documents("a"))


def test_quarantine_wins_over_a_drop():
    chain = chain_of(Does(how="drop and quarantine"))
    assert chain.run(documents("a", "b")).height == 0
    counts = chain.counts["Does"]
    assert (counts.dropped.total(), counts.quarantined.total(), counts.balance) == (0, 2, 0)
    assert chain.take_fates()["fate"].to_list() == ["quarantined", "quarantined"]


class Children(FlatMap):
    """Gives the children that the test says."""

    how: str

    def bind(self, context):
        return self

    def flat_map(self, batch):
        n = batch.df.height
        base = {"parent": [0, 1], "key": ["k", "k"], "text": ["x", "y"]}
        schema = {"parent": pl.UInt32, "key": pl.String, "text": pl.String}
        changed = {
            "outside": {"parent": [0, n]},
            "null parent": {"parent": [0, None]},
            "null key": {"key": ["k", None]},
            "one twice": {"parent": [0, 0], "key": ["k", "j"]},
        }.get(self.how, {})
        children = pl.DataFrame({**base, **changed}, schema=schema)
        nothing = pl.Series([None] * n, dtype=pl.String)
        every = pl.Series(["asked"] * n, dtype=pl.String)
        if self.how in ("no parent", "no key"):
            children = children.drop(self.how.removeprefix("no "))
        if self.how == "own ids":
            children = children.with_columns(pl.lit("mine").alias("id"))
        return Expanded(
            children,
            dropped={"dropped too": every, "short": nothing[:1]}.get(self.how),
            quarantined={"quarantined too": every}.get(self.how),
        )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no parent", r"Children returned children without the column 'parent'"),
        ("no key", r"Children returned children without the column 'key'"),
        ("null parent", r"Children returned children with a null parent"),
        ("null key", r"Children returned children with a null key"),
        ("outside", r"Children named a parent outside its batch of 2 records"),
        ("own ids", r"Children returned children with ids; the engine makes them from the keys"),
        ("one twice", r"Children gave a record neither children nor a reason"),
        ("dropped too", r"Children gave a record both children and a reason to leave"),
        ("quarantined too", r"Children gave a record both children and a reason to leave"),
        ("short", r"Children returned 1 values of `dropped` for 2 rows"),
    ],
)
def test_a_flat_map_that_breaks_its_contract_is_told_so(how, message):
    with pytest.raises(TypeError, match=message):
        chain_of(Children(how=how)).run(documents("a", "b"))


def test_a_step_of_another_kind_is_refused():
    chain = Chain([Link(toys.Length(), Context(0, "Length"))], "document")
    with pytest.raises(TypeError, match="Length is not a per-batch step"):
        chain.run(documents("a"))


def test_children_have_ids_made_from_parent_label_and_key():
    chain = Chain([Link(toys.Words(), Context(0, "Words#2"))], "document")
    children = chain.run(documents("하나 two", "three"))
    assert children["id"].to_list() == [
        make_id("id-0", "Words#2", "하나"),
        make_id("id-0", "Words#2", "two"),
        make_id("id-1", "Words#2", "three"),
    ]


def test_a_repeated_key_quarantines_the_second_child():
    chain = chain_of(toys.Words())
    children = chain.run(documents("같은 같은 같은 other", "   "))
    assert children["text"].to_list() == ["같은", "other"]
    counts = chain.counts["Words"]
    assert counts.read == 2
    assert counts.created == 4
    assert counts.kept == 2
    assert counts.dropped == {"expanded": 1, "no_words": 1}
    assert counts.quarantined == {"repeated_key": 2}
    assert counts.balance == 0
    fates = chain.take_fates().filter(pl.col("reason") == "repeated_key")
    assert fates["detail"].to_list() == ["같은", "같은"]


texts = st.lists(
    st.sampled_from(["a line", "drop me", "boom", "", "둘 둘", "drop me boom", "세 단어 글"]),
    max_size=12,
)


@settings(max_examples=40)
@given(texts=texts, cuts=st.lists(st.integers(0, 12), max_size=3))
def test_counts_balance_and_do_not_depend_on_how_rows_are_batched(texts, cuts):
    def through(pieces):
        chain = chain_of(toys.Upper(), toys.Words())
        empty = chain.run(documents())
        kept = pl.concat([empty, *(chain.run(piece) for piece in pieces)])
        return kept, chain.take_fates().drop("preview").sort(pl.all()), chain.counts

    whole = documents(*texts)
    bounds = sorted({0, *(min(cut, len(texts)) for cut in cuts), len(texts)})
    one = through([whole])
    many = through([whole[a:b] for a, b in itertools.pairwise(bounds)])
    assert one[0].equals(many[0])
    assert one[1].equals(many[1])
    assert {k: v.to_json() for k, v in one[2].items()} == {
        k: v.to_json() for k, v in many[2].items()
    }
    for counts in one[2].values():
        assert counts.balance == 0
    assert one[2]["Upper"].read == len(texts)
    assert one[2]["Words"].kept == one[0].height


def test_a_reset_chain_tells_a_task_what_a_fresh_chain_would():
    # A worker keeps its chain between tasks: how many previews a task writes must not depend on it.
    used, fresh = chain_of(toys.Upper()), chain_of(toys.Upper())
    rows = documents(*["drop me"] * 7)
    used.run(rows)
    used.reset()
    used.run(rows)
    fresh.run(rows)
    left, right = used.take_fates(), fresh.take_fates()
    assert left.equals(right)
    assert left["preview"].null_count() == 2
    assert used.counts == fresh.counts


# --------------------------------------------------------------------------------------------------
# Batches


@settings(max_examples=15)
@given(
    sizes=st.lists(
        st.sampled_from([0, 1, 1000, MAX_BATCH_BYTES // 3, MAX_BATCH_BYTES, MAX_BATCH_BYTES + 1]),
        max_size=9,
    )
)
def test_batches_are_within_the_limits_and_lose_nothing(sizes):
    block = "x" * (MAX_BATCH_BYTES + 1)
    frame = pl.DataFrame(
        {"n": range(len(sizes)), "text": [block[:size] for size in sizes]}, schema_overrides=TEXTS
    )
    batches = list(split_batches(frame, "document"))
    assert [n for batch in batches for n in batch["n"]] == list(range(len(sizes)))
    for batch in batches:
        assert batch.height
        used = int(batch["text"].str.len_bytes().sum())
        assert used <= MAX_BATCH_BYTES or batch.height == 1


@pytest.mark.parametrize("columns", [["text"], ["html"], ["text", "html"], []])
@pytest.mark.parametrize("rows", [0, 1, MAX_BATCH_ROWS, MAX_BATCH_ROWS + 1, 3 * MAX_BATCH_ROWS + 5])
def test_batches_have_at_most_4096_rows(columns, rows):
    data = {"n": range(rows), "text": [None] * rows, "html": [b"<p>"] * rows}
    schema = {"n": pl.Int64, "text": pl.String, "html": pl.Binary}
    frame = pl.DataFrame(data, schema=schema).select("n", *columns)
    batches = list(split_batches(frame, None))
    assert all(0 < batch.height <= MAX_BATCH_ROWS for batch in batches)
    assert [n for batch in batches for n in batch["n"]] == list(range(rows))


# --------------------------------------------------------------------------------------------------
# Bytes and previews, against plain Python

MESSAGES = [{"role": "user", "content": "안녕"}, {"role": "assistant", "content": None}]
RECORDS = {
    "document": ({"text": "한글 a"}, 8, "한글 a"),
    "thread": (
        {"question": "왜?", "answers": [{"text": "그냥"}, {"text": None}, {"text": "ab"}]},
        4 + 6 + 2,
        "왜?",
    ),
    "conversation": ({"messages": MESSAGES}, 6, "안녕"),
    "preference": ({"prompt": MESSAGES, "chosen": MESSAGES, "rejected": []}, 12, "안녕"),
}


@pytest.mark.parametrize("kind", list(RECORDS))
def test_bytes_and_preview_of_a_record_are_those_of_its_texts(kind):
    record, size, shown = RECORDS[kind]
    column = next(iter(record))
    types = {name: SCHEMAS[kind][name] for name in record}
    full = [_fill(SCHEMAS[kind][name], value) for name, value in record.items()]
    frame = pl.DataFrame(dict(zip(record, ([value] for value in full), strict=True)), schema=types)
    empty = conform(frame.clear().select(column), kind)
    frame = pl.concat([conform(frame, kind), empty])
    assert frame.select(text_bytes(kind)).to_series().to_list() == [size]
    assert frame.select(preview(kind)).to_series().to_list() == [shown]
    nulls = conform(pl.DataFrame({column: [None]}, schema={column: types[column]}), kind)
    assert nulls.select(text_bytes(kind)).to_series().to_list() == [0]
    assert nulls.select(preview(kind)).to_series().to_list() == [None]


def _fill(dtype, value):
    """Return a list of structs with every field present."""
    if not isinstance(dtype, pl.List):
        return value
    names = [field.name for field in dtype.inner.fields]
    return [{name: item.get(name) for name in names} for item in value]
