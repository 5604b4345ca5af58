"""Pieces of texts: lines, paragraphs and sentences, with a hash of what they say.

Owns where a piece begins and ends, and its folded form, in which pieces are compared. Refuses: what
a repeated piece means; and sentences in the linguistic sense.

A line ends at a line feed. A paragraph is a run of lines without a blank one between them, as in
`kernels.repetition`. A sentence ends at one of `.!?…。！？` and what closes quotes or brackets
after it, before whitespace (after a full-width mark anywhere), and at the end of a line.
Abbreviations end sentences too, in every copy alike.

In the folded form letters are lower-case and without accents, every decimal digit is `0`,
punctuation, control and format characters are gone, and whitespace is one space. Symbols such as
`+` and `=` stay, as do marks that are no accents: the vowels of Indic scripts, the dakuten of kana.

References:
    Guillaume Wenzek et al., CCNet: Extracting High Quality Monolingual Datasets from Web Crawl
    Data, 2020, section 3.1 (lower-case, digits to 0, no punctuation, no accents).
"""

from __future__ import annotations

import functools
import unicodedata
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import SPACE, WORD, codepoint_tables, decode, encode
from datatools.kernels.hashing import extend_ngram, hash_bytes, mix64
from datatools.kernels.jit import I64, arrow_buffers, kernel

__all__ = ["Pieces", "Unit", "fold_table", "pieces"]

Unit = Literal["line", "paragraph", "sentence"]

_LINE, _PARAGRAPH, _SENTENCE = range(3)
_LINE_FEED = 10
_GONE = np.uint32(0)
_SPACE = 32
_ENDS = frozenset(map(ord, ".!?…。！？"))
_WIDE_ENDS = frozenset(map(ord, "。！？"))
_CLOSES = frozenset(map(ord, "\"'”’»)]}」』》〉】）"))
_FILLERS = (0x115F, 0x1160, 0x3164, 0xFFA0)  # Hangul fillers are letters that nobody sees

_ENDS_SENTENCE, _ENDS_AT_ONCE, _CLOSES_SENTENCE = 1, 2, 4


Column = npt.NDArray[Any]
"""One value per item of a result; its fields say of which type."""


class Pieces(NamedTuple):
    """Pieces of the rows of a batch, in order; those that say nothing are left out.

    Attributes:
        row: int64, the row in the batch.
        start: int64, first byte, from the row's start.
        stop: int64, one past what leaves with the piece: its line feed, the blank lines after a
            paragraph, the blanks after a sentence.
        length: int64, code points of the folded form.
        high: uint64, first half of the hash.
        low: uint64, second half.
    """

    row: Column
    start: Column
    stop: Column
    length: Column
    high: Column
    low: Column


@functools.cache
def fold_table() -> npt.NDArray[np.uint32]:
    """Return per code point its folded form, 0 where it goes: uint32 of shape (0x110000,)."""
    flags, lower = codepoint_tables()
    fold = np.arange(len(flags), dtype=np.uint32)
    fold[: len(lower)] = lower
    # Beyond the second plane there are letters and tags, and no digits or punctuation.
    for code in (*range(0x20000), *range(0xE0000, 0xE0080)):
        category = unicodedata.category(chr(code))
        if category == "Nd":
            fold[code] = ord("0")
        elif category[0] == "P" or category in ("Cc", "Cf"):
            fold[code] = _GONE
    for code in range(0xC0, 0x2200):
        base, *marks = list(unicodedata.normalize("NFD", chr(code)))
        if chr(code).isalpha() and marks and all(0x300 <= ord(mark) < 0x370 for mark in marks):
            fold[code] = ord(base.lower())
    fold[0x300:0x370] = _GONE  # accents that stand by themselves
    fold[0xFE00:0xFE10] = _GONE  # variation selectors
    fold[[*_FILLERS, ord("_")]] = _GONE
    fold[ord("ς")] = ord("σ")
    fold[(flags & SPACE) != 0] = _SPACE
    fold = fold[fold]  # what lower-cases to a letter with an accent loses that, too
    fold.setflags(write=False)
    return fold


