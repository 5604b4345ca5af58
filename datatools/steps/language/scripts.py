"""What the scripts of a text say about its language.

Owns which script each letter belongs to, which languages are written in which script, and the
languages that a script decides alone: Korean, Japanese, Chinese, and those that are the only ones
to use theirs. Refuses: telling languages apart that share a script (`engines`).

A letter is what `str.isalpha` calls one; marks, digits, signs and emoji are none. Hangul counts
alike composed (NFC) and decomposed (NFD), for conjoining vowels and finals count as marks; the
Hangul fillers, which show nothing, are no letters.

Letters are weighed, because they do not say the same amount: a syllable of Hangul as much as two
and a half Latin letters, a kana or a Chinese character as much as two, and a letter of the scripts
of India and its neighbours as much as one and a half. So a few product names do not make a Korean
sentence English.

References:
    The Unicode Standard, version 15, blocks. KS X 1001:2004, 2,350 syllables of Hangul.
"""

from __future__ import annotations

import functools
import re
import sys
from collections import Counter
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "SCRIPT_LANGUAGES",
    "Letters",
    "Script",
    "count_letters",
    "foreign_size",
    "is_garbled",
    "language_by_script",
    "may_be",
    "text_size",
]


class Script(IntEnum):
    """A writing system, or a part of one that tells something of its own."""

    OTHER = 0
    """Letters of scripts that no known language uses, and letter-like signs."""
    LATIN = 1
    LATIN_1 = 2
    """Letters that windows-1252 has beyond ASCII: é, ß, ì. Text in one encoding read as another is
    full of them."""
    CYRILLIC = 3
    GREEK = 4
    ARMENIAN = 5
    HEBREW = 6
    ARABIC = 7
    THAANA = 8
    DEVANAGARI = 9
    BENGALI = 10
    GURMUKHI = 11
    GUJARATI = 12
    ORIYA = 13
    TAMIL = 14
    TELUGU = 15
    KANNADA = 16
    MALAYALAM = 17
    SINHALA = 18
    THAI = 19
    LAO = 20
    TIBETAN = 21
    MYANMAR = 22
    GEORGIAN = 23
    ETHIOPIC = 24
    KHMER = 25
    HANGUL = 26
    HANGUL_RARE = 27
    """Syllables that KS X 1001 lacks. Hardly a Korean text has one in a hundred."""
    KANA = 28
    HAN = 29


Letters = Counter[int]
"""How many letters of each `Script` a text has."""

_NO_LETTER: Final = len(Script)

