"""The blocks of text of a page and the elements around them, in one pass over its bytes.

Owns: where a block starts and ends, which elements hold it, and the counts that describe both.
Refuses: what they mean. There is no tree: an element is a row that names its parent, a block is a
row that names its element, and a block is text that no block-level tag interrupts.

Elements close as readers see it rather than as the standard has it: a `p` at a block, an `li` at
an `li`, cells and rows at theirs, a link at a link. Text in scripts, styles, titles, frames and svg
is no block. What is inside `noscript` is read: forums keep their posts there.

References:
    WHATWG, HTML Living Standard, 13.1.2.4 "Optional tags" and 13.2.5 "Tokenization".
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.html_keywords import HIDING, MarkupWords, TextWords
from datatools.kernels.html_tokens import (
    BREAKS_OUT,
    CLOSES_P,
    ELEMENTS,
    END,
    RAW,
    TEXT,
    VOID,
    Bytes,
    code_of,
    find,
    is_space,
    raw_end,
    read_token,
)
from datatools.kernels.html_tokens import START as START_TAG
from datatools.kernels.jit import I64, U64, kernel

__all__ = ["KINDS", "OUT_OF_ROOM", "TOO_DEEP", "Tables", "kind_of", "make_tables", "read_blocks"]

# --------------------------------------------------------------------------------------------------
# Kinds of elements

_ELEMENT_NAMES: Final = (
    "? a abbr address article aside b blockquote body br button canvas caption center cite code "
    "col dd details dialog div dl dt em fieldset figcaption figure font footer form frame h1 h2 "
    "h3 h4 h5 h6 head header hr html i iframe img input label legend li main mark math nav nobr "
    "noembed noframes noscript object ol optgroup option p picture pre q s samp script search "
    "section select small source span strike strong style sub summary sup svg table tbody td "
    "template textarea tfoot th thead time title tr tt u ul var video audio wbr meta link base "
    "path g use kbd del ins dfn data bdi bdo big acronym ruby rb rp rt rtc embed area map track "
    "param menu hgroup plaintext xmp"
)
KINDS: Final = tuple(_ELEMENT_NAMES.split())
"""Names of elements by kind; 0 is every other."""

_INLINE: Final = (
    "a abbr acronym area audio b base bdi bdo big canvas cite code data del dfn em embed font g i "
    "iframe img input ins kbd label link map mark math meta nobr noembed noframes noscript object "
    "param path picture q rb rp rt rtc ruby s samp script small source span strike strong style "
    "sub sup svg template time title track tt u use var video wbr"
)

_SLOTS: Final = 1024


def _kind(name: str) -> int:
    return KINDS.index(name)


def _slots() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    codes = np.zeros(_SLOTS, dtype=np.uint64)
    kinds = np.zeros(_SLOTS, dtype=np.uint8)
    for kind, name in enumerate(KINDS):
        slot = int(code_of(name)) >> 20 & (_SLOTS - 1)
        while codes[slot]:
            slot = (slot + 1) % _SLOTS
        codes[slot], kinds[slot] = code_of(name), kind
    return codes, kinds


_SLOT_CODES, _SLOT_KINDS = _slots()

_IS_INLINE, _IS_VOID, _IS_RAW, _ENDS_P, _ENDS_SVG = (1 << bit for bit in range(5))


def _traits() -> npt.NDArray[np.int64]:
    traits = np.zeros(len(KINDS), dtype=np.int64)
    for trait, names in (
        (_IS_INLINE, _INLINE),
        (_IS_VOID, ELEMENTS[VOID] + " path use"),
        (_IS_RAW, ELEMENTS[RAW]),
        (_ENDS_P, ELEMENTS[CLOSES_P] + " dd dt li"),
        (_ENDS_SVG, ELEMENTS[BREAKS_OUT]),
    ):
        for name in names.split():
            if name in KINDS:
                traits[_kind(name)] |= trait
    return traits


_TRAITS: Final = _traits()
"""What an element does, by kind."""


def _kinds(names: str) -> tuple[int, ...]:
    return tuple(_kind(name) for name in names.split())


_A, _B, _STRONG, _P, _PRE, _TEXTAREA = _kinds("a b strong p pre textarea")
_TABLE, _HTML, _BODY, _HEAD, _TR, _TD = _kinds("table html body head tr td")
_TH, _TBODY, _THEAD, _TFOOT, _CAPTION = _kinds("th tbody thead tfoot caption")
_LI, _DD, _DT, _OPTION, _BR, _SVG = _kinds("li dd dt option br svg")
_IMG, _MATH, _PLAINTEXT, _TITLE, _XMP = _kinds("img math plaintext title xmp")


def _implied() -> npt.NDArray[np.int64]:
    rules = np.full((len(KINDS), 4), -1, dtype=np.int64)
    for names, closed, barriers in (
        ("li", "li li", "ul ol"),
        ("dd dt", "dd dt", "dl td"),
        ("td th", "td th", "tr table"),
        ("tr", "tr caption", "tbody table"),
        ("tbody thead tfoot", "tbody thead", "table table"),
        ("option optgroup", "option option", "select select"),
        ("a", "a a", "td th"),
    ):
        for name in names.split():
            rules[_kind(name)] = [_kind(other) for other in f"{closed} {barriers}".split()]
    return rules


_IMPLIED: Final = _implied()
"""By kind: which of two open elements the start of another closes, unless a barrier is nearer."""


@kernel
def kind_of(code: np.uint64) -> int:
    """Return the kind of an element by the code of its name; 0 for one of no consequence."""
    slot = np.int64((code >> np.uint64(20)) & np.uint64(_SLOTS - 1))
    while _SLOT_CODES[slot] != code:
        if _SLOT_CODES[slot] == 0:
            return 0
        slot = (slot + 1) % _SLOTS
    kind: int = _SLOT_KINDS[slot]
    return kind


# --------------------------------------------------------------------------------------------------
# Tables


(
    START,  # its first byte that shows
    STOP,  # after its last byte that shows
    ELEMENT,  # the innermost element at its start
    GAP,  # what is due before it: 2 a tab, 3 a new line, 4 an empty line
    PREFORMATTED,
    WIDTH,  # characters that show; wide ones (Hangul, Han, kana) count twice
    LINKED,  # width inside links
    WORDS,  # runs of letters and digits; two Han or kana are a word
    SENTENCES,  # . ! ? and their like before a space or the end
    COMMAS,
    DIGITS,
    UPPERS,  # words that start with an upper-case letter
    CASED,  # words that start with a letter that has a case
    SYMBOLS,
    LINKS,  # links that start in it
    BREAKS,  # `br`
    BOLD,  # width inside b and strong
    IMAGES,  # images since the block before
    TITLED,  # words that are words of the title
    LAST,  # class of its last character
    FIRST,  # class of its first character
    LONGEST,  # width of its longest word
    SKIPPED,  # bytes of markup since the block before
    BLOCK_COLUMNS,
) = range(24)
"""Columns of a block."""

(
    PARENT,  # -1 for the outermost
    KIND,
    FIRST_BLOCK,
    END_BLOCK,  # after its last
    IS_INLINE,
    DEPTH,  # block-level elements around it
    ELEMENT_COLUMNS,
) = range(7)
"""Columns of an element."""


BITS, DIGEST = range(2)
"""Columns of what a block says: bits of the groups of `TEXT_GROUPS`, digest of its words."""

MARKUP, SIGNATURE, PATH, KINDS_PATH = range(4)
"""Columns of an element's marks: bits of the groups of `MARKUP_GROUPS` in its attributes; digests
of its kind and its class without digits, of those from the outermost element to it, and of the
kinds alone."""

(
    BLOCKS,  # blocks read
    ELEMENTS_READ,
    TITLE_WORDS,
    LIMIT,  # which was met: 0, `OUT_OF_ROOM` or `TOO_DEEP`
    _OPEN_BLOCK,  # whether text has come since the last boundary
    _DUE,  # what is due before the next text
    _HEIGHT,  # open elements
    _LINKED,  # open links
    _BOLD,  # open b and strong
    _PREFORMATTED,  # open pre
    _FOREIGN,  # open svg
    _PARAGRAPHS,  # open p
    _FORMULAS,  # open math
    _IMAGES_SINCE,
    _LAST_END,  # where the last block ended
    _WIDE,  # Han and kana of the block
    _STATES,
) = range(17)
"""Places of the state of reading."""

OUT_OF_ROOM, TOO_DEEP = 1, 2
"""Limits that may be met: rows of the tables, depth."""


class Tables(NamedTuple):
    """What `read_blocks` fills. Few arrays, because every call of a kernel passes each of them.

    Attributes:
        blocks: i32[most blocks + 1, BLOCK_COLUMNS].
        said: u64[most blocks + 1, 2].
        elements: i32[most elements, ELEMENT_COLUMNS].
        marks: u64[most elements, 4].
        stack: i32[depth limit + 8], the open elements.
        title: u64[32], digests of the title's first words.
        state: i64[17].
    """

    blocks: npt.NDArray[np.int32]
    said: npt.NDArray[np.uint64]
    elements: npt.NDArray[np.int32]
    marks: npt.NDArray[np.uint64]
    stack: npt.NDArray[np.int32]
    title: npt.NDArray[np.uint64]
    state: npt.NDArray[np.int64]


def make_tables(most_blocks: int, most_elements: int, most_depth: int) -> Tables:
    """Return tables for a page of at most so many blocks and elements, at most so deep."""
    return Tables(
        blocks=np.empty((most_blocks + 1, BLOCK_COLUMNS), dtype=np.int32),
        said=np.empty((most_blocks + 1, 2), dtype=np.uint64),
        elements=np.empty((most_elements, ELEMENT_COLUMNS), dtype=np.int32),
        marks=np.empty((most_elements, 4), dtype=np.uint64),
        stack=np.empty(most_depth + 8, dtype=np.int32),
        title=np.empty(32, dtype=np.uint64),
        state=np.zeros(_STATES, dtype=np.int64),
    )


# --------------------------------------------------------------------------------------------------
# Characters

(
    _SYMBOL,
    _SPACE,
    _LOWER,
    _UPPER,
    _DIGIT,
    _SENTENCE,
    _COMMA,
    _AMPERSAND,
    _LESS,
    _TRAIL,
    _LEAD,
    _LETTER,  # without case, narrow
    _WIDE_LETTER,  # Hangul
    _IDEOGRAPH,  # Han and kana, which are written without spaces
) = range(14)


def _byte_classes() -> npt.NDArray[np.uint8]:
    classes = np.full(256, _SYMBOL, dtype=np.uint8)
    classes[0:33] = _SPACE
    classes[48:58] = _DIGIT
    classes[65:91] = _UPPER
    classes[97:123] = _LOWER
    classes[95] = _LOWER
    for character in b".!?":
        classes[character] = _SENTENCE
    for character in b",;:":
        classes[character] = _COMMA
    classes[38] = _AMPERSAND
    classes[60] = _LESS
    classes[0x80:0xC0] = _TRAIL
    classes[0xC0:] = _LEAD
    return classes


_LOWERED: Final = np.array([byte + 32 * (65 <= byte <= 90) for byte in range(256)], dtype=np.uint8)
_CLASSES: Final = _byte_classes()
_PRICE_BIT: Final = np.uint64(1 << 13)
_RIGHTS_BIT: Final = np.uint64(1)
_BASIS: Final = np.uint64(0xCBF29CE484222325)
_PRIME: Final = np.uint64(0x100000001B3)
_ONE: Final = np.uint64(1)
_FIVE: Final = np.uint64(5)


@kernel
def _class_of(point: int) -> int:
    """Return the class of a code point beyond ASCII."""
    if point < 0xC0:
        return _SPACE if point == 0xA0 else _SYMBOL
    if point < 0x1100:
        return _LETTER
    if 0xAC00 <= point <= 0xD7A3 or 0x1100 <= point <= 0x11FF or 0x3131 <= point <= 0x318E:
        return _WIDE_LETTER
    if 0x4E00 <= point <= 0x9FFF or 0x3040 <= point <= 0x30FF or 0x3400 <= point <= 0x4DBF:
        return _IDEOGRAPH
    if 0x2000 <= point <= 0x2BFF:
        if point <= 0x200F or point == 0x202F or point == 0x2060:
            return _SPACE
        return _SENTENCE if point == 0x2026 else _SYMBOL
    if point in (0x3000, 0xFEFF):
        return _SPACE
    if point in (0x3002, 0xFF01, 0xFF1F, 0xFF0E):
        return _SENTENCE
    if point in (0x3001, 0xFF0C, 0xFF1A, 0xFF1B):
        return _COMMA
    if 0x3003 <= point <= 0x303F or 0xFF00 <= point <= 0xFF0F or point >= 0xFFE0:
        return _SYMBOL
    if 0xE000 <= point <= 0xF8FF:
        return _SYMBOL
    return _LETTER


@kernel
def _decode(html: Bytes, at: int) -> tuple[int, int]:
    """Return the code point at a lead byte and where the next starts; broken UTF-8 is U+FFFD."""
    lead: I64 = np.int64(html[at])
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    point = lead & (0x7F >> length)
    for place in range(at + 1, at + length):
        if place >= html.size or html[place] & 0xC0 != 0x80:
            return 0xFFFD, place
        point = point << 6 | (np.int64(html[place]) & 0x3F)
    return point, at + length


@kernel
def _reference(html: Bytes, at: int) -> tuple[int, int]:
    """Return the code point of the character reference at `&` and where the next character starts.

    Named references are told apart only as far as counting needs: a space, an ampersand for every
    symbol, an `e` with an accent for every letter.
    """
    place = at + 1
    if place < html.size and html[place] == 35:  #
        place += 1
        base = 10
        if place < html.size and html[place] | 32 == 120:
            base = 16
            place += 1
        point = 0
        first = place
        while place < html.size and place < first + 8:
            byte: I64 = np.int64(html[place])
            if 48 <= byte <= 57:
                digit = byte - 48
            elif base == 16 and 97 <= byte | 32 <= 102:
                digit = (byte | 32) - 87
            else:
                break
            point = point * base + digit
            place += 1
        if place == first:
            return 38, at + 1
        if place < html.size and html[place] == 59:
            place += 1
        return point, place
    first = place
    while place < html.size and place < first + 10 and _CLASSES[html[place]] in (2, 3, 4):
        place += 1
    if place == first or place >= html.size or html[place] != 59:
        return 38, at + 1
    if place == first + 4 and html[first] == 110 and html[first + 1] == 98:  # &nbsp;
        return 0xA0, place + 1
    if place == first + 4 and html[first] == 99 and html[first + 1] == 111:  # &copy;
        return 0xA9, place + 1
    accented = place - first >= 4 and html[place - 1] in (99, 101, 103, 104, 108)
    return (0xE9 if accented else 38), place + 1


# --------------------------------------------------------------------------------------------------
# Text


@kernel
def _bits_of(words: TextWords, digest: np.uint64) -> U64:
    """Return the bit of the word's group, 0 without one."""
    last = np.uint64(words.digests.size - 1)
    slot = digest & last
    while words.digests[slot] != 0:
        if words.digests[slot] == digest:
            return words.bits[slot]
        slot = (slot + _ONE) & last
    return np.uint64(0)


