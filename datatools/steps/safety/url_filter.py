"""`UrlFilter`: drops pages by where they stand.

Owns which of several entries decides, and the words of an address. Refuses: how lists are written
(`url_lists`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Self
from urllib.parse import unquote

import polars as pl
from pydantic import Field, model_validator

from datatools.errors import ConfigError
from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.safety.url_lists import (
    Address,
    Entry,
    Lines,
    SiteList,
    address_of,
    read_lines,
)

__all__ = ["UrlFilter"]


class UrlFilter(Map):
    """Drop documents whose address is on a block list, or holds words that it should not.

    An entry `example.com` names that host and all below it, `*.example.com` only what is below,
    `example.com/a` the pages whose path begins with `/a`. Case, user, port and a dot at the end do
    not count, and names in Hangul and in Punycode are one. Hosts files and filter lists
    (`||example.com^`) are read as they are, with comments, gzip too. An entry that is a public
    suffix (`co.kr`) is refused.

    Of entries to block and to allow the more specific one decides, and of equal ones the one to
    allow: `blogspot.com` can be blocked but for `good.blogspot.com`. What is allowed by an entry
    is not judged by its words. Documents without an address stay, unless `only_allowed`.

    What a document is dropped for, with the entry, its list and line, is in its detail.

    Example:
        >>> urls = ["https://ads.한국.kr/x", "http://good.example.com/", "http://a.kr/온라인카지노"]
        >>> step = UrlFilter(
        ...     block=["한국.kr", "example.com"], allow=["good.example.com"], words=["카지노"]
        ... )
        >>> kept, dropped = step.apply(pl.DataFrame({"url": urls}))
        >>> kept["url"].to_list(), dropped["reason"].to_list()
        (['http://good.example.com/'], ['url_blocked', 'url_word'])
        >>> dropped["detail"][0]
        '{"entry":"xn--3e0b707e.kr"}'
    """

    version: ClassVar[int] = 1

    block: tuple[str, ...] = ()
    """Entries whose pages are dropped as `url_blocked`."""
    block_lists: tuple[str, ...] = ()
    """Files of such entries, one a line: paths, patterns or addresses."""
    allow: tuple[str, ...] = ()
    """Entries whose pages stay, unless a longer entry blocks them."""
    allow_lists: tuple[str, ...] = ()
    """Files of such entries."""
    only_allowed: bool = False
    """Whether pages that no entry allows are dropped as `url_not_allowed`."""
    words: tuple[str, ...] = ()
    """Words that an address should not hold. Latin ones count as whole words between other signs,
    so that `sex` is not in `essex`; Hangul ones anywhere. Escapes and Punycode are decoded."""
    word_lists: tuple[str, ...] = ()
    """Files of such words, one a line; `#` begins a comment."""
    min_words: int = Field(1, ge=1)
    """Fewest different words for which a page is dropped as `url_word`. Raising it drops less."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        allowed = self.allow or self.allow_lists
        worded = self.words or self.word_lists
        if not (self.block or self.block_lists or worded or (allowed and self.only_allowed)):
            raise ConfigError("UrlFilter", "drops nothing", hint="Add `block:` or `words:`.")
        if self.only_allowed and not allowed:
            raise ConfigError("only_allowed", "would drop everything", hint="Add `allow:`.")
        SiteList([Lines("", self.block)], "block")
        SiteList([Lines("", self.allow)], "allow")
        return self

    def reads(self) -> frozenset[str]:
        """Return the address."""
        return frozenset({"url"})

    def digests(self) -> Mapping[str, str]:
        """Return the digest of each list."""
        return {
            f"{field}: {name}": digest
            for field in ("block_lists", "allow_lists", "word_lists")
            for name, digest in read_lines(getattr(self, field), field)[1].items()
        }

    def bind(self, context: Context) -> _Bound:
        """Return the step with its lists read."""
        block, _ = read_lines(self.block_lists, "block_lists")
        allow, _ = read_lines(self.allow_lists, "allow_lists")
        more, _ = read_lines(self.word_lists, "word_lists")
        written = [line.partition("#")[0] for one in more for line in one.lines]
        return _Bound(
            SiteList([Lines("", self.block), *block], "block_lists"),
            SiteList([Lines("", self.allow), *allow], "allow_lists"),
            _Words([*self.words, *written]),
            self.min_words,
            self.only_allowed,
        )


class _Words:
    """Words to find in addresses."""

    def __init__(self, words: Sequence[str]) -> None:
        cleaned = {word.strip().lower() for word in words} - {""}
        self._whole = frozenset(word for word in cleaned if not _HANGUL.search(word))
        hangul = sorted(cleaned - self._whole)
        self._hangul = re.compile("|".join(map(re.escape, hangul))) if hangul else None

    def __bool__(self) -> bool:
        return bool(self._whole) or self._hangul is not None

    def find(self, url: str, host: str) -> list[str]:
        """Return the different words in an address, in alphabetical order."""
        if "xn--" in host:
            url = f"{url} {_decoded(host)}"
        text = unquote(url).lower()
        found = self._whole.intersection(_TOKEN.findall(text))
        if self._hangul is not None and not text.isascii():
            found |= set(self._hangul.findall(text))
        return sorted(found)


_HANGUL = re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]")
_TOKEN = re.compile(r"[^\W_]+")


def _decoded(host: str) -> str:
    try:
        return host.encode().decode("idna")
    except UnicodeError:
        return host


class _Verdict(NamedTuple):
    reason: str | None = None
    detail: str | None = None


class _Bound:
    def __init__(
        self, block: SiteList, allow: SiteList, words: _Words, min_words: int, only_allowed: bool
    ) -> None:
        self._block = block
        self._allow = allow
        self._words = words
        self._min_words = min_words
        self._only_allowed = only_allowed

    def map(self, batch: Batch) -> Mapped:
        """Return the rows with the pages to drop marked."""
        urls = batch.df["url"].to_list()
        addresses = [address_of(url) for url in urls]
        named = self._block.find(addresses), self._allow.find(addresses)
        verdicts = [
            self._judge(url, address, blocked, allowed)
            for url, address, blocked, allowed in zip(urls, addresses, *named, strict=True)
        ]
        return Mapped(
            batch.df,
            dropped=pl.Series("reason", [one.reason for one in verdicts], dtype=pl.String),
            detail=pl.Series("detail", [one.detail for one in verdicts], dtype=pl.String),
        )

    def _judge(
        self,
        url: str | None,
        address: Address | None,
        blocked: Entry | None,
        allowed: Entry | None,
    ) -> _Verdict:
        if blocked is not None and _length(blocked) > _length(allowed):
            return _Verdict("url_blocked", _told(blocked))
        if allowed is not None:
            return _Verdict()
        if self._only_allowed:
            return _Verdict("url_not_allowed")
        if url is not None and address is not None and self._words:
            found = self._words.find(url, address.host)
            if len(found) >= self._min_words:
                told = json.dumps({"words": found}, ensure_ascii=False, separators=(",", ":"))
                return _Verdict("url_word", told)
        return _Verdict()


def _length(entry: Entry | None) -> int:
    return -1 if entry is None else len(entry.text.removeprefix("*."))


def _told(entry: Entry) -> str:
    told: dict[str, object] = {"entry": entry.text}
    if entry.list:
        told |= {"list": entry.list, "line": entry.line}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
