"""How a text reads: whether there is anything to see, and whether two texts read the same.

Owns: which characters a reader does not see, in Latin script and in Hangul. Refuses: judging texts
that read differently.
"""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["is_blank", "reading_form"]

_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Hangul fillers and the empty Braille cell: letters and symbols by category, blanks to the eye."""


def is_blank(text: str | None) -> bool:
    r"""Return whether `text` shows nothing: null, empty, or blanks and invisible characters.

    In a released Korean preference set 14 rejected answers were one zero-width space (VAIV-2023,
    RLHF-Korean-Friendly-LLM, counted by us).

    Example:
        >>> is_blank("\u200b \u3164\n"), is_blank("ㅋ")
        (True, False)
    """
    return text is None or all(_is_unseen(character) for character in text)


def reading_form(text: str) -> str:
    r"""Return what `text` reads as: NFC, invisible characters out, each run of blanks one space.

    Not NFKC, which makes new syllables out of `ㅋㅠ`. Case and punctuation stay.

    Example:
        >>> reading_form("\u1112\u1161\u11ab\u200b \n 글 ") == "한 글"
        True
    """
    composed = unicodedata.normalize("NFC", text)
    seen = (
        " " if character.isspace() or character in _FILLERS else character
        for character in composed
        if character.isspace() or not _is_unseen(character) or character in _FILLERS
    )
    return " ".join("".join(seen).split())


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character)[0] in "CZ" or character in _FILLERS