_BLOCKS: Final = (
    (Script.LATIN, ((0x41, 0x2FF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F))),
    (
        Script.LATIN,
        ((0x2071, 0x209C), (0xA720, 0xA7FF), (0xAB30, 0xAB6F), (0xFB00, 0xFB06), (0xFF21, 0xFF5A)),
    ),
    (Script.LATIN_1, ((0xAA, 0xFF), (0x152, 0x153), (0x160, 0x161), (0x178, 0x178))),
    (Script.LATIN_1, ((0x17D, 0x17E), (0x192, 0x192), (0x2C6, 0x2C6))),
    (Script.GREEK, ((0x370, 0x3E1), (0x3F0, 0x3FF), (0x1F00, 0x1FFF))),
    (Script.CYRILLIC, ((0x400, 0x52F), (0x1C80, 0x1C8F), (0xA640, 0xA69F))),
    (Script.ARMENIAN, ((0x531, 0x58F), (0xFB13, 0xFB17))),
    (Script.HEBREW, ((0x590, 0x5FF), (0xFB1D, 0xFB4F))),
    (Script.ARABIC, ((0x600, 0x6FF), (0x750, 0x77F), (0x870, 0x8FF))),
    (Script.ARABIC, ((0xFB50, 0xFDFF), (0xFE70, 0xFEFC))),
    (Script.THAANA, ((0x780, 0x7BF),)),
    (Script.DEVANAGARI, ((0x900, 0x97F), (0xA8E0, 0xA8FF))),
    (Script.BENGALI, ((0x980, 0x9FF),)),
    (Script.GURMUKHI, ((0xA00, 0xA7F),)),
    (Script.GUJARATI, ((0xA80, 0xAFF),)),
    (Script.ORIYA, ((0xB00, 0xB7F),)),
    (Script.TAMIL, ((0xB80, 0xBFF),)),
    (Script.TELUGU, ((0xC00, 0xC7F),)),
    (Script.KANNADA, ((0xC80, 0xCFF),)),
    (Script.MALAYALAM, ((0xD00, 0xD7F),)),
    (Script.SINHALA, ((0xD80, 0xDFF),)),
    (Script.THAI, ((0xE00, 0xE7F),)),
    (Script.LAO, ((0xE80, 0xEFF),)),
    (Script.TIBETAN, ((0xF00, 0xFFF),)),
    (Script.MYANMAR, ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F))),
    (Script.GEORGIAN, ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F))),
    (Script.ETHIOPIC, ((0x1200, 0x139F), (0x2D80, 0x2DDF), (0xAB00, 0xAB2F))),
    (Script.KHMER, ((0x1780, 0x17FF),)),
    # Leading consonants stand for their syllables; vowels and finals of NFD are left out.
    (Script.HANGUL, ((0x1100, 0x115E), (0xA960, 0xA97C), (0x3131, 0x3163), (0x3165, 0x318E))),
    (Script.HANGUL, ((0xAC00, 0xD7A3), (0xFFA1, 0xFFDC))),
    (Script.KANA, ((0x3041, 0x309F), (0x30A1, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D))),
    (Script.KANA, ((0x1AFF0, 0x1B16F),)),
    # With Bopomofo, which only Chinese uses.
    (Script.HAN, ((0x3005, 0x3006), (0x3105, 0x312F), (0x31A0, 0x31BF), (0x3400, 0x4DBF))),
    (Script.HAN, ((0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))),
)
"""First and last code point of each script's blocks; of what lies in several, the last is right."""
_MARKS: Final = ((0x115F, 0x11FF), (0xD7B0, 0xD7FF), (0x3164, 0x3164), (0xFFA0, 0xFFA0))
"""Letters to Python, not to a reader: conjoining vowels and finals, and the fillers."""

_LANGUAGES: Final = {
    Script.CYRILLIC: (
        "av az ba be bg bxr ce cv kk krc ku kv ky lez mhr mk mn mrj myv os ru rue sah sh sr tg tk "
        "tt tyv uk uz xal"
    ),
    Script.GREEK: "el",
    Script.ARMENIAN: "hy",
    Script.HEBREW: "he yi",
    Script.ARABIC: "ar arz az azb ckb fa kk ku lrc mzn pnb ps sd ug ur",
    Script.THAANA: "dv",
    Script.DEVANAGARI: "bh dty gom hi mai mr ne new sa sd",
    Script.BENGALI: "as bn bpy",
    Script.GURMUKHI: "pa",
    Script.GUJARATI: "gu",
    Script.ORIYA: "or",
    Script.TAMIL: "ta",
    Script.TELUGU: "te",
    Script.KANNADA: "kn",
    Script.MALAYALAM: "ml",
    Script.SINHALA: "si",
    Script.THAI: "th",
    Script.LAO: "lo",
    Script.TIBETAN: "bo",
    Script.MYANMAR: "my",
    Script.GEORGIAN: "ka xmf",
    Script.ETHIOPIC: "am",
    Script.KHMER: "km",
    Script.HANGUL: "ko",
    Script.HANGUL_RARE: "ko",
    Script.KANA: "ja",
    Script.HAN: "ja ko wuu yue zh",
}
_LATIN_TOO: Final = frozenset({"az", "gom", "kk", "ku", "sh", "sr", "tk", "tt", "uz"})
"""Languages above that are written in Latin letters as well. All that are not above are."""

