"""Tokens of HTML, read from bytes without making any: tags, comments, raw text.

Owns: where a token ends, the code of a tag's name, how many attributes it has, and what each
element does to the elements and the text around it. Refuses: the tree and the text. Every position
is checked against the end of the page, and every byte is passed once.

Names and attribute names compare in lower case; an element's code is FNV-1a of its name with the
lowest bit clear. The bit is set for elements of svg and math.

References:
    WHATWG, HTML Living Standard, 13.2.4.2 "The stack of open elements", 13.2.5 "Tokenization" and
    13.2.6 "Tree construction": the rules and the lists of elements.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import kernel

Bytes = npt.NDArray[np.uint8]

TEXT, START, END, NOTHING = range(4)
"""Kinds of token: a `<` that is text, a start tag, an end tag, what shows nothing (a comment)."""

(
    VOID,  # has no content
    RAW,  # its content is no markup
    HIDDEN,  # raw content that nobody sees
    ONCE,  # merged into the one that exists
    FORMATTING,  # reopened after whatever closed it
    MARKER,  # formatting does not leak out of it
    STAYS_SHUT,  # does not reopen formatting
    CLOSES_P,
    HEADING,
    BREAKS_OUT,  # ends svg and math
    HOSTS_HTML,  # within svg and math
    SPECIAL,  # ends the search for an element that has no end rule of its own
    ENDS_IN_SCOPE,  # has one: only the next ends its search
    SCOPE,
    BUTTON_SCOPE,
    LIST_SCOPE,
    TABLE_SCOPE,
    TABLE_PART,  # ignored outside a table
    SECTION,
    ROW,
    CELL,
    LINE,  # begins a line of text
    BLOCK,  # begins a paragraph of text
) = (1 << bit for bit in range(23))

ELEMENTS: Final = {
    VOID: "area base basefont bgsound br col embed frame hr image img input keygen link meta param "
    "source track wbr",
    RAW: "iframe noembed noframes script style textarea title xmp",
    HIDDEN: "iframe noembed noframes script style title",
    ONCE: "body frameset head html",
    FORMATTING: "a b big code em font i nobr s small strike strong tt u",
    MARKER: "applet caption marquee object td template th",
    STAYS_SHUT: "base basefont bgsound iframe link meta noembed noframes param rb rp rt rtc script "
    "source style template textarea title track",
    CLOSES_P: "address article aside blockquote center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol "
    "p plaintext pre search section summary table ul xmp",
    HEADING: "h1 h2 h3 h4 h5 h6",
    BREAKS_OUT: "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head "
    "hr i img li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt "
    "u ul var",
    SPECIAL: "address applet article aside blockquote body button caption center col colgroup dd "
    "details dir div dl dt embed fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 "
    "head header hgroup html iframe li listing main marquee menu nav noscript object ol p pre "
    "search section select summary table tbody td template textarea tfoot th thead tr ul xmp",
    ENDS_IN_SCOPE: "address applet article aside blockquote button center dd details dialog dir "
    "div dl dt fieldset figcaption figure footer form header hgroup listing main marquee menu nav "
    "object ol pre search section select summary template ul",
    SCOPE: "applet caption html marquee object table td template th",
    BUTTON_SCOPE: "button",
    LIST_SCOPE: "ol ul",
    TABLE_SCOPE: "html table template",
    TABLE_PART: "caption col colgroup tbody td tfoot th thead tr",
    SECTION: "tbody tfoot thead",
    ROW: "tr",
    CELL: "td th",
    LINE: "br caption dd dt legend li option summary tr",
    BLOCK: "address article aside blockquote body center details dialog dir div dl fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr listing main menu nav ol p "
    "plaintext pre search section select table textarea ul xmp",
}
"""Names of elements by what they do."""
_FOREIGN_ELEMENTS: Final = {
    HOSTS_HTML | SPECIAL | SCOPE: "annotation-xml desc foreignobject mi mn mo ms mtext title",
}

FOREIGN: Final = np.uint64(1)
_HTML: Final = np.uint64(0xFFFFFFFFFFFFFFFE)
_FNV_BASIS: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(0x100000001B3)


def code_of(name: str) -> np.uint64:
    """Return the code of an HTML element."""
    code = int(_FNV_BASIS)
    for byte in name.encode():
        code = (code ^ byte) * int(_FNV_PRIME) % (1 << 64)
    return np.uint64(code) & _HTML


def _flags_by_code() -> dict[np.uint64, int]:
    flags: dict[np.uint64, int] = {}
    for elements, bit in ((ELEMENTS, np.uint64(0)), (_FOREIGN_ELEMENTS, FOREIGN)):
        for flag, names in elements.items():
            for name in names.split():
                code = code_of(name) | bit
                flags[code] = flags.get(code, 0) | flag
    return flags


_FLAGS_BY_CODE: Final = sorted(_flags_by_code().items())
_CODES: Final = np.array([code for code, _ in _FLAGS_BY_CODE], dtype=np.uint64)
_FLAGS: Final = np.array([flags for _, flags in _FLAGS_BY_CODE], dtype=np.int64)


@kernel
def is_space(byte: int) -> bool:
    """Return whether a byte is one of HTML's five white-space characters."""
    return byte == 32 or 9 <= byte <= 10 or 12 <= byte <= 13


