"""Composed texts: Unicode's NFC for the texts that need it, and the way back to their bytes.

Owns which texts are not in NFC, their composed form, and where a place of it is in the text as it
was. Refuses: compatibility forms (NFKC), which change what is written. Nearly every text of a crawl
is in NFC already, so only the others are touched, in Python.

References:
    Unicode Standard Annex 15, Unicode Normalization Forms, section 9 (the quick check).
"""

from __future__ import annotations

import functools
import itertools
import sys
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.bits import load_u64
from datatools.kernels.codepoints import decode
from datatools.kernels.jit import arrow_buffers, kernel

__all__ = ["compose", "original_place"]

_SYLLABLE_PARTS = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]
"""Vowels and final consonants of Hangul that the letter before them takes up."""

_LAST = 0x30000
"""No code point from here on has a decomposition or a combining class; a test looks at them all."""
_HIGH_BITS = np.uint64(0x8080808080808080)


@functools.cache
def _joining() -> frozenset[str]:
    """Return the characters that may change in NFC, or change what is before them."""
    found = set(map(chr, _SYLLABLE_PARTS))
    for code in range(_LAST):
        character = chr(code)
        if unicodedata.combining(character):
            found.add(character)
        parts = unicodedata.decomposition(character).split()
        if not parts or parts[0].startswith("<"):
            continue
        if unicodedata.normalize("NFC", character) != character:
            found.add(character)  # never stays as it is
        if len(parts) == 2:
            found.add(chr(int(parts[1], 16)))
    return frozenset(found)


@functools.cache
def _joining_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(sys.maxunicode + 1, np.uint8)
    table[sorted(map(ord, _joining()))] = 1
    table.setflags(write=False)
    return table


@kernel
def _may_change(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    joining: npt.NDArray[np.uint8],
    found: npt.NDArray[np.bool_],
) -> None:
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            if i + 8 <= end and load_u64(data, i) & _HIGH_BITS == 0:
                i += 8
                continue
            if data[i] == 0xEB or data[i] == 0xEC:  # U+B000 to U+CFFF, whole syllables of Hangul
                i += 3
                continue
            code, i = decode(data, i)
            if joining[code] != 0:
                found[row] = True
                break


def compose(
    texts: pl.Series, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> tuple[pl.Series, Sequence[int]]:
    r"""Return texts in NFC, and which of them it changed.

    Args:
        texts: A String column; nulls stay.
        offsets: int64 of shape (rows + 1,): the same texts' buffers.
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        texts: The same column where nothing changes.
        changed: Rows that differ from what they were, increasing.

    Example:
        >>> from datatools.steps.base import Batch
        >>> frame = pl.DataFrame({"text": ["한글", "\u1112\u1161\u11ab\u1100\u1173\u11af", None]})
        >>> compose(frame["text"], *Batch(frame).buffers("text"))[1]
        [1]
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    asked = np.zeros(len(texts), np.bool_)
    _may_change(offsets, data, _joining_table(), asked)
    if not asked.any():
        return texts, []
    rows = np.flatnonzero(asked)
    before = texts.gather(rows).to_list()
    after = [unicodedata.normalize("NFC", text) for text in before]
    changed = [k for k in range(len(rows)) if before[k] != after[k]]
    if not changed:
        return texts, []
    places = [int(rows[k]) for k in changed]
    values = pl.Series([after[k] for k in changed], dtype=pl.String)
    return texts.clone().scatter(places, values), places


def original_place(
    text: str, places: npt.NDArray[np.int64], *, ends: bool = False
) -> npt.NDArray[np.int64]:
    r"""Return where places of a text's composed form are in the text itself.

    A place within what was composed of several characters becomes the one where these begin.

    Args:
        text: The text as it was.
        places: int64, bytes of its NFC as UTF-8, on character boundaries.
        ends: Whether such a place becomes the one where these characters end.

    Returns:
        int64 of the same shape: bytes of the text as UTF-8.

    Example:
        >>> original_place("cafe\u0301 au", np.array([0, 3, 5, 8])).tolist()
        [0, 3, 6, 9]
    """
    joining = _joining()
    starts = [k for k, character in enumerate(text) if k == 0 or character not in joining]
    pieces = [text[a:b] for a, b in itertools.pairwise([*starts, len(text)])]
    composed = [len(unicodedata.normalize("NFC", piece).encode()) for piece in pieces]
    after = np.concatenate(([0], np.cumsum(composed))).astype(np.int64)
    sizes = [len(piece.encode()) for piece in pieces]
    before = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    if ends:
        return before[np.searchsorted(after, places, side="left")]
    return before[np.searchsorted(after, places, side="right") - 1]