_SIZES: Final[dict[int, float]] = {
    **dict.fromkeys(Script, 1.0),
    # The vowels of these are marks, or parts of the letters.
    **dict.fromkeys(range(Script.DEVANAGARI, Script.MYANMAR + 1), 1.5),
    Script.KHMER: 1.5,
    Script.ETHIOPIC: 2.0,
    Script.KANA: 2.0,
    Script.HAN: 2.0,
    Script.HANGUL: 2.5,
    Script.HANGUL_RARE: 2.5,
}
"""How much a letter says, in Latin letters."""

_OWN_LANGUAGE: Final[dict[int, str]] = {
    script: languages
    for script, languages in _LANGUAGES.items()
    if " " not in languages and script not in (Script.HANGUL, Script.HANGUL_RARE, Script.KANA)
}
"""The scripts that a single language uses; Korean and Japanese share theirs with Chinese."""

SCRIPT_LANGUAGES: Final = frozenset({"ko", "ja", "zh", *_OWN_LANGUAGE.values()})
"""The languages that a script can decide alone."""

_KANA_SHARE: Final = 0.2
"""Japanese texts have more kana than this among kana and Chinese characters; Chinese ones, which
quote a name or write の for fun, have fewer."""
_HANGUL_SHARE: Final = 0.2
"""Korean texts in mixed script have more Hangul than this among Hangul and Chinese characters:
particles and endings alone are more."""
_CHINESE: Final = re.compile(
    "[你她们們这這吗嗎呢吧很哪么麼为说时个对没还语词业间团经过发问题让认识现开关东车马门书长风见话请谁该"
    "员务动运进远连选边达实审]"
)
"""Everyday characters of Chinese that neither Korean nor Japanese writes its words with."""
_CANTONESE: Final = re.compile("[佢哋喺嘅咗冇嚟唔嘢啲]")
_CHINESE_LETTERS: Final = 20
"""So many Chinese characters with hardly a kana are Chinese; fewer may be a Japanese headline."""
_WRITTEN_SHARE: Final = 0.25
"""The share of a text's letters that a language must be able to write, to be its language."""

_GARBLED_LETTERS: Final = 6
"""Fewer letters than these are not called garbled."""
_GARBLED_SHARE: Final = 0.5
"""The share of a text's letters that are LATIN_1, or HANGUL_RARE, from which it is garbled. No
language has so many: see the tests."""
_REPLACEMENTS: Final = ("占쏙옙", "锟斤拷")
"""Two U+FFFD in UTF-8, read as windows-949 and as GBK: what is left of text that was lost."""


