import re
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.errors import DataError
from datatools.kernels import jit
from datatools.kernels.words import split_whitespace, split_words
from datatools.steps.base import Batch


def unpack(split):
    rows, words, out = split
    raw = bytes(out)
    flat = [raw[a:b].decode() for a, b in pairwise(words.tolist())]
    return [flat[a:b] for a, b in pairwise(rows.tolist())]


@given(st.data())
def test_words_are_what_re_finds_in_the_lowered_text(buffers, any_text, data):
    texts = data.draw(st.lists(any_text, max_size=4))
    assert unpack(split_words(*buffers(texts))) == [
        re.findall(r"\w+", text.lower()) for text in texts
    ]


@given(st.data())
def test_whitespace_words_are_those_of_str_split(buffers, any_text, data):
    texts = data.draw(st.lists(any_text, max_size=4))
    assert unpack(split_whitespace(*buffers(texts))) == [text.split() for text in texts]


def test_every_code_point_is_split_and_lowered_as_python_does(buffers):
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    texts = ["".join(every), "x".join(every[:50_000]), *every]
    buffered = buffers(texts)
    assert unpack(split_words(*buffered)) == [re.findall(r"\w+", t.lower()) for t in texts]
    assert unpack(split_whitespace(*buffered)) == [t.split() for t in texts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("İstanbul", ["i", "stanbul"]),  # the dot that lower() splits off is no word character
        ("ΟΔΥΣΣΕΥΣ", ["οδυσσευς"]),
        ("ΑΣ.Α ΑΣ. Σ", ["ασ", "α", "ας", "σ"]),  # a full stop is passed over, a space is not
        ("Ⱥ", ["ⱥ"]),  # two bytes become three
        ("나는 집에 갔다.", ["나는", "집에", "갔다"]),
        ("a\0b c\u2028d", ["a", "b", "c", "d"]),
        ("", []),
    ],
)
def test_hand_checked_words(buffers, text, words):
    assert unpack(split_words(*buffers([text]))) == [words]


@pytest.mark.parametrize(
    "char", ["é", "É", "Σ", "İ", "Ⱥ", "\u212a", "가", "漢", "”", "\u3000", "😀", "𐐀"]
)
def test_a_character_may_lie_across_the_end_of_any_block(buffers, char):
    texts = [
        before + "a" * size + char * count + tail
        for before in ("", "가 ")
        for size in range(56, 68)
        for count in (1, 2, 30)
        for tail in ("", "b", " c")
    ]
    buffered = buffers([*texts, "x" * 200])
    assert unpack(split_words(*buffered))[:-1] == [re.findall(r"\w+", t.lower()) for t in texts]
    assert unpack(split_whitespace(*buffered))[:-1] == [t.split() for t in texts]


def test_no_byte_of_another_row_is_read():
    frame = pl.DataFrame({"text": ["zzz", "ab", "cdΣ", "Ω", "zzz"]})
    assert unpack(split_words(*Batch(frame[1:4]).buffers("text"))) == [["ab"], ["cdς"], ["ω"]]


def test_a_row_over_the_limit_is_refused_with_its_size(monkeypatch, buffers):
    monkeypatch.setattr(jit, "MAX_ROW_BYTES", 10)
    with pytest.raises(DataError, match=r"got 11.*Split"):
        split_words(*buffers(["a" * 11]))
    assert unpack(split_words(*buffers(["a" * 10]))) == [["a" * 10]]


def test_no_rows_give_no_words():
    rows, words, out = split_words(np.zeros(1, np.int64), np.zeros(0, np.uint8))
    assert rows.tolist() == [0]
    assert words.tolist() == [0]
    assert len(out) == 0
