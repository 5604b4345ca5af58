"""The text of a page without a parser: for the pages that no parser should see.

Owns: a tag stripper and the page's title, both linear in the page's size whatever its markup.
Refuses: telling main content from the rest, and any limit.
"""

from __future__ import annotations

import html as entities
from typing import Final

import numpy as np

from datatools.kernels.html_tokens import (
    BLOCK,
    CELL,
    HIDDEN,
    LINE,
    RAW,
    START,
    TEXT,
    Bytes,
    code_of,
    find,
    flags_of,
    is_space,
    raw_end,
    read_token,
)
from datatools.kernels.jit import kernel

__all__ = ["find_title", "strip_tags"]

_TITLE_CHARS: Final = 1000

_PLAINTEXT: Final = code_of("plaintext")
_PRE: Final = code_of("pre")
_SVG: Final = code_of("svg")
_TITLE: Final = code_of("title")


def strip_tags(html: bytes) -> str:
    r"""Return the visible text of a page in document order: no tree, no main content, no limit.

    Scripts, styles, comments and the title are left out; character references are decoded; block
    elements begin lines; white space is collapsed outside `pre`. Bytes that are not UTF-8 become
    U+FFFD.

    Complexity:
        O(bytes), whatever the markup.

    Example:
        >>> strip_tags("<h1>제목</h1><script>1<2</script><p>a &lt; b<br>둘".encode())
        '제목\n\na < b\n둘'
    """
    out = np.empty(len(html) + 1, dtype=np.uint8)
    size = int(_strip(np.frombuffer(html, dtype=np.uint8), out))
    return entities.unescape(out[:size].tobytes().decode("utf-8", "replace"))


def find_title(html: bytes) -> str | None:
    r"""Return the page's title in one line, at most 1,000 characters, or None if it has none.

    The first `title` outside svg counts. White space is collapsed; an empty title is none.

    Example:
        >>> find_title(b"<title> Caf&eacute;\n 1 </title>")
        'Café 1'
    """
    start, end = _title_span(np.frombuffer(html, dtype=np.uint8))
    title = entities.unescape(html[start:end].decode("utf-8", "replace"))
    return " ".join(title.split())[:_TITLE_CHARS].rstrip() or None


@kernel
def _strip(html: Bytes, out: Bytes) -> int:
    """Write the visible text into `out`, which is as long as the page; return its length.

    A break is written when the next visible byte comes, and each stands for at least one byte of
    markup, so the text is never longer than the page.
    """
    size = 0
    gap = 0  # what is due before the next byte: 1 a space, 2 a tab, 3 a new line, 4 an empty line
    preformatted = 0
    plain = False
    at = 0
    while at < html.size:
        byte = html[at]
        if byte == 60 and not plain:
            name_start = at + 1
            kind, code, name_end, _, _, end = read_token(html, at, False)
            if kind != TEXT:
                at = end
                flags = flags_of(code)
                if flags & BLOCK:
                    gap = 4
                elif flags & LINE:
                    gap = max(gap, 3)
                elif flags & CELL:
                    gap = max(gap, 2)
                if code == _PRE:
                    preformatted = max(0, preformatted + (1 if kind == START else -1))
                elif kind == START and flags & HIDDEN:
                    at = raw_end(html, at, name_start, name_end)
                elif kind == START and code == _PLAINTEXT:
                    plain = True
                continue
        at += 1
        if is_space(byte) and preformatted == 0:
            gap = max(gap, 1)
            continue
        if gap > 0 and size > 0:
            if gap == 4:
                out[size] = 10
                size += 1
            out[size] = 32 if gap == 1 else 9 if gap == 2 else 10
            size += 1
        gap = 0
        out[size] = byte
        size += 1
    return size


@kernel
def _title_span(html: Bytes) -> tuple[int, int]:
    """Return where the text of the first title outside svg starts and ends; (0, 0) without one."""
    foreign = 0
    at = 0
    while True:
        name_start = find(html, at, 60) + 1
        if name_start > html.size:
            return 0, 0
        kind, code, name_end, _, self_closed, at = read_token(html, name_start - 1, foreign > 0)
        if code == _SVG and not self_closed:
            foreign = max(0, foreign + (1 if kind == START else -1))
        if kind == START and foreign == 0 and flags_of(code) & RAW:
            end = raw_end(html, at, name_start, name_end)
            if code == _TITLE:
                return at, end
            at = end
