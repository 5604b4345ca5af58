"""What quality rules ask of lines: bullets, ellipses, terminal marks, length, copies.

Owns the three ways of cutting a text into lines, and the counts over them. Refuses: ratios and
thresholds, and lines compared across documents (`text_pieces`).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import (
    HANGUL,
    SPACE,
    codepoint_tables,
    count_codepoints,
    decode,
    decode_before,
)
from datatools.kernels.hashing import hash_bytes
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.token_stats import character_set

__all__ = ["COUNTS", "LineCut", "line_end", "line_stats"]

LineCut = Literal["filled", "line_feeds", "splitlines"]
"""`filled`: pieces between line feeds that are not all whitespace, stripped of it; `line_feeds`:
the same as they stand, blank ones too; `splitlines`: what `str.splitlines` gives."""

COUNTS: Final = (
    "lines",
    "filled_lines",
    "bullet_lines",
    "ellipsis_lines",
    "ended_lines",
    "short_lines",
    "copied_chars",
    "chars",
    "line_feeds",
)
"""Names of the counts, in the order the kernel writes them."""

ELLIPSES: Final = {"...": 1, "…": 2, ". . .": 4}
"""What may count as an ellipsis at a line's end, as bits."""

_LINE_FEED, _RETURN, _DOT = 0x0A, 0x0D, 0x2E


@kernel
def _breaks_line(code: I64) -> bool:
    # Where `str.splitlines` cuts.
    return bool(
        0x0A <= code <= 0x0D
        or 0x1C <= code <= 0x1E
        or code == 0x85
        or code == 0x2028
        or code == 0x2029
    )


@kernel
def line_end(data: npt.NDArray[np.uint8], start: I64, end: I64, by_feed: bool) -> tuple[I64, I64]:
    r"""Return where the line that begins at `start` ends, and where the next one begins.

    Args:
        data: Valid UTF-8.
        start: The line's first byte.
        end: The text's end, which ends a line, too; the next one then begins past it.
        by_feed: Cut at line feeds only; else where `str.splitlines` does, `\r\n` once.
    """
    i = start
    while i < end:
        byte = data[i]
        if by_feed:
            if byte == _LINE_FEED:
                return i, i + 1
            i += 1
        elif byte < 0x80:
            if byte <= 0x1E and _breaks_line(byte):
                after = i + 1
                if byte == _RETURN and after < end and data[after] == _LINE_FEED:
                    after += 1
                return i, after
            i += 1
        elif byte == 0xC2 or byte == 0xE2:
            code, after = decode(data, i)
            if _breaks_line(code):
                return i, after
            i = after
        else:
            i += 1
    return end, end + 1


@kernel
def _ends_in_ellipsis(data: npt.NDArray[np.uint8], first: I64, last: I64, ellipses: I64) -> bool:
    size = last - first
    if size >= 3:
        a, b, c = data[last - 3], data[last - 2], data[last - 1]
        if ellipses & 1 and a == _DOT and b == _DOT and c == _DOT:
            return True
        if ellipses & 2 and a == 0xE2 and b == 0x80 and c == 0xA6:
            return True
    if ellipses & 4 and size >= 5:
        return bool(
            data[last - 1] == _DOT
            and data[last - 2] == 0x20
            and data[last - 3] == _DOT
            and data[last - 4] == 0x20
            and data[last - 5] == _DOT
        )
    return False


@kernel
def _is_short(
    data: npt.NDArray[np.uint8],
    first: I64,
    last: I64,
    short: I64,
    hangul_width: I64,
    flags: npt.NDArray[np.uint8],
) -> bool:
    if last - first > 4 * short:  # no more than four bytes make a character
        return False
    width = 0
    while first < last and width <= short:
        code, first = decode(data, first)
        width += hangul_width if flags[code] & HANGUL != 0 else 1
    return bool(width <= short)


@kernel
def _is_new(
    keys: npt.NDArray[np.uint64],
    stamps: npt.NDArray[np.int64],
    stamp: I64,
    mask: I64,
    key: np.uint64,
) -> bool:
    slot = np.int64(key & np.uint64(mask))
    while stamps[slot] == stamp:
        if keys[slot] == key:
            return False
        slot = (slot + 1) & mask
    keys[slot] = key
    stamps[slot] = stamp
    return True