@kernel
def _take_in(digest: U64, point: int) -> U64:
    """Take the UTF-8 bytes of a character beyond ASCII into a digest."""
    length = 2 if point < 0x800 else 3 if point < 0x10000 else 4
    digest = (digest ^ np.uint64((0xF00 >> length & 0xFF) | point >> 6 * (length - 1))) * _PRIME
    for place in range(length - 2, -1, -1):
        digest = (digest ^ np.uint64(0x80 | point >> 6 * place & 0x3F)) * _PRIME
    return digest


@kernel
def _read_text(html: Bytes, start: int, end: int, tables: Tables, words: TextWords) -> int:
    """Read text up to the next `<` that may be markup, or up to `end`; return where that is."""
    state, title = tables.state, tables.title
    row = state[BLOCKS]
    block = tables.blocks[row]
    at = start
    if not state[_OPEN_BLOCK]:
        while at < end and html[at] <= 32:
            at += 1
        if at >= end or (html[at] == 60 and at > start):
            return at
    first = at
    bits, said = tables.said[row, BITS], tables.said[row, DIGEST]
    longest = block[LONGEST]
    width = titled = word_width = 0
    digest = _BASIS
    in_word = pending = ended = False
    while not ended:
        here = at
        kind: I64 = _SPACE  # what ends the text ends a word as a space does
        point: I64 = 0
        if at >= end or (html[at] == 60 and at > first):
            ended = True
        else:
            point = np.int64(html[at])
            kind = np.int64(_CLASSES[point])
            at += 1
            if kind == _LEAD:
                point, at = _decode(html, here)
                kind = _class_of(point)
            elif kind == _AMPERSAND:
                point, at = _reference(html, here)
                kind = np.int64(_CLASSES[point]) if point < 128 else _class_of(point)
                if _AMPERSAND <= kind <= _LEAD:
                    kind = _SYMBOL
            if kind != _SPACE:
                if not state[_OPEN_BLOCK]:
                    _open_block(tables, here)
                    block[FIRST] = kind
                block[STOP] = at
                block[LAST] = kind
        if _LOWER <= kind <= _DIGIT or kind >= _LETTER:
            if not in_word:
                in_word = True
                word_width = 0
                digest = _BASIS
                block[WORDS] += 1
                block[UPPERS] += kind == _UPPER
                block[CASED] += kind <= _UPPER
            if kind == _DIGIT:
                block[DIGITS] += 1
            elif kind == _IDEOGRAPH:
                state[_WIDE] += 1
                block[WORDS] += state[_WIDE] % 2 == 0
            if point < 128:
                digest = (digest ^ np.uint64(_LOWERED[point])) * _PRIME
            else:
                digest = _take_in(digest, point)
            size = 2 if kind >= _WIDE_LETTER else 1
            word_width += size
            width += size
            pending = False
            continue
        if in_word:
            in_word = False
            said = (said ^ digest) * _PRIME
            bits |= _bits_of(words, digest)
            longest = max(longest, word_width)
            for place in range(state[TITLE_WORDS]):
                titled += title[place] == digest
        if kind == _SPACE:
            block[SENTENCES] += pending
            pending = False
            continue
        width += 1
        if kind == _SENTENCE:
            pending = True
        elif kind == _COMMA:
            block[COMMAS] += 1
        else:  # quotes and brackets may follow a sentence's end
            block[SYMBOLS] += 1
            if point in (0x24, 0xA3, 0x20AC, 0x20A9):
                bits |= _PRICE_BIT
            elif point == 0xA9:
                bits |= _RIGHTS_BIT
    tables.said[row, BITS], tables.said[row, DIGEST] = bits, said
    block[LONGEST] = longest
    block[TITLED] += titled
    block[WIDTH] += width
    if state[_LINKED]:
        block[LINKED] += width
    if state[_BOLD]:
        block[BOLD] += width
    return at


