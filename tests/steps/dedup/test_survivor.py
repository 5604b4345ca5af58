import itertools
import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st
from jobs import dataset, published, run_job

from datatools.errors import ConfigError
from datatools.steps.base import Batch
from datatools.steps.dedup.exact_dedup import ExactDedup
from datatools.steps.dedup.minhash_dedup import MinHashDedup
from datatools.steps.dedup.semantic_dedup import SemanticDedup
from datatools.steps.dedup.survivor import Priority
from datatools.steps.ingest.read_parquet import ReadParquet
from datatools.steps.instruct.extract_questions import ExtractQuestions

LONG = "우리는 오늘 학교에 가서 책을 읽고 친구와 이야기를 나누었다 and then we went home by bus"


def order(frame, priority):
    """Return the rows as the rule orders them, best first; ties in their order."""
    numbers = priority(Batch(frame), np.arange(frame.height, dtype=np.uint64))
    assert numbers.dtype == np.uint64
    assert numbers.min(initial=1) >= 1, "only records of another dataset are protected"
    return np.argsort(numbers, kind="stable").tolist()


@given(st.lists(st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1e-320]), max_size=12))
def test_best_puts_larger_numbers_first_and_unknown_ones_last(values):
    frame = pl.DataFrame({"score": values}, schema={"score": pl.Float64})
    known = [i for i, v in enumerate(values) if v is not None and not math.isnan(v)]
    expected = sorted(known, key=lambda i: -values[i])
    expected += [i for i in range(len(values)) if i not in known]
    assert order(frame, Priority("best", best_by="score")) == expected


def integers(low, high):
    """Return a strategy of lists of integers and nulls, most of them next to each other."""

    def around(edge):
        near = st.integers(edge - 2, edge + 2).filter(lambda number: low <= number <= high)
        return st.lists(near | st.none() | st.integers(low, high), max_size=8)

    edges = [edge for edge in (low, -(2**53), 0, 2**53, high) if low <= edge <= high]
    return st.sampled_from(edges).flatmap(around)


@given(
    st.sampled_from(
        [
            (pl.Int64, -(2**63) + 2, 2**63 - 1),
            (pl.UInt64, 0, 2**64 - 3),
            (pl.Int8, -128, 127),
            (pl.UInt32, 0, 2**32 - 1),
        ]
    ).flatmap(lambda kind: st.tuples(st.just(kind[0]), integers(*kind[1:])))
)
def test_best_compares_whole_numbers_exactly(drawn):
    dtype, values = drawn
    frame = pl.DataFrame({"votes": values}, schema={"votes": dtype})
    known = [i for i, value in enumerate(values) if value is not None]
    expected = sorted(known, key=lambda i: -values[i])
    expected += [i for i in range(len(values)) if i not in known]
    assert order(frame, Priority("best", best_by="votes")) == expected


def test_whole_numbers_that_no_float_tells_apart_are_told_apart_by_the_steps():
    votes = [2**53, 2**53 + 1, -(2**63), 2**53 - 1]
    frame = pl.DataFrame({"id": list("abcd"), "text": [LONG] * 4, "votes": votes})
    for step in (ExactDedup, MinHashDedup):
        kept, _ = step(keep="best", best_by="votes").apply(frame)
        assert kept["id"].to_list() == ["b"]


def test_the_ends_of_the_whole_numbers_stay_in_their_place():
    for dtype, values in (
        (pl.Int64, [None, -(2**63), -(2**63) + 3, 2**63 - 2, 2**63 - 1]),
        (pl.UInt64, [None, 0, 1, 2**64 - 4, 2**64 - 1]),
    ):
        frame = pl.DataFrame({"votes": values}, schema={"votes": dtype})
        assert order(frame, Priority("best", best_by="votes")) == [4, 3, 2, 1, 0]


moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 30)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(st.lists(moments, max_size=8))
def test_newest_puts_later_dates_first(dates):
    frame = pl.DataFrame({"date": [d.isoformat() for d in dates]}, schema={"date": pl.String})
    expected = sorted(range(len(dates)), key=lambda i: -dates[i].timestamp())
    assert order(frame, Priority("newest")) == expected


