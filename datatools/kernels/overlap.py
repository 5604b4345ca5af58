"""Overlap: which windows of some texts stand in others, and where.

Owns the index and the search. Refuses: what a window is (`token_windows`), and how much overlap is
too much. Two windows are the same when their 64-bit hashes are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import codepoint_tables, decode
from datatools.kernels.jit import I64, U64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row
from datatools.kernels.token_windows import add_tokens, window_hash, window_scratch
from datatools.kernels.words import token_bounds

__all__ = ["Hits", "Index", "find", "union_lengths"]

_DOTTED_I = 0x130
_ONE, _SIX, _LOW_SIX = np.uint64(1), np.uint64(6), np.uint64(63)
_FILTER_BITS_PER_KEY = 16
_GROWTH = 2

Column = npt.NDArray[Any]


class Index(NamedTuple):
    """What windows are looked up in. Make one with `Index.of`.

    Attributes:
        size: Length of a window in half words.
        least: Length of the shortest row that is a window of its own.
        keys: uint64 of shape (windows,), increasing: the distinct hashes.
        slots: int32, open addressing: a position in `keys`, or -1.
        bits: uint64, a filter in front of the slots: nearly every other hash is refused by it.
        heads: uint64 of shape (short,), increasing: the heads of short windows.
        head_bits: uint64, a filter in front of these.
        head_keys: uint64 of shape (short,): their hashes.
        head_tokens: int64 of shape (short,): their tokens.
    """

    size: int
    least: int
    keys: Column
    slots: Column
    bits: Column
    heads: Column
    head_bits: Column
    head_keys: Column
    head_tokens: Column

    @classmethod
    def of(cls, hashes: Column, heads: Column, tokens: Column, *, size: int, least: int) -> Index:
        """Return the index of windows, whose columns are those of `windows`.

        Windows may repeat.
        """
        keys = np.unique(hashes)
        short = np.flatnonzero(heads)
        table = np.unique(
            np.stack([heads[short], hashes[short], tokens[short].astype(np.uint64)], axis=1), axis=0
        )
        head, head_key, head_tokens = (np.ascontiguousarray(column) for column in table.T)
        return cls(
            size,
            least,
            keys,
            _slots(keys),
            _filter(keys),
            head,
            _filter(head),
            head_key,
            head_tokens.astype(np.int64),
        )


class Hits(NamedTuple):
    """Windows of an index that stand in the rows of a batch, by row and place; short ones last.

    Attributes:
        row: int64, the row in the batch.
        key: int64, position in the index's `keys`.
        start: int64, where it starts, in half words from the row's start.
        stop: int64, where it stops.
        first: int64, its first byte, from the row's start.
        last: int64, one past its last byte.
        length: int64 of shape (rows,): the length in half words of each row that has a hit, 0 of
            the others.
    """

    row: Column
    key: Column
    start: Column
    stop: Column
    first: Column
    last: Column
    length: Column


def _slots(keys: Column) -> Column:
    slots = np.full(1 << max(4, int(2 * len(keys)).bit_length()), -1, np.int32)
    _fill_slots(keys, slots)
    return slots


def _filter(keys: Column) -> Column:
    bits = np.zeros(1 << max(1, (_FILTER_BITS_PER_KEY * len(keys) // 64).bit_length()), np.uint64)
    _fill_filter(keys, bits)
    return bits


# Hashes are mixed, so their own bits serve as addresses.


@kernel
def _fill_slots(keys: npt.NDArray[np.uint64], slots: npt.NDArray[np.int32]) -> None:
    wrap = np.uint64(len(slots) - 1)
    for k in range(len(keys)):
        at = keys[k] & wrap
        while slots[at] >= 0:
            at = (at + _ONE) & wrap
        slots[at] = k


@kernel
def _fill_filter(keys: npt.NDArray[np.uint64], bits: npt.NDArray[np.uint64]) -> None:
    wrap = np.uint64(len(bits) - 1)
    for k in range(len(keys)):
        bits[(keys[k] >> _SIX) & wrap] |= _ONE << (keys[k] & _LOW_SIX)


@kernel
def _may_be(value: U64, bits: npt.NDArray[np.uint64], wrap: U64) -> I64:
    # 1 for every value in the filter, and for few others; else 0.
    return np.int64((bits[(value >> _SIX) & wrap] >> (value & _LOW_SIX)) & _ONE)


@kernel
def _look_up(value: U64, keys: npt.NDArray[np.uint64], slots: npt.NDArray[np.int32]) -> I64:
    wrap = np.uint64(len(slots) - 1)
    at = value & wrap
    while slots[at] >= 0:
        if keys[slots[at]] == value:
            return np.int64(slots[at])
        at = (at + _ONE) & wrap
    return np.int64(-1)


@kernel
def _original_places(
    data: npt.NDArray[np.uint8],
    start: I64,
    text: npt.NDArray[np.uint8],
    length: I64,
    wanted: npt.NDArray[np.int64],
) -> None:
    # Turn increasing byte positions in the lower-cased text into positions in the row, in place.
    # Each code point has one lower-case form, but for the dotted I, which has two.
    i, o = start, 0
    for w in range(len(wanted)):
        while o < wanted[w]:
            code, i = decode(data, i)
            _, o = decode(text, o)
            if code == _DOTTED_I and o < length:
                _, o = decode(text, o)
        wanted[w] = i - start


@kernel
def _candidates(
    states: npt.NDArray[np.uint64],
    lengths: npt.NDArray[np.int32],
    count: I64,
    size: I64,
    powers: npt.NDArray[np.uint64],
    bits: npt.NDArray[np.uint64],
    places: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
) -> I64:
    # Write the first and last tokens of the windows that the filter lets pass. Nothing here is a
    # branch that depends on the text.
    wrap = np.uint64(len(bits) - 1)
    found = 0
    j = 0
    for i in range(count):
        while j < count and lengths[j] - lengths[i] < size:
            j += 1
        if lengths[j] - lengths[i] < size:
            break
        places[found] = i
        ends[found] = j
        found += _may_be(window_hash(states, powers, i, j), bits, wrap)
    return found


@kernel
def _find(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    size: I64,
    least: I64,
    keys: npt.NDArray[np.uint64],
    slots: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint64],
    heads: npt.NDArray[np.uint64],
    head_bits: npt.NDArray[np.uint64],
    head_keys: npt.NDArray[np.uint64],
    head_tokens: npt.NDArray[np.int64],
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
    length: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], I64]:
    # Returns the columns of `Hits` as rows of an array, and their number.
    out = np.empty((6, 1024), np.int64)
    found = 0
    for row in range(len(offsets) - 1):
        size_of_text = lower_row(data, offsets[row], offsets[row + 1], text, flags, lower)
        words = token_bounds(text, 0, size_of_text, bounds, flags, False)
        count = add_tokens(text, bounds, words, states, lengths, starts, stops, flags)
        before = found
        for c in range(_candidates(states, lengths, count, size, powers, bits, places, ends)):
            i, j = np.int64(places[c]), np.int64(ends[c])
            key = _look_up(window_hash(states, powers, i, j), keys, slots)
            if key >= 0:
                out = _add(out, found, row, key, i, j, lengths)
                found += 1
        if len(heads) > 0:
            some = _candidates(states, lengths, count, least, powers, head_bits, places, ends)
            for c in range(some):
                i, j = np.int64(places[c]), np.int64(ends[c])
                head = window_hash(states, powers, i, j)
                at = np.searchsorted(heads, head)
                while at < len(heads) and heads[at] == head:
                    j = i + head_tokens[at]
                    if j <= count and window_hash(states, powers, i, j) == head_keys[at]:
                        key = _look_up(head_keys[at], keys, slots)
                        out = _add(out, found, row, key, i, j, lengths)
                        found += 1
                    at += 1
        if found > before:
            length[row] = lengths[count]
            _to_bytes(offsets, data, row, text, size_of_text, starts, stops, out[:, before:found])
    return out, found


@kernel
def _add(
    out: npt.NDArray[np.int64],
    found: I64,
    row: I64,
    key: I64,
    i: I64,
    j: I64,
    lengths: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    # The last two hold tokens until `_to_bytes`.
    if found == out.shape[1]:
        grown = np.empty((6, _GROWTH * found), np.int64)
        grown[:, :found] = out
        out = grown
    out[0, found] = row
    out[1, found] = key
    out[2, found] = lengths[i]
    out[3, found] = lengths[j]
    out[4, found] = i
    out[5, found] = j
    return out


@kernel
def _to_bytes(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    row: I64,
    text: npt.NDArray[np.uint8],
    size_of_text: I64,
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
    hits: npt.NDArray[np.int64],
) -> None:
    # Short windows come after the others, so each side is turned by itself, sorted.
    for h in range(hits.shape[1]):
        hits[4, h] = starts[hits[4, h]]
        hits[5, h] = stops[hits[5, h] - 1]
    for side in (4, 5):
        order = np.argsort(hits[side], kind="mergesort")
        places = hits[side][order]
        _original_places(data, offsets[row], text, size_of_text, places)
        for h in range(hits.shape[1]):
            hits[side, order[h]] = places[h]


def find(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], index: Index) -> Hits:
    """Return where windows of an index stand in each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        index: The index.

    Complexity:
        O(bytes), whatever the index holds, and one entry per hit.

    Example:
        >>> import polars as pl
        >>> from datatools.kernels.token_windows import windows
        >>> from datatools.steps.base import Batch
        >>> def buffers(*texts):
        ...     return Batch(pl.DataFrame({"text": texts})).buffers("text")
        >>> wanted = windows(*buffers("해는 동쪽에서 뜬다"), size=6, least=6)
        >>> index = Index.of(wanted.hash, wanted.head, wanted.tokens, size=6, least=6)
        >>> hits = find(*buffers("달이 뜬다.", "아침이면 해는, 동쪽에서 뜬다."), index)
        >>> hits.row.tolist(), hits.first.tolist(), hits.last.tolist()
        ([1, 1, 1], [13, 16, 21], [33, 37, 40])
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    length = np.zeros(len(offsets) - 1, np.int64)
    _, _, *known = index
    scratch = window_scratch(longest, index.size)
    settings: Any = (index.size, index.least, *known, *scratch, *codepoint_tables(), length)
    out, found = _find(offsets, data, *settings)
    row, key, start, stop, first, last = out[:, :found].copy()
    return Hits(row, key, start, stop, first, last, length)


@kernel
def _unions(
    bounds: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> None:
    for group in range(len(bounds) - 1):
        reached = np.int64(-1)
        total = 0
        for k in range(bounds[group], bounds[group + 1]):
            if stops[k] > reached:
                total += stops[k] - max(starts[k], reached)
                reached = stops[k]
        out[group] = total


def union_lengths(
    bounds: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return how much the intervals of each group cover, what lies in several counted once.

    Args:
        bounds: int64 of shape (groups + 1,): group g is `starts[bounds[g]:bounds[g + 1]]`.
        starts: int64 of shape (intervals,), 0 or more, increasing within a group.
        stops: int64 of shape (intervals,).

    Example:
        >>> group, start, stop = np.array([0, 2, 3]), np.array([0, 3, 1]), np.array([5, 7, 2])
        >>> union_lengths(group, start, stop).tolist()
        [7, 1]
    """
    out = np.zeros(len(bounds) - 1, np.int64)
    bounds, starts, stops = (np.ascontiguousarray(one, np.int64) for one in (bounds, starts, stops))
    _unions(bounds, starts, stops, out)
    return out