@kernel
def _lower(byte: int) -> int:
    return byte | 32 if 65 <= byte <= 90 else byte


@kernel
def flags_of(code: np.uint64) -> int:
    """Return what an element does: the flags above, 0 for one of no consequence."""
    at = np.searchsorted(_CODES, code)
    known = at < _CODES.size and _CODES[at] == code
    flags: int = _FLAGS[at] if known else 0
    return flags


@kernel
def digest_of(html: Bytes, start: int, end: int) -> np.uint64:
    """Return FNV-1a of the bytes from `start` to `end`."""
    digest = _FNV_BASIS
    for at in range(start, end):
        digest = (digest ^ np.uint64(html[at])) * _FNV_PRIME
    return digest


@kernel
def find(html: Bytes, start: int, byte: int) -> int:
    """Return the position of `byte`, or the end."""
    at = start
    while at < html.size and html[at] != byte:
        at += 1
    return at


@kernel
def _comment_end(html: Bytes, start: int) -> int:
    """Return the position after a comment whose text starts at `start`; `<!-->` is one."""
    if start < html.size and html[start] == 62:
        return start + 1
    if start + 1 < html.size and html[start] == 45 and html[start + 1] == 62:
        return start + 2
    at = start
    while at + 2 < html.size:
        if html[at] == 45 and html[at + 1] == 45:
            if html[at + 2] == 62:
                return at + 3
            if html[at + 2] == 33 and at + 3 < html.size and html[at + 3] == 62:
                return at + 4
        at += 1
    return html.size


@kernel
def raw_end(html: Bytes, start: int, name_start: int, name_end: int) -> int:
    """Return the position of the end tag that closes raw text, or the end of the page."""
    length = name_end - name_start
    at = start
    while at + 1 < html.size:
        if html[at] == 60 and html[at + 1] == 47 and at + 2 + length <= html.size:
            same = 0
            while same < length and _lower(html[at + 2 + same]) == _lower(html[name_start + same]):
                same += 1
            after = at + 2 + length
            if same == length and (
                after == html.size
                or is_space(html[after])
                or html[after] == 47
                or html[after] == 62
            ):
                return at
        at += 1
    return html.size


@kernel
def read_token(
    html: Bytes, start: int, foreign: bool
) -> tuple[int, np.uint64, int, int, bool, int]:
    """Read what starts with the `<` at `start`.

    Returns:
        kind: Text (the `<` itself), a start tag, an end tag, or nothing (comments and the like).
        code: Of the tag's name.
        name_end: Position after the name.
        attributes: Number of attributes.
        self_closed: Whether the tag ends in `/>`.
        end: Position after it all; where a text starts.
    """
    size = html.size
    at = start + 1
    nil = np.uint64(0)
    if at >= size:
        return TEXT, nil, at, 0, False, at
    kind = START
    if html[at] == 33:  # !
        if at + 2 < size and html[at + 1] == 45 and html[at + 2] == 45:
            return NOTHING, nil, at, 0, False, _comment_end(html, at + 3)
        if foreign and at + 7 < size and html[at + 1] == 91:  # [CDATA[ is text in svg and math
            return NOTHING, nil, at, 0, False, at + 8
        return NOTHING, nil, at, 0, False, min(find(html, at, 62) + 1, size)
    if html[at] == 63:  # ?
        return NOTHING, nil, at, 0, False, min(find(html, at, 62) + 1, size)
    if html[at] == 47:  # /
        kind = END
        at += 1
        if at >= size:
            return TEXT, nil, at, 0, False, start + 1
        if not 97 <= _lower(html[at]) <= 122:
            return NOTHING, nil, at, 0, False, min(find(html, at, 62) + 1, size)
    if not 97 <= _lower(html[at]) <= 122:
        return TEXT, nil, at, 0, False, start + 1

    code = _FNV_BASIS
    while at < size and not is_space(html[at]) and html[at] != 47 and html[at] != 62:
        code = (code ^ np.uint64(_lower(html[at]))) * _FNV_PRIME
        at += 1
    name_end = at
    attributes = 0
    self_closed = False
    while at < size:
        byte = html[at]
        if byte == 62:
            return kind, code & _HTML, name_end, attributes, self_closed, at + 1
        self_closed = byte == 47
        if is_space(byte) or self_closed:
            at += 1
            continue
        attributes += 1
        first = True
        while (
            at < size
            and html[at] != 62
            and html[at] != 47
            and not is_space(html[at])
            and (html[at] != 61 or first)
        ):
            first = False
            at += 1
        while at < size and is_space(html[at]):
            at += 1
        if at >= size or html[at] != 61:  # =
            continue
        at += 1
        while at < size and is_space(html[at]):
            at += 1
        if at < size and (html[at] == 34 or html[at] == 39):
            at = find(html, at + 1, html[at]) + 1
        else:
            while at < size and html[at] != 62 and not is_space(html[at]):
                at += 1
    return NOTHING, nil, name_end, attributes, False, size  # the page ends inside the tag
