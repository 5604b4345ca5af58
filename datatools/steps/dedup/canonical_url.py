"""One form for all addresses of a page.

Owns what two addresses may differ in and still name one page: what RFC 3986 says is equal (case of
scheme and host, default ports, percent-encoding, dot segments), and what in practice does not
change the page (fragment, tracking parameters, session ids, order of parameters, trailing slash).
Refuses what only the site knows: parameters called `ref`, `source`, `cid` or `uid` name pages
somewhere, so they stay unless they are asked for.

References:
    Tim Berners-Lee, Roy Fielding, Larry Masinter, RFC 3986, 2005, section 6 (normalisation),
    appendix B (parsing). Sang Ho Lee, Sung Jin Kim, Seok Hoo Hong, On URL Normalization, 2005.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, Literal

__all__ = ["SESSION", "TRACKING", "Ignorable", "canonical_url"]

Ignorable = Literal["scheme", "www"]

_TRACKING: Final = {
    "Firefox, query-stripping list of its remote settings, 2023": "__hsfp __hssc __hstc __s "
    "_hsenc _openstat dclid fbclid gbraid gclid hsctatracking mc_eid mkt_tok msclkid oly_anon_id "
    "oly_enc_id twclid vero_id wbraid wickedid yclid ysclid",
    "Google Ads and Analytics help": "_ga _gl gad_campaignid gad_source gclsrc srsltid",
    "Max Chadwick, registry of tracking query parameters, 2024": "_hsmi epik igsh igshid "
    "li_fat_id mc_cid ttclid",
    "Matomo guide, campaign tracking": "mtm_campaign mtm_cid mtm_content mtm_group mtm_keyword "
    "mtm_kwd mtm_medium mtm_placement mtm_source piwik_campaign piwik_keyword piwik_kwd "
    "pk_campaign pk_keyword pk_kwd",
    "Naver search advertising, notice 13446, 2023": "n_ad n_ad_group n_ad_group_type "
    "n_campaign_type n_keyword n_keyword_id n_mall_id n_mall_pid n_match n_media n_query n_rank",
    "Naver conversion tracking guide": "napm",
}
TRACKING: Final = frozenset(name for names in _TRACKING.values() for name in names.split())
"""Query parameters that say how a reader came, in small letters; `utm_*` comes on top of them
(Google Analytics help, Custom campaigns)."""

SESSION: Final = frozenset(("jsessionid", "phpsessid"))
"""Query parameters that say which visit it was (Internet Archive, webarchive-commons,
`stripQuerySessionID`). `sid` counts where its value is 32 letters or digits, `cfid` and `cftoken`
where both are there, and what begins with `aspsessionid`."""

# Appendix B of RFC 3986, for the schemes that crawls hold.
_ADDRESS = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.I | re.S)
_AUTHORITY = re.compile(r"(?:(.*)@)?(\[[^]]*\]|[^:]*)(?::(\d*))?", re.S)
# Compatibility characters such as U+2100 bring a slash into a host.
_HOST = re.compile(r"\[[^]\s]+\]|[^\x00-\x20/?#@:\\[\]]+")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_EDGES = "".join(map(chr, range(0x21)))
# What must be written otherwise: escapes, and what RFC 3986 allows neither in paths nor in queries.
_WRITTEN_OTHERWISE = re.compile(r"%(?:[0-9A-Fa-f]{2})?|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/;]*|(?<=/)\((?:[A-Z]\([0-9a-z]{24}\))+\)/", re.I)
_SESSION_VALUE = re.compile(r"[0-9A-Za-z]{32}")


def canonical_url(
    url: str | None, *, ignore: Collection[Ignorable] = (), parameters: Sequence[str] = ()
) -> str | None:
    """Return the one form of a page's address, or None where there is no address.

    The form is an address itself, and its own canonical form. An address is absolute, with scheme
    `http` or `https` and a host; whitespace around it and line breaks in it do not count. Letters
    outside ASCII are escaped as UTF-8 in paths and queries (escapes of other encodings stay as they
    are), and written in Punycode in hosts. `+` and `%20` are one in a query. Parameters are sorted
    by name, those of one name keep their order. A fragment stays where it begins with `!`: such
    addresses name different pages.

    Args:
        url: An address, or anything a crawl has in its place.
        ignore: What else to leave out: the `scheme` (the form then begins with `//`), a host's
            `www.`.
        parameters: Names of further query parameters to leave out, in any case; `*` at the end of
            one stands for any ending.

    Complexity:
        Linear, but for the sort of the parameters.

    Example:
        >>> canonical_url("HTTP://Example.ORG:80/a/../b/?utm_source=x&b=2&a=%EA%b0%80#top")
        'http://example.org/b?a=%EA%B0%80&b=2'
        >>> canonical_url("https://www.한국.kr/글/", ignore=["scheme", "www"])
        '//xn--3e0b707e.kr/%EA%B8%80'
    """
    found = _ADDRESS.fullmatch((url or "").strip(_EDGES).translate(_NO_BREAKS))
    if found is None:
        return None
    scheme = found[1].lower()
    site = _site(scheme, found[2], "www" in ignore)
    if site is None:
        return None
    path = _without_dots(_SESSION_IN_PATH.sub("", _escaped(found[3]))).rstrip("/") or "/"
    query = _query(found[4] or "", [name.lower() for name in parameters])
    fragment = found[5] or ""
    return "".join(
        (
            "//" if "scheme" in ignore else f"{scheme}://",
            site,
            path,
            f"?{query}" if query else "",
            f"#{_escaped(fragment)}" if fragment.startswith("!") else "",
        )
    )


_NO_BREAKS = dict.fromkeys(map(ord, "\t\n\r"))


def _escaped(text: str) -> str:
    """Return a component with every character written in one way (RFC 3986, section 6.2.2)."""
    return _WRITTEN_OTHERWISE.sub(_one_way, text)


def _one_way(found: re.Match[str]) -> str:
    written = found[0]
    if len(written) == 3:
        plain = chr(int(written[1:], 16))
        return plain if _UNRESERVED.fullmatch(plain) else written.upper()
    # A `%` that begins no escape means itself.
    return "".join(f"%{byte:02X}" for byte in written.encode("utf-8", "surrogatepass"))


def _site(scheme: str, authority: str, ignore_www: bool) -> str | None:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    user, host, port = found[1], found[2].lower(), (found[3] or "").lstrip("0")
    if not host.isascii():
        try:
            host = host.encode("idna").decode().lower()
        except UnicodeError:
            return None
    host = host.rstrip(".")
    if not _HOST.fullmatch(host):
        return None
    if ignore_www and host.startswith("www.") and "." in host[4:]:
        host = host[4:]
    return "".join(
        (
            f"{_escaped(user)}@" if user else "",
            host,
            f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "",
        )
    )


def _without_dots(path: str) -> str:
    """Return the path without `.` and `..` (RFC 3986, section 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "".join(f"/{segment}" for segment in kept)


def _query(query: str, left_out: Sequence[str]) -> str:
    pairs = [
        (name, equals, value)
        for pair in _escaped(query).replace("%20", "+").split("&")
        for name, equals, value in [pair.partition("=")]
        if pair
    ]
    names = {name.lower() for name, _, _ in pairs}
    coldfusion = {"cfid", "cftoken"} <= names
    kept = [
        pair
        for pair in pairs
        for name in [pair[0].lower()]
        if not (
            name in TRACKING
            or name.startswith(("utm_", "aspsessionid"))
            or name in SESSION
            or (name == "sid" and _SESSION_VALUE.fullmatch(pair[2]))
            or (coldfusion and name in ("cfid", "cftoken"))
            or any(
                name.startswith(other[:-1]) if other.endswith("*") else name == other
                for other in left_out
            )
        )
    ]
    kept.sort(key=lambda pair: pair[0])
    return "&".join("".join(pair) for pair in kept)
