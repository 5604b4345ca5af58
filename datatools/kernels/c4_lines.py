"""C4's line rules: which lines of a page stay, and which page goes for what a line says.

Owns the loop over a page's lines in the order of C4's reference code, in which a page goes only for
a line that no rule before has taken. Refuses: thresholds and profiles (`steps.filters.c4_quality`).

References:
    Colin Raffel et al., Exploring the Limits of Transfer Learning, 2020, section 2.2.
    TensorFlow Datasets, `tensorflow_datasets/text/c4_utils.py`, `clean_page`: the order.
"""

from __future__ import annotations

import functools
import sys
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import (
    ALPHA,
    HANGUL,
    SPACE,
    codepoint_tables,
    count_codepoints,
    decode,
    decode_before,
)
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.line_stats import line_end
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.token_stats import character_set

__all__ = [
    "LINE_REASONS",
    "PAGE_REASONS",
    "POLICIES",
    "C4Lines",
    "c4_lines",
    "join_lines",
    "sentences",
]

LINE_REASONS: Final = (
    "too_long_word",
    "no_terminal_punct",
    "too_few_words",
    "javascript",
    "policy",
    "citation",
)
"""Why characters are removed: for the first five whole lines, in the order of the rules."""
PAGE_REASONS: Final = ("", "lorem_ipsum", "curly_bracket")
"""Why a page goes at once, by number; 0 keeps it."""
POLICIES: Final = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
"""What a policy line says, after lower-casing."""

_LOREM, _SCRIPT, _POLICY, _CURLY = 0, 1, 2, 3
_PHRASES = (
    *((_LOREM, "lorem ipsum"), (_SCRIPT, "javascript"), (_CURLY, "{")),
    *((_POLICY, policy) for policy in POLICIES),
)
_OPEN, _CLOSE, _DOT = 0x5B, 0x5D, 0x2E
_CLOSERS = "\"'”’»)]」』）］》〉"


class C4Lines(NamedTuple):
    """The lines that stay.

    Attributes:
        rows: int64 of shape (rows + 1,): row r keeps lines `rows[r]:rows[r + 1]`.
        offsets: int64 of shape (lines + 1,): line k is `data[offsets[k]:offsets[k + 1]]`.
        data: uint8, the lines one after the other, nothing between them.
        page: uint8 of shape (rows,): number of the reason in `PAGE_REASONS` for which the page
            goes. Its lines up to there are among the others.
        removed: int64 of shape (rows, 6): characters removed for each of `LINE_REASONS`.
    """

    rows: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]
    page: npt.NDArray[np.uint8]
    removed: npt.NDArray[np.int64]


@functools.cache
def _decimals() -> npt.NDArray[np.bool_]:
    return character_set("".join(filter(str.isdecimal, map(chr, range(sys.maxunicode + 1)))))


@functools.cache
def _phrases() -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_]
]:
    encoded = [phrase.encode() for _, phrase in _PHRASES]
    starts = np.zeros((256, 256), np.bool_)  # by their first two bytes
    for phrase in encoded:
        starts[phrase[0], phrase[1] if len(phrase) > 1 else slice(None)] = True
    return (
        np.cumsum([0, *map(len, encoded)], dtype=np.int64),
        np.frombuffer(bytearray(b"".join(encoded)), np.uint8),
        np.array([kind for kind, _ in _PHRASES], np.int64),
        starts,
    )


@kernel
def _says(
    text: npt.NDArray[np.uint8],
    size: I64,
    offsets: npt.NDArray[np.int64],
    phrases: npt.NDArray[np.uint8],
    kinds: npt.NDArray[np.int64],
    starts: npt.NDArray[np.bool_],
) -> I64:
    # Which kinds of phrases occur in `text[:size]`, as bits.
    found = 0
    for i in range(size):
        byte = text[i]
        if not starts[byte, text[i + 1] if i + 1 < size else np.uint8(0)]:
            continue
        for p in range(len(kinds)):
            length = offsets[p + 1] - offsets[p]
            if phrases[offsets[p]] != byte or i + length > size:
                continue
            k = 1
            while k < length and text[i + k] == phrases[offsets[p] + k]:
                k += 1
            if k == length:
                found |= 1 << kinds[p]
    return found


