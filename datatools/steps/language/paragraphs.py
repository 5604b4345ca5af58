"""Languages within a text: each paragraph's own, and how much is not in the text's main language.

Owns what a paragraph is and when it counts as being in another language. Refuses: telling a
language (`detection`).

A paragraph is a line with anything but white space, as extracted pages have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from datatools.steps.language.detection import Detect
from datatools.steps.language.engines import UNDETERMINED
from datatools.steps.language.scripts import count_letters, foreign_size, text_size

__all__ = ["PARAGRAPHS", "Mixture", "Paragraph", "judge_paragraphs", "mixture"]

PARAGRAPHS: Final = pl.List(
    pl.Struct({"language": pl.String, "score": pl.Float64, "size": pl.Float64})
)
"""The type of a column of paragraphs."""

_ONE_LANGUAGE: Final = tuple(
    frozenset(group.split()) for group in ("bs hr sh sr", "id ms", "nn no", "wuu yue zh", "sco en")
)
"""Varieties that a paragraph is too short to tell apart: no one switches between these."""


class Paragraph(NamedTuple):
    """A paragraph's own language.

    Attributes:
        language: Its code, or `und`.
        score: How sure that is, from 0 to 1.
        size: Its letters, each counted in Latin letters.
    """

    language: str
    score: float
    size: float


class Mixture(NamedTuple):
    """How much of a text is not in its main language; each a share from 0 to 1.

    Attributes:
        other_language_share: Of the text's letters, those in paragraphs in another language.
        other_paragraph_share: Of the paragraphs with letters, those in another language.
        foreign_script_share: Of the text's letters, those the main language is not written with,
            wherever they stand.
    """

    other_language_share: float
    other_paragraph_share: float
    foreign_script_share: float


def judge_paragraphs(detect: Detect, text: str) -> list[Paragraph]:
    r"""Return the paragraphs of a text, each with a language of its own, in order.

    Example:
        >>> from datatools.steps.language.detection import load_detector
        >>> text = "오늘은 비가 왔다.\n\nIt rained all day long in the valley.\n* * *"
        >>> paragraphs = judge_paragraphs(load_detector("fasttext", 500), text)
        >>> [paragraph.language for paragraph in paragraphs]
        ['ko', 'en', 'und']
    """
    return [
        Paragraph(*detect(line), text_size(count_letters(line)))
        for line in text.split("\n")
        if line and not line.isspace()
    ]


def mixture(language: str, text: str, paragraphs: Sequence[Paragraph], min_score: float) -> Mixture:
    """Return how much of a text is not in its language. A text without letters has 0 throughout.

    Args:
        language: The text's language; of `und` no letter is foreign.
        text: The text.
        paragraphs: What `judge_paragraphs` gives for it.
        min_score: How sure a paragraph's language must be to count as another.

    Example:
        >>> paragraphs = [Paragraph("ko", 0.99, 30.0), Paragraph("en", 0.95, 10.0)]
        >>> mixture("ko", "비 rain", paragraphs, 0.9)[:2]
        (0.25, 0.5)
    """
    alike = next((group for group in _ONE_LANGUAGE if language in group), frozenset({language}))
    own = alike | {UNDETERMINED}
    lettered = [paragraph for paragraph in paragraphs if paragraph.size > 0]
    others = [one for one in lettered if one.language not in own and one.score >= min_score]
    size = sum(paragraph.size for paragraph in lettered)
    counts = count_letters(text)
    return Mixture(
        sum(paragraph.size for paragraph in others) / max(size, 1.0),
        len(others) / max(len(lettered), 1),
        foreign_size(language, counts) / max(text_size(counts), 1.0),
    )