def test_newest_knows_days_zones_and_what_is_no_date():
    dates = ["2024-05-01", None, "어제", "2024-05-01T00:00:01+00:00", "2024-05-01T08:00:00+09:00"]
    assert order(pl.DataFrame({"date": dates}), Priority("newest")) == [3, 0, 4, 1, 2]


def test_longest_counts_bytes_and_source_goes_by_its_list():
    frame = pl.DataFrame({"text": ["abc", "가나", "abcde", None], "source": ["b", "c", "a", "b"]})
    assert order(frame, Priority("longest")) == [1, 2, 0, 3]
    assert order(frame, Priority("source", source_order=("a", "b"))) == [2, 0, 3, 1]
    assert order(frame, Priority("first")) == [0, 1, 2, 3]


# --------------------------------------------------------------------------------------------------
# In the steps

COPIES = pl.DataFrame(
    {
        "id": ["one", "two", "three", "four"],
        "text": [LONG, LONG + "!", LONG.upper(), "혼자"],
        "date": ["2024-01-01", "2023-01-01", "2024-03-01", None],
        "source": ["blog", "wiki", "news", "wiki"],
        "score": [0.5, 0.9, None, 0.1],
    }
)
RULES = {
    "one": {"keep": "first"},
    "two": {"keep": "best", "best_by": "score"},
    "three": {"keep": "newest"},
}


@pytest.mark.parametrize(
    ("survivor", "rule"), [*RULES.items(), ("two", {"keep": "source", "source_order": ["wiki"]})]
)
@pytest.mark.parametrize("make", [MinHashDedup, lambda **r: ExactDedup(compare="words", **r)])
def test_the_survivor_is_the_one_the_rule_names_in_whatever_order_they_come(survivor, rule, make):
    for shuffled in itertools.permutations(range(4)):
        if rule == {"keep": "first"}:
            shuffled = range(4)
        kept, dropped = make(**rule).apply(COPIES[list(shuffled)])
        assert set(kept["id"]) == {survivor, "four"}
        assert all(f'"survivor":"{survivor}"' in detail for detail in dropped["detail"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep": "best"}, "`best` needs `best_by`"),
        ({"keep": "source"}, "`source` needs `source_order`"),
        ({"best_by": "score"}, "is read only with `keep: best`"),
        ({"keep": "first", "source_order": ["a"]}, "is read only with `keep: source`"),
    ],
)
def test_a_rule_that_is_not_whole_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        MinHashDedup(**fields)


def test_the_best_can_be_the_one_that_a_filter_measured_as_best(tmp_path):
    path = tmp_path / "pages.txt"
    path.write_text(f"{LONG}\n{LONG}!!!!\n{LONG.upper()}!!\n한국어 문서\n")
    steps = [
        toys.ReadLines(paths=(str(path),)),
        toys.Length(),
        MinHashDedup(keep="best", best_by="Length.characters"),
    ]
    run_job(tmp_path / "out", {"pages": dataset(*steps)})
    kept = pl.read_parquet(tmp_path / "out/pages/*.parquet")["text"].to_list()
    assert kept == [f"{LONG}!!!!", "한국어 문서"]


@pytest.mark.parametrize("values", [["좋다", "나쁘다"], [[1.0], [2.0]]])
def test_a_best_column_without_numbers_is_told(values):
    frame = pl.DataFrame({"text": ["같은 글", "같은 글"], "mark": values})
    with pytest.raises(ConfigError, match="best_by: 'mark' does not hold numbers"):
        ExactDedup(keep="best", best_by="mark").apply(frame)


# --------------------------------------------------------------------------------------------------
# Against another dataset


