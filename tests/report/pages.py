"""Pages read back by parsers that are not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import lxml.html
from resiliparse.parse.html import HTMLTree, NodeType

TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body"),
    *("div", "nav", "main", "header", "footer", "section", "article", "h1", "h2", "h3", "h4"),
    *("p", "ol", "ul", "li", "dl", "dt", "dd", "a", "span", "code", "strong", "pre", "data"),
    *("details", "summary", "figure", "figcaption", "del", "ins", "mark"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("svg", "rect", "line", "circle", "polyline", "polygon", "text"),
}

ATTRIBUTES = {
    "*": {"class", "lang", "dir", "id", "role", "aria-label"},
    "meta": {"charset", "name", "content", "http-equiv"},
    "link": {"rel", "href"},
    "a": {"href"},
    "data": {"value"},
    "details": {"open"},
    "th": {"scope", "colspan"},
    "td": {"colspan", "data-label"},
    "svg": {"viewbox", "width", "height", "preserveaspectratio"},
    "rect": {"x", "y", "width", "height"},
    "line": {"x1", "y1", "x2", "y2"},
    "circle": {"cx", "cy", "r"},
    "polyline": {"points"},
    "polygon": {"points"},
    "text": {"x", "y", "text-anchor"},
}


def elements(page: str) -> Iterator[Any]:
    """Yield every element of a page as an HTML5 parser sees it."""
    # A collection of `query_selector_all` is slow: each step walks it from the beginning.
    tree = HTMLTree.parse(page)
    for node in tree.document:
        if node.type == NodeType.ELEMENT:
            yield node


def foreign(page: str) -> list[str]:
    """Return what a page holds beyond the elements and attributes it may hold."""
    found = []
    for node in elements(page):
        if node.tag not in TAGS:
            found.append(f"<{node.tag}>")
        allowed = ATTRIBUTES["*"] | ATTRIBUTES.get(node.tag, set())
        for name in node.attrs or ():
            value = node.getattr(name) or ""
            if name.lower() not in allowed:
                found.append(f"<{node.tag} {name}>")
            if name == "href" and not re.fullmatch(r"#[a-z]+|data:,", value):
                found.append(f"<{node.tag} href={value}>")
            if name == "id" and not re.fullmatch(r"[a-z]+", value):
                found.append(f"<{node.tag} id={value}>")
    return found


def texts(page: str, tag: str, class_: str = "") -> list[str]:
    """Return the text of the elements of a name and class, as an HTML5 parser sees it."""
    return [
        node.text
        for node in elements(page)
        if node.tag == tag and (not class_ or class_ in (node.class_name or "").split())
    ]


def parsed(page: str) -> Any:
    """Return the page as lxml reads it, for looking up numbers."""
    return lxml.html.fromstring(page)
