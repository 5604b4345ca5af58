"""How much of a text is said more than once: lines, paragraphs, n-grams of words.

Owns the definitions of repeated lines, paragraphs and n-grams, and the cascade that finds them.
Refuses: ratios and thresholds (`steps.filters.gopher_repetition`).

The cascade: an n-gram can occur twice only where both of its (n-1)-grams do. Starting from words
that occur twice, each level looks only at the positions the level below left over, which in
ordinary prose are few by n = 4. The counts are those of hashing every n-gram.

Lines, paragraphs and n-grams are compared by 64-bit hashes. A text of m words mistakes two of them
for equal with probability below 10 m^2 / 2^65: 10^-9 for 50,000 words.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import (
    SPACE,
    codepoint_tables,
    count_codepoints,
    decode,
    decode_before,
)
from datatools.kernels.hashing import extend_ngram, hash_bytes, mix64
from datatools.kernels.jit import I64, U64, arrow_buffers, kernel
from datatools.kernels.words import bound_slots, token_bounds

__all__ = ["COUNTS", "DUPLICATE_NGRAMS", "TOP_NGRAMS", "repetition_counts"]

TOP_NGRAMS: Final = (2, 3, 4)
DUPLICATE_NGRAMS: Final = (5, 6, 7, 8, 9, 10)
COUNTS: Final = (
    "chars",
    "lines",
    "dup_lines",
    "dup_line_chars",
    "paras",
    "dup_paras",
    "dup_para_chars",
    *(f"top_{n}_gram_chars" for n in TOP_NGRAMS),
    *(f"dup_{n}_gram_chars" for n in DUPLICATE_NGRAMS),
)
"""Names of the counts, in the order the kernel writes them."""

_FIRST_NGRAM_SLOT = 7
_LAST_TOP = TOP_NGRAMS[-1]
_LAST_DUPLICATE = DUPLICATE_NGRAMS[-1]
_LINE_FEED = 0x0A


@kernel
def _slots_for(count: I64) -> I64:
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@kernel
def _place(
    keys: npt.NDArray[np.uint64],
    stamps: npt.NDArray[np.int64],
    stamp: I64,
    mask: I64,
    key: U64,
) -> tuple[I64, bool]:
    # Open addressing with linear probing. A slot is in use when it bears this table's stamp, so
    # that the next table needs no clearing. Returns the key's slot and whether it was new.
    slot = np.int64(key & np.uint64(mask))
    while stamps[slot] == stamp:
        if keys[slot] == key:
            return slot, False
        slot = (slot + 1) & mask
    keys[slot] = key
    stamps[slot] = stamp
    return slot, True


@kernel
def _count_lines(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    keys: npt.NDArray[np.uint64],
    stamps: npt.NDArray[np.int64],
    stamp: I64,
    mask: I64,
    flags: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int64],
) -> None:
    # `keys` and `stamps` are (2, slots): a table for lines and one for paragraphs.
    paragraph = np.uint64(0)
    paragraph_lines = paragraph_chars = 0
    line_start = start
    while line_start <= end:
        line_end = line_start
        while line_end < end and data[line_end] != _LINE_FEED:
            line_end += 1
        first, last = line_start, line_end
        while first < last:
            code, after = decode(data, first)
            if flags[code] & SPACE == 0:
                break
            first = after
        while last > first:
            code, before = decode_before(data, last)
            if flags[code] & SPACE == 0:
                break
            last = before
        if first < last:
            key = hash_bytes(data, first, last)
            chars = count_codepoints(data, first, last)
            out[1] += 1
            if not _place(keys[0], stamps[0], stamp, mask, key)[1]:
                out[2] += 1
                out[3] += chars
            paragraph = extend_ngram(paragraph, key)
            paragraph_lines += 1
            paragraph_chars += chars
        if paragraph_lines > 0 and (first == last or line_end == end):
            key = mix64(paragraph ^ np.uint64(paragraph_lines))
            out[4] += 1
            if not _place(keys[1], stamps[1], stamp, mask, key)[1]:
                out[5] += 1
                out[6] += paragraph_chars + paragraph_lines - 1
            paragraph = np.uint64(0)
            paragraph_lines = paragraph_chars = 0
        line_start = line_end + 1


@kernel
def _count_ngrams(
    words: npt.NDArray[np.uint64],
    chars_before: npt.NDArray[np.int64],
    count: I64,
    keys: npt.NDArray[np.uint64],
    stamps: npt.NDArray[np.int64],
    stamp: I64,
    ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32],
    states: npt.NDArray[np.uint64],
    gram: npt.NDArray[np.int32],
    occurrences: npt.NDArray[np.int32],
    first_at: npt.NDArray[np.int32],
    out: npt.NDArray[np.int64],
) -> None:
    # `positions[:live]` are the candidates of level n, increasing; `states` their n-gram states,
    # `gram` their number among the distinct n-grams, in order of first occurrence.
    live = count
    for k in range(count):
        positions[k] = k
        states[k] = words[k]
    for n in range(1, _LAST_DUPLICATE + 1):
        if n > 1:
            # Of the repeated (n-1)-grams, those followed by another at the next word.
            kept = 0
            for k in range(live - 1):
                if positions[k + 1] == positions[k] + 1:
                    at = positions[k]
                    positions[kept] = at
                    states[kept] = extend_ngram(states[k], words[at + n - 1])
                    kept += 1
            live = kept
        if live < 2:
            return
        mask = _slots_for(live) - 1
        distinct = 0
        for k in range(live):
            slot, new = _place(keys, stamps, stamp + n, mask, mix64(states[k]))
            if new:
                ids[slot] = distinct
                occurrences[distinct] = 0
                first_at[distinct] = positions[k]
                distinct += 1
            gram[k] = ids[slot]
            occurrences[gram[k]] += 1
        if 2 <= n <= _LAST_TOP:
            best = 0
            for d in range(1, distinct):
                if occurrences[d] > occurrences[best]:  # of equals, the first seen
                    best = d
            if occurrences[best] > 1:
                at = first_at[best]
                chars = chars_before[at + n] - chars_before[at] + n - 1
                out[_FIRST_NGRAM_SLOT + n - 2] = chars * occurrences[best]
        kept = 0
        for k in range(live):
            if occurrences[gram[k]] > 1:
                positions[kept] = positions[k]
                states[kept] = states[k]
                gram[kept] = gram[k]
                kept += 1
        live = kept
        if n > _LAST_TOP:
            repeated = 0
            free = 0  # the first word not yet counted as repeated
            for d in range(distinct):
                occurrences[d] = 0
            for k in range(live):
                at = positions[k]
                if at < free:
                    continue
                if occurrences[gram[k]] > 0:
                    repeated += chars_before[at + n] - chars_before[at]
                    free = at + n
                else:
                    occurrences[gram[k]] = 1
            out[_FIRST_NGRAM_SLOT + n - 2] = repeated


@kernel
def _count_repetition(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> None:
    capacity = 0
    words = np.empty(0, np.uint64)
    chars_before = np.empty(0, np.int64)
    keys = np.empty((2, 0), np.uint64)
    stamps = np.empty((2, 0), np.int64)
    ids = np.empty(0, np.int32)
    positions = np.empty(0, np.int32)
    states = np.empty(0, np.uint64)
    gram = np.empty(0, np.int32)
    occurrences = np.empty(0, np.int32)
    first_at = np.empty(0, np.int32)
    stamp = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        count = token_bounds(data, start, end, bounds, flags, True)
        if count > capacity:
            capacity = max(2 * capacity, count)
            words = np.empty(capacity, np.uint64)
            chars_before = np.empty(capacity + 1, np.int64)
            keys = np.empty((2, _slots_for(capacity)), np.uint64)
            stamps = np.zeros((2, _slots_for(capacity)), np.int64)
            ids = np.empty(_slots_for(capacity), np.int32)
            positions = np.empty(capacity, np.int32)
            states = np.empty(capacity, np.uint64)
            gram = np.empty(capacity, np.int32)
            occurrences = np.empty(capacity, np.int32)
            first_at = np.empty(capacity, np.int32)
        counts[row, 0] = count_codepoints(data, start, end)
        if count == 0:
            continue
        is_ascii = counts[row, 0] == end - start
        chars_before[0] = 0
        for w in range(count):
            first, last = start + bounds[2 * w], start + bounds[2 * w + 1]
            words[w] = hash_bytes(data, first, last)
            chars = last - first if is_ascii else count_codepoints(data, first, last)
            chars_before[w + 1] = chars_before[w] + chars
        # A line has a word at least, so the words' table is large enough for lines.
        stamp += 1
        mask = _slots_for(count) - 1
        _count_lines(data, start, end, keys, stamps, stamp, mask, flags, counts[row])
        _count_ngrams(
            words,
            chars_before,
            count,
            keys[0],
            stamps[0],
            stamp,
            ids,
            positions,
            states,
            gram,
            occurrences,
            first_at,
            counts[row],
        )
        stamp += _LAST_DUPLICATE


def repetition_counts(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> dict[str, npt.NDArray[np.int64]]:
    r"""Return the repetition counts of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        One int64 array of shape (rows,) for each of `COUNTS`:

        - chars: code points of the text, whitespace included.
        - lines: pieces between line feeds, stripped; blank ones are ignored. `\r\n` is a line's end
          and trailing whitespace; U+2028 and a lone `\r` do not end a line.
        - paras: runs of lines with no blank line between them, joined by line feeds.
        - dup_lines, dup_paras: second and later copies; dup_line_chars, dup_para_chars: code points
          in them.
        - top_N_gram_chars: of the n-gram of words (`str.split`) that occurs most often, provided it
          occurs twice, its code points with single spaces between its words, times its occurrences.
          Occurrences may overlap, so this can exceed `chars`. Of equally frequent ones the first
          seen.
        - dup_N_gram_chars: walking the words from the left, an n-gram met before adds the code
          points of its words (no spaces) and the walk jumps past it; otherwise it goes on by one
          word.

        All are 0 for an empty text, and all but chars for one of whitespace.

    Complexity:
        O(bytes) in prose; at worst, when all is repeated, 10 hash-table steps per word.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["to be or not to be", "가\n나\n\n가\n"]}))
        >>> counts = repetition_counts(*batch.buffers("text"))
        >>> counts["top_2_gram_chars"].tolist(), counts["dup_lines"].tolist()
        ([10, 0], [0, 1])
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    counts = np.zeros((len(offsets) - 1, len(COUNTS)), np.int64)
    bounds = np.empty(bound_slots(longest), np.int32)
    _count_repetition(offsets, data, bounds, codepoint_tables().flags, counts)
    return {name: np.ascontiguousarray(counts[:, k]) for k, name in enumerate(COUNTS)}
