r"""Words: what `re.findall(r"\w+", text.lower())` and `str.split()` find.

Owns where words begin and end. Refuses: linguistic tokens (morphemes, contractions); and scripts
written without spaces come out as one word per run. Positions in a row are int32, from the row's
first byte.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import copy_sixteen, count_ones, trailing_zeros
from datatools.kernels.codepoints import SPACE, WORD, codepoint_tables, decode
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.vectors import (
    BLOCK_BYTES,
    space_block,
    unsure_spaces,
    unsure_words,
    word_block,
)

__all__ = [
    "Tokens",
    "WordList",
    "append_bytes",
    "bound_slots",
    "split_whitespace",
    "split_words",
    "token_bounds",
    "whitespace_tokens",
]

WordList = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]


class Tokens(NamedTuple):
    """The tokens of a batch.

    Attributes:
        rows: int64 of shape (rows + 1,): row r has tokens `rows[r]:rows[r + 1]`.
        bounds: int32 of shape (tokens, 3): token t is bytes `bounds[t, 0]:bounds[t, 1]`, from its
            row's first byte; `bounds[t, 2]` says what stands before it: 0 nothing, 1 one space, 2
            other whitespace, where its maker tells.
    """

    rows: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int32]


_ONE, _TWO = np.uint64(1), np.uint64(2)
_SHIFT_LAST, _SHIFT_LAST_TWO = np.uint64(BLOCK_BYTES - 1), np.uint64(BLOCK_BYTES - 2)
_UNROLLED = 4


def bound_slots(count: int) -> int:
    """Return how many bounds `token_bounds` can write for a text of `count` bytes."""
    return count + 2 + _UNROLLED


@kernel
def token_bounds(
    text: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    bounds: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    by_space: bool,
) -> I64:
    r"""Find the words of `text[start:end]`.

    Args:
        text: Valid UTF-8; lower-cased (ASCII capitals end a word) unless `by_space`.
        start: First byte of the row.
        end: One past its last byte.
        bounds: Written: word w is bytes `bounds[2 * w]` to `bounds[2 * w + 1]`, from `start`. At
            least `bound_slots(end - start)` long.
        flags: `codepoint_tables().flags`.
        by_space: Split as `str.split` does; otherwise words are runs of `\w`.

    Returns:
        The number of words.
    """
    wanted = SPACE if by_space else WORD
    inside = np.uint64(0)  # whether the character before `i` belongs to a word
    spill = np.uint64(0)  # bits of the last block's last character that lie in this one
    slot = 0
    i = start
    while i < end and i + BLOCK_BYTES <= len(text):
        if by_space:
            mask, high = space_block(text, i)
        else:
            mask, high = word_block(text, i)
        mask |= spill
        spill = np.uint64(0)
        if high != 0:
            if by_space:
                unsure = unsure_spaces(text, i)
            else:
                threes, unsure = unsure_words(text, i)
                mask |= threes | (threes << _ONE) | (threes << _TWO)
                spill = (threes >> _SHIFT_LAST) | (threes >> _SHIFT_LAST_TWO)
            while unsure != 0:
                k = trailing_zeros(unsure)
                unsure &= unsure - _ONE
                if i + k >= end:
                    break
                code, after = decode(text, i + k)
                if flags[code] & wanted != 0:
                    bits = (_ONE << np.uint64(after - i - k)) - _ONE
                    mask |= bits << np.uint64(k)
                    if after > i + BLOCK_BYTES:
                        spill = bits >> np.uint64(BLOCK_BYTES - k)
        if by_space:
            mask = ~mask
        edges = mask ^ ((mask << _ONE) | inside)
        inside = mask >> _SHIFT_LAST
        if i + BLOCK_BYTES > end:
            edges &= (_ONE << np.uint64(end - i)) - _ONE
            inside = (mask >> np.uint64(end - i - 1)) & _ONE
        first = i - start
        past = slot + count_ones(edges)
        while slot < past:  # a few at a time, so that the processor guesses the end better
            for k in range(_UNROLLED):
                bounds[slot + k] = first + trailing_zeros(edges)
                edges &= edges - _ONE
            slot += _UNROLLED
        slot = past
        i += BLOCK_BYTES
    # The last bytes of a batch, from where a character starts.
    while i < end and text[i] & 0xC0 == 0x80:
        i += 1
    while i < end:
        code, after = decode(text, i)
        belongs = np.uint64((flags[code] & wanted != 0) != by_space)
        if belongs != inside:
            bounds[slot] = i - start
            slot += 1
        inside = belongs
        i = after
    if inside != 0:
        bounds[slot] = end - start
        slot += 1
    return slot // 2


@kernel
def append_bytes(
    text: npt.NDArray[np.uint8], start: I64, end: I64, out: npt.NDArray[np.uint8], o: I64
) -> I64:
    """Copy `text[start:end]` to `out` at byte `o` and return where the next one goes.

    Sixteen bytes at a time: as many may be read past `end`, and written past the copy.
    """
    for i in range(start, end, 16):
        copy_sixteen(text, i, out, o + i - start)
    return o + end - start


@kernel
def _pack_words(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    by_space: bool,
    scratch: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    row_offsets: npt.NDArray[np.int64],
    word_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
) -> None:
    words = 0
    o = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if by_space:
            length = end - start
            scratch[:length] = data[start:end]
        else:
            length = lower_row(data, start, end, scratch, flags, lower)
        count = token_bounds(scratch, 0, length, bounds, flags, by_space)
        for w in range(count):
            o = append_bytes(scratch, bounds[2 * w], bounds[2 * w + 1], out, o)
            words += 1
            word_offsets[words] = o
        row_offsets[row + 1] = words


def _split(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], by_space: bool) -> WordList:
    offsets, data, longest = arrow_buffers(offsets, data)
    rows, size = len(offsets) - 1, int(offsets[-1] - offsets[0])
    tables = codepoint_tables()
    row_offsets = np.zeros(rows + 1, np.int64)
    word_offsets = np.zeros((size + rows) // 2 + 2, np.int64)
    out = np.empty(lowered_bytes(size), np.uint8)
    scratch = np.empty(lowered_bytes(longest), np.uint8)
    bounds = np.empty(bound_slots(len(scratch)), np.int32)
    _pack_words(offsets, data, by_space, scratch, bounds, *tables, row_offsets, word_offsets, out)
    word_offsets = word_offsets[: row_offsets[-1] + 1]
    return row_offsets, word_offsets, out[: word_offsets[-1]]


def split_words(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> WordList:
    r"""Return the lower-cased words of each row: `re.findall(r"\w+", text.lower())`.

    A word is a run of letters, digits and underscores of any script. A row without any has no
    words.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        row_offsets: int64 of shape (rows + 1,): row r has words `row_offsets[r]:row_offsets[r +
            1]`.
        word_offsets: int64 of shape (words + 1,): word w is `out[word_offsets[w]:word_offsets[w +
            1]]`.
        out: uint8, the words one after the other.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["Hello, World!", "", "안녕, 세상"]}))
        >>> rows, words, out = split_words(*batch.buffers("text"))
        >>> rows.tolist()
        [0, 2, 2, 4]
        >>> [bytes(out[a:b]).decode() for a, b in zip(words[:-1], words[1:])]
        ['hello', 'world', '안녕', '세상']
    """
    return _split(offsets, data, by_space=False)


def split_whitespace(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> WordList:
    """Return the whitespace-separated words of each row, unchanged: `text.split()`.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        The same three arrays as `split_words`.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["Hello,  World!"]}))
        >>> rows, words, out = split_whitespace(*batch.buffers("text"))
        >>> [bytes(out[a:b]).decode() for a, b in zip(words[:-1], words[1:])]
        ['Hello,', 'World!']
    """
    return _split(offsets, data, by_space=True)


@kernel
def _find_words(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
) -> None:
    at = 0
    for row in range(len(offsets) - 1):
        count = token_bounds(data, offsets[row], offsets[row + 1], bounds, flags, True)
        for w in range(count):
            out[at + w, 0] = bounds[2 * w]
            out[at + w, 1] = bounds[2 * w + 1]
        at += count
        rows[row + 1] = at


def whitespace_tokens(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> Tokens:
    """Return where the whitespace-separated words of each row are, the words of `str.split`.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        The words; `bounds[:, 2]` says nothing.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": [" 나는 간다"]}))
        >>> found = whitespace_tokens(*batch.buffers("text"))
        >>> found.bounds[:, :2].tolist()
        [[1, 7], [8, 14]]
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    rows = np.zeros(len(offsets), np.int64)
    out = np.zeros(((int(offsets[-1] - offsets[0]) + len(rows)) // 2 + 1, 3), np.int32)
    bounds = np.empty(bound_slots(longest), np.int32)
    _find_words(offsets, data, bounds, codepoint_tables().flags, rows, out)
    return Tokens(rows, out[: rows[-1]])