@functools.cache
def _sentence_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(1 << 16, np.uint8)
    for codes, flag in (
        (_ENDS, _ENDS_SENTENCE),
        (_WIDE_ENDS, _ENDS_AT_ONCE),
        (_CLOSES, _CLOSES_SENTENCE),
    ):
        table[sorted(codes)] |= flag
    table.setflags(write=False)
    return table


@kernel
def _line_end(data: npt.NDArray[np.uint8], i: I64, end: I64) -> I64:
    while i < end and data[i] != _LINE_FEED:
        i += 1
    return i


@kernel
def _is_blank(data: npt.NDArray[np.uint8], i: I64, end: I64, flags: npt.NDArray[np.uint8]) -> bool:
    while i < end:
        code, i = decode(data, i)
        if flags[code] & SPACE == 0:
            return False
    return True


@kernel
def _paragraph(
    data: npt.NDArray[np.uint8], start: I64, end: I64, flags: npt.NDArray[np.uint8]
) -> tuple[I64, I64]:
    # Where the paragraph's last line ends, and where the next paragraph starts.
    content = start
    i = start
    blank_seen = False
    while i < end:
        stop = _line_end(data, i, end)
        if _is_blank(data, i, stop, flags):
            blank_seen = content > start
        elif blank_seen:
            return content, i
        else:
            content = stop
        i = min(stop + 1, end)
    return content, end


@kernel
def _sentence(
    data: npt.NDArray[np.uint8],
    line: I64,
    start: I64,
    end: I64,
    flags: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.uint8],
) -> tuple[I64, I64]:
    # Where the sentence ends, and where the next one starts. `line` is the start of the line.
    i = start
    while i < end and data[i] != _LINE_FEED:
        code, i = decode(data, i)
        mark: I64 = marks[code] if code < len(marks) else 0
        if mark & _ENDS_SENTENCE == 0:
            continue
        after = i
        while after < end:
            code, beyond = decode(data, after)
            more = marks[code] if code < len(marks) else 0
            if more & (_ENDS_SENTENCE | _CLOSES_SENTENCE) == 0:
                break
            mark |= more
            after = beyond
        i = after
        if after < end and flags[code] & SPACE == 0 and mark & _ENDS_AT_ONCE == 0:
            continue
        stop = after
        while stop < end and data[stop] != _LINE_FEED:
            code, beyond = decode(data, stop)
            if flags[code] & SPACE == 0:
                return after, stop
            stop = beyond
        # The line feed goes with a sentence that has the line to itself.
        return after, min(stop + (line == start), end)
    return i, min(i + (line == start), end)


@kernel
def _fold(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    out: npt.NDArray[np.uint8],
    at: I64,
    flags: npt.NDArray[np.uint8],
    fold: npt.NDArray[np.uint32],
) -> tuple[I64, I64]:
    # Writes the folded form to `out[at:]`; returns its end there and its code points, 0 where no
    # letter or digit is among them.
    i = start
    o = at
    length = 0
    says = np.uint8(0)
    pending = False
    while i < end:
        if data[i] < 0x80:
            code = np.int64(data[i])
            i += 1
        else:
            code, i = decode(data, i)
        folded = np.int64(fold[code])
        if folded == 0:
            continue
        if folded == _SPACE:
            pending = o > at
            continue
        if pending:
            out[o] = _SPACE
            o += 1
            length += 1
            pending = False
        if folded < 0x80:
            out[o] = folded
            o += 1
        else:
            o = encode(folded, out, o)
        length += 1
        says |= flags[code] & WORD
    return o, length if says != 0 else 0


@kernel
def _strip(
    data: npt.NDArray[np.uint8], start: I64, end: I64, flags: npt.NDArray[np.uint8]
) -> tuple[I64, I64]:
    last = start
    i = start
    first = np.int64(-1)
    while i < end:
        here = i
        code, i = decode(data, i)
        if flags[code] & SPACE == 0:
            if first < 0:
                first = here
            last = i
    return (start, start) if first < 0 else (first, last)


