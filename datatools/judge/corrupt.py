"""Planted defects in known doses: what a judge must see.

Owns: damage to documents, each kind keyed by (seed, document id), so that a document damaged at one
dose is damaged at every larger dose. Refuses: judging.

Every function takes documents and a dose in [0, 1], the chance that a document is damaged, and
returns new documents with the same ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from datatools.errors import ConfigError
from datatools.judge.arm import Text
from datatools.records import make_id

__all__ = ["add_boilerplate", "duplicate", "replace_language", "shuffle_words"]

_BOILERPLATE: Final = (
    "Home | Products | About us | Contact | Privacy policy | Terms of use",
    "홈 | 제품 | 회사 소개 | 고객센터 | 개인정보처리방침 | 이용약관",
    "Subscribe to our newsletter! Enter your e-mail address. Share on social media.",
    "구독하고 새 소식을 받아 보세요! 이메일 주소를 입력하세요. 공유하기",
    "Copyright © All rights reserved. Unauthorized reproduction is prohibited.",
    "무단 전재 및 재배포 금지. 저작권자 © 모든 권리 보유.",
    "Accept all cookies  Reject  Manage preferences",
    "모든 쿠키 허용  거부  설정 관리",
)
_TOKEN: Final = re.compile(r"\S+")


def shuffle_words(documents: Sequence[Text], dose: float, *, seed: int = 0) -> list[Text]:
    r"""Put the words of damaged documents in a random order; the space between them stays.

    Example:
        >>> one = shuffle_words([Text("a", "one two  three\n넷 다섯")], 1.0)[0].text
        >>> sorted(one.split()) == sorted("one two three 넷 다섯".split()), one.split(" ").count("")
        (True, 1)
    """

    def damage(text: str, draw: np.random.Generator) -> str:
        words = _TOKEN.findall(text)
        order = iter(draw.permutation(len(words)))
        return _TOKEN.sub(lambda _: words[next(order)], text)

    return _damage(documents, dose, seed, "shuffle", damage)


def add_boilerplate(documents: Sequence[Text], dose: float, *, seed: int = 0) -> list[Text]:
    """Put lines of navigation, notices and footers around damaged documents, a third as much again.

    Example:
        >>> len(add_boilerplate([Text("a", "A line of text.")], 1.0)[0].text.splitlines()) > 1
        True
    """

    def damage(text: str, draw: np.random.Generator) -> str:
        lines = [text]
        room = max(len(text) // 3, 1)
        while room > 0:
            line = _BOILERPLATE[int(draw.integers(len(_BOILERPLATE)))]
            lines.insert(0 if draw.random() < 0.5 else len(lines), line)
            room -= len(line)
        return "\n".join(lines)

    return _damage(documents, dose, seed, "boilerplate", damage)


def replace_language(
    documents: Sequence[Text], dose: float, foreign: Sequence[str], *, seed: int = 0
) -> list[Text]:
    """Replace damaged documents by as many bytes of another language, at most.

    Args:
        documents: Documents to damage.
        dose: Chance that one is.
        foreign: Texts in the other language; paragraphs of them are drawn with replacement.
        seed: Names the draws.

    Raises:
        ConfigError: `foreign` holds no text.

    Example:
        >>> replace_language([Text("a", "hello there")], 1.0, ["안녕하세요 여러분"])[0].text
        '안녕하'
    """
    lines = [line for text in foreign for line in text.splitlines() if line.strip()]
    if not lines:
        raise ConfigError("foreign", "must hold text", got=foreign)

    def damage(text: str, draw: np.random.Generator) -> str:
        size = len(text.encode("utf-8", "surrogatepass"))
        found = b""
        while len(found) < size:
            line = lines[int(draw.integers(len(lines)))].encode("utf-8", "surrogatepass")
            found += (b"\n" if found else b"") + line
        return found[:size].decode("utf-8", "ignore")

    return _damage(documents, dose, seed, "language", damage)


def duplicate(
    documents: Sequence[Text], dose: float, *, copies: int = 4, seed: int = 0
) -> list[Text]:
    """Repeat damaged documents, each copy with an id of its own.

    Args:
        documents: Documents to damage.
        dose: Chance that one is.
        copies: How many copies are added to each.
        seed: Names the draws.

    Example:
        >>> [one.id for one in duplicate([Text("a", "text")], 1.0, copies=2)]
        ['a', 'a#copy1', 'a#copy2']
    """
    found: list[Text] = []
    for one in documents:
        found.append(one)
        if _is_damaged(one, _checked(dose), seed, "duplicate"):
            found += [
                Text(f"{one.id}#copy{copy}", one.text, one.source) for copy in range(1, copies + 1)
            ]
    return found


def _damage(
    documents: Sequence[Text],
    dose: float,
    seed: int,
    kind: str,
    damage: Callable[[str, np.random.Generator], str],
) -> list[Text]:
    _checked(dose)
    found: list[Text] = []
    for one in documents:
        text = one.text
        if _is_damaged(one, dose, seed, kind):
            key = int(make_id("damage", seed, kind, one.id), 16)
            text = damage(text, np.random.Generator(np.random.Philox(key=key)))
        found.append(Text(one.id, text, one.source))
    return found


def _checked(dose: float) -> float:
    if not 0 <= dose <= 1:
        raise ConfigError("dose", "must be in [0, 1]", got=dose)
    return dose


def _is_damaged(one: Text, dose: float, seed: int, kind: str) -> bool:
    draw = int(make_id("dose", seed, kind, one.id)[:13], 16) / 16.0**13
    return draw < dose
