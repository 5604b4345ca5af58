"""Windows: runs of a fixed number of characters, and which of them can occur twice.

Owns the search for repeated windows without a list of all of them: anchors, the segments around
them, and the hashes of windows in a segment. Refuses: which occurrence leaves.

A text of n characters has about n windows, and a list of their hashes is many times larger than the
text. Winnowing marks some places as anchors: in each window the place whose k-gram has the smallest
hash (the last of equals). Two equal windows have their anchors at the same place and with the same
k-gram. So only windows around anchors whose k-gram occurs twice can repeat, and there are few
anchors: one in `window_grams(length) / 2` characters or so.

A segment is what all windows with one anchor cover together. Equal segments have equal windows;
windows need to be looked at one by one only in segments that share a k-gram and differ.

Hashes are polynomials over code points modulo 2^64, mixed at the end. They propose; what they
propose is compared byte by byte with `equal_spans`. Texts made to collide cost time, or a repeat
that is not found, and nothing that is removed wrongly.

References:
    Saul Schleimer, Daniel Wilkerson, Alex Aiken, Winnowing: Local Algorithms for Document
    Fingerprinting, 2003.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import decode
from datatools.kernels.hashing import mix64
from datatools.kernels.jit import I64, U64, arrow_buffers, kernel

__all__ = ["Segments", "Windows", "equal_spans", "segments", "window_grams", "windows"]

_BASE = 0xD1342543DE82EF95  # odd, so that no bit of a character is multiplied away
_FACTOR = np.uint64(_BASE)
_ONE = np.uint64(1)
_SHIFT = np.uint64(32)


Column = npt.NDArray[Any]
"""One value per item of a result; its fields say of which type."""


class Segments(NamedTuple):
    """Segments of the rows of a batch, in order.

    Attributes:
        row: int64, the row in the batch.
        start: int64, first byte, from the row's start.
        stop: int64, one past the last byte.
        anchor: uint64, hash of the anchor's k-gram.
        content: uint64, hash of the segment and of the anchor's place in it.
    """

    row: Column
    start: Column
    stop: Column
    anchor: Column
    content: Column


class Windows(NamedTuple):
    """Windows of some segments, in order.

    Attributes:
        segment: int64, position of the segment among those asked for.
        start: int64, first byte, from the row's start.
        stop: int64, one past the last byte.
        content: uint64, hash of the window.
    """

    segment: Column
    start: Column
    stop: Column
    content: Column


def window_grams(length: int) -> int:
    """Return how many k-grams a window of `length` characters has.

    More make fewer anchors, of shorter k-grams. Half a window is a compromise: of Korean manuals
    and of Python's PEPs, with windows of 200, k-grams of a third leave half as many segments but
    twice as many windows to look at; those of two thirds the reverse.
    """
    return length - max(1, length // 2) + 1


@functools.lru_cache(maxsize=4)
def _powers(count: int) -> npt.NDArray[np.uint64]:
    powers = np.array([pow(_BASE, n, 2**64) for n in range(count)], dtype=np.uint64)
    powers.setflags(write=False)
    return powers


@kernel
def _prefixes(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    places: npt.NDArray[np.int32],
    prefix: npt.NDArray[np.uint64],
) -> I64:
    # Byte offsets of the characters, and the hash of everything before each; returns their count.
    count = 0
    i = start
    value = np.uint64(0)
    prefix[0] = value
    while i < end:
        places[count] = i - start
        if data[i] < 0x80:
            code = np.int64(data[i])
            i += 1
        else:
            code, i = decode(data, i)
        value = value * _FACTOR + np.uint64(code + 1)
        count += 1
        prefix[count] = value
    places[count] = end - start
    return count


@kernel
def _between(
    prefix: npt.NDArray[np.uint64], powers: npt.NDArray[np.uint64], start: I64, stop: I64
) -> U64:
    return prefix[stop] - prefix[start] * powers[stop - start]


@kernel
def _segments(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    length: I64,
    grams: I64,
    powers: npt.NDArray[np.uint64],
    places: npt.NDArray[np.int32],
    prefix: npt.NDArray[np.uint64],
    hashes: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    anchors: npt.NDArray[np.uint64],
    contents: npt.NDArray[np.uint64],
) -> I64:
    k = length - grams + 1
    count = 0
    for row in range(len(offsets) - 1):
        begin = offsets[row]
        n = _prefixes(data, begin, offsets[row + 1], places, prefix)
        if n < length:
            continue
        for i in range(n - k + 1):
            hashes[i] = mix64(_between(prefix, powers, i, i + k))
        anchor: I64 = -1
        low: I64 = 0
        for p in range(n - length + 2):
            # The window at `p` has the k-grams from `p` to `p + grams - 1`.
            now = anchor
            if p <= n - length:
                if anchor < p:
                    now = p
                    for i in range(p + 1, p + grams):
                        if hashes[i] <= hashes[now]:
                            now = i
                elif hashes[p + grams - 1] <= hashes[anchor]:
                    now = p + grams - 1
            else:
                now = -1
            if now != anchor and anchor >= 0:
                high = p - 1
                content = _between(prefix, powers, low, high + length)
                shape = (np.uint64(anchor - low) << _SHIFT) | np.uint64(high - low)
                rows[count] = row
                starts[count] = places[low]
                stops[count] = places[high + length]
                anchors[count] = hashes[anchor]
                contents[count] = mix64(content ^ mix64(shape + _ONE))
                count += 1
            if now != anchor:
                low = p
                anchor = now
    return count


def segments(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], *, length: int
) -> Segments:
    """Return the segments of each row; those of a row overlap and cover it.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        length: Code points in a window, at least 1. A shorter row has no segments.

    Complexity:
        O(bytes) for texts whose k-grams have hashes in no particular order; O(bytes x length) for
        texts made to have them increase.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["한 글자 한 글자", "short"]}))
        >>> found = segments(*batch.buffers("text"), length=8)
        >>> found.row.tolist(), int(found.start[0]), int(found.stop[-1])
        ([0], 0, 21)
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    size = int(offsets[-1] - offsets[0])
    dtypes = (np.int64, np.int64, np.int64, np.uint64, np.uint64)
    found = Segments(*(np.empty(size, dtype) for dtype in dtypes))
    grams = window_grams(length)
    count = _segments(
        offsets,
        data,
        length,
        grams,
        _powers(length + grams + 1),
        np.empty(longest + 1, np.int32),
        np.empty(longest + 1, np.uint64),
        np.empty(longest + 1, np.uint64),
        *found,
    )
    return Segments(*(column[:count] for column in found))