@kernel
def _open_block(tables: Tables, at: int) -> None:
    state = tables.state
    block = tables.blocks[state[BLOCKS]]
    block[START] = at
    block[ELEMENT] = tables.stack[state[_HEIGHT] - 1]
    block[GAP] = state[_DUE]
    block[PREFORMATTED] = 1 if state[_PREFORMATTED] > 0 else 0
    block[LINKS] = 1 if state[_LINKED] > 0 else 0
    block[IMAGES] = state[_IMAGES_SINCE]
    block[SKIPPED] = at - state[_LAST_END]
    state[_OPEN_BLOCK] = 1
    state[_DUE] = 0
    state[_WIDE] = 0


@kernel
def _end_block(tables: Tables) -> None:
    state = tables.state
    state[_OPEN_BLOCK] = 0
    state[_LAST_END] = tables.blocks[state[BLOCKS], STOP]
    state[_IMAGES_SINCE] = 0
    state[BLOCKS] += 1
    if state[BLOCKS] >= tables.blocks.shape[0]:
        state[LIMIT] = OUT_OF_ROOM
        state[BLOCKS] -= 1
    row = state[BLOCKS]
    tables.blocks[row, :] = 0
    tables.said[row, BITS] = 0
    tables.said[row, DIGEST] = _BASIS


