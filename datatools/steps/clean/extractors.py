"""The extractors of main text, as one function from bytes to bytes that a fence can run.

Owns: which library is called with which options, and when one stands in for another. Refuses:
hostile pages (limits come before) and anything that a child process would be slow to import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

__all__ = ["ALL_TEXT", "MAIN_TEXT", "Engine", "FencedEngine", "build_extractor"]

Engine = Literal["resiliparse", "trafilatura", "cascade", "learned"]
FencedEngine = Literal["resiliparse", "trafilatura", "cascade"]

MAIN_TEXT: Final = b"m"
ALL_TEXT: Final = b"a"

_CASCADE_SHARE: Final = 0.5
"""Measured on both parts of the Web Content Extraction Benchmark: 0.5 to 0.7 beat trafilatura's own
fallbacks on each; on news articles 0.5 keeps its precision."""

# lxml silently leaves out what lies deeper than 255 elements, and all that comes after it.
_TOO_DEEP_FOR_LXML: Final = "boolean(//*[count(ancestor::*) >= 250])"


def build_extractor(engine: FencedEngine) -> Callable[[bytes], bytes]:
    """Build the function that finds a page's text. Imports and warms up what it calls.

    Args:
        engine: See `ExtractText.engine`; `learned` calls no library and needs no fence.

    Returns:
        A function from a page in UTF-8 to `MAIN_TEXT` and its main text or, if it has none, to
        `ALL_TEXT` and all its text, which can be empty.

    Example:
        >>> build_extractor("resiliparse")("<nav>Home</nav><p>본문 and text.</p>".encode()).decode()
        'm본문 and text.'
    """
    find_main = _resiliparse if engine == "resiliparse" else _trafilatura(engine == "cascade")

    def extract(page: bytes) -> bytes:
        html = page.decode()
        text = find_main(html)
        if text.strip():
            return MAIN_TEXT + text.encode()
        return ALL_TEXT + _resiliparse(html, main=False).encode()

    extract(b"<article><p>Imports and caches are not the first page's to pay for.</p></article>")
    return extract


def _resiliparse(html: str, main: bool = True) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    text: str = extract_plain_text(html, main_content=main, alt_texts=False, links=False)
    return text


def _trafilatura(cascade: bool) -> Callable[[str], str]:
    import trafilatura

    def find_main(html: str) -> str:
        tree = trafilatura.load_html(html)
        if tree is None:
            return ""
        if tree.xpath(_TOO_DEEP_FOR_LXML):
            return _resiliparse(html)
        text = trafilatura.extract(tree, fast=cascade, include_comments=not cascade) or ""
        if not cascade:
            return text
        other = _resiliparse(html)
        return other if len(text) < _CASCADE_SHARE * len(other) else text

    return find_main
