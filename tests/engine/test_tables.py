import itertools
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_rows import Runner, rows_of

from datatools.engine.layouts import ByBlocks, ByKey, ByShard, blocks, split
from datatools.engine.tables import (
    BYTES_PER_ROW,
    LOOKUP_ROWS,
    StoredRows,
    group_starts,
    identity,
)


@dataclass(frozen=True)
class Letters:
    """One row per letter: its code as key, and where it stood."""

    times: int = 1

    def __call__(self, batch, rows):
        keys, where, places = [], [], []
        for row, text in zip(rows.tolist(), batch.df["text"].to_list(), strict=True):
            for place, letter in enumerate((text or "") * self.times):
                keys.append(ord(letter))
                where.append(row)
                places.append(place)
        return pl.DataFrame(
            {"key": keys, "row": where, "place": places},
            schema={"key": pl.UInt64, "row": pl.UInt64, "place": pl.Int64},
        )


@dataclass(frozen=True)
class EvenLetters(Letters):
    """Only letters of even code, so that a join finds no partner for the others."""

    def __call__(self, batch, rows):
        return Letters.__call__(self, batch, rows).filter(pl.col("key") % 2 == 0)


@dataclass(frozen=True)
class Ends:
    """Per group its key, its size, its first and its last row: all from the order within it."""

    def __call__(self, frame, starts):
        first, last = starts[:-1], starts[1:] - 1
        return pl.DataFrame(
            {
                "key": frame["key"].to_numpy()[first],
                "size": np.diff(starts),
                "first": frame["row"].to_numpy()[first],
                "last": frame["row"].to_numpy()[last],
            },
            schema={"key": pl.UInt64, "size": pl.Int64, "first": pl.UInt64, "last": pl.UInt64},
        )


@dataclass(frozen=True)
class Count:
    def __call__(self, frame):
        return frame.select(pl.len().alias("rows"), pl.col("place").sum().alias("places"))


@dataclass(frozen=True)
class Fetch:
    """The ids that two columns name, beside the rows that name them."""

    def __call__(self, frame, records, positions):
        ids = records.df["id"]
        return frame.with_columns(
            ids[positions["first"]].alias("first_id"),
            ids[positions["last"]].alias("last_id"),
            pl.Series("first_text", records.df["text"][positions["first"]]),
        )


def letters(shards):
    """Return what `Letters` makes, in plain Python."""
    return [
        (ord(letter), (shard << 32) + i, place)
        for shard, texts in enumerate(shards)
        for i, text in enumerate(texts)
        for place, letter in enumerate(text or "")
    ]


def groups(shards):
    """Return what `Ends` makes of `Letters` by row and place, in plain Python."""
    found = {}
    for key, row, _ in sorted(letters(shards)):
        found.setdefault(key, []).append(row)
    return [(key, len(rows), rows[0], rows[-1]) for key, rows in sorted(found.items())]


