r"""Windows: runs of tokens of one length, as 64-bit hashes.

Owns what counts as a token, how long a run is, and its hash. Refuses: looking windows up
(`overlap`); and Unicode normalisation (see `composed`).

A token is that of the unit `auto` in `shingles`: a word, `\w+` of the lower-cased text, but each
letter of Hangul and of scripts that put no spaces between words (Han, Kana, Thai ...) for itself.
Length is counted in half words: a word is two, a letter that is a token for itself is one. A window
starts at every token and ends with the first one that makes it `size` long. So 13 words, 26 letters
of Hangul and any mixture of both are one length, no text needs a language, and an edit changes only
the windows that it is in.

Case, punctuation, symbols, spacing and invisible characters play no part.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import SINGLE, codepoint_tables, decode
from datatools.kernels.hashing import has_high_byte, hash_word, mix64
from datatools.kernels.jit import I64, U64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.words import bound_slots, token_bounds

__all__ = [
    "LETTER",
    "WORD_LENGTH",
    "Windows",
    "add_tokens",
    "window_hash",
    "window_scratch",
    "windows",
]

LETTER = 1
"""Length of a letter that is a token for itself, in half words."""
WORD_LENGTH = 2
"""Length of a word, in half words."""

_FACTOR = np.uint64(0xD1342543DE82EF95)  # odd: multiplying loses nothing

Column = npt.NDArray[Any]
Scratch = tuple[Column, ...]


class Windows(NamedTuple):
    """The windows of the rows of a batch, in order.

    Attributes:
        row: int64, the row in the batch.
        hash: uint64, of the window's tokens.
        start: int64, where it starts, in half words from the row's start.
        stop: int64, where it stops.
        head: uint64, the hash of the first `least` half words of a row that is one short window; 0
            for all other windows.
        tokens: int64, tokens in the window.
        length: int64 of shape (rows,): the length of each row in half words.
    """

    row: Column
    hash: Column
    start: Column
    stop: Column
    head: Column
    tokens: Column
    length: Column


@kernel
def add_tokens(
    text: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    words: I64,
    states: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
) -> I64:
    """Write the tokens' bounds and return their number.

    Before each token, `states` has the running hash and `lengths` how long the text is so far: the
    hash of a window is the difference of two of these.
    """
    count = 0
    state = np.uint64(0)  # in a register: read back from the array it would be waited for
    length = 0
    states[0] = 0
    lengths[0] = 0
    for w in range(words):
        start, end = bounds[2 * w], bounds[2 * w + 1]
        rest = start  # where the part of the word that is not yet a token begins
        if has_high_byte(text, start, end):
            i = start
            while i < end:
                code, after = decode(text, i)
                if flags[code] & SINGLE != 0:
                    if rest < i:
                        state = state * _FACTOR + hash_word(text, rest, i)
                        length += WORD_LENGTH
                        starts[count] = rest
                        stops[count] = i
                        count += 1
                        states[count] = state
                        lengths[count] = length
                    state = state * _FACTOR + mix64(np.uint64(code))
                    length += LETTER
                    starts[count] = i
                    stops[count] = after
                    count += 1
                    states[count] = state
                    lengths[count] = length
                    rest = after
                i = after
        if rest < end:
            state = state * _FACTOR + hash_word(text, rest, end)
            length += WORD_LENGTH
            starts[count] = rest
            stops[count] = end
            count += 1
            states[count] = state
            lengths[count] = length
    return count


@kernel
def window_hash(
    states: npt.NDArray[np.uint64], powers: npt.NDArray[np.uint64], i: I64, j: I64
) -> U64:
    """Return the hash of the tokens `i` to `j - 1`."""
    return mix64(states[j] - states[i] * powers[j - i])


@kernel
def _window_count(lengths: npt.NDArray[np.int32], count: I64, size: I64, least: I64) -> I64:
    # Windows of a text: one per token from which on `size` is left; one if it is short.
    total = lengths[count]
    if total < size:
        return np.int64(total >= least)
    windows = count
    while total - lengths[windows - 1] < size:
        windows -= 1
    return windows


@kernel
def _windows(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    size: I64,
    least: I64,
    powers: npt.NDArray[np.uint64],
    text: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    states: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
    places: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    integers: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    length: npt.NDArray[np.int64],
) -> I64:
    # Fills `integers` (row, start, stop, tokens) and `hashes` (hash, head); returns the number of
    # windows. Called with empty arrays it only counts.
    found = 0
    for row in range(len(offsets) - 1):
        size_of_text = lower_row(data, offsets[row], offsets[row + 1], text, flags, lower)
        words = token_bounds(text, 0, size_of_text, bounds, flags, False)
        count = add_tokens(text, bounds, words, states, lengths, starts, stops, flags)
        length[row] = lengths[count]
        here = _window_count(lengths, count, size, least)
        if hashes.shape[1] == 0:
            found += here
            continue
        short = lengths[count] < size
        j = 0
        for i in range(here):
            j = max(j, i)
            while j < count and lengths[j] - lengths[i] < size:
                j += 1
            integers[0, found] = row
            integers[1, found] = lengths[i]
            integers[2, found] = lengths[j]
            integers[3, found] = j - i
            hashes[0, found] = window_hash(states, powers, i, j)
            hashes[1, found] = 0
            if short:
                k = 0
                while lengths[k] < least:
                    k += 1
                hashes[1, found] = window_hash(states, powers, 0, k)
            found += 1
    return found


def window_scratch(longest: int, size: int) -> Scratch:
    """Return the powers of the factor, and the scratch arrays for rows of `longest` bytes.

    Bytes of lower-cased text; bounds of words; running hashes and lengths; first and last bytes of
    tokens; two more of the tokens' size.
    """
    text = np.empty(lowered_bytes(longest), np.uint8)
    powers = np.array([pow(int(_FACTOR), k, 1 << 64) for k in range(size + 2)], np.uint64)
    slots = len(text) // 2 + 3  # a token and what ends it, or a letter of three bytes
    return (
        powers,
        text,
        np.empty(bound_slots(len(text)), np.int32),
        np.empty(slots, np.uint64),
        *(np.empty(slots, np.int32) for _ in range(5)),
    )


def _check(size: int, least: int) -> None:
    if not 1 <= least <= size:
        raise ValueError(f"least must be from 1 to size (got {least} and {size})")


def windows(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], *, size: int, least: int
) -> Windows:
    """Return the windows of each row.

    A row shorter than `size` but not than `least` is one window; a shorter one has none.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        size: Length of a window in half words. Two is the last word's, so that one may be a half
            word longer.
        least: Length of the shortest row that is looked for, from 1 to `size`.

    Raises:
        ValueError: `size` or `least` is out of range.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["One two, three four", "둘 셋", "five"]}))
        >>> found = windows(*batch.buffers("text"), size=6, least=2)
        >>> found.row.tolist(), found.tokens.tolist(), found.length.tolist()
        ([0, 0, 1, 2], [3, 3, 2, 1], [8, 2, 2])
    """
    _check(size, least)
    offsets, data, longest = arrow_buffers(offsets, data)
    length = np.zeros(len(offsets) - 1, np.int64)
    settings: Any = (
        offsets,
        data,
        size,
        least,
        *window_scratch(longest, size),
        *codepoint_tables(),
    )

    def fill(count: int) -> tuple[Any, Any, int]:
        integers, hashes = np.empty((4, count), np.int64), np.empty((2, count), np.uint64)
        given: Any = (*settings, integers, hashes, length)
        found = _windows(*given)
        return integers, hashes, found

    integers, hashes, count = fill(0)
    if count:
        integers, hashes, _ = fill(count)
    row, start, stop, tokens = integers
    value, head = hashes
    return Windows(row, value, start, stop, head, tokens, length)
