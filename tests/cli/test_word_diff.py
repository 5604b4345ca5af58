import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from datatools.cli.word_diff import diff_lines
from datatools.report.diff import word_diff
from datatools.report.visible import visible

words = st.lists(
    st.sampled_from(
        ["가", "나다라", "a", "longer", " ", "\n", ".", "漢", "字", "\x1b[2J", "가" * 9]
    ),
    max_size=30,
)


def plain(first, second, columns):
    return [click.unstyle(line) for line in diff_lines(word_diff(first, second), columns)]


@given(words, words, st.integers(2, 24))
def test_no_line_is_wider_than_asked(first, second, columns):
    for line in plain("".join(first), "".join(second), columns):
        assert cell_len(line) <= columns
        assert line == line.strip()


@given(words, words, st.integers(2, 24))
def test_nothing_is_lost_but_blanks_and_what_would_act(first, second, columns):
    pieces = word_diff("".join(first), "".join(second))
    marks = {"both": "{}", "first": "[-{}-]", "second": "{{+{}+}}"}
    whole = "".join(marks[piece.side].format(visible(piece.text)) for piece in pieces)
    told = "".join(plain("".join(first), "".join(second), columns))
    assert re.sub(r"[\s⏎]", "", told) == re.sub(r"\s", "", whole)


@pytest.mark.parametrize(
    ("first", "second", "lines"),
    [
        (
            "the library opens at ten",
            "the library opens at nine",
            ["the library opens", "at [-ten-]{+nine+}"],
        ),
        (
            "도서관은 열 시에 엽니다",
            "도서관은 아홉 시에 엽니다",
            ["도서관은", "[-열-]{+아홉+} 시에", "엽니다"],
        ),
        ("one\ntwo", "one two", ["one[-⏎ -]{+ +}two"]),
        ("같은 글", "같은 글", ["같은 글"]),
        ("", "", [""]),
    ],
)
def test_lines_end_between_words(first, second, lines):
    assert plain(first, second, 19) == lines


def test_what_only_one_text_has_is_coloured():
    red, green = click.style("[-ten-]", fg="red"), click.style("{+열+}", fg="green")
    assert diff_lines(word_diff("at ten", "at 열"), 80) == [f"at {red}{green}"]


def test_a_word_longer_than_a_line_is_broken_between_syllables():
    assert plain("가" * 10, "가" * 10, 9) == ["가가가가", "가가가가", "가가"]