def two_datasets(tmp_path, name, mine, theirs, step, unit_bytes=1 << 20, **settings):
    """Return the kept texts of both datasets, and why the others left."""
    places = {}
    for label, texts in (("mine", mine), ("theirs", theirs)):
        path = tmp_path / f"{label}.txt"
        path.write_text("\n".join(texts) + "\n")
        places[label] = toys.ReadLines(paths=(str(path),), unit_bytes=unit_bytes, label=label)
    datasets = {"theirs": dataset(places["theirs"]), "mine": dataset(places["mine"], step)}
    run_job(tmp_path / name, datasets, **settings)
    kept = {
        label: pl.read_parquet(tmp_path / name / label / "*.parquet")["text"].to_list()
        for label in places
    }
    fates = pl.read_parquet(tmp_path / name / "mine/sidecar/fates.parquet")
    return kept, fates["detail"].to_list(), published(tmp_path / name)


def variants(stem):
    """Return ten documents about a stem that are near duplicates of each other."""
    words = [f"{stem}{i}" for i in range(60)]
    return [" ".join([*words[:k], "다른", *words[k + 1 :]]) for k in range(0, 10, 2)]


@pytest.mark.parametrize("verify", ["exact", "signature", "none"])
def test_what_the_other_dataset_has_leaves_and_the_other_dataset_stays_whole(tmp_path, verify):
    theirs = [*variants("가"), "that alone"]
    mine = [variants("가")[0] + " 끝", *variants("b"), "mine alone", "that alone"]
    step = MinHashDedup(against="theirs", keep="first", threshold=0.6, verify=verify)
    kept, details, _ = two_datasets(tmp_path, "out", mine, theirs, step)
    assert kept["theirs"] == theirs
    assert kept["mine"] == [variants("b")[0], "mine alone"]
    assert sum('"dataset":"theirs"' in detail for detail in details) == 2
    assert sum('"dataset":null' in detail for detail in details) == 4


@pytest.mark.parametrize("step", [MinHashDedup(against="theirs"), ExactDedup(against="theirs")])
def test_against_does_not_depend_on_shards_or_memory(tmp_path, step):
    theirs = [*variants("가"), *variants("나")]
    mine = [*variants("나"), *variants("다"), *variants("가")[::-1], *variants("다")]
    outcomes = [
        two_datasets(tmp_path, f"out{n}", mine, theirs, step, unit_bytes=size, **settings)[0]
        for n, (size, settings) in enumerate([(1 << 20, {}), (900, {}), (700, {"memory": 20_000})])
    ]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["mine"]
    assert len(outcomes[0]["mine"]) < len(mine)


def test_a_bucket_that_the_other_dataset_fills_still_compares_ones_own(tmp_path):
    """More hubs of theirs than a bucket compares must not hide duplicates among mine."""
    template = [
        f"머리말 {i} " + "같은 말을 되풀이하는 바닥글 하나 둘 셋 넷 다섯" for i in range(60)
    ]
    theirs = template[:50]
    step = MinHashDedup(against="theirs", keep="first", threshold=0.5)
    kept, _, _ = two_datasets(tmp_path, "out", [*template[50:], *variants("x")], theirs, step)
    assert kept["mine"] == [variants("x")[0]]
    assert kept["theirs"] == theirs


@pytest.mark.parametrize(
    ("step", "column"),
    [
        (MinHashDedup(against="questions"), "text"),
        (ExactDedup(against="questions"), "text"),
        (SemanticDedup(against="questions"), "embedding"),
    ],
)
def test_a_dataset_without_what_is_compared_is_refused_and_not_passed_over(tmp_path, step, column):
    path = tmp_path / "pages.parquet"
    pl.DataFrame({"text": ["한 글", "a text"], "embedding": [[1.0], [2.0]]}).write_parquet(path)
    datasets = {
        "pages": dataset(ReadParquet(paths=(str(path),), vectors=("embedding",))),
        "clean": dataset(step, from_="pages"),
        "questions": dataset(ExtractQuestions(), from_="pages"),
    }
    with pytest.raises(ConfigError, match=f"needs the column '{column}' of questions"):
        run_job(tmp_path / "out", datasets)
