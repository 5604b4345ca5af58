r"""Words: what `re.findall(r"\w+", text.lower())` and `str.split()` find.

Owns where words begin and end. Refuses: linguistic tokens (morphemes, contractions); and scripts
written without spaces come out as one word per run. Positions in a row are int32, from the row's
first byte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import HIGH_BITS, load_u64, space_mask, trailing_zeros, word_mask
from datatools.kernels.codepoints import SPACE, WORD, codepoint_tables, decode
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes

__all__ = ["WordList", "bound_slots", "split_whitespace", "split_words", "token_bounds"]

WordList = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]

_ONE = np.uint64(1)
_EIGHT_BITS = np.uint64(0xFF)


def bound_slots(count: int) -> int:
    """Return how many bounds `token_bounds` can write for a text of `count` bytes."""
    return count + 2


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
    inside = np.uint64(0)  # whether the character before `i` belongs to a word
    slot = 0
    i = start
    while i < end:
        if i + 8 <= end and load_u64(text, i) & HIGH_BITS == 0:
            # Up to 64 ASCII characters as one mask: fewer, longer loops over edges are guessed
            # better.
            mask = np.uint64(0)
            width = 0
            while width < 64 and i + width + 8 <= end:
                eight = load_u64(text, i + width)
                if eight & HIGH_BITS != 0:
                    break
                bits = space_mask(eight) ^ _EIGHT_BITS if by_space else word_mask(eight)
                mask |= bits << np.uint64(width)
                width += 8
            edges = mask ^ ((mask << _ONE) | inside)
            if width < 64:
                edges &= (_ONE << np.uint64(width)) - _ONE
            while edges != 0:
                bounds[slot] = i - start + trailing_zeros(edges)
                slot += 1
                edges &= edges - _ONE
            inside = (mask >> np.uint64(width - 1)) & _ONE
            i += width
            continue
        code, after = decode(text, i)
        belongs = np.uint64(flags[code] & SPACE == 0 if by_space else flags[code] & WORD != 0)
        bounds[slot] = (
            i - start
        )  # kept only where it is an edge; storing always is faster than asking
        slot += belongs != inside
        inside = belongs
        i = after
    if inside != 0:
        bounds[slot] = end - start
        slot += 1
    return slot // 2


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
            for j in range(bounds[2 * w], bounds[2 * w + 1]):
                out[o] = scratch[j]
                o += 1
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
