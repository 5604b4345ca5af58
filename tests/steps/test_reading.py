import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.reading import is_blank, reading_form


@pytest.mark.parametrize(
    "text",
    [None, "", " \n\t", "\u200b", "\ufeff\u200d", "\u3164", "\uffa0\u115f\u1160", "\u00ad\0"],
)
def test_what_shows_nothing_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "가", "ㅋ", ".", "\u200b!", "😀", "\u1112\u1161"])
def test_what_shows_something_is_not(text):
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("한글", unicodedata.normalize("NFD", "한글")),
        ("a b", " a\u3000\n b\u200b "),
        ("가 나", "가\u3164나"),
        ("co-op", "co\u00ad-op"),
    ],
)
def test_texts_that_read_the_same_have_one_form(one, other):
    assert reading_form(one) == reading_form(other)


@pytest.mark.parametrize(
    ("one", "other"), [("ㅋㅠ", "큐"), ("A", "a"), ("a.", "a"), ("가", "가나")]
)
def test_texts_that_read_differently_keep_apart(one, other):
    assert reading_form(one) != reading_form(other)


@given(st.text())
def test_the_form_is_its_own_form(text):
    assert reading_form(reading_form(text)) == reading_form(text)
    assert is_blank(text) == (reading_form(text) == "")