@kernel
def _read_title(html: Bytes, start: int, end: int, tables: Tables) -> None:
    """Keep the digests of the title's words, in lower case as far as ASCII goes."""
    state = tables.state
    digest = _BASIS
    inside = False
    for at in range(start, end + 1):
        kind = np.int64(_CLASSES[html[at]]) if at < end else _SPACE
        if kind in (_LOWER, _DIGIT, _TRAIL, _LEAD):
            digest = (digest ^ np.uint64(html[at])) * _PRIME
            inside = True
        elif kind == _UPPER:
            digest = (digest ^ np.uint64(html[at] | 32)) * _PRIME
            inside = True
        else:
            if inside and state[TITLE_WORDS] < tables.title.size:
                tables.title[state[TITLE_WORDS]] = digest
                state[TITLE_WORDS] += 1
            digest = _BASIS
            inside = False


# --------------------------------------------------------------------------------------------------
# Elements


@kernel
def _push(
    tables: Tables,
    kind: int,
    code: np.uint64,
    markup: np.uint64,
    digest: np.uint64,
) -> None:
    state = tables.state
    row = state[ELEMENTS_READ]
    if row >= tables.elements.shape[0]:
        state[LIMIT] = OUT_OF_ROOM
        return
    if state[_HEIGHT] >= tables.stack.size - 8:
        state[LIMIT] = TOO_DEEP
        return
    parent = tables.stack[state[_HEIGHT] - 1] if state[_HEIGHT] else -1
    element = tables.elements[row]
    element[PARENT] = parent
    element[KIND] = kind
    element[FIRST_BLOCK] = state[BLOCKS] + state[_OPEN_BLOCK]
    element[END_BLOCK] = -1
    inline = 1 if _TRAITS[kind] & _IS_INLINE else 0
    element[IS_INLINE] = inline
    signature = (code ^ digest) * _PRIME
    if parent >= 0:
        element[DEPTH] = tables.elements[parent, DEPTH] + 1 - inline
        tables.marks[row, PATH] = ((tables.marks[parent, PATH] ^ signature) * _PRIME) ^ (
            signature >> _FIVE
        )
        tables.marks[row, KINDS_PATH] = (tables.marks[parent, KINDS_PATH] ^ code) * _PRIME
    else:
        element[DEPTH] = 0
        tables.marks[row, PATH] = signature
        tables.marks[row, KINDS_PATH] = code
    tables.marks[row, MARKUP] = markup
    tables.marks[row, SIGNATURE] = signature
    tables.stack[state[_HEIGHT]] = row
    state[_HEIGHT] += 1
    state[ELEMENTS_READ] += 1
    if kind == _A:
        state[_LINKED] += 1
        if state[_OPEN_BLOCK]:
            tables.blocks[state[BLOCKS], LINKS] += 1
    elif kind in (_B, _STRONG):
        state[_BOLD] += 1
    elif kind == _P:
        state[_PARAGRAPHS] += 1
    elif kind == _MATH:
        state[_FORMULAS] += 1
    elif kind in (_PRE, _TEXTAREA):
        state[_PREFORMATTED] += 1


