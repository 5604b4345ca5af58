"""Code points: UTF-8 in and out, and what Python's Unicode data says of each.

Owns the tables of character classes and lower-case forms, made from Python itself at first use and
kept beside the compiled kernels, and the UTF-8 coding of single code points. Refuses: anything with
context (see `lowercase`) and invalid UTF-8, which Arrow strings never hold.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, cache_dir, kernel

__all__ = [
    "ALPHA",
    "CASED",
    "HANGUL",
    "IGNORABLE",
    "LOWERS",
    "SINGLE",
    "SPACE",
    "WORD",
    "CodepointTables",
    "codepoint_tables",
    "count_codepoints",
    "decode",
    "decode_before",
    "encode",
]

WORD = 1
r"""Matches `\w`: `str.isalnum` or an underscore."""
SPACE = 2
"""`str.isspace`, where `str.split` splits."""
ALPHA = 4
"""`str.isalpha`."""
HANGUL = 8
"""A Hangul letter: a syllable or a jamo, conjoining, compatibility or half-width."""
LOWERS = 16
"""`str.lower` changes it."""
CASED = 32
"""Cased and not case-ignorable: what makes a capital sigma beside it final or not."""
IGNORABLE = 64
"""Case-ignorable: passed over in the search for a sigma's neighbours."""
SINGLE = 128
"""A letter that is a token of its own where the unit of shingles is `auto`: Hangul, and the letters
of scripts that put no spaces between words. All of them take three bytes or four."""

_HANGUL_BLOCKS = (
    (0x1100, 0x11FF),  # Jamo
    (0x3130, 0x318F),  # Compatibility Jamo
    (0xA960, 0xA97F),  # Jamo Extended-A
    (0xAC00, 0xD7A3),  # Syllables
    (0xD7B0, 0xD7FF),  # Jamo Extended-B
    (0xFFA0, 0xFFDC),  # half-width jamo
)
_UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3006),  # ideographic marks
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo Extended
    (0x31F0, 0x31FF),  # Katakana Phonetic Extensions
    (0x3400, 0x4DBF),  # Han, Extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar Extended-B
    (0xAA60, 0xAA7F),  # Myanmar Extended-A
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # Kana Extended, Kana Supplement
    (0x20000, 0x3FFFF),  # Han, supplementary planes
)
_SURROGATES = range(0xD800, 0xE000)


class CodepointTables(NamedTuple):
    """What kernels look up.

    Attributes:
        flags: uint8 of shape (0x110000,): WORD, SPACE, ALPHA ... or-ed together.
        lower: uint32 of shape (last code point that lower-cases + 1,): the lower-case form of one
            code point. 'İ' (U+0130), the only one whose form is two code points, has their first.
    """

    flags: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.uint32]


@functools.cache
def codepoint_tables() -> CodepointTables:
    """Return the tables of this Python's Unicode version, read-only: cached, or made anew."""
    directory = cache_dir()
    path = directory / "codepoints.npz" if directory else None
    tables = None
    if path is not None:
        try:
            with np.load(path) as stored:
                tables = CodepointTables(stored["flags"], stored["lower"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            tables = None  # missing or damaged: made anew
    if tables is None:
        tables = _make_tables()
        if path is not None:
            _store(tables, path)
    for table in tables:
        table.setflags(write=False)
    return tables


def _store(tables: CodepointTables, path: Path) -> None:
    # Readers see the whole file or none; a full disk costs the next process half a second.
    with (
        contextlib.suppress(OSError),
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
    ):
        file = Path(folder, path.name)
        np.savez(file, flags=tables.flags, lower=tables.lower)
        os.replace(file, path)


def _make_tables() -> CodepointTables:
    flags = np.zeros(sys.maxunicode + 1, np.uint8)
    lower = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    last = 0
    for code in range(sys.maxunicode + 1):
        if code in _SURROGATES:
            continue
        char = chr(code)
        if char.isalnum() or char == "_":
            flags[code] |= WORD
        if char.isspace():
            flags[code] |= SPACE
        if char.isalpha():
            flags[code] |= ALPHA
        lowered = char.lower()
        if lowered != char:
            if len(lowered) > 1 and char != "İ":
                raise RuntimeError(f"U+{code:04X} lower-cases to {len(lowered)} code points")
            flags[code] |= LOWERS
            lower[code] = ord(lowered[0])
            last = code
        # Python keeps these two properties to itself, but shows them in how it lowers a sigma.
        after_char = (char + "Σ").lower()[-1] == "ς"
        after_letter_and_char = ("A" + char + "Σ").lower()[-1] == "ς"
        if after_char:
            flags[code] |= CASED
        elif after_letter_and_char:
            flags[code] |= IGNORABLE
    for first, final in _HANGUL_BLOCKS:
        block = flags[first : final + 1]
        block[(block & ALPHA) != 0] |= HANGUL | SINGLE
    for first, final in _UNSPACED_BLOCKS:
        block = flags[first : final + 1]
        block[(block & ALPHA) != 0] |= SINGLE
    return CodepointTables(flags, lower[: last + 1].copy())


@kernel
def decode(data: npt.NDArray[np.uint8], i: I64) -> tuple[I64, I64]:
    """Return the code point that starts at byte `i`, and where the next one starts."""
    b0 = np.int64(data[i])
    if b0 < 0x80:
        return b0, i + 1
    if b0 < 0xE0:
        return ((b0 & 0x1F) << 6) | (data[i + 1] & 0x3F), i + 2
    if b0 < 0xF0:
        return ((b0 & 0x0F) << 12) | (
            (np.int64(data[i + 1]) & 0x3F) << 6 | (np.int64(data[i + 2]) & 0x3F)
        ), i + 3
    return ((b0 & 0x07) << 18) | ((np.int64(data[i + 1]) & 0x3F) << 12) | (
        (np.int64(data[i + 2]) & 0x3F) << 6 | (np.int64(data[i + 3]) & 0x3F)
    ), i + 4


@kernel
def decode_before(data: npt.NDArray[np.uint8], i: I64) -> tuple[I64, I64]:
    """Return the code point that ends before byte `i`, and where it starts."""
    start = i - 1
    while data[start] & 0xC0 == 0x80:
        start -= 1
    return decode(data, start)[0], start


@kernel
def encode(code: I64, out: npt.NDArray[np.uint8], i: I64) -> I64:
    """Write `code` to `out` at byte `i` as UTF-8 and return where the next one goes."""
    if code < 0x80:
        out[i] = code
        return i + 1
    if code < 0x800:
        out[i] = 0xC0 | (code >> 6)
        out[i + 1] = 0x80 | (code & 0x3F)
        return i + 2
    if code < 0x10000:
        out[i] = 0xE0 | (code >> 12)
        out[i + 1] = 0x80 | ((code >> 6) & 0x3F)
        out[i + 2] = 0x80 | (code & 0x3F)
        return i + 3
    out[i] = 0xF0 | (code >> 18)
    out[i + 1] = 0x80 | ((code >> 12) & 0x3F)
    out[i + 2] = 0x80 | ((code >> 6) & 0x3F)
    out[i + 3] = 0x80 | (code & 0x3F)
    return i + 4


@kernel
def count_codepoints(data: npt.NDArray[np.uint8], start: I64, end: I64) -> I64:
    """Return the number of code points in `data[start:end]`."""
    count = 0
    for i in range(start, end):
        count += data[i] & 0xC0 != 0x80
    return count
