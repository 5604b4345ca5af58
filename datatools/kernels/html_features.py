"""What is known of each block of a page, as numbers for a classifier.

Owns: the features and their names. Refuses: the weights. Every feature is an integer or one
division of two, so a page gives the same numbers on every machine.

A level is one element up. Shares are of widths (`html_blocks.WIDTH`), which count Hangul, Han and
kana twice, so that a Korean page has about the numbers of its English translation. Case, which
Korean has not, is a share of the words that have one, and -1 without them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.html_blocks import (
    BITS,
    BLOCKS,
    BOLD,
    BREAKS,
    CASED,
    COMMAS,
    DEPTH,
    DIGEST,
    DIGITS,
    ELEMENT,
    ELEMENTS_READ,
    END_BLOCK,
    FIRST,
    FIRST_BLOCK,
    GAP,
    IMAGES,
    IS_INLINE,
    KIND,
    KINDS,
    KINDS_PATH,
    LAST,
    LINKED,
    LINKS,
    LONGEST,
    MARKUP,
    PARENT,
    PATH,
    PREFORMATTED,
    SENTENCES,
    SIGNATURE,
    SKIPPED,
    START,
    SYMBOLS,
    TITLE_WORDS,
    TITLED,
    UPPERS,
    WIDTH,
    WORDS,
    Tables,
)
from datatools.kernels.html_keywords import MARKUP_GROUPS, TEXT_GROUPS
from datatools.kernels.jit import kernel

__all__ = ["FEATURES", "Page", "features_of", "look_over", "make_page"]

_ELEMENT_GROUPS: Final = (
    "a", "p", "li", "ul", "ol", "menu", "h1", "h2", "h3", "h4 h5 h6", "div", "td", "th",
    "table", "dl dd dt", "pre", "code samp kbd tt", "blockquote q", "figure figcaption", "nav",
    "header hgroup", "footer", "aside", "main", "article", "section", "form fieldset", "button",
    "label legend", "select option", "noscript", "template", "textarea", "details summary",
    "dialog", "time", "address", "span font", "strong b", "em i", "small sub sup", "tr", "?",
)  # fmt: skip
_NO_GROUP: Final = len(_ELEMENT_GROUPS)


def _group_of_kind() -> npt.NDArray[np.int64]:
    groups = np.full(len(KINDS), _NO_GROUP, dtype=np.int64)
    for group, names in enumerate(_ELEMENT_GROUPS):
        for name in names.split():
            groups[KINDS.index(name)] = group
    return groups


_GROUP_OF_KIND: Final = _group_of_kind()
_H1, _MAIN, _ARTICLE, _P = map(KINDS.index, ("h1", "main", "article", "p"))
_LEVELS: Final = 6
_FAR: Final = 32
_NEAR: Final = 3
_ENOUGH: Final = (300, 1000, 3000)
_CANDIDATES: Final = ("scored", "dense", "half", "most", "nearly", "main", "article", "h1")
_GROUPINGS: Final = ("path", "kinds", "parent", "text")
_TEXT_BITS: Final = len(TEXT_GROUPS)
_MARKUP_BITS: Final = len(MARKUP_GROUPS)

_LOCAL: Final = (
    "width", "words", "linked", "links", "sentences", "commas", "digits", "uppers", "symbols",
    "breaks", "bold", "images", "titled", "title_share", "last", "first", "longest", "skipped",
    "gap", "preformatted", "word_width", "words_a_sentence", "words_a_comma", "words_a_link",
    "depth", "index", "index_share", "blocks_after", "width_before", "byte",
)  # fmt: skip
FEATURES: Final = (
    *_LOCAL,
    *(f"says:{group.split()[0]}" for group in TEXT_GROUPS),
    *(f"in:{names.split()[0]}" for names in _ELEMENT_GROUPS),
    *(f"marked:{words[0].strip()}" for words in MARKUP_GROUPS),
    *(
        f"up{level}:{name}"
        for level in range(1, _LEVELS + 1)
        for name in ("width", "linked", "blocks", "sentences", "share")
    ),
    *(f"over{least}:{name}" for least in _ENOUGH for name in ("linked", "blocks", "level")),
    *(f"alike:{name}" for name in ("count", "level", "width", "blocks", "linked", "most")),
    *(f"from_{name}" for name in _CANDIDATES),
    "before_h1", "scored_share", "scored_start", "scored_end", "dense_share", "dense_start",
    "dense_end",
    *(
        f"same_{grouping}:{name}"
        for grouping in _GROUPINGS
        for name in ("count", "width", "linked", "share")
    ),
    *(
        f"near{offset:+d}:{name}"
        for offset in (-3, -2, -1, 1, 2, 3)
        for name in ("width", "linked", "sentences", "same_path")
    ),
    *(
        f"{side}{count}:{name}"
        for side in ("before", "after")
        for count in (5, 12)
        for name in ("width", "linked", "sentences")
    ),
    "level_before", "level_after",
    "page_blocks", "page_width", "page_linked", "page_sentences", "page_articles", "page_mains",
    "page_paragraphs",
)  # fmt: skip
"""Names of the features, in order."""

_STATS: Final = 4  # columns of sums over blocks: width, linked, sentences, commas


class Page(NamedTuple):
    """What is computed once for a page.

    Attributes:
        sums: i64[blocks + 1, 4], width, linked width, sentences and commas before a block.
        groups: i32[4, blocks], the group of a block: by path, by kinds, by parent, by text.
        stats: i64[4, groups, 3], blocks, width and linked width of a group.
        alike: i32[elements], siblings of an element with its signature, itself included.
        levels: i32[8, blocks], levels from a candidate up to what holds the block too; -1 without
            candidate.
        candidates: i32[8], their elements; -1 without.
        totals: i64[4], articles, mains, paragraphs, first `h1` block or -1.
        scores: i64[elements], of elements by the paragraphs in them.
    """

    sums: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int32]
    stats: npt.NDArray[np.int64]
    alike: npt.NDArray[np.int32]
    levels: npt.NDArray[np.int32]
    candidates: npt.NDArray[np.int32]
    totals: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int64]


def make_page(blocks: int, elements: int) -> Page:
    """Return room for what is computed of a page of so many blocks and elements."""
    return Page(
        sums=np.zeros((blocks + 1, _STATS), dtype=np.int64),
        groups=np.zeros((len(_GROUPINGS), blocks), dtype=np.int32),
        stats=np.zeros((len(_GROUPINGS), blocks, 3), dtype=np.int64),
        alike=np.zeros(elements, dtype=np.int32),
        levels=np.full((len(_CANDIDATES), blocks), -1, dtype=np.int32),
        candidates=np.full(len(_CANDIDATES), -1, dtype=np.int32),
        totals=np.zeros(4, dtype=np.int64),
        scores=np.zeros(elements, dtype=np.int64),
    )


# --------------------------------------------------------------------------------------------------
# Once for a page


@kernel
def _group(keys: npt.NDArray[np.uint64], count: int, group: npt.NDArray[np.int32]) -> int:
    """Number equal keys alike, in order of their first; return how many numbers there are."""
    size = 16
    while size < 2 * count:
        size *= 2
    slots = np.full(size, -1, dtype=np.int32)
    last = np.uint64(size - 1)
    first = np.empty(count, dtype=np.int32)
    groups = 0
    for row in range(count):
        key = keys[row]
        slot = (key ^ (key >> np.uint64(29))) & last
        while slots[slot] >= 0 and keys[first[slots[slot]]] != key:
            slot = (slot + np.uint64(1)) & last
        if slots[slot] < 0:
            slots[slot] = groups
            first[groups] = row
            groups += 1
        group[row] = slots[slot]
    return groups


@kernel
def _reach(tables: Tables, page: Page, candidate: int, element: int) -> None:
    """Note for every block how many levels above the candidate the element is that holds both."""
    page.candidates[candidate] = element
    levels = page.levels[candidate]
    level = 0
    first = last = 0
    while element >= 0:
        start, end = tables.elements[element, FIRST_BLOCK], tables.elements[element, END_BLOCK]
        if level == 0:
            first = last = start
        for block in range(start, first):
            levels[block] = level
        for block in range(last, end):
            levels[block] = level
        first, last = min(first, start), max(last, end)
        element = tables.elements[element, PARENT]
        level += 1


@kernel
def look_over(tables: Tables, page: Page) -> None:
    """Compute what features need of the whole page."""
    blocks, elements = tables.state[BLOCKS], tables.state[ELEMENTS_READ]
    keys = np.empty(max(blocks, elements), dtype=np.uint64)
    sums = page.sums
    for row in range(blocks):
        block = tables.blocks[row]
        sums[row + 1, 0] = sums[row, 0] + block[WIDTH]
        sums[row + 1, 1] = sums[row, 1] + block[LINKED]
        sums[row + 1, 2] = sums[row, 2] + block[SENTENCES]
        sums[row + 1, 3] = sums[row, 3] + block[COMMAS]

    # Groups of blocks.
    for grouping in range(4):
        for row in range(blocks):
            element = tables.blocks[row, ELEMENT]
            if grouping == 0:
                keys[row] = tables.marks[element, PATH]
            elif grouping == 1:
                keys[row] = tables.marks[element, KINDS_PATH]
            elif grouping == 2:
                while tables.elements[element, IS_INLINE] and tables.elements[element, PARENT] >= 0:
                    element = tables.elements[element, PARENT]
                parent = tables.elements[element, PARENT]
                keys[row] = tables.marks[max(parent, 0), PATH]
            else:
                keys[row] = tables.said[row, DIGEST]
        _group(keys, blocks, page.groups[grouping])
        stats = page.stats[grouping]
        for row in range(blocks):
            group = page.groups[grouping, row]
            stats[group, 0] += 1
            stats[group, 1] += tables.blocks[row, WIDTH]
            stats[group, 2] += tables.blocks[row, LINKED]

    # Siblings of one signature.
    for row in range(elements):
        parent = np.uint64(tables.elements[row, PARENT] + 1)
        keys[row] = tables.marks[row, SIGNATURE] ^ (parent * np.uint64(0x9E3779B97F4A7C15))
    numbers = np.empty(elements, dtype=np.int32)
    counts = np.zeros(_group(keys, elements, numbers), dtype=np.int32)
    for row in range(elements):
        counts[numbers[row]] += 1
    for row in range(elements):
        page.alike[row] = counts[numbers[row]]

    # Candidates for the element with the main content.
    page.totals[3] = -1
    h1 = -1
    for row in range(blocks):
        block = tables.blocks[row]
        element = block[ELEMENT]
        up = element
        while up >= 0:
            kind = tables.elements[up, KIND]
            if kind == _P:
                page.totals[2] += 1
            if kind == _H1 and h1 < 0:
                h1 = up
                page.totals[3] = row
            if not tables.elements[up, IS_INLINE]:
                break
            up = tables.elements[up, PARENT]
        width = block[WIDTH] - block[LINKED]
        if width < 40:
            continue
        # After Readability: a paragraph counts by its commas and its length, for its parent in
        # full, for the one above by half, and less and less for those above.
        score = 60 * (1 + min(block[COMMAS], 20)) + 60 * min(width, 300) // 100
        share = 1
        while up >= 0 and share <= 8:
            parent = tables.elements[up, PARENT]
            if parent < 0:
                break
            up = parent
            page.scores[up] += score // share
            share = share + 1 if share > 1 else 2
    total = sums[blocks, 0] - sums[blocks, 1]
    best_score, best_dense = 0, 0
    mains = articles = 0
    for row in range(elements):
        element = tables.elements[row]
        start, end = element[FIRST_BLOCK], element[END_BLOCK]
        if element[IS_INLINE] or end <= start:
            continue
        width = sums[end, 0] - sums[start, 0]
        linked = sums[end, 1] - sums[start, 1]
        score = page.scores[row] * (width - linked) // max(width, 1)
        if score > best_score:
            best_score = score
            page.candidates[0] = row
        dense = width - 3 * linked - 12 * (end - start)
        if dense > best_dense:
            best_dense = dense
            page.candidates[1] = row
        plain = width - linked
        if 2 * plain >= total:
            page.candidates[2] = row
        if 10 * plain >= 7 * total:
            page.candidates[3] = row
        if 10 * plain >= 9 * total:
            page.candidates[4] = row
        role_main = tables.elements[row, KIND] == _MAIN
        if role_main:
            mains += 1
            if page.candidates[5] < 0:
                page.candidates[5] = row
        if element[KIND] == _ARTICLE:
            articles += 1
            other = page.candidates[6]
            if other < 0 or width > (
                sums[tables.elements[other, END_BLOCK], 0]
                - sums[tables.elements[other, FIRST_BLOCK], 0]
            ):
                page.candidates[6] = row
    page.candidates[7] = h1
    page.totals[0], page.totals[1] = articles, mains
    for candidate in range(8):
        if page.candidates[candidate] >= 0:
            _reach(tables, page, candidate, page.candidates[candidate])


# --------------------------------------------------------------------------------------------------
# Once for a block


@kernel
def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else -1.0


@kernel
def _local(tables: Tables, page: Page, row: int, size: int, out: npt.NDArray[np.float32]) -> int:
    block = tables.blocks[row]
    blocks = tables.state[BLOCKS]
    width, words = block[WIDTH], block[WORDS]
    out[0] = width
    out[1] = words
    out[2] = _share(block[LINKED], width)
    out[3] = block[LINKS]
    out[4] = block[SENTENCES]
    out[5] = block[COMMAS]
    out[6] = _share(block[DIGITS], width)
    out[7] = _share(block[UPPERS], block[CASED])
    out[8] = _share(block[SYMBOLS], width)
    out[9] = block[BREAKS]
    out[10] = _share(block[BOLD], width)
    out[11] = block[IMAGES]
    out[12] = _share(block[TITLED], words)
    out[13] = _share(block[TITLED], tables.state[TITLE_WORDS])
    out[14] = block[LAST]
    out[15] = block[FIRST]
    out[16] = block[LONGEST]
    out[17] = block[SKIPPED]
    out[18] = block[GAP]
    out[19] = block[PREFORMATTED]
    out[20] = _share(width, words)
    out[21] = _share(words, block[SENTENCES])
    out[22] = _share(words, block[COMMAS])
    out[23] = _share(words, block[LINKS])
    out[24] = tables.elements[block[ELEMENT], DEPTH]
    out[25] = row
    out[26] = row / blocks
    out[27] = blocks - row
    out[28] = _share(page.sums[row, 0], page.sums[blocks, 0])
    out[29] = block[START] / size
    at = 30
    said = tables.said[row, BITS]
    for bit in range(_TEXT_BITS):
        out[at] = np.int64((said >> np.uint64(bit)) & np.uint64(1))
        at += 1
    return at


@kernel
def _ancestors(tables: Tables, row: int, out: npt.NDArray[np.float32], at: int) -> int:
    """Write how many levels up the nearest element of each kind and with each word is."""
    marks = at + _NO_GROUP
    end = marks + _MARKUP_BITS
    for place in range(at, end):
        out[place] = _FAR
    element = tables.blocks[row, ELEMENT]
    seen = np.uint64(0)
    level = 0
    while element >= 0 and level < _FAR:
        group = _GROUP_OF_KIND[tables.elements[element, KIND]]
        if group < _NO_GROUP and out[at + group] == _FAR:
            out[at + group] = level
        fresh = tables.marks[element, MARKUP] & ~seen
        seen |= fresh
        bit = 0
        while fresh != 0:
            if fresh & np.uint64(0xFF) == 0:
                fresh >>= np.uint64(8)
                bit += 8
                continue
            if fresh & np.uint64(1):
                out[marks + bit] = level
            fresh >>= np.uint64(1)
            bit += 1
        element = tables.elements[element, PARENT]
        level += 1
    return end


@kernel
def _subtrees(tables: Tables, page: Page, row: int, out: npt.NDArray[np.float32], at: int) -> int:
    """Write what the block-level elements around the block hold, and its likes beside it."""
    blocks = tables.state[BLOCKS]
    sums = page.sums
    total = sums[blocks, 0]
    over = at + 5 * _LEVELS
    alike = over + 9
    for place in range(at, alike + 6):
        out[place] = -1
    element = tables.blocks[row, ELEMENT]
    level = 0
    enough = 0
    most = 0
    while element >= 0:
        facts = tables.elements[element]
        start, end = facts[FIRST_BLOCK], facts[END_BLOCK]
        width = sums[end, 0] - sums[start, 0]
        linked = sums[end, 1] - sums[start, 1]
        if not facts[IS_INLINE]:
            if level < _LEVELS:
                place = at + 5 * level
                out[place] = width
                out[place + 1] = _share(linked, width)
                out[place + 2] = end - start
                out[place + 3] = (sums[end, 2] - sums[start, 2]) / max(end - start, 1)
                out[place + 4] = _share(width, total)
            while enough < 3 and width >= _ENOUGH[enough]:
                place = over + 3 * enough
                out[place] = _share(linked, width)
                out[place + 1] = end - start
                out[place + 2] = level
                enough += 1
            level += 1
        count = page.alike[element]
        if count >= 3 and out[alike] < 0:
            out[alike] = count
            out[alike + 1] = level
            out[alike + 2] = width
            out[alike + 3] = end - start
            out[alike + 4] = _share(linked, width)
        if level <= 8:
            most = max(most, count)
        element = facts[PARENT]
    out[alike + 5] = most
    return alike + 6


@kernel
def _candidate_features(
    tables: Tables, page: Page, row: int, out: npt.NDArray[np.float32], at: int
) -> int:
    blocks = tables.state[BLOCKS]
    for candidate in range(8):
        out[at] = page.levels[candidate, row]
        at += 1
    out[at] = row - page.totals[3] if page.totals[3] >= 0 else -9999
    at += 1
    for candidate in range(2):
        element = page.candidates[candidate]
        if element < 0:
            out[at : at + 3] = -1
        else:
            start = tables.elements[element, FIRST_BLOCK]
            end = tables.elements[element, END_BLOCK]
            out[at] = _share(page.sums[end, 0] - page.sums[start, 0], page.sums[blocks, 0])
            out[at + 1] = row - start
            out[at + 2] = end - row
        at += 3
    return at


@kernel
def _repeats(page: Page, row: int, blocks: int, out: npt.NDArray[np.float32], at: int) -> int:
    for grouping in range(4):
        stats = page.stats[grouping, page.groups[grouping, row]]
        out[at] = stats[0]
        out[at + 1] = stats[1] / stats[0]
        out[at + 2] = _share(stats[2], stats[1])
        out[at + 3] = _share(stats[1], page.sums[blocks, 0])
        at += 4
    return at


@kernel
def _neighbours(tables: Tables, page: Page, row: int, out: npt.NDArray[np.float32], at: int) -> int:
    blocks = tables.state[BLOCKS]
    for offset in range(-_NEAR, _NEAR + 1):
        if offset == 0:
            continue
        other = row + offset
        if 0 <= other < blocks:
            block = tables.blocks[other]
            out[at] = block[WIDTH]
            out[at + 1] = _share(block[LINKED], block[WIDTH])
            out[at + 2] = block[SENTENCES]
            out[at + 3] = 1 if page.groups[0, other] == page.groups[0, row] else 0
        else:
            out[at : at + 4] = -1
        at += 4
    for side in range(2):
        for count in (5, 12):
            start = max(0, row - count) if side == 0 else row + 1
            end = row if side == 0 else min(blocks, row + 1 + count)
            width = page.sums[end, 0] - page.sums[start, 0]
            out[at] = width
            out[at + 1] = _share(page.sums[end, 1] - page.sums[start, 1], width)
            out[at + 2] = page.sums[end, 2] - page.sums[start, 2]
            at += 3
    for other in (row - 1, row + 1):
        level = 0
        element = tables.blocks[row, ELEMENT]
        while element >= 0 and not (
            tables.elements[element, FIRST_BLOCK] <= other < tables.elements[element, END_BLOCK]
        ):
            element = tables.elements[element, PARENT]
            level += 1
        out[at] = level
        at += 1
    return at


@kernel
def features_of(
    tables: Tables, page: Page, first: int, end: int, size: int, out: npt.NDArray[np.float32]
) -> int:
    """Write the features of the blocks from `first` to `end` into the rows of `out`.

    Args:
        tables: As `read_blocks` filled them.
        page: As `look_over` filled it.
        first: The first block.
        end: The block after the last.
        size: Bytes of the page.
        out: f32[at least end - first, features].

    Returns:
        How many features were written.
    """
    at = 0
    blocks = tables.state[BLOCKS]
    for row in range(first, end):
        facts = out[row - first]
        at = _local(tables, page, row, size, facts)
        at = _ancestors(tables, row, facts, at)
        at = _subtrees(tables, page, row, facts, at)
        at = _candidate_features(tables, page, row, facts, at)
        at = _repeats(page, row, blocks, facts, at)
        at = _neighbours(tables, page, row, facts, at)
        facts[at] = blocks
        facts[at + 1] = page.sums[blocks, 0]
        facts[at + 2] = _share(page.sums[blocks, 1], page.sums[blocks, 0])
        facts[at + 3] = page.sums[blocks, 2]
        facts[at + 4] = page.totals[0]
        facts[at + 5] = page.totals[1]
        facts[at + 6] = page.totals[2]
        at += 7
    return at
