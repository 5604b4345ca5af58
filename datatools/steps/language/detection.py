"""From a text to its language and how likely that is: scripts first, then an engine.

Owns: which part of a text is looked at, the order in which scripts and engines are asked, and the
score. Refuses: models (`engines`) and any decision about which language to keep.

A text's language is an ISO 639-1 code where there is one, else ISO 639-3 (`ceb`), or `und` if it
has no letters, is garbled by a wrong encoding, or is in a script that nothing here knows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from datatools.steps.language.calibration import SCRIPT_SCORE, load_calibration
from datatools.steps.language.engines import UNDETERMINED, Engine, load_ranking
from datatools.steps.language.scripts import (
    Letters,
    count_letters,
    is_garbled,
    language_by_script,
    may_be,
    text_size,
)

__all__ = ["Detect", "load_detector", "measure_languages", "sample_text"]

Detect = Callable[[str], tuple[str, float]]
"""From a text to its language and a score in [0, 1]."""

_PIECES: Final = 10
"""Pieces of a long text that are looked at: a menu at its head is one of ten."""
_PIECE_CHARS: Final = 50
"""Fewest characters of a piece, so that most of its words are whole."""
_ADDRESS: Final = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,255}")
"""Bounded as RFC 5321 bounds them, so that the search takes linear time."""
_ODD: Final = re.compile("[\u00ad\u115f\u1160\u200b\u3164\ufeff\uff01-\uff5e\uffa0]")
"""Characters that show nothing, and full-width ASCII."""
_MENDED: Final[Mapping[int, int | None]] = {
    **dict.fromkeys((0xAD, 0x115F, 0x1160, 0x200B, 0x3164, 0xFEFF, 0xFFA0)),
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
}


def load_detector(engine: Engine, max_chars: int, *, calibrate: bool = True) -> Detect:
    """Return the function that tells a text's language.

    The function is safe to call from threads, and the answer to a text does not depend on what was
    asked before.

    Args:
        engine: `fasttext` or `langdetect`.
        max_chars: How many characters of the text to look at (see `sample_text`).
        calibrate: Whether the score is the probability that the answer is right. Otherwise it is
            the engine's own probability, which means less the shorter a text is.

    Example:
        >>> detect = load_detector("fasttext", 500)
        >>> detect("한국 Windows 11 업데이트 version")[0], detect("The quick brown fox jumps.")[0]
        ('ko', 'en')
        >>> detect("12 + 30 = 42 😀")
        ('und', 0.0)
    """
    rank = load_ranking(engine)
    calibrated = load_calibration(engine) if calibrate else _as_it_is
    count_letters("")  # its table is made here, and not by several threads at once

    def detect(text: str) -> tuple[str, float]:
        sample = sample_text(text, max_chars)
        counts = count_letters(sample)
        if not counts or is_garbled(sample, counts):
            return UNDETERMINED, 0.0
        language = language_by_script(sample, counts)
        if language is not None:
            return language, SCRIPT_SCORE
        language, probability = _likeliest(rank(sample), counts)
        if language == UNDETERMINED:
            return language, 0.0
        return language, calibrated(probability, text_size(counts))

    return detect


def sample_text(text: str, max_chars: int) -> str:
    r"""Return the part of a text that is looked at: on one line, composed (NFC), and half-width.

    A text of more than `max_chars` characters gives ten pieces spread evenly from its start to its
    end, cut between words where there are spaces; fewer if they would have less than 50 characters.
    Web and mail addresses are left out, unless there is nothing else, and so are the Hangul fillers
    and zero-width spaces.

    Example:
        >>> sample_text("see https://example.com/a  or\nask me@example.com", 500)
        'see or ask'
        >>> sample_text("one two three four five six seven eight nine ten", 20)
        'one two three four'
    """
    text = text.strip()
    if len(text) <= max_chars:
        words = text.split()
    else:
        pieces = min(_PIECES, max(1, max_chars // _PIECE_CHARS))
        size = max_chars // pieces
        last = len(text) - size
        words = []
        for number in range(pieces):
            start = last * number // max(1, pieces - 1)
            words += _whole_words(text, start, start + size)
    sample = " ".join(words)
    if not sample.isascii():
        sample = unicodedata.normalize("NFC", sample)
        if _ODD.search(sample):
            sample = " ".join(sample.translate(_MENDED).split())
    if "www." in sample or "://" in sample or "@" in sample:
        return " ".join(_ADDRESS.sub(" ", sample).split()) or sample
    return sample


def measure_languages(detect: Detect, texts: pl.Series) -> pl.DataFrame:
    """Return the columns `language` and `language_score` of texts; a null counts as empty."""
    answers = [detect(text or "") for text in texts]
    return pl.DataFrame(
        {
            "language": [language for language, _ in answers],
            "language_score": [score for _, score in answers],
        },
        schema={"language": pl.String, "language_score": pl.Float64},
    )


def _whole_words(text: str, start: int, stop: int) -> list[str]:
    """Return the words of a piece of a text but those it cuts; all of it if there are no others."""
    piece = text[start:stop]
    words = piece.split()
    first = 1 if start > 0 and not text[start - 1].isspace() and not piece[0].isspace() else 0
    cut = stop < len(text) and not text[stop].isspace() and not piece[-1].isspace()
    return words[first : len(words) - cut] or words


def _likeliest(ranked: Sequence[tuple[str, float]], counts: Letters) -> tuple[str, float]:
    """Return the likeliest language that the scripts allow, and its probability among those."""
    excluded = 0.0
    for language, probability in ranked:
        if may_be(language, counts):
            # fasttext's probabilities can be a little more than 1.
            return language, min(1.0, max(0.0, probability / max(1.0 - excluded, probability)))
        excluded += probability
    return UNDETERMINED, 0.0


def _as_it_is(probability: float, size: float) -> float:
    return probability