@kernel
def _left(state: npt.NDArray[np.int64], kind: int) -> None:
    """Take back what an open element of this kind counts for."""
    if kind == _A:
        state[_LINKED] -= 1
    elif kind in (_B, _STRONG):
        state[_BOLD] -= 1
    elif kind == _P:
        state[_PARAGRAPHS] -= 1
    elif kind == _MATH:
        state[_FORMULAS] -= 1
    elif kind in (_PRE, _TEXTAREA):
        state[_PREFORMATTED] -= 1


@kernel
def _close_to(tables: Tables, height: int) -> None:
    """Close the open elements down to a height."""
    state = tables.state
    while state[_HEIGHT] > height:
        state[_HEIGHT] -= 1
        element = tables.elements[tables.stack[state[_HEIGHT]]]
        _left(state, element[KIND])
        element[END_BLOCK] = state[BLOCKS] + state[_OPEN_BLOCK]


@kernel
def _close_implied(tables: Tables, kind: int) -> None:
    """Close what a start tag closes by coming next."""
    state = tables.state
    if _TRAITS[kind] & _ENDS_P:
        place = state[_HEIGHT] - 1
        while place > 0:  # a `p` holds only inline elements
            found = tables.elements[tables.stack[place], KIND]
            if found == _P:
                _close_to(tables, place)
                break
            if not _TRAITS[found] & _IS_INLINE:
                break
            place -= 1
    if _IMPLIED[kind, 0] < 0:
        return
    wanted, other = _IMPLIED[kind, 0], _IMPLIED[kind, 1]
    place = state[_HEIGHT] - 1
    while place > 0:
        found = tables.elements[tables.stack[place], KIND]
        if found in (wanted, other):
            break
        if found == _IMPLIED[kind, 2] or found == _IMPLIED[kind, 3] or found == _TABLE:
            return
        place -= 1
    if place <= 0:
        return
    if kind == _A:
        _close_inline(tables, place)
    else:
        _close_to(tables, place)


