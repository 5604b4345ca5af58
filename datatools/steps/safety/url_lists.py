"""Lists of sites and pages: how they are written, held and searched.

Owns the forms that published lists have (one entry a line, hosts files, filter lists), and which
entry names an address. Refuses: what follows from it (`url_filter`).

An entry is held as a 64-bit hash and the line it stands in, 16 bytes, so that lists of millions of
lines fit in every worker; what an address is called by an entry is known from the address itself.
Of ten million entries, one address in two billion is taken for an entry that it is not.

References:
    Mozilla Foundation, Public Suffix List (the suffixes below are its entries for countries whose
    sites stand under a second level). RFC 3986, section 3.2. RFC 5890 (internationalised names).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from datatools.errors import ConfigError
from datatools.steps.ingest.files import expand, open_file

__all__ = ["Address", "Entry", "Lines", "SiteList", "address_of", "read_lines"]

_SECOND_LEVELS: Final = {
    "kr": "ac co es go hs kg mil ms ne or pe re sc busan chungbuk chungnam daegu daejeon gangwon "
    "gwangju gyeongbuk gyeonggi gyeongnam incheon jeju jeonbuk jeonnam seoul ulsan",
    "uk": "ac co gov ltd me net nhs org plc police sch",
    "jp": "ac ad co ed go gr lg ne or",
    "au": "com net org edu gov asn id",
    "nz": "ac co geek gen govt iwi net org school",
    "br": "com net org gov edu",
    "cn": "ac com edu gov net org mil",
    "tw": "edu gov mil com net org idv",
    "hk": "com edu gov idv net org",
    "in": "co firm net org gen ind ac edu res gov",
    "za": "ac co gov net org web",
    "tr": "com net org gov edu",
    "mx": "com org gob edu net",
    "ar": "com gob net org edu",
}
_SUFFIXES: Final = sorted(
    f"{second}.{top}" for top, seconds in _SECOND_LEVELS.items() for second in seconds.split()
)

_EDGES = "".join(map(chr, range(0x21)))
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//([^/?#\\]*)([^?#]*)", re.I | re.S)
_PORT = re.compile(r":\d*$")


class Address(NamedTuple):
    """An address as entries are compared with it.

    Attributes:
        host: In lower case, in Punycode, without user, port and the dot at the end.
        path: From its first slash on, without query and fragment, its escapes decoded.
    """

    host: str
    path: str


def address_of(url: str | None) -> Address | None:
    """Return the host and path of an address, or None where there is none.

    Example:
        >>> address_of("HTTPS://me:pw@Blog.한국.KR.:8080/a?b#c")
        Address(host='blog.xn--3e0b707e.kr', path='/a')
        >>> address_of("not an address") is None
        True
    """
    found = _ADDRESS.match((url or "").strip(_EDGES))
    if found is None:
        return None
    host = _host(found[1])
    return Address(host, unquote(found[2].replace("\\", "/")) or "/") if host else None


def _host(authority: str) -> str | None:
    host = authority.rpartition("@")[2].lower()
    host = _PORT.sub("", host).rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode().lower()
        except UnicodeError:
            return None
    return host or None


# --------------------------------------------------------------------------------------------------
# Lists


@dataclass(frozen=True)
class Lines:
    """Lines of a list.

    Attributes:
        name: Of the file; empty for entries of the pipeline itself.
        lines: As written.
    """

    name: str
    lines: Sequence[str]


def read_lines(paths: Sequence[str], where: str) -> tuple[list[Lines], dict[str, str]]:
    """Return the lines of files, of gzip too, and the SHA-256 of each file by its name.

    Args:
        paths: Files, patterns or addresses, as readers take them.
        where: The field, for errors.

    Raises:
        ConfigError: There is no such file, or it is not text in UTF-8.
    """
    lists, digests = [], {}
    for file in expand(paths, where=where) if paths else ():
        with open_file(file) as stream:
            content = stream.read_at(0, file.size)
        digests[file.relpath] = hashlib.sha256(content).hexdigest()
        try:
            if content[:2] == b"\x1f\x8b":
                content = gzip.decompress(content)
            text = content.decode("utf-8-sig")
        except (UnicodeDecodeError, OSError, EOFError) as error:
            raise ConfigError(
                f"{where}: {file.path}",
                f"is not a list in UTF-8 ({error})",
                hint="Convert it; .gz is read as it is.",
            ) from error
        lists.append(Lines(file.relpath, text.splitlines()))
    return lists, digests


class Entry(NamedTuple):
    """An entry that names an address.

    Attributes:
        text: The entry: a domain, or a host with the beginning of a path.
        list: Name of its list, empty for an entry of the pipeline itself.
        line: Its line there, from 1.
    """

    text: str
    list: str
    line: int


class SiteList:
    """Entries to look addresses up in.

    An entry is a domain, which names the host and all below it; `*.domain`, which names only what
    is below; or a host with a path, which names the pages whose path begins so, `www.` or not. A
    scheme, a user, a port, a query, and a mark of hosts files (`0.0.0.0`) or filter lists (`||`,
    `^`) before or after it do not count. `#` and `!` begin a comment.

    Args:
        lists: The lists.
        where: The field, for errors.

    Raises:
        ConfigError: An entry names no site, or a public suffix such as `co.kr`.

    Example:
        >>> lines = Lines("ads.txt", ["# 광고", "0.0.0.0 ads.example.com", "한국.kr/글"])
        >>> sites = SiteList([lines], "block")
        >>> sites.find([Address("x.ads.example.com", "/"), Address("example.com", "/")])
        [Entry(text='ads.example.com', list='ads.txt', line=2), None]
    """

    def __init__(self, lists: Iterable[Lines], where: str) -> None:
        self._names: list[str] = []
        self._has_paths = False
        self._has_stars = False
        keys, places = [], []
        for number, one in enumerate(lists):
            self._names.append(one.name)
            entries = _entries(one, where)
            self._has_paths |= bool(entries["entry"].str.contains("/", literal=True).any())
            self._has_stars |= bool(entries["entry"].str.starts_with("*.").any())
            hashes = [xxhash.xxh3_64_intdigest(entry.encode()) for entry in entries["entry"]]
            keys.append(np.array(hashes, np.uint64))
            lines = entries["line"].to_numpy().astype(np.uint64)
            places.append(np.uint64(number << 40) | lines)
        key = np.concatenate(keys) if keys else np.empty(0, np.uint64)
        place = np.concatenate(places) if places else np.empty(0, np.uint64)
        # The first of equal entries is told.
        order = np.lexsort((place, key))
        first = np.ones(len(order), np.bool_)
        first[1:] = key[order][1:] != key[order][:-1]
        self._keys: npt.NDArray[np.uint64] = key[order][first]
        self._places: npt.NDArray[np.uint64] = place[order][first]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, addresses: Sequence[Address | None]) -> list[Entry | None]:
        """Return for each address the most specific entry that names it: the longest.

        Complexity:
            A binary search for each beginning of the path and each label of the host, all in one.
        """
        names: list[str] = []
        owners: list[int] = []
        for owner, address in enumerate(addresses):
            if address is not None and len(self._keys):
                some = self._names_of(address)
                names += some
                owners += [owner] * len(some)
        found: list[Entry | None] = [None] * len(addresses)
        hashes = np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in names], np.uint64)
        at = np.searchsorted(self._keys, hashes)
        at[at == len(self._keys)] = 0
        hits = np.flatnonzero(self._keys[at] == hashes) if len(hashes) else at
        for hit in hits[::-1].tolist():  # the first of an address, which is the longest, stays
            place = int(self._places[at[hit]])
            entry = Entry(names[hit], self._names[place >> 40], place & ((1 << 40) - 1))
            found[owners[hit]] = entry
        return found

    def _names_of(self, address: Address) -> list[str]:
        """Return the entries that would name an address, the longest first."""
        host = address.host
        bare = host.removeprefix("www.")
        names = [bare + path for path in _beginnings(address.path)] if self._has_paths else []
        names.append(host)
        if not _is_number(host):
            while "." in host:
                host = host.partition(".")[2]
                names.append(host)
                if self._has_stars:
                    names.append(f"*.{host}")
        return names


def _is_number(host: str) -> bool:
    return host.startswith("[") or host.replace(".", "").isdigit()


def _beginnings(path: str) -> list[str]:
    """Return the beginnings of a path that end at a segment, the longest first, the root not."""
    path = path.rstrip("/")
    found = []
    while path:
        found.append(path)
        path = path.rpartition("/")[0]
    return found[:64]


def _entries(one: Lines, where: str) -> pl.DataFrame:
    """Return the entries of a list in the form that is hashed, with their lines."""
    entry = pl.col("entry")
    frame = pl.DataFrame(
        {"entry": one.lines, "line": range(1, len(one.lines) + 1)},
        schema={"entry": pl.String, "line": pl.UInt32},
    )
    frame = frame.with_columns(
        entry.str.replace(r"(?:^|\s)[#!].*$", "")
        .str.strip_chars()
        .str.replace(r"^(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+", "")
        .str.replace(r"^\|\|", "")
        .str.replace(r"\^.*$", "")
        .str.replace(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//", "")
        .str.replace(r"^[^/?#]*@", "")
        .str.replace(r"[?#].*$", "")
    ).filter(entry != "")
    host = entry.str.extract(r"^([^/]*)").str.to_lowercase().str.replace(r":\d*$", "")
    frame = frame.with_columns(
        host=host.str.replace(r"\.+$", "").str.replace(r"^\.", ""),
        path=entry.str.extract(r"^[^/]*(/.*)$").fill_null("").str.strip_chars_end("/"),
    )
    odd = frame["host"].str.contains(r"[^\x00-\x7f]").arg_true()
    if len(odd):
        coded = [_coded(name) for name in frame["host"].gather(odd)]
        frame = frame.with_columns(frame["host"].scatter(odd, pl.Series(coded, dtype=pl.String)))
    escaped = frame["path"].str.contains("%", literal=True).arg_true()
    if len(escaped):
        paths = [unquote(path) for path in frame["path"].gather(escaped)]
        frame = frame.with_columns(frame["path"].scatter(escaped, paths))
    host = pl.col("host")
    with_path = pl.col("path") != ""
    frame = frame.with_columns(
        entry=pl.when(with_path)
        .then(host.str.replace(r"^www\.", "") + pl.col("path"))
        .otherwise(host)
    )
    whole = ~host.str.starts_with("*.") & ~host.str.starts_with("[") & ~with_path
    bad = frame.filter(
        host.is_null() | host.str.contains(r"[\s,;|<>\"']|^\*?$|\*.*\*") | (host == "")
    )
    if bad.height:
        raise _refusal(one, bad, where, "names no site", "Write one domain or address per line.")
    broad = frame.filter(
        whole
        & (host != "localhost")
        & (~host.str.contains(".", literal=True) | host.is_in(_SUFFIXES))
    )
    if broad.height:
        name = broad["host"][0]
        hint = f"Write `*.{name}` to mean every site under it."
        raise _refusal(one, broad, where, "is a public suffix, not a site", hint)
    return frame.select("entry", "line")


def _coded(name: str) -> str | None:
    star = "*." if name.startswith("*.") else ""
    host = _host(name.removeprefix("*."))
    return None if host is None else star + host


def _refusal(one: Lines, bad: pl.DataFrame, where: str, problem: str, hint: str) -> ConfigError:
    line = int(bad["line"][0])
    place = f"{where}: {one.name} line {line}" if one.name else where
    return ConfigError(place, problem, got=one.lines[line - 1], hint=hint)