def memory_for(rows, partitions):
    """Return the memory that makes a table of `rows` rows fall into that many partitions."""
    return 4 * BYTES_PER_ROW * -(-rows // partitions)


words = st.none() | st.text("abcd가나다", max_size=5)
inputs = st.lists(st.lists(words, max_size=5), min_size=1, max_size=3)


@dataclass(frozen=True)
class Alphabet:
    """A table that comes from no records."""

    letters: str

    def __call__(self):
        return pl.DataFrame({"key": [ord(letter) for letter in self.letters]})


@dataclass(frozen=True)
class Known:
    """Of a table of letters, the function that counts those of a text; it tells when it is made."""

    mark: str

    def __call__(self, frame):
        with open(self.mark, "a") as file:
            file.write("made\n")
        return KnownLetters(frozenset(map(chr, frame["key"])))


@dataclass(frozen=True)
class KnownLetters:
    letters: frozenset

    def __call__(self, batch, rows):
        counts = [sum(c in self.letters for c in text or "") for text in batch.df["text"]]
        schema = {"row": pl.UInt64, "count": pl.Int64}
        return pl.DataFrame({"row": rows, "count": counts}, schema=schema)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@settings(max_examples=12)
@given(shards=inputs, partitions=st.integers(1, 7))
def test_every_verb_is_what_plain_python_makes_for_any_number_of_partitions(
    root, shards, partitions
):
    memory = memory_for(max(1, sum(map(len, shards))), partitions)
    rows = rows_of(root, shards, memory)
    expected = groups(shards)

    table = rows.map_shards(Letters(), columns=("text",), name="letters")
    assert table.collect().rows() == letters(shards)
    assert table.rows == len(letters(shards))

    ends = table.group_by("key", Ends(), order_by=("row", "place"), name="ends")
    assert sorted(ends.collect().rows()) == expected

    counted = table.reduce(Count(), name="count").collect()
    assert counted.rows() == [(len(letters(shards)), sum(p for _, _, p in letters(shards)))]

    fetched = rows.lookup(ends, Fetch(), on=("first", "last"), columns=("id", "text"), name="ids")

    def record(row):
        return f"{row >> 32}-{row & 0xFFFFFFFF}", shards[row >> 32][row & 0xFFFFFFFF]

    assert sorted(fetched.collect().rows()) == [
        (key, size, first, last, record(first)[0], record(last)[0], record(first)[1])
        for key, size, first, last in expected
    ]


@settings(max_examples=12)
@given(
    shards=inputs,
    partitions=st.integers(1, 7),
    how=st.sampled_from(["inner", "left", "semi", "anti"]),
)
def test_a_join_is_that_of_polars_for_any_number_of_partitions(root, shards, partitions, how):
    memory = memory_for(max(1, sum(map(len, shards))), partitions)
    rows = rows_of(root, shards, memory)
    left = rows.map_shards(Letters(), columns=("text",), name="letters")
    right = rows.map_shards(EvenLetters(), columns=("text",), name="even letters").group_by(
        "key", Ends(), order_by=("row", "place"), name="ends"
    )
    joined = left.join(right, "key", how=how, name=how).collect()
    oracle = left.collect().join(right.collect(), on="key", how=how)
    assert joined.columns == oracle.columns
    order = joined.columns
    assert joined.sort(order).equals(oracle.sort(order))


def test_a_join_is_sorted_by_its_key_within_each_partition(root):
    rows = rows_of(root, [["dcba", "abcd"], ["bad"]], 10**9)
    left = rows.map_shards(Letters(), columns=("text",), name="letters")
    right = left.group_by("key", Ends(), order_by=("row", "place"), name="ends")
    keys = left.join(right, "key", how="left", name="join").collect()["key"].to_list()
    assert keys == sorted(keys)


def test_tables_do_not_depend_on_the_memory_setting(root):
    shards = [["abca", "가나다", None, "zzz"], ["", "cab"], ["다나가" * 3]]
    seen = set()
    counts = set()
    for partitions in range(1, 8):
        rows = rows_of(root, shards, memory_for(7, partitions))
        table = rows.map_shards(Letters(), columns=("text",), name="letters")
        ends = table.group_by("key", Ends(), order_by=("row", "place"), name="ends")
        seen.add(tuple(sorted(ends.collect().rows())))
        counts.add(len(ends.parts()))
    assert len(seen) == 1
    assert len(counts) > 4  # the memory did change the partitions


def test_a_function_also_sees_an_empty_batch_of_the_right_columns(root):
    rows = rows_of(root, [[], []], 10**9)
    table = rows.map_shards(Letters(), columns=("text",), name="letters")
    ends = table.group_by("key", Ends(), order_by=("row",), name="ends")
    fetched = rows.lookup(ends, Fetch(), on=("first", "last"), columns=("id", "text"), name="ids")
    assert fetched.collect().rows() == []
    assert fetched.collect().columns[-1] == "first_text"


@dataclass(frozen=True)
class Pairs:
    def __call__(self, batch, rows):
        return pl.DataFrame(
            {"first": np.tile(rows, 30), "last": np.tile(rows[::-1], 30)},
            schema={"first": pl.UInt64, "last": pl.UInt64},
        )


def test_a_lookup_of_many_rows_is_cut_and_loses_none(root, monkeypatch):
    monkeypatch.setattr("datatools.engine.tables.LOOKUP_ROWS", 7)
    shards = [["a", "b", "c"], ["d"]]
    rows = rows_of(root, shards, 10**9)
    table = rows.map_shards(Pairs(), columns=("id",), name="pairs")
    found = rows.lookup(table, Fetch(), on=("first", "last"), columns=("id", "text"), name="ids")
    frame = found.collect()
    assert frame.height == 30 * 4 > 7
    assert LOOKUP_ROWS > 7
    named = ["first", "last"]
    assert frame.select(named).sort(named).equals(table.collect().sort(named))
    for first, first_id in frame.select("first", "first_id").iter_rows():
        assert first_id == f"{first >> 32}-{first & 0xFFFFFFFF}"


# --------------------------------------------------------------------------------------------------
# Layout


@settings(max_examples=50)
@given(
    keys=st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1])),
    count=st.integers(1, 9),
)
def test_partitions_are_disjoint_in_order_and_complete(keys, count):
    frame = pl.DataFrame(
        {"key": keys, "n": range(len(keys))}, schema={"key": pl.UInt64, "n": pl.Int64}
    )
    pieces = split(ByKey("key", count), frame)
    assert len(pieces) == count
    assert all(piece["n"].is_sorted() for piece in pieces)
    assert sorted(pl.concat(pieces).rows()) == sorted(frame.rows())
    owners = [set(piece["key"].to_list()) for piece in pieces]
    assert not any(a & b for a, b in itertools.combinations(owners, 2))


