"""JSON-LD blocks of a page, read as leniently as search engines read them.

Owns: getting a JSON value out of a block that people and content systems have damaged. Refuses:
what the value means.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any, Final

import orjson

__all__ = ["load_json_ld"]

_OPENING: Final = re.compile(r"\s*(?://\s*|/\*\s*)?(?:<!--|<!\[CDATA\[)(?:\s*\*/)?")
_CLOSING: Final = re.compile(r"(?://\s*|/\*\s*)?(?:-->|\]\]>)(?:\s*\*/)?$")
# Strings and comments run to the end where theirs is missing: so every character is read once.
_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))|(?P<comma>,(?=\s*[}\]]))|(?P<comment>/\*.*?(?:\*/|\Z))',
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(.?))', re.DOTALL)


def load_json_ld(block: str) -> Any:
    r"""Return the value of a `<script type="application/ld+json">`.

    Mended, in this order and only as far as needed: HTML comment and CDATA wrappers, a trailing
    semicolon; raw line breaks in strings, trailing commas, comments, invalid escapes; a block
    escaped for HTML as a whole.

    Args:
        block: Text of the script element.

    Raises:
        ValueError: The block cannot be read; the message says where.

    Example:
        >>> load_json_ld('<!-- {"@type": "Question", "name": "두\n줄",} -->')
        {'@type': 'Question', 'name': '두\n줄'}
    """
    text = _unwrapped(block)
    if '"' not in text and "&quot;" in text:
        text = _unwrapped(html.unescape(text))
    try:
        return orjson.loads(text)
    except ValueError:
        # orjson is strict; the standard parser lets control characters in strings pass.
        try:
            return json.loads(_TOKEN.sub(_mended, text), strict=False)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _unwrapped(block: str) -> str:
    text = block.strip("\ufeff \t\r\n")
    # A comment inside a CDATA section and the like: at most two layers are seen in the wild.
    for _ in range(2):
        opening = _OPENING.match(text)
        text = text[opening.end() :] if opening else text
        text = _CLOSING.sub("", text.strip()).strip()
    return text.rstrip(";")


def _mended(token: re.Match[str]) -> str:
    if token["string"] is None:
        return ""
    return _ESCAPE.sub(_mended_escape, token["string"])


def _mended_escape(escape: re.Match[str]) -> str:
    if escape[1] is not None:
        return escape[0]
    return "'" if escape[2] == "'" else "\\\\" + escape[2]
