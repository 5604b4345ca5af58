"""How much of a text is said more than once: lines, paragraphs, n-grams of words.

Owns the definitions of repeated lines, paragraphs and n-grams, and the cascade that finds them.
Refuses: ratios and thresholds (`steps.filters.gopher_repetition`).

The cascade: an n-gram can occur twice only where both of its (n-1)-grams do. Starting from pairs of
words that occur twice, each level looks only at the positions the level below left over, which in
ordinary prose are few by n = 4. The counts are those of hashing every n-gram. Where n-grams are
compared as strings without spaces ("ab c" equals "a bc") every one is hashed.

Lines, paragraphs and n-grams are compared by 64-bit hashes. A text of m words mistakes two of them
for equal with probability below 10 m^2 / 2^65: 10^-9 for 50,000 words.
"""

from __future__ import annotations

from typing import Final, Literal

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
from datatools.kernels.words import Tokens, bound_slots, token_bounds

__all__ = ["COUNTS", "DUPLICATE_NGRAMS", "TOP_NGRAMS", "Compare", "Lines", "repetition_counts"]

Lines = Literal["filled", "raw"]
Compare = Literal["words", "joined"]

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
_FREE = np.uint64(0)
_JOIN_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd
_JOIN_OFFSET = np.uint64(0x632BE59BD9B4E019)  # so that a byte 0 is something


@kernel
def _slots_for(count: I64) -> I64:
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@kernel
def _clear(keys: npt.NDArray[np.uint64], mask: I64) -> None:
    for slot in range(mask + 1):
        keys[slot] = _FREE


@kernel
def _place(keys: npt.NDArray[np.uint64], mask: I64, key: U64) -> tuple[I64, bool]:
    # Open addressing with linear probing. Returns the key's slot and whether it was new.
    if key == _FREE:
        key = ~_FREE
    slot = np.int64(key & np.uint64(mask))
    while keys[slot] != _FREE:
        if keys[slot] == key:
            return slot, False
        slot = (slot + 1) & mask
    keys[slot] = key
    return slot, True


@kernel
def _count_lines(
    data: npt.NDArray[np.uint8],
    start: I64,
    bounds: npt.NDArray[np.int32],
    count: I64,
    keys: npt.NDArray[np.uint64],
    mask: I64,
    out: npt.NDArray[np.int64],
) -> None:
    # `keys` is (2, slots), cleared: a table for lines and one for paragraphs. A line begins at a
    # word that line feeds stand before, and a paragraph at one with two of them.
    paragraph = np.uint64(0)
    paragraph_lines = paragraph_chars = 0
    first = start + bounds[0]
    for w in range(1, count + 1):
        last = start + bounds[2 * w - 1]
        feeds = 2
        if w < count:
            feeds = 0
            for i in range(last, start + bounds[2 * w]):
                feeds += data[i] == _LINE_FEED
        if feeds == 0:
            continue
        key = hash_bytes(data, first, last)
        chars = count_codepoints(data, first, last)
        out[1] += 1
        if not _place(keys[0], mask, key)[1]:
            out[2] += 1
            out[3] += chars
        paragraph = extend_ngram(paragraph, key)
        paragraph_lines += 1
        paragraph_chars += chars
        if feeds > 1:
            key = mix64(paragraph ^ np.uint64(paragraph_lines))
            out[4] += 1
            if not _place(keys[1], mask, key)[1]:
                out[5] += 1
                out[6] += paragraph_chars + paragraph_lines - 1
            paragraph = np.uint64(0)
            paragraph_lines = paragraph_chars = 0
        if w < count:
            first = start + bounds[2 * w]


@kernel
def _place_raw(
    data: npt.NDArray[np.uint8],
    first: I64,
    last: I64,
    keys: npt.NDArray[np.uint64],
    mask: I64,
    out: npt.NDArray[np.int64],
    at: I64,
) -> None:
    # Counts a piece at `out[at]`, and if it is a copy at the two places behind.
    out[at] += 1
    if not _place(keys, mask, hash_bytes(data, first, last))[1]:
        out[at + 1] += 1
        out[at + 2] += count_codepoints(data, first, last)