def test_small_keys_in_a_row_fall_evenly_into_partitions():
    frame = pl.DataFrame({"key": range(10_000)}, schema={"key": pl.UInt64})
    sizes = [piece.height for piece in split(ByKey("key", 10), frame)]
    assert min(sizes) > 900
    assert max(sizes) < 1100


def test_a_row_of_a_shard_that_is_not_there_is_refused_and_not_lost():
    frame = pl.DataFrame({"row": [0, 2**32, 2 << 32]}, schema={"row": pl.UInt64})
    layout = ByShard("row", 2)
    with pytest.raises(TypeError, match="row names a record that is not there"):
        split(layout, frame)
    assert [piece.height for piece in split(layout, frame[:2])] == [1, 1]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))),
    starts=st.sets(st.integers(1, 5)),
)
def test_rows_that_name_the_same_two_blocks_meet_whichever_comes_first(pairs, starts):
    starts = (0, *sorted(starts))
    frame = pl.DataFrame(
        {side: [pair[k] << 32 | 7 for pair in pairs] for k, side in enumerate("ab")},
        schema={"a": pl.UInt64, "b": pl.UInt64},
    )
    layout = ByBlocks(("a", "b"), starts)

    def block(shard):
        return max(i for i, start in enumerate(starts) if start <= shard)

    meet = {}
    for pair, where in zip(pairs, layout.place(frame).tolist(), strict=True):
        assert 0 <= where < layout.count
        meet.setdefault(frozenset(map(block, pair)), set()).add(where)
    assert all(len(found) == 1 for found in meet.values())
    assert len(set().union(*meet.values())) == len(meet)


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1),
    budget=st.integers(1, 30),
    several=st.integers(1, 4),
)
def test_blocks_are_within_their_budget_unless_one_shard_is_larger(sizes, budget, several):
    starts = blocks(sizes, budget, several)
    assert starts[0] == 0
    assert list(starts) == sorted(set(starts))
    for start, stop in itertools.pairwise([*starts, len(sizes)]):
        assert sum(sizes[start:stop]) <= budget or sum(1 for size in sizes[start:stop] if size) == 1


