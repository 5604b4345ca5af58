"""The integers behind quality rules, counted in one pass over each text.

Owns what is counted and how a word, a line, a bullet and an ellipsis are told. Refuses: ratios and
thresholds, which are the filters' (`steps.filters`), and repetition (`repetition`).

Words are those of `str.split`. Lines are the pieces between line feeds that are not all whitespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import ALPHA, HANGUL, SPACE, WORD, codepoint_tables, decode
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes

__all__ = ["BULLETS", "COUNTS", "text_stats"]

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

BULLETS: Final = "•●◦‣▪■□○-*·ㆍ"
"""Characters that begin a list item: those of datatrove (• -) and DCLM (● *), and the marks of
Korean documents (○ ■ □ · ㆍ)."""

_BULLET_CODES = np.array([ord(char) for char in BULLETS], np.int64)
_LINE_FEED, _DOT, _HASH, _ELLIPSIS = 0x0A, 0x2E, 0x23, 0x2026


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
def _count(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    stop_offsets: npt.NDArray[np.int64],
    stop_words: npt.NDArray[np.uint8],
    longest_stop_word: I64,
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
        end = offsets[row + 1]
        chars = words = word_chars = alpha_words = hashes = ellipses = 0
        lines = bullet_lines = ellipsis_lines = letters = hangul_letters = 0
        distinct_stop_words = distinct_endings = 0
        word_start = np.int64(-1)  # -1 between words
        word_has_alpha = 0
        core_end = np.int64(0)  # past the word's last letter or digit
        core_is_hangul = False
        line_is_open = False  # whether this line has had a character other than whitespace
        dots = 0  # length of the run of dots that ends here
        ends_in_ellipsis = False  # whether the last non-whitespace character closed an ellipsis
        i = offsets[row]
        while i <= end:
            # One turn past the end closes the last word and line, as a line feed would.
            if i < end:
                code, after = decode(data, i)
                chars += 1
            else:
                code, after = _LINE_FEED, i + 1
            kind = flags[code]
            if kind & SPACE == 0:
                if word_start < 0:
                    word_start = i
                    word_has_alpha = 0
                    core_is_hangul = False
                    core_end = i
                    words += 1
                    if not line_is_open:
                        line_is_open = True
                        lines += 1
                        for bullet in bullets:
                            if code == bullet:
                                bullet_lines += 1
                word_chars += 1
                if kind & WORD != 0:
                    core_end = after
                    core_is_hangul = kind & HANGUL != 0
                    if kind & ALPHA != 0:
                        letters += 1
                        word_has_alpha = 1
                        hangul_letters += core_is_hangul
                    dots = 0
                    ends_in_ellipsis = False
                elif code == _DOT:
                    dots += 1
                    ellipses += dots % 3 == 0
                    ends_in_ellipsis = dots >= 3
                else:
                    dots = 0
                    hashes += code == _HASH
                    ends_in_ellipsis = code == _ELLIPSIS
                    ellipses += code == _ELLIPSIS
            else:
                if word_start >= 0:
                    alpha_words += word_has_alpha
                    # Lower-casing shortens a word to no less than a third of its bytes ('K' to
                    # 'k').
                    may_be_new = distinct_stop_words < len(stop_offsets) - 1
                    if may_be_new and i - word_start <= 3 * longest_stop_word:
                        size = lower_row(data, word_start, i, scratch, flags, lower)
                        if size <= longest_stop_word:
                            p = _find_phrase(scratch, 0, size, stop_offsets, stop_words, False)
                            if p >= 0 and stop_seen_in[p] != row:
                                stop_seen_in[p] = row
                                distinct_stop_words += 1
                    if core_is_hangul and distinct_endings < len(ending_offsets) - 1:
                        p = _find_phrase(data, word_start, core_end, ending_offsets, endings, True)
                        if p >= 0 and ending_seen_in[p] != row:
                            ending_seen_in[p] = row
                            distinct_endings += 1
                    word_start = np.int64(-1)
                    dots = 0
                if code == _LINE_FEED and line_is_open:
                    line_is_open = False
                    ellipsis_lines += ends_in_ellipsis
                    ends_in_ellipsis = False
            i = after
        out[0, row] = chars
        out[1, row] = words
        out[2, row] = word_chars
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


def text_stats(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    stop_words: Sequence[str] = (),
    endings: Sequence[str] = (),
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the counts of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        stop_words: Lower-case words, compared with each whole word lower-cased.
        endings: Endings looked for on words whose last letter or digit is Hangul, after what
            follows that letter (a full stop, a quote) is taken off. A word counts for its longest
            ending only.

    Returns:
        One int64 array of shape (rows,) for each of `COUNTS`:

        - chars: code points, whitespace included.
        - words, word_chars: words of `str.split`, and code points in them.
        - alpha_words: words with at least one `str.isalpha` character.
        - hashes: `#` signs.
        - ellipses: `text.count("...") + text.count("…")`.
        - lines: lines that are not blank. U+2028 and a lone carriage return do not end a line.
        - bullet_lines: lines whose first character after whitespace is one of `BULLETS`.
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
        >>> stats = text_stats(*buffers, stop_words=["the"], endings=["는", "에", "다"])
        >>> stats["words"].tolist(), stats["bullet_lines"].tolist()
        ([3, 3], [1, 0])
        >>> stats["stop_words"].tolist(), stats["endings"].tolist()
        ([1, 0], [0, 3])
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    longest_stop_word = max((len(word.encode()) for word in stop_words), default=0)
    out = np.empty((len(COUNTS), len(offsets) - 1), np.int64)
    _count(
        offsets,
        data,
        *_pack(stop_words),
        longest_stop_word,
        *_pack(endings),
        _BULLET_CODES,
        *codepoint_tables(),
        np.empty(lowered_bytes(3 * longest_stop_word), np.uint8),
        out,
    )
    return dict(zip(COUNTS, out, strict=True))
