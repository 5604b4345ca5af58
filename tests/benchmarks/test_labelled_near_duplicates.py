"""The truth about near duplicates, against brute force over every pair."""

import itertools
import re

import polars as pl
import pytest
from near_duplicates import FLOOR, KINDS, labelled, shingle_set, similar_pairs, truth


def brute_force(texts, floor):
    """Jaccard similarity of every pair, straight from the definition."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    sets = [{" ".join(one[at : at + 5]) for at in range(len(one) - 4)} for one in words]
    pairs = {}
    for left, right in itertools.combinations(range(len(texts)), 2):
        value = len(sets[left] & sets[right]) / len(sets[left] | sets[right])
        if value >= floor:
            pairs[left, right] = value
    return pairs


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_truth_holds_exactly_the_pairs_that_brute_force_finds(language):
    rows = labelled(language, 200, seed=3)
    found = {frozenset((left, right)): value for left, right, value in truth(rows).iter_rows()}
    ids = rows["id"].to_list()
    expected = {
        frozenset((ids[left], ids[right])): value
        for (left, right), value in brute_force(rows["text"].to_list(), FLOOR).items()
    }
    assert len(expected) > 60
    assert found == expected


@pytest.mark.parametrize("floor", [0.3, 0.5, 0.8, 1.0])
def test_no_pair_is_lost_at_similarities_that_equal_the_floor(floor):
    # Sets of ten that share k members have similarities k / (20 - k), 1 among them; the floor
    # itself is met by 10 of 20 and 8 of 10.
    sets = [
        frozenset((str(number),) for number in range(start, start + size))
        for start, size in [(0, 10), (0, 10), (0, 8), (2, 10), (5, 10), (0, 20), (100, 10)]
    ]
    expected = [
        (left, right, len(sets[left] & sets[right]) / len(sets[left] | sets[right]))
        for left, right in itertools.combinations(range(len(sets)), 2)
        if len(sets[left] & sets[right]) / len(sets[left] | sets[right]) >= floor
    ]
    assert sorted(similar_pairs(sets, floor)) == expected


def test_short_texts_are_alike_when_they_have_the_same_words():
    assert shingle_set("Two words!") == shingle_set("two, words")
    assert shingle_set("두 낱말") == {("두", "낱말")}
    assert shingle_set("a b c d e f") == {("a", "b", "c", "d", "e"), ("b", "c", "d", "e", "f")}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others(language):
    rows = labelled(language, 64, seed=1)
    assert rows.equals(labelled(language, 64, seed=1))
    assert not rows.equals(labelled(language, 64, seed=2))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_more_edits_leave_less_in_common(language):
    rows = labelled(language, 600, seed=5)
    texts = dict(zip(rows["id"], rows["text"], strict=True))
    means = {}
    for kind in KINDS:
        copies = rows.filter(pl.col("source") == kind)
        values = []
        for name, text in zip(copies["id"], copies["text"], strict=True):
            original = shingle_set(texts[name.replace(kind, "original")])
            copy = shingle_set(text)
            values.append(len(original & copy) / len(original | copy))
        means[kind] = sum(values) / len(values)
    edits = [means[f"edit_{share}"] for share in (1, 5, 10, 20, 40)]
    assert edits == sorted(edits, reverse=True)
    assert edits[0] > 0.8
    assert edits[-1] < 0.1
    assert 0.2 < means["reordered"] < 0.9
    assert 0.4 < means["truncated"] < 0.9
    assert 0.5 < means["boilerplate"] < 0.95


def test_boilerplate_leaves_the_text_inside_as_it_was():
    rows = labelled("ko", 64, seed=1)
    texts = dict(zip(rows["id"], rows["text"], strict=True))
    framed = rows.filter(pl.col("source") == "boilerplate")
    for name, text in zip(framed["id"], framed["text"], strict=True):
        assert texts[name.replace("boilerplate", "original")] in text
