"""The integers behind quality rules, counted in one pass over each text.

Owns what is counted and how a word, a line, a bullet and an ellipsis are told. Refuses: ratios and
thresholds, which are the filters' (`steps.filters`), and repetition (`repetition`).

Words are those of `str.split`. Lines are the pieces between line feeds that are not all whitespace.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import count_ones, trailing_zeros
from datatools.kernels.codepoints import (
    ALPHA,
    HANGUL,
    WORD,
    codepoint_tables,
    count_codepoints,
    decode,
    decode_before,
)
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.vectors import BLOCK_BYTES, mark_block
from datatools.kernels.words import bound_slots, token_bounds

__all__ = ["COUNTS", "text_stats"]

COUNTS: Final = (
    "chars",
    "words",
    "word_chars",
    "alpha_words",
    "hashes",
    "ellipses",
    "lines",
    "bullet_lines",
    "ellipsis_lines",
    "letters",
    "hangul_letters",
    "stop_words",
    "endings",
)
"""Names of the counts, in the order the kernel writes them."""

_LINE_FEED, _DOT, _HASH = 0x0A, 0x2E, 0x23
_UNSURE = np.int64(-2)
_ONE, _SHIFT_LAST = np.uint64(1), np.uint64(BLOCK_BYTES - 1)


@kernel
def _find_phrase(
    text: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    offsets: npt.NDArray[np.int64],
    phrases: npt.NDArray[np.uint8],
    as_suffix: bool,
) -> I64:
    # Number of the first phrase that equals `text[start:end]` (or ends it), -1 without one.
    for p in range(len(offsets) - 1):
        size = offsets[p + 1] - offsets[p]
        if size > end - start or (not as_suffix and size != end - start):
            continue
        k = 1  # from the last byte, in which words and endings differ most
        while k <= size and text[end - k] == phrases[offsets[p + 1] - k]:
            k += 1
        if k > size:
            return p
    return -1


@kernel
def _find_short(
    data: npt.NDArray[np.uint8],
    first: I64,
    last: I64,
    offsets: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
) -> I64:
    # Number of the stop word of up to eight bytes that an ASCII word is, lower-cased; -1 if none.
    if last - first > 8:
        return _UNSURE
    key = np.uint64(0)
    for k in range(last - first):
        byte = data[first + k]
        if byte >= 0x80:
            return _UNSURE
        if 0x41 <= byte <= 0x5A:
            byte |= np.uint8(0x20)
        key |= np.uint64(byte) << np.uint64(8 * k)
    for p in range(len(keys)):
        if keys[p] == key and offsets[p + 1] - offsets[p] == last - first:
            return np.int64(p)
    return np.int64(-1)


@kernel
def _count_bytes(data: npt.NDArray[np.uint8], start: I64, end: I64) -> tuple[I64, I64, I64, I64]:
    # Characters, ASCII letters, `#` signs and ellipses.
    letters: I64 = 0
    hashes: I64 = 0
    continuing: I64 = 0
    marks: I64 = 0
    dots_in_a_row = False
    after_dot = np.uint64(0)
    i = start
    while i + BLOCK_BYTES <= end:
        letter, sign, dot, follower, lead = mark_block(data, i)
        letters += count_ones(letter)
        hashes += count_ones(sign)
        continuing += count_ones(follower)
        dots_in_a_row |= bool(dot & ((dot << _ONE) | after_dot) != 0)
        after_dot = dot >> _SHIFT_LAST
        while lead != 0:
            k = i + trailing_zeros(lead)
            lead &= lead - _ONE
            marks += data[k + 1] == 0x80 and data[k + 2] == 0xA6
        i += BLOCK_BYTES
    dots: I64 = np.int64(after_dot)
    while i < end:
        byte = data[i]
        letters += 0x61 <= byte | 0x20 <= 0x7A
        hashes += byte == _HASH
        continuing += byte & 0xC0 == 0x80
        marks += byte == 0xE2 and data[i + 1] == 0x80 and data[i + 2] == 0xA6
        dots = dots + 1 if byte == _DOT else 0
        dots_in_a_row |= dots > 1
        i += 1
    if dots_in_a_row:
        dots = 0
        for i in range(start, end):
            dots = dots + 1 if data[i] == _DOT else 0
            marks += dots > 0 and dots % 3 == 0
    return end - start - continuing, letters, hashes, marks


@kernel
def _ends_in_ellipsis(data: npt.NDArray[np.uint8], first: I64, last: I64) -> bool:
    if last - first < 3:
        return False
    a, b, c = data[last - 3], data[last - 2], data[last - 1]
    return bool((a == _DOT and b == _DOT and c == _DOT) or (a == 0xE2 and b == 0x80 and c == 0xA6))


@kernel
def _count(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    stop_offsets: npt.NDArray[np.int64],
    stop_words: npt.NDArray[np.uint8],
    stop_keys: npt.NDArray[np.uint64],
    longest_stop_word: I64,
    stop_ends: npt.NDArray[np.bool_],
    ending_offsets: npt.NDArray[np.int64],
    endings: npt.NDArray[np.uint8],
    bullets: npt.NDArray[np.int64],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    scratch: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int64],
) -> None:
    stop_seen_in = np.full(len(stop_offsets), -1, np.int64)  # last row each was found in
    ending_seen_in = np.full(len(ending_offsets), -1, np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        count = token_bounds(data, start, end, bounds, flags, True)
        chars, letters, hashes, ellipses = _count_bytes(data, start, end)
        hangul_letters = 0
        if chars < end - start:
            for i in range(start, end):
                if data[i] >= 0xC0:
                    kind = flags[decode(data, i)[0]]
                    letters += kind & ALPHA != 0
                    hangul_letters += kind & (ALPHA | HANGUL) == ALPHA | HANGUL
        alpha_words = lines = bullet_lines = ellipsis_lines = 0
        distinct_stop_words = distinct_endings = 0
        between = 0  # characters that belong to no word
        gap = start
        for w in range(count):
            first, last = start + bounds[2 * w], start + bounds[2 * w + 1]
            begins_line = w == 0
            for i in range(gap, first):
                begins_line |= data[i] == _LINE_FEED
                between += data[i] & 0xC0 != 0x80
            if begins_line:
                if w > 0:
                    ellipsis_lines += _ends_in_ellipsis(
                        data, start + bounds[2 * w - 2], start + bounds[2 * w - 1]
                    )
                lines += 1
                code = decode(data, first)[0]
                for bullet in bullets:
                    bullet_lines += code == bullet
            gap = last
            i = first
            while i < last:
                code, i = decode(data, i)
                if flags[code] & ALPHA != 0:
                    alpha_words += 1
                    break
            # Lower-casing shortens a word to no less than a third of its bytes ('K' to 'k').
            may_be_new = distinct_stop_words < len(stop_offsets) - 1
            if (
                may_be_new
                and last - first <= 3 * longest_stop_word
                and stop_ends[0, data[first]]
                and stop_ends[1, data[last - 1]]
            ):
                p = _find_short(data, first, last, stop_offsets, stop_keys)
                if p == _UNSURE:
                    size = lower_row(data, first, last, scratch, flags, lower)
                    p = _find_phrase(scratch, 0, size, stop_offsets, stop_words, False)
                if p >= 0 and stop_seen_in[p] != row:
                    stop_seen_in[p] = row
                    distinct_stop_words += 1
            if hangul_letters > 0 and distinct_endings < len(ending_offsets) - 1:
                core_end = last  # past the word's last letter or digit
                while core_end > first:
                    code, before = decode_before(data, core_end)
                    if flags[code] & WORD != 0:
                        break
                    core_end = before
                if core_end > first and flags[code] & HANGUL != 0:
                    p = _find_phrase(data, first, core_end, ending_offsets, endings, True)
                    if p >= 0 and ending_seen_in[p] != row:
                        ending_seen_in[p] = row
                        distinct_endings += 1
        if count > 0:
            ellipsis_lines += _ends_in_ellipsis(
                data, start + bounds[2 * count - 2], start + bounds[2 * count - 1]
            )
        out[0, row] = chars
        out[1, row] = count
        out[2, row] = chars - between - count_codepoints(data, gap, end)
        out[3, row] = alpha_words
        out[4, row] = hashes
        out[5, row] = ellipses
        out[6, row] = lines
        out[7, row] = bullet_lines
        out[8, row] = ellipsis_lines
        out[9, row] = letters
        out[10, row] = hangul_letters
        out[11, row] = distinct_stop_words
        out[12, row] = distinct_endings


def _pack(phrases: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    # Distinct phrases, the longest first: the first suffix found is then the longest.
    encoded = sorted({phrase.encode() for phrase in phrases}, key=lambda p: (-len(p), p))
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return offsets, np.frombuffer(bytearray(b"".join(encoded)), np.uint8)


def _ends(words: Sequence[str]) -> npt.NDArray[np.bool_]:
    # First and last bytes that a word lower-cased into one of these may have.
    found = np.zeros((2, 256), np.bool_)
    found[:, 0x80:] = True
    for word in words:
        for end, byte in enumerate((word.encode()[:1], word.encode()[-1:])):
            for cased in (byte, byte.upper()):
                found[end, list(cased)] = True
    if any(not word.isascii() for word in words):
        found[:] = True
    return found


def text_stats(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    stop_words: Sequence[str] = (),
    endings: Sequence[str] = (),
    bullets: str = "",
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the counts of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        stop_words: Lower-case words, compared with each whole word lower-cased.
        endings: Endings looked for on words whose last letter or digit is Hangul, after what
            follows that letter (a full stop, a quote) is taken off. A word counts for its longest
            ending only.
        bullets: Characters that begin a list item.

    Returns:
        One int64 array of shape (rows,) for each of `COUNTS`:

        - chars: code points, whitespace included.
        - words, word_chars: words of `str.split`, and code points in them.
        - alpha_words: words with at least one `str.isalpha` character.
        - hashes: `#` signs.
        - ellipses: `text.count("...") + text.count("…")`.
        - lines: lines that are not blank. U+2028 and a lone carriage return do not end a line.
        - bullet_lines: lines whose first character after whitespace is one of `bullets`.
        - ellipsis_lines: lines that end in `...` or `…` before trailing whitespace.
        - letters, hangul_letters: `str.isalpha` characters, and the Hangul among them.
        - stop_words, endings: distinct ones found.

        All are 0 for an empty text.

    Complexity:
        O(bytes), times the number of stop words for words short enough to be one.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["- The end...", "나는 집에 갔다."]}))
        >>> buffers = batch.buffers("text")
        >>> stats = text_stats(
        ...     *buffers, stop_words=["the"], endings=["는", "에", "다"], bullets="-"
        ... )
        >>> stats["words"].tolist(), stats["bullet_lines"].tolist()
        ([3, 3], [1, 0])
        >>> stats["stop_words"].tolist(), stats["endings"].tolist()
        ([1, 0], [0, 3])
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    longest_stop_word = max((len(word.encode()) for word in stop_words), default=0)
    stop_offsets, stops = _pack(stop_words)
    pairs = list(itertools.pairwise(stop_offsets.tolist()))
    out = np.empty((len(COUNTS), len(offsets) - 1), np.int64)
    _count(
        offsets,
        data,
        np.empty(bound_slots(longest), np.int32),
        stop_offsets,
        stops,
        np.array([int.from_bytes(bytes(stops[a:b])[:8], "little") for a, b in pairs], np.uint64),
        longest_stop_word,
        _ends(stop_words),
        *_pack(endings),
        np.array([ord(char) for char in bullets], np.int64),
        *codepoint_tables(),
        np.empty(lowered_bytes(3 * longest_stop_word), np.uint8),
        out,
    )
    return dict(zip(COUNTS, out, strict=True))
