"""Strings from a crawl, made safe to look at.

Owns: what stands in for characters that would act on a page or a terminal instead of being seen,
where long texts are cut, and the language a browser should assume. Refuses: escaping; Jinja does it
for every value of the template, and `charts` for every label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Cut", "cut", "script_language", "visible"]

# C0 and C1 controls but tab and newline, explicit bidirectional controls, and lone surrogates,
# which a file name can hold and UTF-8 cannot. Joiners stay: Persian, Hindi and emoji need them.
_ACTING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_ENDS: Final = re.compile("\r\n?")
_HANGUL: Final = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_KANA: Final = re.compile("[\u3041-\u30ff]")
_HAN: Final = re.compile("[\u3400-\u9fff]")
_LETTER: Final = re.compile(r"[^\W\d_]")

_MOST_LETTERS: Final = 0.2
"""Share of letters from which on a script decides: Korean web text is full of English names."""


def visible(text: str) -> str:
    r"""Return text in which everything that would act is U+FFFD instead.

    Control characters (but tab and newline), explicit bidirectional overrides and isolates, and
    lone surrogates are replaced; a carriage return ends a line.

    References:
        Boucher and Anderson, Trojan Source: Invisible Vulnerabilities, 2021, for the bidirectional
        controls.

    Example:
        >>> visible("a\x1b[31m\r\nb\u202e")
        'a�[31m\nb�'
    """
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", _LINE_ENDS.sub("\n", text))


@dataclass(frozen=True)
class Cut:
    """A text, or its beginning.

    Attributes:
        text: What is shown.
        left_out: Characters that are not; 0 when the text is whole.
    """

    text: str
    left_out: int = 0


def cut(text: str, characters: int) -> Cut:
    """Return at most the first `characters` characters of a text, and how many are left out.

    Example:
        >>> cut("가나다라", 3), cut("가나", 3)
        (Cut(text='가나다', left_out=1), Cut(text='가나', left_out=0))
    """
    return Cut(text[:characters], max(0, len(text) - characters))


def script_language(text: str) -> str | None:
    """Return the language that a text's script suggests to a browser: `ko`, `ja`, `zh` or None.

    This chooses fonts and line breaking, nothing else; it is no language identification.

    Example:
        >>> script_language("세종대왕 (Sejong the Great)"), script_language("plain words")
        ('ko', None)
    """
    letters = len(_LETTER.findall(text))
    if not letters:
        return None
    if len(_HANGUL.findall(text)) > _MOST_LETTERS * letters:
        return "ko"
    if len(_KANA.findall(text)) > _MOST_LETTERS * letters:
        return "ja"
    return "zh" if len(_HAN.findall(text)) > _MOST_LETTERS * letters else None