@kernel
def _count(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    by_feed: bool,
    with_blank: bool,
    stripped: bool,
    bullets: npt.NDArray[np.bool_],
    ellipses: I64,
    terminals: npt.NDArray[np.bool_],
    short: I64,
    hangul_width: I64,
    copies: bool,
    flags: npt.NDArray[np.uint8],
    out: npt.NDArray[np.int64],
) -> None:
    keys = np.empty(0, np.uint64)
    stamps = np.zeros(0, np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        feeds = 0
        for i in range(start, end):
            feeds += data[i] == _LINE_FEED
        if copies and len(keys) < 2 * (feeds + 1):
            size = 64
            while size < 4 * (feeds + 1):
                size *= 2
            keys = np.empty(size, np.uint64)
            stamps = np.full(size, -1, np.int64)
        out[row, 7] = count_codepoints(data, start, end) - feeds
        out[row, 8] = feeds
        line = start
        # Text that ends in a line feed has one empty line more, but not for `str.splitlines`.
        while line < end or (line == end and by_feed):
            last, following = line_end(data, line, end, by_feed)
            first = line
            line = following
            inner, past = first, last  # without the whitespace around
            while inner < past:
                code, after = decode(data, inner)
                if flags[code] & SPACE == 0:
                    break
                inner = after
            while past > inner:
                code, before = decode_before(data, past)
                if flags[code] & SPACE == 0:
                    break
                past = before
            blank = inner == past
            if blank and not with_blank:
                continue
            out[row, 0] += 1
            out[row, 1] += not blank
            if stripped:
                first, last = inner, past
            if short >= 0 and _is_short(data, first, last, short, hangul_width, flags):
                out[row, 5] += 1
            if blank:
                continue
            code, _ = decode(data, first)
            out[row, 2] += bullets[code]
            out[row, 3] += _ends_in_ellipsis(data, first, last, ellipses)
            code, _ = decode_before(data, last)
            out[row, 4] += terminals[code]
            if copies and not _is_new(
                keys, stamps, row, len(keys) - 1, hash_bytes(data, first, last)
            ):
                out[row, 6] += count_codepoints(data, first, last)


def line_stats(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    cut: LineCut,
    stripped: bool,
    bullets: str = "",
    ellipses: tuple[str, ...] = (),
    terminals: str = "",
    short: int | None = None,
    hangul_width: int = 1,
    copies: bool = False,
) -> dict[str, npt.NDArray[np.int64]]:
    r"""Return the counts of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        cut: What a line is.
        stripped: Look at lines without the whitespace around them.
        bullets: Characters that begin a list item.
        ellipses: Those of `ELLIPSES` that count.
        terminals: Characters that end a sentence.
        short: Most characters of a short line; None counts none.
        hangul_width: How many characters a Hangul letter counts for there.
        copies: Count copies; else there are 0.

    Returns:
        One int64 array of shape (rows,) for each of `COUNTS`:

        - lines, filled_lines: all that `cut` gives, and those that are not blank.
        - bullet_lines, ellipsis_lines, ended_lines: lines that begin with a bullet, end in an
          ellipsis, end in a terminal character. A blank line does not.
        - short_lines: lines of at most `short` code points, blank ones included where `cut` has
          them.
        - copied_chars: code points of lines, not blank, that stand earlier in the row.
        - chars: code points of the text without its line feeds.
        - line_feeds: of the text.

    Complexity:
        O(bytes).

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> buffers = Batch(pl.DataFrame({"text": ["- 하나.\n\n- 하나.\n"]})).buffers("text")
        >>> stats = line_stats(*buffers, cut="line_feeds", stripped=False, bullets="-", copies=True)
        >>> [int(stats[name][0]) for name in ("lines", "filled_lines", "bullet_lines")]
        [4, 2, 2]
        >>> int(stats["copied_chars"][0])
        5
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    out = np.zeros((len(offsets) - 1, len(COUNTS)), np.int64)
    _count(
        offsets,
        data,
        cut != "splitlines",
        cut != "filled",
        stripped,
        character_set(bullets),
        sum(ELLIPSES[ellipsis] for ellipsis in ellipses),
        character_set(terminals),
        -1 if short is None else short,
        hangul_width,
        copies,
        codepoint_tables().flags,
        out,
    )
    return {name: np.ascontiguousarray(out[:, k]) for k, name in enumerate(COUNTS)}