@given(st.lists(st.integers(0, 3)))
def test_group_starts_are_those_of_itertools(keys):
    keys.sort()
    sizes = [len(list(group)) for _, group in itertools.groupby(keys)]
    assert group_starts(np.array(keys, dtype=np.uint64)).tolist() == [
        0,
        *itertools.accumulate(sizes),
    ]


# --------------------------------------------------------------------------------------------------
# Keys


@dataclass
class Thawed:
    def __call__(self, frame):
        return frame


@dataclass(frozen=True)
class Outer:
    inner: Letters
    name: str = "x"


def test_a_function_is_named_by_its_class_and_all_its_fields():
    one = identity(Outer(Letters(1)))
    assert one == identity(Outer(Letters(1)))
    assert one != identity(Outer(Letters(2)))
    assert one != identity(Outer(Letters(1), "y"))
    assert identity(Count()) != identity(Ends())


@pytest.mark.parametrize("fn", [lambda frame: frame, Thawed(), len])
def test_a_function_that_cannot_be_named_is_refused(fn):
    with pytest.raises(TypeError, match="must be a frozen dataclass to be part of a key"):
        identity(fn)


def test_a_verb_asked_for_again_is_found_and_not_run(root):
    rows = rows_of(root, [["again"], ["and again"]], 10**9)
    cached = []
    for _ in range(2):
        # A fresh runner is the next run; within one run a verb is not even looked for twice.
        again = StoredRows(Runner(root, 10**9), "test", rows._view, rows.context)
        for _ in range(2):
            table = again.map_shards(Letters(), columns=("text",), name="letters")
            table.group_by("key", Ends(), order_by=("row", "place"), name="ends").collect()
        cached.append([event.cached for event in again._runner.stages.events])
    assert cached == [[False, False], [True, True]]


def test_other_fields_of_a_function_are_another_table(root):
    rows = rows_of(root, [["ab"]], 10**9)
    one = rows.map_shards(Letters(1), columns=("text",), name="letters").collect()
    two = rows.map_shards(Letters(2), columns=("text",), name="letters").collect()
    assert (one.height, two.height) == (2, 4)


def test_records_are_mapped_beside_a_table_that_is_made_up_once_per_process(tmp_path):
    mark = tmp_path / "mark"
    shards = [["abc", None, "가나"], [], ["ㅋ", "cab가"]]
    rows = rows_of(tmp_path, shards)
    made = rows.make(Alphabet("ab"), name="a").followed_by(rows.make(Alphabet("가"), name="b"))
    assert made.collect()["key"].to_list() == [ord(letter) for letter in "ab가"]
    counts = rows.map_beside(made, Known(str(mark)), columns=("text",), name="known")
    found = dict(counts.collect().rows())
    assert found == {0: 2, 1: 0, 2: 1, 2 << 32: 0, (2 << 32) + 1: 3}
    assert mark.read_text() == "made\n"
    other = rows.map_beside(
        rows.make(Alphabet("c"), name="c"), Known(str(mark)), columns=("text",), name="known"
    )
    assert dict(other.collect().rows())[0] == 1
    assert mark.read_text() == "made\n" * 2


def test_a_table_followed_by_another_may_be_grouped(tmp_path):
    rows = rows_of(tmp_path, [["ab"], ["ba"]])
    twice = rows.map_shards(Letters(), columns=("text",), name="once").followed_by(
        rows.map_shards(EvenLetters(), columns=("text",), name="even")
    )
    sizes = twice.group_by("key", Ends(), order_by=("row", "place"), name="ends").collect()
    assert dict(sizes.select("key", "size").rows()) == {ord("a"): 2, ord("b"): 4}