@kernel
def _citation(
    text: npt.NDArray[np.uint8], i: I64, end: I64, decimals: npt.NDArray[np.bool_]
) -> I64:
    # Where the citation that begins at byte `i` ends, `i` if none does: [12], [edit] ...
    at = i + 1
    while at < end:
        code, after = decode(text, at)
        if not decimals[code]:
            break
        at = after
    if at < end and text[at] == _CLOSE:
        return at + 1
    for word in (b"[edit]", b"[citation needed]"):
        size = len(word)
        if i + size <= end:
            k = 0
            while k < size and text[i + k] == word[k]:
                k += 1
            if k == size:
                return i + size
    return i


@kernel
def _strip(
    text: npt.NDArray[np.uint8], first: I64, last: I64, flags: npt.NDArray[np.uint8]
) -> tuple[I64, I64]:
    while first < last:
        code, after = decode(text, first)
        if flags[code] & SPACE == 0:
            break
        first = after
    while last > first:
        code, before = decode_before(text, last)
        if flags[code] & SPACE == 0:
            break
        last = before
    return first, last


@kernel
def _measure_words(
    text: npt.NDArray[np.uint8], first: I64, last: I64, flags: npt.NDArray[np.uint8], enough: I64
) -> tuple[I64, I64, bool]:
    # Words of `str.split`, characters of the longest, and whether most letters are Hangul; of the
    # text up to its `enough`-th word.
    words = longest = size = letters = hangul = 0
    i = first
    while i < last:
        code, i = decode(text, i)
        kind = flags[code]
        if kind & SPACE != 0:
            size = 0
            continue
        if size == 0:
            words += 1
            if words == enough:
                break
        size += 1
        longest = max(longest, size)
        if kind & ALPHA != 0:
            letters += 1
            hangul += kind & HANGUL != 0
    return words, longest, 2 * hangul > letters


@kernel
def _ends_well(
    text: npt.NDArray[np.uint8], first: I64, last: I64, ends: npt.NDArray[np.bool_]
) -> bool:
    # Whether the line ends in an end mark, and not in three dots.
    if first == last or not ends[decode_before(text, last)[0]]:
        return False
    return not (
        last - first >= 3
        and text[last - 1] == _DOT
        and text[last - 2] == _DOT
        and text[last - 3] == _DOT
    )


