"""Shingles: the n-grams of a text as 64-bit hashes, and exact Jaccard similarity over them.

Owns what a shingle is. Refuses: approximation (see `minhash`).

Two units. `word`: runs of `ngram` consecutive words of `words.split_words`. `char`: runs of `ngram`
consecutive code points of the lower-cased text whose whitespace runs are one space and whose ends
are stripped (`" ".join(text.lower().split())`), for scripts that do not put spaces between words. A
text with fewer than `ngram` tokens has no shingles.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import codepoint_tables, decode
from datatools.kernels.hashing import (
    collapse_spaces,
    extend_ngram,
    hash_bytes,
    mix64,
    normalise_then_hash,
)
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.words import bound_slots, token_bounds

__all__ = ["Unit", "jaccard", "scratch_for", "shingle_row", "shingle_sets"]

Unit = Literal["word", "char"]

Scratch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.uint64]]


def scratch_for(longest: int, ngram: int, unit: Unit) -> Scratch:
    """Return the scratch arrays `shingle_row` needs for rows of up to `longest` bytes.

    Raises:
        ValueError: `ngram` or `unit` is out of range.
    """
    if ngram < 1:
        raise ValueError(f"ngram must be at least 1 (got {ngram})")
    if unit not in get_args(Unit):
        raise ValueError(f"unit must be word or char (got {unit!r})")
    text = np.empty(lowered_bytes(longest), np.uint8)
    tokens = len(text) if unit == "char" else len(text) // 2 + 1
    bounds = np.empty(bound_slots(len(text)) if unit == "word" else 0, np.int32)
    return text, bounds, np.empty(tokens, np.uint64)


@kernel
def shingle_row(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    ngram: I64,
    by_char: bool,
    text: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    shingles: npt.NDArray[np.uint64],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
) -> I64:
    """Write the shingle hashes of `data[start:end]` to `shingles` and return their number."""
    length = lower_row(data, start, end, text, flags, lower)
    count = 0
    if by_char:
        length = collapse_spaces(text, length, flags)
        i = 0
        while i < length:
            code, i = decode(text, i)
            shingles[count] = mix64(np.uint64(code))
            count += 1
    else:
        count = token_bounds(text, 0, length, bounds, flags, False)
        for w in range(count):
            shingles[w] = hash_bytes(text, bounds[2 * w], bounds[2 * w + 1])
    # A shingle overwrites its first token, which no later shingle needs.
    for s in range(count - ngram + 1):
        state = np.uint64(0)
        for k in range(s, s + ngram):
            state = extend_ngram(state, shingles[k])
        shingles[s] = mix64(state)
    return max(0, count - ngram + 1)


@kernel
def _distinct(values: npt.NDArray[np.uint64], count: I64) -> I64:
    # Sorts `values[:count]` and moves the distinct ones to the front.
    if count == 0:
        return 0
    values[:count].sort()
    kept = 1
    for i in range(1, count):
        if values[i] != values[kept - 1]:
            values[kept] = values[i]
            kept += 1
    return kept


@kernel
def _shingle_sets(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    ngram: I64,
    by_char: bool,
    text: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    shingles: npt.NDArray[np.uint64],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    set_offsets: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint64]:
    out = np.empty((offsets[-1] - offsets[0]) // 8 + 16, np.uint64)
    o = 0
    for row in range(len(offsets) - 1):
        count = shingle_row(
            data,
            offsets[row],
            offsets[row + 1],
            ngram,
            by_char,
            text,
            bounds,
            shingles,
            flags,
            lower,
        )
        count = _distinct(shingles, count)
        if o + count > len(out):
            grown = np.empty(2 * (o + count), np.uint64)
            grown[:o] = out[:o]
            out = grown
        out[o : o + count] = shingles[:count]
        o += count
        set_offsets[row + 1] = o
    return out[:o]


def shingle_sets(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    ngram: int = 5,
    unit: Unit = "word",
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return each row's distinct shingle hashes, sorted.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        ngram: Tokens per shingle, at least 1.
        unit: Tokens are words or code points.

    Returns:
        set_offsets: int64 of shape (rows + 1,): row r has `hashes[set_offsets[r]:set_offsets[r +
            1]]`.
        hashes: uint64, increasing within a row.

    Raises:
        ValueError: `ngram` or `unit` is out of range.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["a b a b a", "a"]}))
        >>> shingle_sets(*batch.buffers("text"), ngram=2)[0].tolist()
        [0, 2, 2]
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    set_offsets = np.zeros(len(offsets), np.int64)
    hashes = _shingle_sets(
        offsets,
        data,
        ngram,
        unit == "char",
        *scratch_for(longest, ngram, unit),
        *codepoint_tables(),
        set_offsets,
    )
    return set_offsets, hashes


@kernel
def _intersections(
    set_offsets: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    common = np.zeros(len(left), np.int64)
    for p in range(len(left)):
        i, i_end = set_offsets[left[p]], set_offsets[left[p] + 1]
        j, j_end = set_offsets[right[p]], set_offsets[right[p] + 1]
        count = 0
        while i < i_end and j < j_end:
            a, b = hashes[i], hashes[j]
            count += a == b
            i += a <= b
            j += b <= a
        common[p] = count
    return common


def jaccard(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    *,
    ngram: int = 5,
    unit: Unit = "word",
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the sizes of intersection and union of the shingle sets of pairs of rows.

    Two rows that both have no shingles compare by their normalised text (`hashing.normalise`): 1 of
    1 when it is equal, 0 of 1 when it is not. Where one row has shingles and the other has none,
    the intersection is 0.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        left: int64 of shape (pairs,), row numbers from 0 to rows - 1.
        right: int64 of shape (pairs,), row numbers.
        ngram: Tokens per shingle, at least 1.
        unit: Tokens are words or code points.

    Returns:
        intersection: int64 of shape (pairs,).
        union: int64 of shape (pairs,), at least 1. Jaccard is `intersection / union`.

    Raises:
        ValueError: `ngram` or `unit` is out of range.
        IndexError: A row number is out of range.

    Complexity:
        O(bytes log bytes) for the sets, which are made for every row, then linear in each pair's
        sets.

    Example:
        >>> import numpy as np, polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["a b c d", "a b c x", "Hi!", "hi"]}))
        >>> left, right = np.array([0, 2]), np.array([1, 3])
        >>> [x.tolist() for x in jaccard(*batch.buffers("text"), left, right, ngram=2)]
        [[2, 1], [4, 1]]
    """
    rows = len(offsets) - 1
    left, right = (np.ascontiguousarray(side, np.int64) for side in (left, right))
    for side in (left, right):
        if len(side) and not (side.min() >= 0 and side.max() < rows):
            raise IndexError(f"a pair names a row outside 0..{rows - 1}")
    set_offsets, hashes = shingle_sets(offsets, data, ngram=ngram, unit=unit)
    sizes = np.diff(set_offsets)
    intersection = _intersections(set_offsets, hashes, left, right)
    union = sizes[left] + sizes[right] - intersection
    empty = union == 0
    if empty.any():
        texts = normalise_then_hash(offsets, data)
        intersection[empty] = (texts[left[empty]] == texts[right[empty]]).all(axis=1)
        union[empty] = 1
    return intersection, union
