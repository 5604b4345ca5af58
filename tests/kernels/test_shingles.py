import re
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.shingles import jaccard, shingle_sets

SINGLE = (
    *("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "HIRAGANA"),
    *("KATAKANA", "HENTAIGANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER"),
    *("MYANMAR", "HANGUL", "HALFWIDTH HANGUL"),
)


def slow_tokens(text, unit):
    words = re.findall(r"\w+", text.lower())
    if unit == "word":
        return words
    if unit == "char":
        return list(" ".join(text.lower().split()))
    tokens = []
    for word in words:
        joins = False  # whether the next letter goes on with the last token
        for char in word:
            single = char.isalpha() and unicodedata.name(char, "").startswith(SINGLE)
            if joins and not single:
                tokens[-1] += char
            else:
                tokens.append(char)
            joins = not single
    return tokens


def slow_shingles(text, ngram, unit):
    tokens = slow_tokens(text, unit)
    return {tuple(tokens[i : i + ngram]) for i in range(len(tokens) - ngram + 1)}


def slow_normalise(text):
    return re.findall(r"\w+", text.lower()) or text.lower().split()


@given(st.data(), st.integers(1, 6), st.sampled_from(["word", "char", "auto"]))
def test_sets_have_one_hash_per_distinct_shingle(buffers, any_text, data, ngram, unit):
    texts = data.draw(st.lists(any_text, max_size=5))
    offsets, hashes = shingle_sets(*buffers(texts), ngram=ngram, unit=unit)
    expected = [slow_shingles(text, ngram, unit) for text in texts]
    assert np.diff(offsets).tolist() == [len(shingles) for shingles in expected]
    for a, b in pairwise(offsets):
        assert (np.diff(hashes[a:b]) > 0).all()
    assert len(set(hashes.tolist())) == len(set().union(*expected))


@given(st.data(), st.integers(1, 4), st.sampled_from(["word", "char", "auto"]))
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
        ("나는 집에 갔다", "나는집에갔다", 2, "auto", (5, 5)),  # spaces do not matter
        ("나는 집에 갔다", "나는 집에 왔다", 2, "auto", (3, 7)),
        ("GPU로 漢字を", "gpu 로漢字 を", 3, "auto", (3, 3)),
        ("the cat", "thecat", 1, "auto", (0, 3)),
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


KOREAN = "나는 오늘 집에 가서 밥을 먹고 일찍 잤다"


@pytest.mark.parametrize("unit", ["word", "char", "auto"])
def test_composed_and_decomposed_korean_share_nothing_until_normalised(buffers, unit):
    decomposed = unicodedata.normalize("NFD", KOREAN)
    texts = [KOREAN, decomposed, unicodedata.normalize("NFC", decomposed)]
    both, either = jaccard(*buffers(texts), np.array([0, 0]), np.array([1, 2]), unit=unit)
    assert both[0] == 0
    assert both[1] == either[1] > 0


@pytest.mark.parametrize("unit", ["word", "auto"])
@pytest.mark.parametrize(
    "changed",
    [
        "나는, 오늘 (집에) 가서… 밥을 먹고\n일찍 잤다!",
        "\ufeff나는\u200b 오늘\u00a0집에 \u00ad가서 밥을\u2060 먹고 일찍 잤다",
        "나는 오늘 집에 가서 👍🏽 밥을 먹고 일찍 잤다",
    ],
)
def test_punctuation_and_invisible_characters_between_words_do_not_count(buffers, unit, changed):
    both, either = jaccard(*buffers([KOREAN, changed]), np.array([0]), np.array([1]), unit=unit)
    assert both[0] == either[0] > 0


@pytest.mark.parametrize("invisible", ["\u200b", "\u200d", "\u00ad", "\u3164"])
def test_an_invisible_character_inside_a_word_ends_it_unless_it_is_a_letter(buffers, invisible):
    # U+3164, the Hangul filler, is a letter to Unicode, so it stays part of the word.
    expected = 1 if invisible.isalnum() else 2
    offsets, _ = shingle_sets(*buffers([f"한{invisible}국"]), ngram=1)
    assert offsets.tolist() == [0, expected]


def test_an_edit_changes_auto_tokens_only_where_it_is_made(buffers):
    # More Han or more Latin elsewhere does not change how a word is split.
    word = "データbase를 漢字 word"
    ngram = len(slow_tokens(word, "auto"))
    texts = [word, f"{word} {'漢' * 500}", f"{word} {'latin ' * 500}"]
    offsets, hashes = shingle_sets(*buffers(texts), ngram=ngram, unit="auto")
    sets = [set(hashes[a:b].tolist()) for a, b in pairwise(offsets)]
    assert sets[0] <= sets[1]
    assert sets[0] <= sets[2]