@kernel
def _keep_lines(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    longest_word: I64,
    cut_citations: bool,
    strip_again: bool,
    need_end: bool,
    ends: npt.NDArray[np.bool_],
    min_words: I64,
    min_words_hangul: I64,
    count_after: bool,
    checks: I64,
    phrase_offsets: npt.NDArray[np.int64],
    phrases: npt.NDArray[np.uint8],
    kinds: npt.NDArray[np.int64],
    starts: npt.NDArray[np.bool_],
    decimals: npt.NDArray[np.bool_],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    scratch: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    line_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    page: npt.NDArray[np.uint8],
    removed: npt.NDArray[np.int64],
) -> None:
    enough = max(min_words, min_words_hangul)  # words: more need not be counted
    kept = np.int64(0)
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        has_bracket = False
        if cut_citations:
            for i in range(offsets[row], end):
                has_bracket |= data[i] == _OPEN
        following = offsets[row]
        while following < end:
            line = following
            last, following = line_end(data, line, end, False)
            first, last = _strip(data, line, last, flags)
            if first == last:  # nothing to remove
                continue
            chars = count_codepoints(data, first, last)
            words, longest, hangul = -1, 0, False  # not counted yet
            if longest_word >= 0 and chars > longest_word:
                words, longest, hangul = _measure_words(data, first, last, flags, -1)
                if longest > longest_word:
                    removed[row, 0] += chars
                    continue
            start = at = line_offsets[kept]
            bracket = last
            if has_bracket:
                bracket = first
                while bracket < last and data[bracket] != _OPEN:
                    bracket += 1
            if need_end and bracket == last and not _ends_well(data, first, last, ends):
                removed[row, 1] += chars  # before it is copied, as most lines of most pages end
                continue
            for i in range(first, bracket):
                out[at] = data[i]
                at += 1
            i = bracket
            while i < last:
                if data[i] == _OPEN:
                    past = _citation(data, i, last, decimals)
                    if past > i:
                        i = past
                        continue
                out[at] = data[i]
                at += 1
                i += 1
            stop = at
            cited = 0
            if stop - start < last - first:
                cited = chars - count_codepoints(out, start, stop)
                if strip_again:
                    inner, stop = _strip(out, start, at, flags)
                    for k in range(inner, stop):
                        out[start + k - inner] = out[k]
                    stop -= inner - start
            if need_end and not _ends_well(out, start, stop, ends):
                removed[row, 1] += chars
                continue
            if min_words > 0 or min_words_hangul > 0:
                if count_after and cited > 0:
                    words, longest, hangul = _measure_words(out, start, stop, flags, enough)
                elif words < 0:
                    words, longest, hangul = _measure_words(data, first, last, flags, enough)
                if words < (min_words_hangul if hangul else min_words):
                    removed[row, 2] += chars
                    continue
            size = lower_row(out, start, stop, scratch, flags, lower)
            said = _says(scratch, size, phrase_offsets, phrases, kinds, starts) & checks
            if said & (1 << _LOREM) != 0:
                page[row] = 1
                break
            if said & (1 << _SCRIPT) != 0:
                removed[row, 3] += chars
                continue
            if said & (1 << _CURLY) != 0:
                page[row] = 2
                break
            if said & (1 << _POLICY) != 0:
                removed[row, 4] += chars
                continue
            removed[row, 5] += cited
            kept += 1
            line_offsets[kept] = stop
        rows[row + 1] = kept