@kernel
def _close_inline(tables: Tables, place: int) -> None:
    """End an inline element: closed with what is in it, or, if that is a block, in name only."""
    state = tables.state
    for inner in range(place + 1, state[_HEIGHT]):
        if not tables.elements[tables.stack[inner], IS_INLINE]:
            element = tables.elements[tables.stack[place]]
            _left(state, element[KIND])
            element[KIND] = 0
            return
    _close_to(tables, place)


@kernel
def _end_tag(tables: Tables, kind: int, code: np.uint64) -> None:
    state = tables.state
    traits = _TRAITS[kind]
    if kind in (_HTML, _BODY, _HEAD) or traits & _IS_VOID:
        return
    # A table keeps the elements around it from being closed by what is in it, as cells do.
    place = state[_HEIGHT] - 1
    in_table = kind in (_TABLE, _TR, _TD, _TH, _TBODY, _THEAD, _TFOOT, _CAPTION)
    while place > 0:
        row = tables.stack[place]
        found = tables.elements[row, KIND]
        parent = tables.elements[row, PARENT]
        if found == kind and (
            kind != 0
            or tables.marks[row, KINDS_PATH] == (tables.marks[parent, KINDS_PATH] ^ code) * _PRIME
        ):
            break
        if found == _TABLE or (not in_table and (found in (_TD, _TH))):
            return
        place -= 1
    if place <= 0:
        return
    if traits & _IS_INLINE and kind != _MATH:
        _close_inline(tables, place)
    else:
        _close_to(tables, place)


# --------------------------------------------------------------------------------------------------
# Tags

_ENDS_NAME: Final = np.array([byte in b"\t\n\f\r />=" for byte in range(256)])


def _name_digest(name: str) -> np.uint64:
    digest = int(_BASIS)
    for byte in name.encode():
        digest = (digest ^ byte) * int(_PRIME) % (1 << 64)
    return np.uint64(digest)


_CLASS, _ID, _ROLE, _ITEMPROP, _ITEMTYPE, _ARIA_LABEL, _STYLE, _HIDDEN, _ARIA_HIDDEN, _TESTID = (
    _name_digest(name)
    for name in (
        "class", "id", "role", "itemprop", "itemtype", "aria-label", "style", "hidden",
        "aria-hidden", "data-testid",
    )
)  # fmt: skip


@kernel
def _read_start_tag(
    html: Bytes, at: int, markup: MarkupWords
) -> tuple[np.uint64, np.uint64, bool, int]:
    """Read the attributes of a start tag from after its name.

    Returns:
        bits: Groups of `MARKUP_GROUPS` with a word in the attributes.
        digest: Of the class without its digits; 0 without one.
        self_closed: Whether the tag ends in `/>`.
        end: Position after the tag; one more than the page's size if the page ends inside.
    """
    size = html.size
    bits = np.uint64(0)
    digest = np.uint64(0)
    self_closed = False
    while at < size:
        byte = html[at]
        if byte == 62:
            return bits, digest, self_closed, at + 1
        self_closed = byte == 47
        if self_closed or is_space(byte):
            at += 1
            continue
        name = (_BASIS ^ np.uint64(_LOWERED[byte])) * _PRIME
        at += 1
        while at < size and not _ENDS_NAME[html[at]]:
            name = (name ^ np.uint64(_LOWERED[html[at]])) * _PRIME
            at += 1
        while at < size and is_space(html[at]):
            at += 1
        if at >= size or html[at] != 61:
            if name == _HIDDEN:
                bits |= HIDING
            continue
        at += 1
        while at < size and is_space(html[at]):
            at += 1
        start = at
        if at < size and (html[at] == 34 or html[at] == 39):
            start = at + 1
            end = find(html, start, html[at])
            at = end + 1
        else:
            while at < size and html[at] != 62 and not is_space(html[at]):
                at += 1
            end = at
        if end >= size:
            continue
        if name in (_CLASS, _ID, _ROLE, _ITEMPROP, _ITEMTYPE, _ARIA_LABEL, _TESTID):
            bits |= _search(html, start, end, markup)
            if name == _CLASS:
                digest = _BASIS
                for place in range(start, end):
                    if not 48 <= html[place] <= 57:
                        digest = (digest ^ np.uint64(html[place])) * _PRIME
        elif name == _STYLE:
            if _hides(html, start, end, markup):
                bits |= HIDING
        elif name == _HIDDEN or (
            name == _ARIA_HIDDEN and end == start + 4 and html[start] | 32 == 116
        ):
            bits |= HIDING
    return bits, digest, False, size + 1