@kernel
def _count_raw_lines(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    keys: npt.NDArray[np.uint64],
    mask: I64,
    flags: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int64],
) -> None:
    # Lines are what is between runs of line feeds, as it stands and empty at either end; paragraphs
    # what is between runs of two and more in the text without the whitespace around it.
    first, last = start, end
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
    line = start
    paragraph = first
    i = start
    while i < end:
        if data[i] != _LINE_FEED:
            i += 1
            continue
        feeds = i
        while i < end and data[i] == _LINE_FEED:
            i += 1
        _place_raw(data, line, feeds, keys[0], mask, out, 1)
        line = i
        if i - feeds > 1 and feeds >= first and i <= last:
            _place_raw(data, paragraph, feeds, keys[1], mask, out, 4)
            paragraph = i
    if end > start:
        _place_raw(data, line, end, keys[0], mask, out, 1)
        _place_raw(data, paragraph, last, keys[1], mask, out, 4)


@kernel
def _count_joined_ngrams(
    data: npt.NDArray[np.uint8],
    start: I64,
    bounds: npt.NDArray[np.int32],
    count: I64,
    powers: npt.NDArray[np.uint64],
    pieces: npt.NDArray[np.uint64],
    states: npt.NDArray[np.uint64],
    keys: npt.NDArray[np.uint64],
    mask: I64,
    out: npt.NDArray[np.int64],
) -> None:
    # A polynomial over the bytes, whose value for a joined string follows from those of its parts.
    for w in range(count):
        power, piece = np.uint64(1), np.uint64(0)
        for i in range(start + bounds[2 * w], start + bounds[2 * w + 1]):
            power *= _JOIN_FACTOR
            piece = piece * _JOIN_FACTOR + np.uint64(data[i]) + _JOIN_OFFSET
        powers[w] = power
        pieces[w] = states[w] = piece
    for n in range(2, _LAST_DUPLICATE + 1):
        for w in range(count - n + 1):
            states[w] = states[w] * powers[w + n - 1] + pieces[w + n - 1]
        if n <= _LAST_TOP:
            continue
        _clear(keys, mask)
        repeated = 0
        w = 0
        while w + n <= count:
            if _place(keys, mask, mix64(states[w]))[1]:
                w += 1
            else:
                repeated += _chars_of(data, start, bounds, w, n)
                w += n
        out[_FIRST_NGRAM_SLOT + n - 2] = repeated


@kernel
def _chars_of(
    data: npt.NDArray[np.uint8],
    start: I64,
    bounds: npt.NDArray[np.int32],
    first: I64,
    count: I64,
) -> I64:
    # Code points in `count` words from `first` on, without what is between them.
    chars = 0
    for w in range(first, first + count):
        chars += count_codepoints(data, start + bounds[2 * w], start + bounds[2 * w + 1])
    return chars


