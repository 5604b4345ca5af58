"""Pages read back by parsers that are not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import lxml.html
from resiliparse.parse.html import HTMLTree

TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body"),
    *("div", "nav", "main", "header", "footer", "section", "article", "h1", "h2", "h3"),
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
    tree = HTMLTree.parse(page)
    yield from tree.document.query_selector_all("*")


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


def texts(page: str, selector: str) -> list[str]:
    """Return the text of the elements a selector names, as an HTML5 parser sees it."""
    tree = HTMLTree.parse(page)
    return [node.text for node in tree.document.query_selector_all(selector)]


def parsed(page: str) -> Any:
    """Return the page as lxml reads it, for looking up numbers."""
    return lxml.html.fromstring(page)