@kernel
def _search(html: Bytes, start: int, end: int, markup: MarkupWords) -> np.uint64:
    """Return the bits of the groups with a word in a value."""
    bits = np.uint64(0)
    state = np.uint16(1)
    blank = True
    for at in range(start, end):
        symbol = markup.symbols[html[at]]
        if symbol == 0 and blank:
            continue
        blank = symbol == 0
        state = markup.next[state, symbol]
        bits |= markup.found[state]
    if not blank:
        bits |= markup.found[markup.next[state, 0]]
    return bits


@kernel
def _hides(html: Bytes, start: int, end: int, markup: MarkupWords) -> bool:
    state = np.uint16(1)
    blank = True
    for at in range(start, end):
        symbol = markup.symbols[html[at]]
        if symbol == 0 and blank:
            continue
        blank = symbol == 0
        state = markup.next[state, symbol]
        if markup.hiding[state]:
            return True
    return False


@kernel
def _gap(kind: int) -> int:
    """Return what a tag of this kind makes due: 2 a tab, 3 a new line, 4 an empty line."""
    if kind in (_TD, _TH):
        return 2
    if kind in (_LI, _TR, _DD, _DT, _OPTION, _BR, _CAPTION, _TBODY, _THEAD, _TFOOT):
        return 3
    return 4


@kernel
def read_blocks(
    html: Bytes, start: int, tables: Tables, markup: MarkupWords, words: TextWords
) -> None:
    """Fill the tables from a page in UTF-8, read from `start`: 3 after a byte-order mark, else 0.

    Where a limit is met (`counts[3]`), the tables hold what came before it.

    Complexity:
        O(bytes + tags x depth).
    """
    state = tables.state
    state[:] = 0
    tables.blocks[0, :] = 0
    tables.said[0, BITS] = 0
    tables.said[0, DIGEST] = _BASIS
    _push(tables, _HTML, np.uint64(0), np.uint64(0), np.uint64(0))
    titled = False
    at = start
    while at < html.size and state[LIMIT] == 0:
        if html[at] != 60:
            if state[_FOREIGN] > 0:
                at = find(html, at, 60)
            else:
                at = _read_text(html, at, html.size, tables, words)
            continue
        next_byte = html[at + 1] | 32 if at + 1 < html.size else 0
        if not 97 <= next_byte <= 122:
            token, code, _, _, _, end = read_token(html, at, state[_FOREIGN] + state[_FORMULAS] > 0)
            if token == TEXT and state[_FOREIGN] == 0:
                at = _read_text(html, at, html.size, tables, words)
                continue
            at = end
            if token != END:
                continue
            kind = kind_of(code)
            if state[_FOREIGN] > 0:
                if kind == 0 or _TRAITS[kind] & _IS_INLINE:
                    state[_FOREIGN] -= kind == _SVG
                    continue
                state[_FOREIGN] = 0  # the end of a block around it ends it too
            if not _TRAITS[kind] & _IS_INLINE:
                if state[_OPEN_BLOCK]:
                    _end_block(tables)
                state[_DUE] = max(state[_DUE], _gap(kind))
            _end_tag(tables, kind, code)
            continue
        name_start = at + 1
        at = name_start
        code = _BASIS
        while at < html.size and (not _ENDS_NAME[html[at]] or html[at] == 61):
            code = (code ^ np.uint64(_LOWERED[html[at]])) * _PRIME
            at += 1
        code &= np.uint64(0xFFFFFFFFFFFFFFFE)
        name_end = at
        bits, digest, self_closed, at = _read_start_tag(html, at, markup)
        if at > html.size:  # the page ends inside the tag
            break
        kind = kind_of(code)
        traits = _TRAITS[kind]
        if kind == _SVG:
            state[_FOREIGN] += not self_closed
            continue
        if state[_FOREIGN] > 0:
            if not traits & _ENDS_SVG:
                continue
            state[_FOREIGN] = 0
        if kind == _BR:
            if state[_OPEN_BLOCK]:
                tables.blocks[state[BLOCKS], BREAKS] += 1
            continue
        if kind == _IMG:
            state[_IMAGES_SINCE] += 1
        if not traits & _IS_INLINE:
            if state[_OPEN_BLOCK]:
                _end_block(tables)
            state[_DUE] = max(state[_DUE], _gap(kind))
        if kind in (_HTML, _BODY, _HEAD):
            # They are one element, the outermost; what they say of themselves is kept.
            tables.marks[0, MARKUP] |= bits
            continue
        if (traits & _ENDS_P and state[_PARAGRAPHS]) or (
            _IMPLIED[kind, 0] >= 0 and (kind != _A or state[_LINKED])
        ):
            _close_implied(tables, kind)
        if kind == _PLAINTEXT:
            _push(tables, kind, code, bits, digest)
            while at < html.size and state[LIMIT] == 0:
                at = _read_text(html, at, html.size, tables, words)
            break
        if traits & _IS_RAW:
            end = raw_end(html, at, name_start, name_end)
            if kind == _TITLE and not titled:
                titled = True
                _read_title(html, at, end, tables)
            elif kind in (_TEXTAREA, _XMP):
                _push(tables, kind, code, bits, digest)
                height = state[_HEIGHT]
                while at < end and state[LIMIT] == 0:
                    at = _read_text(html, at, end, tables, words)
                if state[_OPEN_BLOCK]:
                    _end_block(tables)
                state[_DUE] = max(state[_DUE], 4)
                if state[LIMIT] == 0:
                    _close_to(tables, height - 1)
            at = end
            continue
        if traits & _IS_VOID:
            continue
        _push(tables, kind, code, bits, digest)
    if state[_OPEN_BLOCK]:
        _end_block(tables)
    state[_DUE] = max(state[_DUE], 4)
    _close_to(tables, 0)