@kernel
def _pieces(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    unit: I64,
    as_written: bool,
    flags: npt.NDArray[np.uint8],
    fold: npt.NDArray[np.uint32],
    marks: npt.NDArray[np.uint8],
    scratch: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    highs: npt.NDArray[np.uint64],
    lows: npt.NDArray[np.uint64],
) -> I64:
    count = 0
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        at = begin
        line = begin
        while at < end:
            if unit == _LINE:
                content = _line_end(data, at, end)
                stop = min(content + 1, end)
            elif unit == _PARAGRAPH:
                content, stop = _paragraph(data, at, end, flags)
            else:
                if at > begin and data[at - 1] == _LINE_FEED:
                    line = at
                content, stop = _sentence(data, line, at, end, flags, marks)
                if stop == at:  # a line feed that the last sentence of a line left behind
                    at += 1
                    continue
            written, length = _fold(data, at, content, scratch, 8, flags, fold)
            if length > 0:
                if as_written:
                    first, last = _strip(data, at, content, flags)
                    scratch[8 : 8 + last - first] = data[first:last]
                    written = 8 + last - first
                rows[count] = row
                starts[count] = at - begin
                stops[count] = stop - begin
                lengths[count] = length
                # Two hashes of one text, the second with eight bytes before it.
                highs[count] = hash_bytes(scratch, 8, written)
                lows[count] = hash_bytes(scratch, 0, written)
                count += 1
            at = stop
    return count


@kernel
def _spans(
    span: I64,
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    highs: npt.NDArray[np.uint64],
    lows: npt.NDArray[np.uint64],
) -> I64:
    # Runs of `span` pieces of a row, in place: run k needs no piece before k.
    count = 0
    for first in range(len(rows) - span + 1):
        last = first + span - 1
        if rows[first] != rows[last]:
            continue
        high, low, length = np.uint64(0), np.uint64(0), np.int64(0)
        for k in range(first, last + 1):
            high = extend_ngram(high, highs[k])
            low = extend_ngram(low, lows[k])
            length += lengths[k]
        rows[count] = rows[first]
        starts[count] = starts[first]
        stops[count] = stops[last]
        lengths[count] = length
        highs[count] = mix64(high)
        lows[count] = mix64(low)
        count += 1
    return count


def pieces(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    unit: Unit,
    *,
    span: int = 1,
    as_written: bool = False,
) -> Pieces:
    r"""Return the pieces of each row, or the runs of several, with a 128-bit hash of each.

    A piece without a letter or digit says nothing: it is left out, and a run passes over it.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        unit: What a piece is.
        span: Pieces in a run; runs overlap. A row with fewer has none.
        as_written: Hash the pieces' bytes, whitespace around them left out, instead of their folded
            form.

    Complexity:
        O(bytes + pieces x span).

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["Page 12!\n---\n글", "page 34\n"]}))
        >>> found = pieces(*batch.buffers("text"), "line")
        >>> found.row.tolist(), found.start.tolist(), found.stop.tolist(), found.length.tolist()
        ([0, 0, 1], [0, 13, 0], [9, 16, 8], [7, 1, 7])
        >>> found.high[0] == found.high[2], found.high[0] == found.high[1]
        (np.True_, np.False_)
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    flags = codepoint_tables().flags
    # A piece that says something has a letter, and what parts it from the next one.
    slots = int(offsets[-1] - offsets[0]) // 2 + len(offsets)
    dtypes = (np.int64, np.int64, np.int64, np.int64, np.uint64, np.uint64)
    found = Pieces(*(np.empty(slots, dtype) for dtype in dtypes))
    # Folding can make a letter longer by a byte: U+023A has two, its small form three.
    scratch = np.zeros(8 + longest + longest // 2 + 8, np.uint8)
    scratch[:8] = np.frombuffer(b"secondly", np.uint8)
    which = get_args(Unit).index(unit)
    tables = (flags, fold_table(), _sentence_table())
    count = _pieces(offsets, data, which, as_written, *tables, scratch, *found)
    found = Pieces(*(column[:count] for column in found))
    if span > 1:
        count = _spans(span, *found)
        found = Pieces(*(column[:count] for column in found))
    return found