def count_letters(text: str) -> Letters:
    """Return how many letters of each `Script` a text has; scripts that it lacks have none.

    Complexity: linear, about 3 ns a character and 5 us a text.

    Example:
        >>> counts = count_letters("한국 Windows 11 版")
        >>> counts[Script.HANGUL], counts[Script.LATIN], counts[Script.HAN], counts[Script.GREEK]
        (2, 7, 1, 0)
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    counts = np.bincount(_table()[codes], minlength=_NO_LETTER)[:_NO_LETTER]
    scripts = counts.nonzero()[0]
    return Counter(dict(zip(scripts.tolist(), counts[scripts].tolist(), strict=True)))


def text_size(counts: Letters) -> float:
    """Return how much letters say, counted in Latin letters."""
    return sum(_SIZES[script] * count for script, count in counts.items())


def language_by_script(text: str, counts: Letters) -> str | None:
    """Return the language whose script makes up more than half of a text, if only one uses it.

    Chinese characters count as Korean beside enough Hangul, unless Chinese words are among them,
    and as Japanese beside enough kana. Alone they are Chinese if they are many, or everyday words
    of Chinese; a few may be Japanese, and Cantonese is left to the engine.

    Args:
        text: The text, composed (NFC).
        counts: Its letters.

    Example:
        >>> for text in "한국 Windows 11 업데이트", "大韓民國은 民主共和國이다.", "東京アップ":
        ...     language_by_script(text, count_letters(text))
        'ko'
        'ko'
        'ja'
    """
    half = text_size(counts) / 2
    hangul = counts[Script.HANGUL] + counts[Script.HANGUL_RARE]
    kana, han = counts[Script.KANA], counts[Script.HAN]
    if hangul > kana:
        quoted = hangul <= _HANGUL_SHARE * (hangul + han) or (
            han > hangul and _CHINESE.search(text)
        )
        if not quoted and _SIZES[Script.HANGUL] * hangul + _SIZES[Script.HAN] * han > half:
            return "ko"
    elif _SIZES[Script.HAN] * (kana + han) > half:
        if kana > _KANA_SHARE * (kana + han):
            return "ja"
        surely = han >= _CHINESE_LETTERS or _CHINESE.search(text)
        return "zh" if surely and not _CANTONESE.search(text) else None
    for script, count in counts.items():
        if _SIZES[script] * count > half:
            return _OWN_LANGUAGE.get(script)
    return None


def may_be(language: str, counts: Letters) -> bool:
    """Whether a language's scripts have a quarter of what a text's letters say.

    Chinese characters without any Hangul are no sign of Korean: langdetect takes one Chinese
    sentence in ten for Korean.
    """
    if language == "ko" and not counts[Script.HANGUL]:
        return False
    return foreign_size(language, counts) <= (1 - _WRITTEN_SHARE) * text_size(counts)


def foreign_size(language: str, counts: Letters) -> float:
    """Return the size of the letters that a language does not write; 0 of an undetermined one."""
    if language == "und":
        return 0.0
    own = _scripts_of(language)
    return sum(_SIZES[script] * count for script, count in counts.items() if script not in own)


def is_garbled(text: str, counts: Letters) -> bool:
    """Whether a text was read in another encoding than it was written in.

    Told by letters: accented Latin ones alone are UTF-8 or windows-949 read as windows-1252; Hangul
    syllables that Korean does not use are UTF-8 read as windows-949. Garbled text beside as much
    sound text is not found, and neither is that of other encodings.

    Args:
        text: The text.
        counts: Its letters.

    Example:
        >>> garbled = "안녕하세요 여러분".encode("cp949").decode("cp1252")
        >>> is_garbled(garbled, count_letters(garbled))
        True
    """
    letters = counts.total()
    if letters < _GARBLED_LETTERS:
        return False
    lost = sum(len(sign) * text.count(sign) for sign in _REPLACEMENTS)
    return max(counts[Script.LATIN_1], counts[Script.HANGUL_RARE], lost) > _GARBLED_SHARE * letters


@functools.cache
def _scripts_of(language: str) -> frozenset[int]:
    """Return the scripts that a language is written in."""
    scripts = {script for script, known in _LANGUAGES.items() if language in known.split()}
    if not scripts or language in _LATIN_TOO:
        scripts |= {Script.LATIN, Script.LATIN_1}
    return frozenset(scripts)


@functools.cache
def _table() -> npt.NDArray[np.uint8]:
    """Return the script of each code point, `_NO_LETTER` for what is no letter; read-only."""
    codes = map(chr, range(sys.maxunicode + 1))
    letters = np.fromiter(map(str.isalpha, codes), bool, sys.maxunicode + 1)
    table = np.full(sys.maxunicode + 1, Script.OTHER, np.uint8)
    for script, blocks in _BLOCKS:
        for first, last in blocks:
            table[first : last + 1] = script
    for code in range(0xAC00, 0xD7A4):
        # Python spells syllables beyond KS X 1001 in eight bytes.
        if len(chr(code).encode("euc_kr")) > 2:
            table[code] = Script.HANGUL_RARE
    for first, last in _MARKS:
        table[first : last + 1] = _NO_LETTER
    table[~letters] = _NO_LETTER
    table.setflags(write=False)
    return table