# --------------------------------------------------------------------------------------------------
# Back to text


@kernel
def write_blocks(html: Bytes, tables: Tables, keep: npt.NDArray[np.bool_], out: Bytes) -> int:
    """Write the text of the blocks to keep; return its length.

    White space is collapsed outside `pre` and `textarea`, `br` begins a line, and a link that
    follows another at once is kept apart from it. Character references stay as they are.

    Args:
        html: The page that the tables were read from.
        tables: As `read_blocks` filled them.
        keep: bool[blocks].
        out: At least two bytes longer than the page, written.
    """
    size = 0
    last = -2
    for row in range(tables.state[BLOCKS]):
        if not keep[row]:
            continue
        block = tables.blocks[row]
        gap = block[GAP]
        if last != row - 1:
            gap = max(gap, 3)
        if size > 0:
            out[size] = 9 if gap == 2 else 10
            size += 1
            if gap == 4:
                out[size] = 10
                size += 1
        last = row
        kind = tables.elements[block[ELEMENT], KIND]
        verbatim = kind in (_TEXTAREA, _XMP, _PLAINTEXT)
        element = block[ELEMENT]
        while element >= 0 and tables.elements[element, KIND] != _MATH:
            element = tables.elements[element, PARENT]
        size = _write_block(html, block, verbatim, element >= 0, out, size)
    return size


@kernel
def _write_block(
    html: Bytes, block: npt.NDArray[np.int32], verbatim: bool, foreign: bool, out: Bytes, size: int
) -> int:
    first = size
    gap = 0
    after_link = False
    at: I64 = np.int64(block[START])
    end: I64 = np.int64(block[STOP])
    while at < end:
        byte: I64 = html[at]
        if byte == 60 and not verbatim:
            token, code, name_end, _, self_closed, after = read_token(html, at, foreign)
            if token != TEXT:
                kind = kind_of(code)
                name_start = at + 1
                at = after
                if token == START_TAG:
                    if kind == _BR:
                        gap = 3
                    elif kind == _A and after_link and gap == 0:
                        gap = 1
                    elif kind == _SVG and not self_closed:
                        at = _svg_end(html, at)
                    elif _TRAITS[kind] & _IS_RAW:
                        at = raw_end(html, at, name_start, name_end)
                elif token == END and kind == _A:
                    after_link = True
                continue
        at += 1
        if is_space(byte) and not block[PREFORMATTED]:
            gap = max(gap, 1)
            continue
        if gap > 0 and size > first:
            out[size] = 10 if gap == 3 else 32
            size += 1
        gap = 0
        after_link = False
        out[size] = byte
        size += 1
    return size


@kernel
def _svg_end(html: Bytes, at: int) -> int:
    """Return where the svg ends whose start tag ends at `at`: as `read_blocks` passes it."""
    depth = 1
    while depth > 0:
        at = find(html, at, 60)
        if at >= html.size:
            return html.size
        token, code, _, _, self_closed, end = read_token(html, at, True)
        kind = kind_of(code)
        if token == START_TAG and kind == _SVG:
            depth += not self_closed
        elif token == END and kind == _SVG:
            depth -= 1
        elif (token == START_TAG and _TRAITS[kind] & _ENDS_SVG) or (
            token == END and kind != 0 and not _TRAITS[kind] & _IS_INLINE
        ):
            return at
        at = end
    return at