@kernel
def _drop_unique(
    positions: npt.NDArray[np.int32],
    states: npt.NDArray[np.uint64],
    hashes: npt.NDArray[np.uint64],
    live: I64,
    seen: npt.NDArray[np.uint64],
    twice: npt.NDArray[np.uint64],
) -> I64:
    # Leaves those n-grams whose bit another has, too: all that repeat, and one in twenty of the
    # others. Bits lie in the nearest cache, where the table of what is left would not.
    bits = 8 * _slots_for(live)
    _clear(seen, bits // 64 - 1)
    _clear(twice, bits // 64 - 1)
    for k in range(live):
        key = mix64(states[k])
        hashes[k] = key
        slot = np.int64(key & np.uint64(bits - 1))
        bit = np.uint64(1) << np.uint64(slot & 63)
        twice[slot >> 6] |= seen[slot >> 6] & bit
        seen[slot >> 6] |= bit
    kept: I64 = 0
    for k in range(live):
        slot = np.int64(hashes[k] & np.uint64(bits - 1))
        positions[kept] = positions[k]
        states[kept] = states[k]
        hashes[kept] = hashes[k]
        kept += np.int64(twice[slot >> 6] >> np.uint64(slot & 63)) & 1
    return kept


@kernel
def _count_ngrams(
    data: npt.NDArray[np.uint8],
    start: I64,
    bounds: npt.NDArray[np.int32],
    words: npt.NDArray[np.uint64],
    count: I64,
    keys: npt.NDArray[np.uint64],
    ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32],
    states: npt.NDArray[np.uint64],
    hashes: npt.NDArray[np.uint64],
    seen: npt.NDArray[np.uint64],
    twice: npt.NDArray[np.uint64],
    gram: npt.NDArray[np.int32],
    occurrences: npt.NDArray[np.int32],
    first_at: npt.NDArray[np.int32],
    longest: I64,
    out: npt.NDArray[np.int64],
) -> None:
    # `positions[:live]` are the candidates of level n, increasing; `states` their n-gram states,
    # `gram` their number among the distinct n-grams, in order of first occurrence.
    live = max(count - 1, 0)
    for k in range(live):
        positions[k] = k
        states[k] = extend_ngram(words[k], words[k + 1])
    for n in range(2, longest + 1):
        if n > 2:
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
        live = _drop_unique(positions, states, hashes, live, seen, twice)
        if live < 2:
            return
        mask = _slots_for(live) - 1
        _clear(keys, mask)
        distinct = 0
        for k in range(live):
            slot, new = _place(keys, mask, hashes[k])
            if new:
                ids[slot] = distinct
                occurrences[distinct] = 0
                first_at[distinct] = positions[k]
                distinct += 1
            gram[k] = ids[slot]
            occurrences[gram[k]] += 1
        if n <= _LAST_TOP:
            best = 0
            for d in range(1, distinct):
                if occurrences[d] > occurrences[best]:  # of equals, the first seen
                    best = d
            if occurrences[best] > 1:
                at = first_at[best]
                chars = _chars_of(data, start, bounds, at, n) + n - 1
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
                    repeated += _chars_of(data, start, bounds, at, n)
                    free = at + n
                else:
                    occurrences[gram[k]] = 1
            out[_FIRST_NGRAM_SLOT + n - 2] = repeated


@kernel
def _count_repetition(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    given: bool,
    rows: npt.NDArray[np.int64],
    given_bounds: npt.NDArray[np.int32],
    raw_lines: bool,
    joined: bool,
    once: bool,
    flags: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> None:
    capacity = 0
    powers = np.empty(0, np.uint64)
    pieces = np.empty(0, np.uint64)
    words = np.empty(0, np.uint64)
    keys = np.empty((2, 0), np.uint64)
    ids = np.empty(0, np.int32)
    positions = np.empty(0, np.int32)
    states = np.empty(0, np.uint64)
    hashes = np.empty(0, np.uint64)
    seen = np.empty(0, np.uint64)
    twice = np.empty(0, np.uint64)
    gram = np.empty(0, np.int32)
    occurrences = np.empty(0, np.int32)
    first_at = np.empty(0, np.int32)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if given:
            count = rows[row + 1] - rows[row]
            for k in range(count):
                bounds[2 * k] = given_bounds[rows[row] + k, 0]
                bounds[2 * k + 1] = given_bounds[rows[row] + k, 1]
        else:
            count = token_bounds(data, start, end, bounds, flags, True)
        line_count = 1
        for i in range(start, end):
            line_count += data[i] == _LINE_FEED
        room = max(count, line_count)
        if room > capacity:
            capacity = max(2 * capacity, room)
            words = np.empty(capacity, np.uint64)
            keys = np.empty((2, _slots_for(capacity)), np.uint64)
            ids = np.empty(_slots_for(capacity), np.int32)
            positions = np.empty(capacity, np.int32)
            states = np.empty(capacity, np.uint64)
            hashes = np.empty(capacity, np.uint64)
            seen = np.empty(_slots_for(capacity) // 8, np.uint64)
            twice = np.empty(_slots_for(capacity) // 8, np.uint64)
            gram = np.empty(capacity, np.int32)
            occurrences = np.empty(capacity, np.int32)
            first_at = np.empty(capacity, np.int32)
            if joined:
                powers = np.empty(capacity, np.uint64)
                pieces = np.empty(capacity, np.uint64)
        counts[row, 0] = count_codepoints(data, start, end)
        if count == 0 and not raw_lines:
            continue
        for w in range(count):
            first, last = start + bounds[2 * w], start + bounds[2 * w + 1]
            words[w] = hash_bytes(data, first, last)
        mask = _slots_for(line_count) - 1
        _clear(keys[0], mask)
        _clear(keys[1], mask)
        if raw_lines:
            _count_raw_lines(data, start, end, keys, mask, flags, counts[row])
        else:
            _count_lines(data, start, bounds, count, keys, mask, counts[row])
        for n in range(2, _LAST_TOP + 1):
            if once and count >= n:  # until one is found that is said twice
                counts[row, _FIRST_NGRAM_SLOT + n - 2] = (
                    _chars_of(data, start, bounds, np.int64(0), n) + n - 1
                )
        _count_ngrams(
            data,
            start,
            bounds,
            words,
            count,
            keys[0],
            ids,
            positions,
            states,
            hashes,
            seen,
            twice,
            gram,
            occurrences,
            first_at,
            _LAST_TOP if joined else _LAST_DUPLICATE,
            counts[row],
        )
        if joined:
            mask = _slots_for(count) - 1
            _count_joined_ngrams(
                data,
                start,
                bounds,
                count,
                powers,
                pieces,
                states,
                keys[0],
                mask,
                counts[row],
            )


def repetition_counts(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    tokens: Tokens | None = None,
    lines: Lines = "filled",
    compare: Compare = "words",
    once: bool = False,
) -> dict[str, npt.NDArray[np.int64]]:
    r"""Return the repetition counts of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        tokens: What counts as a word; None takes those of `str.split`.
        lines: What counts as a line and a paragraph, as below: `filled`, or `raw`.
        compare: Whether 5- to 10-grams are equal word by word, or as strings without spaces.
        once: Whether the top n-gram counts where none is said twice, too.

    Returns:
        One int64 array of shape (rows,) for each of `COUNTS`:

        - chars: code points of the text, whitespace included.
        - lines: pieces between line feeds, stripped; blank ones are ignored. `\r\n` is a line's end
          and trailing whitespace; U+2028 and a lone `\r` do not end a line.
          Where they are `raw`: pieces between runs of line feeds as they stand, so that a line feed
          at either end makes an empty one.
        - paras: runs of lines with no blank line between them, joined by line feeds. Where they are
          `raw`: pieces between runs of two or more line feeds, in the stripped text.
        - dup_lines, dup_paras: second and later copies; dup_line_chars, dup_para_chars: code points
          in them.
        - top_N_gram_chars: of the n-gram of words (`str.split`) that occurs most often, provided it
          occurs twice or `once`, its code points with single spaces between its words, times its
          occurrences. Occurrences may overlap, so this can exceed `chars`. Of equally frequent ones
          the first seen.
        - dup_N_gram_chars: walking the words from the left, an n-gram met before adds the code
          points of its words (no spaces) and the walk jumps past it; otherwise it goes on by one
          word.

        All are 0 for an empty text, and all but chars (and raw lines) for one of whitespace.

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
    # Given words may lie side by side, one to a byte.
    bounds = np.empty(2 * longest if tokens else bound_slots(longest), np.int32)
    given = tokens or Tokens(np.zeros(1, np.int64), np.empty((0, 3), np.int32))
    _count_repetition(
        offsets,
        data,
        bounds,
        tokens is not None,
        *given,
        lines == "raw",
        compare == "joined",
        once,
        codepoint_tables().flags,
        counts,
    )
    return {name: np.ascontiguousarray(counts[:, k]) for k, name in enumerate(COUNTS)}
