import itertools

from hypothesis import given
from hypothesis import strategies as st

from datatools.report.diff import Piece, word_diff

words = st.lists(
    st.sampled_from(["가", "나다", "a", "bc", " ", "\n", ".", "漢", "字"]), max_size=14
)


def told(first, second):
    return [(piece.side, piece.text) for piece in word_diff(first, second)]


@given(words, words)
def test_the_pieces_of_a_side_are_its_text(one, other):
    first, second = "".join(one), "".join(other)
    pieces = word_diff(first, second)
    assert "".join(p.text for p in pieces if p.side != "second") == first
    assert "".join(p.text for p in pieces if p.side != "first") == second


@given(words, words)
def test_no_piece_is_empty_and_no_side_follows_itself(one, other):
    pieces = word_diff("".join(one), "".join(other))
    assert all(piece.text for piece in pieces)
    assert all(a.side != b.side for a, b in itertools.pairwise(pieces))


@given(st.text())
def test_a_text_does_not_differ_from_itself(text):
    assert word_diff(text, text) == ([Piece("both", text)] if text else [])


def test_korean_words_differ_whole():
    assert told("부레를 조절하는 자주 물고기", "부레를 조절하는 방법은 물고기") == [
        ("both", "부레를 조절하는 "),
        ("first", "자주"),
        ("second", "방법은"),
        ("both", " 물고기"),
    ]


def test_english_words_differ_whole():
    assert told("open at nine", "open at ten") == [
        ("both", "open at "),
        ("first", "nine"),
        ("second", "ten"),
    ]


def test_neighbouring_changes_are_one():
    assert told("x one two y", "x three four y") == [
        ("both", "x "),
        ("first", "one two"),
        ("second", "three four"),
        ("both", " y"),
    ]


def test_characters_of_scripts_without_spaces_differ_one_by_one():
    assert told("図書館は九時", "図書館は十時") == [
        ("both", "図書館は"),
        ("first", "九"),
        ("second", "十"),
        ("both", "時"),
    ]