@kernel
def _windows(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    length: I64,
    powers: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    places: npt.NDArray[np.int32],
    prefix: npt.NDArray[np.uint64],
    segment: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    contents: npt.NDArray[np.uint64],
) -> I64:
    count = 0
    for s in range(len(rows)):
        begin = offsets[rows[s]] + begins[s]
        n = _prefixes(data, begin, offsets[rows[s]] + ends[s], places, prefix)
        for p in range(n - length + 1):
            segment[count] = s
            starts[count] = begins[s] + places[p]
            stops[count] = begins[s] + places[p + length]
            contents[count] = mix64(_between(prefix, powers, p, p + length))
            count += 1
    return count


def windows(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    *,
    length: int,
) -> Windows:
    """Return every window of some segments.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        rows: int64 of shape (segments,), the row of each segment.
        starts: int64 of shape (segments,), first byte, from the row's start.
        stops: int64 of shape (segments,), one past the last byte.
        length: Code points in a window.

    Complexity:
        O(bytes of the segments).
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    rows, starts, stops = (np.ascontiguousarray(one, np.int64) for one in (rows, starts, stops))
    sizes = stops - starts
    size, longest = int(sizes.sum()), int(sizes.max(initial=0))
    columns = [np.empty(size, dtype) for dtype in (np.int64, np.int64, np.int64, np.uint64)]
    found = Windows(*columns)
    count = _windows(
        offsets,
        data,
        length,
        _powers(length + 1),
        rows,
        starts,
        stops,
        np.empty(longest + 1, np.int32),
        np.empty(longest + 1, np.uint64),
        *found,
    )
    return Windows(*(column[:count] for column in found))


@kernel
def _equal_spans(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    other_rows: npt.NDArray[np.int64],
    other_starts: npt.NDArray[np.int64],
    out: npt.NDArray[np.bool_],
) -> None:
    for s in range(len(rows)):
        a = offsets[rows[s]] + starts[s]
        b = offsets[other_rows[s]] + other_starts[s]
        size = stops[s] - starts[s]
        same = b + size <= offsets[other_rows[s] + 1]
        i = 0
        while same and i < size:
            same = data[a + i] == data[b + i]
            i += 1
        out[s] = same


def equal_spans(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    other_rows: npt.NDArray[np.int64],
    other_starts: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return for each span whether the bytes from another place on are the same.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,).
        rows: int64 of shape (spans,).
        starts: int64 of shape (spans,), first byte, from the row's start.
        stops: int64 of shape (spans,), one past the last byte.
        other_rows: int64 of shape (spans,), the row of the other place.
        other_starts: int64 of shape (spans,), its first byte, from that row's start.

    Returns:
        bool of shape (spans,); false where the other row ends too soon.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> buffers = Batch(pl.DataFrame({"text": ["a글b", "글b"]})).buffers("text")
        >>> two, zero = np.array([1, 0]), np.array([0, 0])
        >>> equal_spans(*buffers, np.array([0, 0]), two, np.array([5, 2]), zero + 1, zero).tolist()
        [True, False]
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    out = np.empty(len(rows), np.bool_)
    here = [np.ascontiguousarray(one, np.int64) for one in (rows, starts, stops)]
    there = [np.ascontiguousarray(one, np.int64) for one in (other_rows, other_starts)]
    _equal_spans(offsets, data, here[0], here[1], here[2], there[0], there[1], out)
    return out
