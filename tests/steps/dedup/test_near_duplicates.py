import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_similarity import corpus, similar_pairs
from stored_rows import rows_of

from datatools.steps.dedup.near_duplicates import (
    Search,
    Sketch,
    bucket_pairs,
)
from datatools.steps.dedup.survivor import Priority

# --------------------------------------------------------------------------------------------------
# Pairs of a bucket


def slow_pairs(buckets, all_pairs_up_to, hubs, pairs_of_hubs):
    """Return the pairs, bucket by bucket, and how many of each bucket were not made."""
    pairs, skipped, start = [], [], 0
    for size, others in buckets:
        members = range(start, start + size)
        own = start + others
        whole = [pair for pair in itertools.combinations(members, 2) if pair[1] >= own]
        n = max(1, min(hubs, pairs_of_hubs // max(size, 1)))
        chosen = [*range(start, own)[:n], *range(own, start + size)[:n]]
        made = whole if size <= all_pairs_up_to else [p for p in whole if p[0] in chosen]
        pairs += made
        skipped += [len(whole) - len(made)] + [0] * (len(made) - 1) if made else []
        start += size
    return pairs, skipped


@given(
    buckets=st.lists(
        st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=8
    ),
    all_pairs_up_to=st.integers(1, 8),
    hubs=st.integers(1, 4),
    pairs_of_hubs=st.integers(1, 40),
)
def test_pairs_are_those_made_one_by_one(buckets, all_pairs_up_to, hubs, pairs_of_hubs):
    sizes, others = np.array(buckets, dtype=np.int64).reshape(-1, 2).T
    limits = all_pairs_up_to, hubs, pairs_of_hubs
    left, right, skipped = bucket_pairs(sizes, others, *limits)
    pairs, expected = slow_pairs(buckets, *limits)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == pairs
    assert skipped.tolist() == expected


def test_a_bucket_of_a_million_makes_two_million_pairs_and_says_what_it_left_out():
    left, right, skipped = bucket_pairs(np.array([10**6]), np.array([0]))
    made = sum(10**6 - 1 - hub for hub in range(2))
    assert len(left) == len(right) == made
    assert skipped.sum() == 10**6 * (10**6 - 1) // 2 - made
    assert set(np.unique(left).tolist()) == {0, 1}


# --------------------------------------------------------------------------------------------------
# The search, against every pair


def search(**settings):
    sketch = {"ngram": 5, "unit": "word", "num_perm": 128, "seed": 0}
    sketch = Sketch(**{name: settings.pop(name, usual) for name, usual in sketch.items()})
    usual = {"column": "text", "threshold": 0.8, "priority": Priority("first")}
    return Search(sketch=sketch, **{**usual, **settings})


def found_pairs(root, texts, searching, shards=3, memory=10**9):
    """Return {(i, j): similarity} of the verified pairs, by position, and how many were skipped."""
    size = -(-len(texts) // shards)
    cuts = [texts[at : at + size] for at in range(0, len(texts), size or 1)] or [[]]
    edges, candidates = searching.pairs(rows_of(root, cuts, memory))
    frame = edges.collect()

    def position(row):
        return (row >> 32) * size + (row & 0xFFFFFFFF)

    pairs = {
        tuple(sorted((position(left), position(right)))): similarity
        for left, right, similarity in frame.select("left", "right", "similarity").iter_rows()
    }
    assert len(pairs) == frame.height, "a pair was told twice"
    return pairs, searching.notes(candidates)["pairs_not_compared"]


@pytest.mark.parametrize(
    ("unit", "ngram", "threshold"), [("word", 5, 0.8), ("word", 3, 0.5), ("char", 5, 0.7)]
)
def test_every_pair_found_is_similar_and_nearly_every_similar_pair_is_found(
    tmp_path, unit, ngram, threshold
):
    texts = corpus(seed=1, families=40)
    truth = similar_pairs(texts, threshold, n=ngram, unit=unit)
    assert len(truth) > 50
    found, skipped = found_pairs(
        tmp_path, texts, search(unit=unit, ngram=ngram, threshold=threshold)
    )
    assert {pair: truth.get(pair) for pair in found} == found
    assert len(found) / len(truth) >= 0.95
    assert skipped == 0


def test_the_pairs_do_not_depend_on_shards_or_memory(tmp_path):
    texts = corpus(seed=2, families=12)
    outcomes = [
        found_pairs(tmp_path, texts, search(), shards=shards, memory=memory)
        for shards, memory in [(1, 10**9), (4, 10**9), (2, 40_000), (7, 10_000)]
    ]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0][0]


def test_the_better_record_of_a_pair_is_on_the_left(tmp_path):
    texts = corpus(seed=3, families=12)
    for rule in ("first", "longest"):
        edges, _ = search(priority=Priority(rule)).pairs(rows_of(tmp_path, [texts]))
        for left, right in edges.collect().select("left", "right").iter_rows():
            sizes = len(texts[left].encode()), len(texts[right].encode())
            if rule == "longest":
                assert (-sizes[0], left) < (-sizes[1], right)
            else:
                assert left < right


def test_short_texts_meet_by_their_words_and_nothing_else(tmp_path):
    texts = [
        "Hi there!",
        "hi  THERE",
        "hi there you",
        "안녕 하세요",
        "안녕, 하세요.",
        "!!!",
        "???",
        "",
        "  ",
    ]
    found, _ = found_pairs(tmp_path, texts, search(), shards=2)
    assert found == {(0, 1): 1.0, (3, 4): 1.0, (7, 8): 1.0}
    assert found.keys() == similar_pairs(texts, 0.8).keys()


def test_without_verification_pairs_have_no_similarity(tmp_path):
    texts = corpus(seed=4, families=8)
    edges, candidates = search(verify="none").pairs(rows_of(tmp_path, [texts]))
    frame = edges.collect()
    assert frame.height == candidates.collect().height
    assert frame["similarity"].null_count() == frame.height
    verified, _ = search().pairs(rows_of(tmp_path, [texts]))
    pairs = set(frame.select("left", "right").rows())
    assert set(verified.collect().select("left", "right").rows()) <= pairs


def test_nothing_has_no_pairs(tmp_path):
    assert found_pairs(tmp_path, [], search()) == ({}, 0)
    assert found_pairs(tmp_path, ["only one"], search()) == ({}, 0)