def c4_lines(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    max_word_length: int | None,
    cut_citations: bool,
    strip_again: bool,
    end_marks: str | None,
    min_words: int,
    min_words_hangul: int,
    count_after_citations: bool,
    lorem_ipsum: bool,
    javascript: bool,
    curly_bracket: bool,
    policy: bool,
) -> C4Lines:
    r"""Return the lines of each row that stay, each without the whitespace around it.

    Lines are those of `str.splitlines`. In order: a line with a too long word goes; citations
    (`[1]`, `[edit]`, `[citation needed]`) are cut out; a line without an end mark, or with `...` at
    its end, goes, one with too few words goes; "lorem ipsum" takes the page with it; a line that
    says "javascript" goes; a curly bracket takes the page with it; a line about policies goes.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        max_word_length: Most characters of a word; None allows any.
        cut_citations: Cut them out.
        strip_again: Strip a line again once citations are cut out.
        end_marks: Characters a line must end in; None asks for none.
        min_words: Fewest words of a line, 0 for any.
        min_words_hangul: The same for a line whose letters are mostly Hangul.
        count_after_citations: Count the words that are left, not those that were there.
        lorem_ipsum: Check for it.
        javascript: Check for it.
        curly_bracket: Check for it.
        policy: Check for it.

    Returns:
        The lines.

    Complexity:
        O(bytes).

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> text = "Home\nWe sat by the sea.[1]\nUse JavaScript for all of it.\n우리는 바다로 갔다."
        >>> found = c4_lines(
        ...     *Batch(pl.DataFrame({"text": [text]})).buffers("text"),
        ...     max_word_length=None, cut_citations=True, strip_again=False, end_marks=".?!",
        ...     min_words=3, min_words_hangul=2, count_after_citations=False, lorem_ipsum=True,
        ...     javascript=True, curly_bracket=True, policy=True,
        ... )
        >>> bytes(found.data).decode(), found.removed.tolist()
        ('We sat by the sea.우리는 바다로 갔다.', [[0, 4, 0, 29, 0, 3]])
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    count, size = len(offsets) - 1, int(offsets[-1] - offsets[0])
    rows = np.zeros(count + 1, np.int64)
    line_offsets = np.zeros(size + count + 1, np.int64)
    out = np.empty(size, np.uint8)
    page = np.zeros(count, np.uint8)
    removed = np.zeros((count, len(LINE_REASONS)), np.int64)
    _keep_lines(
        offsets,
        data,
        -1 if max_word_length is None else max_word_length,
        cut_citations,
        strip_again,
        end_marks is not None,
        character_set(end_marks or ""),
        min_words,
        min_words_hangul,
        count_after_citations,
        lorem_ipsum << _LOREM | javascript << _SCRIPT | policy << _POLICY | curly_bracket << _CURLY,
        *_phrases(),
        _decimals(),
        *codepoint_tables(),
        np.empty(lowered_bytes(longest), np.uint8),
        rows,
        line_offsets,
        out,
        page,
        removed,
    )
    line_offsets = line_offsets[: rows[-1] + 1].copy()
    return C4Lines(rows, line_offsets, out[: line_offsets[-1]], page, removed)


@kernel
def _count_sentences(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.bool_],
    closers: npt.NDArray[np.bool_],
    flags: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> None:
    for row in range(len(counts)):
        count = 0
        inside = ended = False
        i = offsets[row]
        while i < offsets[row + 1]:
            code, i = decode(data, i)
            if flags[code] & SPACE != 0:
                if ended:
                    count += 1
                    inside = ended = False
            else:
                inside = True
                ended = bool(ends[code]) or (ended and bool(closers[code]))
        counts[row] = count + inside


def sentences(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], *, marks: str
) -> npt.NDArray[np.int64]:
    """Return how many sentences each row has: what a mark ends before whitespace or the row's end.

    Quotation marks and brackets may close after the mark. What is left without a mark is a sentence
    too; a row of whitespace has none.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        marks: Characters that end a sentence.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> texts = ["비가 온다. 우산은?", "He said “stop.” 3.5 and", " "]
        >>> sentences(*Batch(pl.DataFrame({"text": texts})).buffers("text"), marks=".?").tolist()
        [2, 2, 0]
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    counts = np.empty(len(offsets) - 1, np.int64)
    flags = codepoint_tables().flags
    _count_sentences(offsets, data, character_set(marks), character_set(_CLOSERS), flags, counts)
    return counts


@kernel
def _join(
    rows: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint8],
    out_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
) -> None:
    for row in range(len(rows) - 1):
        start = at = out_offsets[row]
        for line in range(rows[row], rows[row + 1]):
            if line > rows[row]:
                out[at] = 0x0A
                at += 1
            for i in range(offsets[line], offsets[line + 1]):
                out[at] = data[i]
                at += 1
        first, last = _strip(out, start, at, flags)
        if first > start:
            for k in range(first, last):
                out[start + k - first] = out[k]
        out_offsets[row + 1] = start + last - first


def join_lines(lines: C4Lines) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return each row's lines joined by line feeds and stripped, as offsets and bytes.

    Args:
        lines: The lines.

    Returns:
        offsets: int64 of shape (rows + 1,).
        data: uint8, UTF-8.
    """
    out_offsets = np.zeros(len(lines.rows), np.int64)
    out = np.empty(len(lines.data) + len(lines.offsets), np.uint8)
    data = np.ascontiguousarray(lines.data).view()
    data.setflags(write=False)
    flags = codepoint_tables().flags
    _join(lines.rows, lines.offsets, data, flags, out_offsets, out)
    return out_offsets, out[: out_offsets[-1]]
