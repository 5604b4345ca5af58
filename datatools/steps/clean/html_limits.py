"""What a page would cost a parser, told in one pass over its bytes.

Owns: the counts that decide whether a page may enter an HTML parser at all. Refuses: the limits'
values, the tree and the text.

Parsers of HTML are linear in size but not in shape: 38 KB of unclosed formatting elements take a
fast one 10 s and 1.3 GB, 20,000 nested elements 8 s, 40,000 attributes of one tag 3 s. The pass
below keeps the parser's stack of open elements and its list of formatting elements, so it knows the
shape of the tree without making it: what closes implicitly (a `p` at a `div`, an `li` at an `li`,
cells and rows), what formatting is reopened, what is raw text. On real pages its depth is the
parser's.

References:
    WHATWG, HTML Living Standard, 13.2.4.2 "The stack of open elements", 13.2.4.3 "The list of
    active formatting elements", 13.2.6.4.7 "The 'in body' insertion mode": the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.html_tokens import (
    BREAKS_OUT,
    BUTTON_SCOPE,
    CELL,
    CLOSES_P,
    END,
    ENDS_IN_SCOPE,
    FOREIGN,
    FORMATTING,
    HEADING,
    HOSTS_HTML,
    LIST_SCOPE,
    MARKER,
    ONCE,
    RAW,
    ROW,
    SCOPE,
    SECTION,
    SPECIAL,
    START,
    STAYS_SHUT,
    TABLE_PART,
    TABLE_SCOPE,
    TEXT,
    VOID,
    Bytes,
    code_of,
    digest_of,
    find,
    flags_of,
    is_space,
    raw_end,
    read_token,
)
from datatools.kernels.jit import kernel

__all__ = ["Excess", "HtmlShape", "measure_html"]

Excess = Literal["depth", "attributes", "formatting"]
_EXCESSES: Final[tuple[Excess | None, ...]] = (None, "depth", "attributes", "formatting")

_MOST_REOPENED: Final = 1 << 20
_SPARE: Final = 8  # room above the limits, for what one tag can open

_A: Final = code_of("a")
_ADDRESS: Final = code_of("address")
_BODY: Final = code_of("body")
_BR: Final = code_of("br")
_BUTTON: Final = code_of("button")
_CLOSED: Final = code_of("#closed")
_DD: Final = code_of("dd")
_DIV: Final = code_of("div")
_DT: Final = code_of("dt")
_FORM: Final = code_of("form")
_HTML: Final = code_of("html")
_LI: Final = code_of("li")
_MATH: Final = code_of("math")
_NOBR: Final = code_of("nobr")
_OPTGROUP: Final = code_of("optgroup")
_OPTION: Final = code_of("option")
_P: Final = code_of("p")
_PLAINTEXT: Final = code_of("plaintext")
_SVG: Final = code_of("svg")
_TABLE: Final = code_of("table")
_TBODY: Final = code_of("tbody")
_TR: Final = code_of("tr")
_XMP: Final = code_of("xmp")


@dataclass(frozen=True)
class HtmlShape:
    """What a parser would meet. The counts are complete unless one of them is over its limit.

    Attributes:
        depth: Most elements inside one another, `html` and `body` included.
        attributes: Most attributes of one tag.
        formatting: Most formatting elements (`b`, `font`, `a` ...) not closed at once.
        excess: The count that went over its limit, where counting stopped; None if none did.
    """

    depth: int
    attributes: int
    formatting: int
    excess: Excess | None


def measure_html(
    html: bytes, *, max_depth: int, max_attributes: int, max_formatting: int
) -> HtmlShape:
    """Return the shape of a page, stopping where it goes over a limit.

    A page that makes a parser reopen formatting elements more than 2**20 times is over the limit of
    `formatting` too: each time is an element of the tree.

    Args:
        html: The page in UTF-8, or in any encoding that writes markup in ASCII.
        max_depth: Most elements inside one another, at least 2.
        max_attributes: Most attributes of one tag.
        max_formatting: Most formatting elements not closed at once.

    Complexity:
        O(bytes + tags x (max_depth + max_formatting)); about 300 MB/s on real pages.

    Example:
        >>> limits = {"max_depth": 9, "max_attributes": 9, "max_formatting": 9}
        >>> measure_html(b"<p>one<p class=x id=y><b>two", **limits)
        HtmlShape(depth=4, attributes=2, formatting=1, excess=None)
        >>> measure_html(b"<div>" * 9, **limits).excess
        'depth'
    """
    size = np.zeros(5, dtype=np.int64)
    tree = _Tree(
        codes=np.zeros(max_depth + _SPARE, dtype=np.uint64),
        flags=np.zeros(max_depth + _SPARE, dtype=np.int64),
        numbers=np.zeros(max_depth + _SPARE, dtype=np.int64),
        # There are no more markers than open elements.
        waiting=np.zeros(max_formatting + max_depth + _SPARE, dtype=np.uint64),
        digests=np.zeros(max_formatting + max_depth + _SPARE, dtype=np.uint64),
        opened=np.zeros(max_formatting + max_depth + _SPARE, dtype=np.int64),
        size=size,
    )
    excess, attributes, formatting = _measure(
        np.frombuffer(html, dtype=np.uint8), tree, max_depth, max_attributes, max_formatting
    )
    return HtmlShape(int(size[_DEPTH]), int(attributes), int(formatting), _EXCESSES[excess])


# --------------------------------------------------------------------------------------------------
# The stack of open elements, and the list of formatting elements that are not closed


class _Tree(NamedTuple):
    """The state of tree construction, bottom first; arrays are filled up to their size.

    Attributes:
        codes: u64, the open elements.
        flags: i64, what they do; kept because looking it up made searches ten times slower.
        numbers: i64, the number of an open formatting element; 0 for others.
        waiting: u64, the formatting elements not closed; 0 for a marker.
        digests: u64, of their attributes as written.
        opened: i64, their numbers among the open elements; 0 where something else closed them.
        size: i64, the sizes and counts named below.
    """

    codes: npt.NDArray[np.uint64]
    flags: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    waiting: npt.NDArray[np.uint64]
    digests: npt.NDArray[np.uint64]
    opened: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]


_HEIGHT, _WAITING, _NUMBERED, _REOPENED, _DEPTH = range(5)


@kernel
def _push(tree: _Tree, code: np.uint64, number: int) -> None:
    height = tree.size[_HEIGHT]
    tree.codes[height] = code
    tree.flags[height] = flags_of(code)
    tree.numbers[height] = number
    tree.size[_HEIGHT] = height + 1
    tree.size[_DEPTH] = max(tree.size[_DEPTH], height + 1)


@kernel
def _close_to(tree: _Tree, to: int) -> None:
    """Close the open elements from place `to` up.

    Formatting elements among them wait to be reopened. Those inside a cell, a caption or an object
    end with it: the list is cut at its marker.
    """
    for place in range(tree.size[_HEIGHT] - 1, to - 1, -1):
        count = tree.size[_WAITING]
        if tree.numbers[place] > 0:
            entry = count - 1
            while entry >= 0 and tree.opened[entry] != tree.numbers[place]:
                entry -= 1
            if entry >= 0:
                tree.opened[entry] = 0
        elif tree.flags[place] & MARKER:
            while count > 0 and tree.waiting[count - 1] != 0:
                count -= 1
            tree.size[_WAITING] = max(0, count - 1)
    tree.size[_HEIGHT] = to


@kernel
def _forget(tree: _Tree, entry: int) -> None:
    """Take an entry out of the list of formatting elements."""
    last = tree.size[_WAITING] - 1
    for later in range(entry, last):
        tree.waiting[later] = tree.waiting[later + 1]
        tree.digests[later] = tree.digests[later + 1]
        tree.opened[later] = tree.opened[later + 1]
    tree.size[_WAITING] = last


@kernel
def _since_marker(tree: _Tree) -> int:
    """Return the first entry of the list after its last marker."""
    entry: int = tree.size[_WAITING]
    while entry > 0 and tree.waiting[entry - 1] != 0:
        entry -= 1
    return entry


@kernel
def _open_at(tree: _Tree, code: np.uint64, barrier: int) -> int:
    """Return the place of the innermost open `code`, or -1 if a `barrier` flag comes first."""
    place: int = tree.size[_HEIGHT] - 1
    while place >= 0 and tree.codes[place] != code:
        if tree.flags[place] & barrier:
            return -1
        place -= 1
    return place


@kernel
def _flagged_at(tree: _Tree, wanted: int, barrier: int) -> int:
    """Return the place of the innermost open element with a wanted flag, or -1 likewise."""
    place: int = tree.size[_HEIGHT] - 1
    while place >= 0:
        if tree.flags[place] & wanted:
            return place
        if tree.flags[place] & barrier:
            return -1
        place -= 1
    return -1


@kernel
def _is_foreign(tree: _Tree) -> bool:
    """Return whether what comes next is svg or math."""
    place = tree.size[_HEIGHT] - 1
    foreign: bool = (tree.codes[place] & FOREIGN) != 0
    return foreign and not tree.flags[place] & HOSTS_HTML


# --------------------------------------------------------------------------------------------------
# Formatting


@kernel
def _open_formatting(tree: _Tree, code: np.uint64, digest: np.uint64) -> None:
    """Open a formatting element. Of three that are alike, the earliest is no longer reopened."""
    alike = 0
    earliest = 0
    for entry in range(tree.size[_WAITING] - 1, _since_marker(tree) - 1, -1):
        if tree.waiting[entry] == code and tree.digests[entry] == digest:
            alike += 1
            earliest = entry
    if alike >= 3:
        _forget(tree, earliest)
    count = tree.size[_WAITING]
    tree.size[_NUMBERED] += 1
    tree.waiting[count] = code
    tree.digests[count] = digest
    tree.opened[count] = tree.size[_NUMBERED]
    tree.size[_WAITING] = count + 1
    _push(tree, code, tree.size[_NUMBERED])


@kernel
def _close_formatting(tree: _Tree, code: np.uint64, out_of_scope: bool) -> bool:
    """Close the last formatting element `code` since the last marker; False if there is none.

    What the "adoption agency algorithm" does to the stack: blocks opened inside the element stay
    open, with the formatting around them; what is inside the last block is closed. A table around
    us keeps what is outside it open, unless `out_of_scope`.
    """
    entry = tree.size[_WAITING] - 1
    first = _since_marker(tree)
    while entry >= first and tree.waiting[entry] != code:
        entry -= 1
    if entry < first:
        return False
    number = tree.opened[entry]
    if number == 0:
        _forget(tree, entry)
        return True
    place = tree.size[_HEIGHT] - 1
    while tree.numbers[place] != number:
        place -= 1
    if _flagged_at(tree, SCOPE, 0) > place and not out_of_scope:
        return True
    _forget(tree, entry)
    last_block = _flagged_at(tree, SPECIAL, 0)
    if last_block < place:
        _close_to(tree, place)
        return True
    _close_to(tree, last_block + 1)
    kept = place
    for inner in range(place + 1, last_block + 1):
        if tree.flags[inner] & SPECIAL or tree.numbers[inner] > 0:
            tree.codes[kept] = tree.codes[inner]
            tree.flags[kept] = tree.flags[inner]
            tree.numbers[kept] = tree.numbers[inner]
            kept += 1
    tree.size[_HEIGHT] = kept
    return True


@kernel
def _reopen(tree: _Tree, max_depth: int) -> None:
    """Reopen the formatting elements that wait, until one is over the limit of depth."""
    count = tree.size[_WAITING]
    entry = count
    while entry > 0 and tree.waiting[entry - 1] != 0 and tree.opened[entry - 1] == 0:
        entry -= 1
    while entry < count and tree.size[_HEIGHT] <= max_depth:
        tree.size[_NUMBERED] += 1
        tree.size[_REOPENED] += 1
        tree.opened[entry] = tree.size[_NUMBERED]
        _push(tree, tree.waiting[entry], tree.size[_NUMBERED])
        entry += 1


# --------------------------------------------------------------------------------------------------
# Tags


@kernel
def _ended_at(tree: _Tree, code: np.uint64, flags: int) -> int:
    """Return the place of the element that an end tag closes, or -1 if the tag is ignored."""
    place: int = tree.size[_HEIGHT] - 1
    while tree.codes[place] & FOREIGN:
        if tree.codes[place] == code | FOREIGN:
            return place
        place -= 1
    if flags & ONCE:
        return -1
    if flags & HEADING:
        return _flagged_at(tree, HEADING, SCOPE)
    if flags & TABLE_PART or code == _TABLE:
        return _open_at(tree, code, TABLE_SCOPE)
    if code == _P:
        return _open_at(tree, code, SCOPE | BUTTON_SCOPE)
    if code == _LI:
        return _open_at(tree, code, SCOPE | LIST_SCOPE)
    if flags & ENDS_IN_SCOPE:
        return _open_at(tree, code, SCOPE)
    return _open_at(tree, code, SPECIAL)


@kernel
def _end_tag(tree: _Tree, code: np.uint64, flags: int) -> None:
    if flags & FORMATTING and not _is_foreign(tree) and _close_formatting(tree, code, False):
        return
    place = _ended_at(tree, code, flags)
    if code == _FORM and place > 1:  # what is inside stays open, and stays inside
        tree.codes[place], tree.flags[place] = _CLOSED, 0
    elif place > 1:
        _close_to(tree, place)


@kernel
def _close_for(tree: _Tree, code: np.uint64, flags: int) -> None:
    """Close what a start tag closes by coming next."""
    if code == _TABLE:  # between the parts of a table, another one ends it
        place = _flagged_at(tree, TABLE_SCOPE | TABLE_PART, 0)
        if tree.codes[place] == _TABLE or tree.flags[place] & (SECTION | ROW):
            _close_to(tree, _open_at(tree, _TABLE, 0))
    if flags & CLOSES_P:
        place = _open_at(tree, _P, SCOPE | BUTTON_SCOPE)
        if place >= 0:
            _close_to(tree, place)
    place = tree.size[_HEIGHT] - 1
    if code in (_LI, _DD, _DT):
        other = _DT if code == _DD else _DD if code == _DT else _LI
        while tree.codes[place] != code and tree.codes[place] != other:
            through = tree.codes[place] in (_ADDRESS, _DIV, _P)
            if tree.flags[place] & SPECIAL and not through:
                return
            place -= 1
        _close_to(tree, place)
    elif code == _BUTTON:
        place = _open_at(tree, _BUTTON, SCOPE)
        if place >= 0:
            _close_to(tree, place)
    elif (flags & HEADING and tree.flags[place] & HEADING) or (
        code in (_OPTION, _OPTGROUP) and tree.codes[place] == _OPTION
    ):
        _close_to(tree, place)


@kernel
def _enter_table(tree: _Tree, flags: int) -> bool:
    """Close what a part of a table closes and open what it implies; False if there is no table."""
    place = -1
    if flags & CELL:
        place = _flagged_at(tree, ROW, TABLE_SCOPE)
    if place < 0 and flags & (CELL | ROW):
        place = _flagged_at(tree, SECTION, TABLE_SCOPE)
    if place < 0:
        place = _flagged_at(tree, TABLE_SCOPE, 0)
    if tree.codes[place] == _HTML:
        return False
    _close_to(tree, place + 1)
    if flags & (CELL | ROW) and tree.codes[place] == _TABLE:
        _push(tree, _TBODY, 0)
    if flags & CELL and not tree.flags[tree.size[_HEIGHT] - 1] & ROW:
        _push(tree, _TR, 0)
    return True


@kernel
def _start_tag(
    tree: _Tree, code: np.uint64, flags: int, digest: np.uint64, self_closed: bool, max_depth: int
) -> None:
    if _is_foreign(tree):
        if not flags & BREAKS_OUT:
            _push(tree, code | FOREIGN, 0)
            if self_closed:
                tree.size[_HEIGHT] -= 1
            return
        while _is_foreign(tree):
            tree.size[_HEIGHT] -= 1
    if flags & ONCE or (code == _FORM and _open_at(tree, _FORM, 0) >= 0):
        return
    if flags & TABLE_PART:
        if not _enter_table(tree, flags):
            return
    else:
        _close_for(tree, code, flags)
        if code in (_A, _NOBR):  # one inside another closes it
            _close_formatting(tree, code, True)
        if not flags & (STAYS_SHUT | CLOSES_P) or code == _XMP:
            _reopen(tree, max_depth)
    if tree.size[_HEIGHT] > max_depth:
        return
    if flags & FORMATTING:
        _open_formatting(tree, code, digest)
        return
    if flags & MARKER:
        tree.waiting[tree.size[_WAITING]] = 0
        tree.size[_WAITING] += 1
    foreign = code in (_SVG, _MATH)
    _push(tree, code | FOREIGN if foreign else code, 0)
    if flags & (VOID | RAW) or (foreign and self_closed):
        tree.size[_HEIGHT] -= 1


@kernel
def _text(tree: _Tree, html: Bytes, start: int, end: int, max_depth: int) -> None:
    """Reopen formatting for a text, unless it is white space between the parts of a table."""
    at = start
    if tree.flags[tree.size[_HEIGHT] - 1] & (TABLE_SCOPE | SECTION | ROW):
        while at < end and is_space(html[at]):
            at += 1
    if at < end and not _is_foreign(tree):
        _reopen(tree, max_depth)


@kernel
def _measure(
    html: Bytes, tree: _Tree, max_depth: int, max_attributes: int, max_formatting: int
) -> tuple[int, int, int]:
    """Run the tags over `tree`; return the number of the excess, attributes and formatting."""
    _push(tree, _HTML, 0)
    _push(tree, _BODY, 0)
    most_attributes = 0
    most_formatting = 0
    at = 0
    while at < html.size:
        tag = find(html, at, 60)
        _text(tree, html, at, tag, max_depth)
        at = tag
        if tag < html.size:
            kind, code, name_end, attributes, self_closed, at = read_token(
                html, tag, _is_foreign(tree)
            )
            most_attributes = max(most_attributes, attributes)
            if most_attributes > max_attributes:
                return 2, most_attributes, most_formatting
            flags = flags_of(code)
            if kind == END and code == _BR:
                kind = START
            if kind == END:
                _end_tag(tree, code, flags)
            elif kind == START:
                digest = digest_of(html, name_end, at) if flags & FORMATTING else code
                raw = flags & RAW and not _is_foreign(tree)
                _start_tag(tree, code, flags, digest, self_closed, max_depth)
                if raw:
                    at = raw_end(html, at, tag + 1, name_end)
                elif code == _PLAINTEXT:
                    at = html.size
            elif kind == TEXT:
                _text(tree, html, tag, at, max_depth)
        if tree.size[_DEPTH] > max_depth:
            return 1, most_attributes, most_formatting
        most_formatting = max(most_formatting, tree.size[_WAITING] - _since_marker(tree))
        if (
            most_formatting > max_formatting
            or tree.size[_WAITING] > max_formatting + max_depth
            or tree.size[_REOPENED] > _MOST_REOPENED
        ):
            return 3, most_attributes, most_formatting
    return 0, most_attributes, most_formatting
