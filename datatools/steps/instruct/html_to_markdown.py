"""HTML of an answer -> Markdown that keeps its code, lists, tables and mathematics.

Owns: what each element becomes, and undoing entities that were escaped twice on their way into a
page's markup. Refuses: finding the answer in the page, and judging it.

Links become their text and images their alternative text, because an address the model cannot open
teaches it to make addresses up. Text is not escaped: `2 * 3 * 4` stays as it is written. The walk
uses no recursion, so nesting cannot exhaust the stack.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from resiliparse.parse.html import HTMLTree, NodeType

__all__ = ["html_to_markdown", "node_to_markdown", "text_to_markdown"]

_SKIPPED: Final = frozenset(
    [
        *(
            "script",
            "style",
            "noscript",
            "template",
            "head",
            "title",
            "iframe",
            "object",
            "embed",
            "svg",
        ),
        *("canvas", "audio", "video", "button", "input", "select", "textarea", "form", "nav"),
    ]
)
_BLOCKS: Final = frozenset(
    [
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "center",
            "dd",
            "details",
        ),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4"),
        *("h5", "h6", "header", "html", "li", "main", "ol", "p", "section", "summary", "table"),
        *("tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    ]
)
_MARKS: Final = {
    **dict.fromkeys(("b", "strong"), "**"),
    **dict.fromkeys(("i", "em"), "*"),
    **dict.fromkeys(("del", "s", "strike"), "~~"),
}
_LANGUAGE_CLASS: Final = re.compile(
    r"(?:^|\s)(?:lang(?:uage)?-|highlight-source-|brush:\s*)([A-Za-z0-9_+#.-]{1,30})"
)
_BLANK: Final = re.compile(r"[ \t\r\n\f\xa0]+")
_BREAK: Final = "\0"
"""A `<br>` in flight: a parser never hands out NUL in text."""

_TAGS: Final = (
    r"(?:p|br|div|span|ul|ol|li|pre|code|a|strong|em|b|i|u|h[1-6]|blockquote|table|tr|td|th|img|hr|sup"
    r"|sub|dl|dt|dd|del|s|kbd|figure|section)"
)
_IS_HTML: Final = re.compile(rf"</?{_TAGS}(?:\s[^<>]*)?/?>", re.IGNORECASE)
_WAS_HTML: Final = re.compile(
    rf"\s*<{_TAGS}(?:\s[^<>]*)?/?>|.*?(?:</?p>|<br\s*/?>)", re.IGNORECASE | re.DOTALL
)
_ENTITY: Final = re.compile(r"&(?:[A-Za-z]{2,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_TWICE: Final = re.compile(r"&amp;(?=(?:[A-Za-z]{2,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)")


def text_to_markdown(text: str) -> str:
    r"""Return a `text` property of markup as Markdown, whatever it was written as.

    Plain text keeps its lines. HTML is converted. HTML that was escaped as a whole is unescaped
    first; entities that are all escaped twice are unescaped once more (`&amp;lt;` where no `&lt;`
    stands). Text that shows a tag in passing (`use &lt;div&gt; here`) keeps it.

    Example:
        >>> text_to_markdown("&lt;p&gt;쓰세요: &lt;b&gt;a &amp;amp; b&lt;/b&gt;&lt;/p&gt;")
        '쓰세요: **a & b**'
        >>> text_to_markdown("use &lt;div&gt; here\nnot there")
        'use <div> here\nnot there'
    """
    if not _IS_HTML.search(text):
        unescaped = html.unescape(text)
        if unescaped != text and _WAS_HTML.match(unescaped):
            text = unescaped
        else:
            return _plain(html.unescape(unescaped) if _all_twice(text) else unescaped)
    if _all_twice(text):
        text = _TWICE.sub("&", text)
    return html_to_markdown(text)


def _all_twice(text: str) -> bool:
    twice = len(_TWICE.findall(text))
    # An entity escaped twice is found once as `&amp;`; any other is escaped once.
    return twice > 0 and len(_ENTITY.findall(text)) == twice


def _plain(text: str) -> str:
    lines = [line.replace("\xa0", " ").rstrip() for line in re.split(r"\r\n|\r|\n", text)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def html_to_markdown(source: str) -> str:
    r"""Return an HTML fragment or page as Markdown.

    Args:
        source: HTML; broken HTML is read as a browser reads it.

    Returns:
        Blocks separated by one blank line, without surrounding blanks. Empty if nothing is visible.

    Example:
        >>> html_to_markdown("<p>순서:</p><ol><li>열기<li><b>닫기</b></ol>")
        '순서:\n\n1. 열기\n2. **닫기**'
    """
    # A lone surrogate cannot reach the parser's UTF-8.
    source = source.encode("utf-8", "replace").decode("utf-8")
    # Without an open body the parser moves a leading script (MathJax) to the head.
    tree = HTMLTree.parse("<!doctype html><body>" + source)
    return node_to_markdown(tree.body or tree.document)


@dataclass
class _Frame:
    """An open element: finished blocks, the line being written, and table rows."""

    tag: str
    node: Any
    blocks: list[tuple[str, bool]] = field(default_factory=list)  # text, whether it is a list
    inline: list[str] = field(default_factory=list)
    cells: list[list[tuple[str, bool]]] = field(default_factory=list)
    rows: list[list[list[tuple[str, bool]]]] = field(default_factory=list)
    items: int = 0

    def flush(self) -> None:
        text = _collapse("".join(self.inline))
        self.inline.clear()
        if text:
            self.blocks.append((text, False))

    def take(self, blocks: list[tuple[str, bool]]) -> None:
        self.flush()
        self.blocks.extend(blocks)


def node_to_markdown(root: Any) -> str:
    """Return a parsed element as Markdown; see `html_to_markdown`.

    Args:
        root: An element of a `resiliparse` tree.
    """
    frames = [_Frame("div", root)]
    # Siblings one by one: a list of children is built anew at every step of its iterator.
    walk = [root.first_child]
    while True:
        node = walk.pop()
        if node is None:
            frame = frames.pop()
            if not frames:
                frame.flush()
                return _joined(frame.blocks)
            _close(frame, frames[-1])
            continue
        walk.append(node.next_sibling)
        if node.type == NodeType.TEXT:
            frames[-1].inline.append((node.value or "").replace(_BREAK, ""))
        elif node.type == NodeType.ELEMENT and not _leaf(node, frames[-1]):
            frames.append(_Frame(node.tag, node))
            walk.append(node.first_child)


def _leaf(node: Any, frame: _Frame) -> bool:
    """Write an element that has no inside to walk; return whether it was one."""
    tag = node.tag
    if tag == "br":
        frame.inline.append(_BREAK)
    elif tag == "hr":
        frame.take([("---", False)])
    elif tag == "img":
        frame.inline.append(_attribute(node, "alt"))
    elif tag == "pre":
        frame.take([(_fenced(node), False)] if node.text.strip() else [])
    elif tag in ("code", "kbd", "samp", "tt"):
        frame.inline.append(_code(node.text))
    elif tag == "math":
        frame.inline.append(_math(node))
    elif tag == "script" and _attribute(node, "type").startswith("math/tex"):
        mark = "$$" if "mode=display" in _attribute(node, "type") else "$"
        frame.inline.append(f"{mark}{node.text.strip()}{mark}")
    else:
        # What a browser does not show; KaTeX shows each formula twice, once for the eye.
        hidden = node.hasattr("hidden") or "katex-html" in _attribute(node, "class").split()
        return tag in _SKIPPED or hidden
    return True


def _close(frame: _Frame, parent: _Frame) -> None:
    tag = frame.tag
    if tag not in _BLOCKS:
        text = "".join(frame.inline)
        if not frame.blocks:
            parent.inline.append(_marked(text, tag))
        else:
            frame.flush()
            parent.take(frame.blocks)
        return
    frame.flush()
    if tag in ("td", "th"):
        parent.cells.append(frame.blocks)
    elif tag == "tr":
        parent.rows.append(frame.cells)
    elif tag in ("tbody", "thead", "tfoot"):
        parent.rows.extend(frame.rows)
    elif tag == "table":
        parent.take(frame.blocks + _table(frame.rows))
    elif tag == "li":
        parent.flush()
        if frame.blocks:
            parent.blocks.append((_item(frame, parent), True))
    elif tag in ("ul", "ol"):
        text = "\n".join(block for block, _ in frame.blocks)
        parent.take([(text, True)] if text else [])
    elif tag == "blockquote":
        lines = _joined(frame.blocks).split("\n")
        parent.take([("\n".join(f"> {line}".rstrip() for line in lines), False)])
    elif tag[0] == "h" and tag[1:].isdigit():
        text = " ".join(_joined(frame.blocks).split())
        parent.take([(f"{'#' * int(tag[1:])} {text}", False)] if text else [])
    else:
        parent.take(frame.blocks)


def _collapse(text: str) -> str:
    text = re.sub(r" ?\0 ?", "\n", _BLANK.sub(" ", text)).strip()
    return re.sub(r"\n{3,}", "\n\n", text)


def _joined(blocks: list[tuple[str, bool]]) -> str:
    return "\n\n".join(text for text, _ in blocks)


def _marked(text: str, tag: str) -> str:
    inner = text.strip(" \t\r\n\f\xa0" + _BREAK)
    if not inner:
        return text
    if tag in ("sup", "sub"):
        sign = "^" if tag == "sup" else "_"
        inner = sign + (inner if re.fullmatch(r"[\w+-]+", inner) else f"({inner})")
    else:
        mark = _MARKS.get(tag, "")
        inner = inner if inner.startswith(mark) and inner.endswith(mark) else mark + inner + mark
    # Markdown reads a mark only where it touches the word: blanks go outside.
    before = text[: len(text) - len(text.lstrip(" \t\r\n\f\xa0" + _BREAK))]
    after = text[len(text.rstrip(" \t\r\n\f\xa0" + _BREAK)) :]
    return before + inner + after


def _code(text: str) -> str:
    text = _BLANK.sub(" ", text).strip()
    if not text:
        return ""
    ticks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return ticks + pad + text + pad + ticks


def _fenced(node: Any) -> str:
    text = "".join(_verbatim(node))
    text = re.sub(r"\r\n?", "\n", text).strip("\n").rstrip()
    ticks = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    inner = node.query_selector("code")
    classes = " ".join(_attribute(each, "class") for each in (node, inner) if each is not None)
    found = _LANGUAGE_CLASS.search(classes)
    return f"{ticks}{found[1] if found else ''}\n{text}\n{ticks}"


def _verbatim(node: Any) -> Iterator[str]:
    walk = [node.first_child]
    while walk:
        child = walk.pop()
        if child is None:
            continue
        walk.append(child.next_sibling)
        if child.type == NodeType.TEXT:
            yield child.value or ""
        elif child.type == NodeType.ELEMENT and child.tag == "br":
            yield "\n"
        elif child.type == NodeType.ELEMENT:
            walk.append(child.first_child)


def _math(node: Any) -> str:
    source = node.query_selector("annotation[encoding='application/x-tex']")
    if source is not None and source.text.strip():
        mark = "$$" if _attribute(node, "display") == "block" else "$"
        return f"{mark}{source.text.strip()}{mark}"
    return str(node.text)


def _item(frame: _Frame, parent: _Frame) -> str:
    if parent.tag == "ol":
        start = _attribute(parent.node, "start")
        first = int(start) if re.fullmatch(r"[0-9]{1,6}", start) else 1
        marker = f"{first + parent.items}. "
        parent.items += 1
    else:
        marker = "- "
    text = ""
    for block, is_list in frame.blocks:
        text += ("\n" if is_list else "\n\n") * bool(text) + block
    indent = " " * len(marker)
    return marker + "\n".join(
        indent + line if number and line else line for number, line in enumerate(text.split("\n"))
    )


def _table(rows: list[list[list[tuple[str, bool]]]]) -> list[tuple[str, bool]]:
    cells = [cell for row in rows for cell in row]
    width = max((len(row) for row in rows), default=0)
    short = all(len(cell) <= 1 and not any(_is_large(*block) for block in cell) for cell in cells)
    if width < 2 or len(rows) < 2 or not short:
        return [block for cell in cells for block in cell]  # a table that only lays the page out
    texts = [
        [cell[0][0].replace("\n", " ").replace("|", "\\|") if cell else "" for cell in row]
        + [""] * (width - len(row))
        for row in rows
    ]
    lines = [f"| {' | '.join(row)} |" for row in texts]
    lines.insert(1, f"| {' | '.join(['---'] * width)} |")
    return [("\n".join(lines), False)]


def _is_large(text: str, is_list: bool) -> bool:
    return is_list or text.startswith("```") or "\n\n" in text


def _attribute(node: Any, name: str) -> str:
    return str(node.getattr(name) or "")
