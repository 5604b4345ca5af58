import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.shingles import jaccard, shingle_sets


def slow_shingles(text, ngram, unit):
    tokens = (
        re.findall(r"\w+", text.lower()) if unit == "word" else list(" ".join(text.lower().split()))
    )
    return {tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1)}


def slow_normalise(text):
    return re.findall(r"\w+", text.lower()) or text.lower().split()


@given(st.data(), st.integers(1, 6), st.sampled_from(["word", "char"]))
def test_sets_have_one_hash_per_distinct_shingle(buffers, any_text, data, ngram, unit):
    texts = data.draw(st.lists(any_text, max_size=5))
    offsets, hashes = shingle_sets(*buffers(texts), ngram=ngram, unit=unit)
    expected = [slow_shingles(text, ngram, unit) for text in texts]
    assert np.diff(offsets).tolist() == [len(shingles) for shingles in expected]
    for a, b in pairwise(offsets):
        assert (np.diff(hashes[a:b]) > 0).all()
    assert len(set(hashes.tolist())) == len(set().union(*expected))


@given(st.data(), st.integers(1, 4), st.sampled_from(["word", "char"]))
def test_jaccard_equals_that_of_python_sets(buffers, any_text, data, ngram, unit):
    texts = data.draw(st.lists(any_text, min_size=1, max_size=4))
    row = st.integers(0, len(texts) - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=6))
    left = np.array([a for a, _ in pairs], np.int64)
    right = np.array([b for _, b in pairs], np.int64)
    both, either = jaccard(*buffers(texts), left, right, ngram=ngram, unit=unit)
    for p, (a, b) in enumerate(pairs):
        one, other = (slow_shingles(texts[k], ngram, unit) for k in (a, b))
        expected = (len(one & other), len(one | other))
        if not one and not other:
            expected = (int(slow_normalise(texts[a]) == slow_normalise(texts[b])), 1)
        assert (both[p], either[p]) == expected


@pytest.mark.parametrize(
    ("one", "other", "ngram", "unit", "expected"),
    [
        ("a b c d", "a b c x", 2, "word", (2, 4)),
        ("나는 집에 갔다", "나는 집에 왔다", 2, "word", (1, 3)),
        ("가나다라", "가나다마", 3, "char", (1, 3)),
        ("A  b", " a\nb ", 2, "char", (2, 2)),
        ("Hi!", "hi", 5, "word", (1, 1)),
        ("hi", "ho", 5, "word", (0, 1)),
        ("a b c", "a", 2, "word", (0, 2)),
    ],
)
def test_hand_checked_jaccard(buffers, one, other, ngram, unit, expected):
    both, either = jaccard(
        *buffers([one, other]), np.array([0]), np.array([1]), ngram=ngram, unit=unit
    )
    assert (both[0], either[0]) == expected


def test_a_pair_outside_the_rows_is_refused(buffers):
    with pytest.raises(IndexError, match=r"outside 0\.\.0"):
        jaccard(*buffers(["a"]), np.array([0]), np.array([1]))


@pytest.mark.parametrize("wrong", [{"ngram": 0}, {"unit": "byte"}])
def test_a_shingle_that_cannot_be_is_refused(buffers, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        shingle_sets(*buffers(["a"]), **wrong)
