"""What quality rules ask of tokens: how many, how long, which of them are words.

Owns the counts over a list of tokens, whoever cut them. Refuses: cutting (`words`,
`english_tokens`), ratios and thresholds.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import ALPHA, codepoint_tables, decode
from datatools.kernels.hashing import hash_bytes
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.words import Tokens

__all__ = ["COUNTS", "character_set", "token_stats"]

COUNTS: Final = ("tokens", "words", "word_chars", "alpha_tokens", "stop_words", "stop_tokens")
"""Names of the counts, in the order the kernel writes them."""


@functools.lru_cache(maxsize=16)
def character_set(characters: str) -> npt.NDArray[np.bool_]:
    """Return which code points a string has, bool of shape (0x110000,), read-only."""
    table = np.zeros(sys.maxunicode + 1, np.bool_)
    for char in characters:
        table[ord(char)] = True
    table.setflags(write=False)
    return table


@kernel
def _hash_all(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], out: npt.NDArray[np.uint64]
) -> None:
    for row in range(len(out)):
        out[row] = hash_bytes(data, offsets[row], offsets[row + 1])


@kernel
def _count(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int32],
    punctuation: npt.NDArray[np.bool_],
    stops: npt.NDArray[np.uint64],
    longest_stop: I64,
    fold: bool,
    scratch: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    out: npt.NDArray[np.int64],
) -> None:
    seen_in = np.full(len(stops), -1, np.int64)  # last row in which each was met
    for row in range(len(offsets) - 1):
        words = chars = alpha = distinct = occurrences = 0
        for token in range(rows[row], rows[row + 1]):
            i, end = offsets[row] + bounds[token, 0], offsets[row] + bounds[token, 1]
            # Lower-casing shortens a word to no less than a third of its bytes.
            if end - i <= (3 * longest_stop if fold else longest_stop):
                if fold:
                    size = lower_row(data, i, end, scratch, flags, lower)
                    key = hash_bytes(scratch, 0, size)
                else:
                    key = hash_bytes(data, i, end)
                for k in range(len(stops)):
                    if stops[k] == key:
                        occurrences += 1
                        distinct += seen_in[k] != row
                        seen_in[k] = row
            size = 0
            is_word = has_alpha = False
            while i < end:
                code, i = decode(data, i)
                size += 1
                is_word |= not punctuation[code]
                has_alpha |= flags[code] & ALPHA != 0
            alpha += has_alpha
            if is_word:
                words += 1
                chars += size
        out[row, 0] = rows[row + 1] - rows[row]
        out[row, 1] = words
        out[row, 2] = chars
        out[row, 3] = alpha
        out[row, 4] = distinct
        out[row, 5] = occurrences


def token_stats(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    tokens: Tokens,
    *,
    punctuation: str = "",
    stop_words: Sequence[str] = (),
    fold: bool = False,
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the counts of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        tokens: The rows' tokens.
        punctuation: Characters of which alone no word is made.
        stop_words: Compared with whole tokens.
        fold: Lower-case tokens for that; the stop words are lower-case already.

    Returns:
        One int64 array of shape (rows,) for each of `COUNTS`:

        - tokens: all of them.
        - words, word_chars: tokens with a character that is not `punctuation`, and code points in
          them.
        - alpha_tokens: tokens with a `str.isalpha` character.
        - stop_words, stop_tokens: distinct stop words found, and tokens that are one.

    Example:
        >>> import polars as pl
        >>> from datatools.kernels.english_tokens import english_tokens
        >>> from datatools.steps.base import Batch
        >>> buffers = Batch(pl.DataFrame({"text": ["The cat, the dog."]})).buffers("text")
        >>> tokens = english_tokens(*buffers)
        >>> stats = token_stats(*buffers, tokens, punctuation=".,", stop_words=["the"])
        >>> {name: int(counts[0]) for name, counts in stats.items()}
        ... # doctest: +NORMALIZE_WHITESPACE
        {'tokens': 6, 'words': 4, 'word_chars': 12, 'alpha_tokens': 4, 'stop_words': 1,
         'stop_tokens': 1}
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    encoded = [word.encode() for word in dict.fromkeys(stop_words)]
    stops = np.empty(len(encoded), np.uint64)
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    _hash_all(ends, np.frombuffer(bytearray(b"".join(encoded)), np.uint8), stops)
    longest = max(map(len, encoded), default=0)
    out = np.empty((len(offsets) - 1, len(COUNTS)), np.int64)
    _count(
        offsets,
        data,
        *tokens,
        character_set(punctuation),
        stops,
        longest,
        fold,
        np.empty(lowered_bytes(3 * longest), np.uint8),
        *codepoint_tables(),
        out,
    )
    return {name: np.ascontiguousarray(out[:, k]) for k, name in enumerate(COUNTS)}
