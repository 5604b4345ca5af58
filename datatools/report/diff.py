"""The words in which two texts differ.

Owns: what a word is here, the alignment, and how texts compare of which only the beginnings are
there. Refuses: markup; a renderer decides how a difference looks.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Piece", "compare_beginnings", "word_diff"]

# A run of letters and digits is a word, so that Korean is compared by its own spacing; Han and
# kana, which are written without spaces, count one by one, as does every other character.
_UNSPACED: Final = r"\u3041-\u30ff\u3400-\u9fff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A run of text that both texts have, or only one.

    Attributes:
        side: Who has it.
        text: The run.
    """

    side: Literal["both", "first", "second"]
    text: str


def word_diff(first: str, second: str) -> list[Piece]:
    """Return the texts as runs of words that both, only the first or only the second has.

    The pieces of `both` and `first` joined are the first text, those of `both` and `second` the
    second one. Where the two differ, the first's words come first. Two changes with nothing but
    white space or punctuation between them are told as one, because `a b -> c d` reads better than
    two changes.

    Complexity: quadratic in the words of the two texts at worst; give it beginnings.

    Example:
        >>> for piece in word_diff("문을 9시에 엽니다.", "문을 10시에 엽니다."):
        ...     print(piece.side, repr(piece.text))
        both '문을 '
        first '9시에'
        second '10시에'
        both ' 엽니다.'
    """
    one, other = _WORD.findall(first), _WORD.findall(second)
    return list(_merged(_pieces(one, other)))


def compare_beginnings(first: str, second: str, *, first_is_cut: bool) -> list[Piece]:
    """Return how two texts differ in their words, layout left aside, as far as the first one goes.

    Lines are compared without blank ones and with single spaces. Where the first text is cut, its
    last word, which may be cut too, is left out, and so is what the second one has after it: there
    the first text goes on, and nobody knows how.

    Args:
        first: A text, or its beginning.
        second: A text, or its beginning, which should be the longer one.
        first_is_cut: Whether the first text goes on.

    Example:
        >>> compare_beginnings("문을  열 시에 엽", "문을 열 시에 엽니다.", first_is_cut=True)
        [Piece(side='both', text='문을 열 시에')]
    """
    pieces = word_diff(_lines(_whole_words(first) if first_is_cut else first), _lines(second))
    if first_is_cut and pieces and pieces[-1].side == "second":
        pieces.pop()
    return pieces


def _whole_words(text: str) -> str:
    """Return a cut text without its last word, which may be cut too."""
    shorter = text.rstrip()
    return shorter[: -len(shorter.split()[-1])] if shorter and shorter == text else shorter


def _lines(text: str) -> str:
    """Return a text with its blanks made equal: words are compared, not layout."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _pieces(one: list[str], other: list[str]) -> Iterator[Piece]:
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    for tag, low, high, start, stop in matcher.get_opcodes():
        if tag == "equal":
            yield Piece("both", "".join(one[low:high]))
            continue
        if high > low:
            yield Piece("first", "".join(one[low:high]))
        if stop > start:
            yield Piece("second", "".join(other[start:stop]))


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    first = second = ""
    held = ""  # what both have, not known yet to end a change
    for piece in pieces:
        if piece.side == "both":
            held += piece.text
            if (first or second) and not re.search(r"\w", held):
                continue
            yield from _change(first, second)
            first = second = ""
            if held:
                yield Piece("both", held)
            held = ""
            continue
        if held:
            first, second, held = first + held, second + held, ""
        if piece.side == "first":
            first += piece.text
        else:
            second += piece.text
    yield from _change(first, second)
    if held:
        yield Piece("both", held)


def _change(first: str, second: str) -> Iterator[Piece]:
    if first:
        yield Piece("first", first)
    if second:
        yield Piece("second", second)
