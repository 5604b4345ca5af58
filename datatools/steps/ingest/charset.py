"""The characters of a page: which encoding its bytes are in, and the text they spell.

Owns: the order in which evidence counts, the names browsers mean, and the count of characters that
could not be decoded. Refuses: mending text that was decoded wrongly before it reached us.

The order: byte order mark, HTTP charset, `<meta>` or XML declaration, strict UTF-8, detection. A
name counts if the bytes decode under it. If they do not, and are not UTF-8 either, it still counts
if what fails is the lesser part of the page. Two departures, for pages that browsers of their day
showed right:

* `windows-1252` (and ISO-8859-1, which means the same) decodes any bytes and was once what servers
  claimed for every page (Apache's AddDefaultCharset), so it counts after strict UTF-8.
* Detectors take short Korean pages for Chinese, Greek or Western ones; bytes that read as Korean
  under cp949 are Korean.

References:
    WHATWG, Encoding Standard, section 4.2 (names and labels): `euc-kr`, `ks_c_5601-1987` and
    `korean` mean windows-949, which Python calls cp949; its `euc_kr` lacks 8,822 of the 11,172
    syllables.
    WHATWG, HTML Standard, section 13.2.3.2 (determining the character encoding).
    Measured on 1,080 pages in 18 encodings without any declaration: 99.4 % decoded exactly by
    strict UTF-8, then `resiliparse` 2.0.1. Its default answers UTF-8 for every Korean page, hence
    the second question without HTML5 names.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

__all__ = ["Decoded", "codec_of", "decode_page"]

REPLACEMENT: Final = "\ufffd"

_SNIFF_BYTES: Final = 4096
_META: Final = re.compile(
    rb"<meta\b[^>]{0,500}?\bcharset\s{0,20}=\s{0,20}[\"']?\s{0,20}([A-Za-z0-9_:.\-]{2,40})", re.I
)
_XML: Final = re.compile(
    rb"^\s{0,50}<\?xml\b[^>]{0,200}?\bencoding\s{0,20}=\s{0,20}[\"']([^\"'>]{2,40})"
)
_COMMENT: Final = re.compile(rb"<!--.*?(?:-->|$)", re.S)

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_SUPERSETS: Final = {
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "gbk": "gb18030",
    "iso8859-11": "cp874",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "ascii": "cp1252",
}
_NOT_IN_WHATWG: Final = {
    "cp949": "cp949",
    "uhc": "cp949",
    "ms949": "cp949",
    "x-windows-949": "cp949",
    "euckr": "cp949",
    "euc_kr": "cp949",
    "cp932": "cp932",
    "ms932": "cp932",
    "iso-2022-kr": "iso2022_kr",
    "hz-gb-2312": "hz",
    "x-mac-cyrillic": "mac-cyrillic",
    "cp936": "gb18030",
    "euc-tw": "big5hkscs",
}
_WESTERN: Final = "cp1252"
_ESCAPE: Final = b"\x1b"  # ISO-2022 texts are ASCII bytes, so they pass for UTF-8

_KOREAN_SYLLABLES: Final = frozenset(
    "이다는에의을가고지로한하서대은사기를도자정인수시해으리부했전국있일나아어들제원장주라만보스과상것적회선문그경게위면년조공"
)
"""The 60 most frequent syllables of 1,000 Korean news sentences: 54 % of all syllables there. Of
the sentences, written in cp949, 99 % have at least 15 % of them; of 518 Chinese and Japanese ones
that decode under cp949 none has."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded page.

    Attributes:
        text: The characters, without a byte order mark.
        encoding: Python's name of the codec.
        evidence: What named it: `bom`, `http`, `meta`, `utf-8`, `detected` or `none`.
        replaced: U+FFFD that stand for bytes that could not be decoded; not those the page has
            itself.
    """

    text: str
    encoding: str
    evidence: str
    replaced: int


def codec_of(label: str) -> str | None:
    """Return the codec that browsers use for an encoding label, or None for one they do not know.

    UTF-7 is unknown on purpose: it hides markup from every filter.

    Example:
        >>> codec_of("KS_C_5601-1987"), codec_of("latin1"), codec_of("gb2312"), codec_of("utf-7")
        ('cp949', 'cp1252', 'gb18030', None)
    """
    label = label.strip().strip("\"'").lower()
    if label in _NOT_IN_WHATWG:
        return _NOT_IN_WHATWG[label]
    codec = map_encoding_to_html5(label, fallback_utf8=False)
    return None if codec is None else _SUPERSETS.get(codec, codec)


def decode_page(data: bytes, http_charset: str | None = None) -> Decoded:
    """Decode the bytes of an HTML page, never failing and counting what could not be decoded.

    Args:
        data: The page.
        http_charset: The `charset` of its Content-Type field, if it has one.

    Example:
        >>> decode_page("똠방각하".encode("cp949"), "euc-kr")
        Decoded(text='똠방각하', encoding='cp949', evidence='http', replaced=0)
    """
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _replacing(data[len(mark) :], codec, "bom")
    declared = _named(data, http_charset)
    trusted = [named for named in declared if named[0] != _WESTERN]
    western = [named for named in declared if named[0] == _WESTERN]
    tried: list[tuple[str, str]] = []

    def strictly(evidence: Iterable[tuple[str, str]]) -> Decoded | None:
        for codec, name in evidence:
            text = _strict(data, codec)
            if text is not None:
                return Decoded(text, codec, name, 0)
            tried.append((codec, name))
        return None

    return (
        strictly(trusted)
        or strictly(_unicode(data))
        or _mostly(data, trusted)
        or strictly(western)
        or strictly(_detected(data))
        or min((_replacing(data, *named) for named in tried), key=lambda decoded: decoded.replaced)
    )


_NON_ASCII: Final = re.compile("[^\x00-\x7f]+")


def _named(data: bytes, http_charset: str | None) -> list[tuple[str, str]]:
    """Return the codecs that the page is declared to be in, and where."""
    named = []
    for label, evidence in ((http_charset, "http"), (_declared(data), "meta")):
        codec = codec_of(label) if label else None
        # A meta element that could be read as ASCII is not in UTF-16, whatever it says.
        if codec is not None and not (evidence == "meta" and codec.startswith("utf-16")):
            named.append((codec, evidence))
    return named


def _unicode(data: bytes) -> Iterator[tuple[str, str]]:
    if data[:4] in (b"<\0!\0", b"<\0h\0", b"<\0H\0", b"<\0?\0"):
        yield "utf-16-le", "detected"
    if data[:4] in (b"\0<\0!", b"\0<\0h", b"\0<\0H", b"\0<\0?"):
        yield "utf-16-be", "detected"
    if _ESCAPE not in data:
        yield "utf-8", "utf-8"


def _mostly(data: bytes, named: Iterable[tuple[str, str]]) -> Decoded | None:
    """Return the page under the first codec that fails for the lesser part of its characters."""
    for codec, evidence in named:
        decoded = _replacing(data, codec, evidence)
        special = sum(map(len, _NON_ASCII.findall(decoded.text)))
        if 2 * decoded.replaced <= special:
            return decoded
    return None


def _detected(data: bytes) -> Iterator[tuple[str, str]]:
    if _reads_as_korean(data):
        yield "cp949", "detected"
    for html5 in (True, False):
        label = detect_encoding(data, html5_compatible=html5)
        codec = codec_of(label) if label else None
        if codec is not None and codec != "utf-8":
            yield codec, "detected"
            break
    yield "utf-8", "none"


def _declared(data: bytes) -> str | None:
    head = data[:_SNIFF_BYTES]
    found = _META.search(_COMMENT.sub(b"", head)) or _XML.search(head)
    return found[1].decode("latin-1") if found else None


def _reads_as_korean(data: bytes) -> bool:
    text = _strict(data, "cp949")
    if text is None:
        return False
    other = "".join(_NON_ASCII.findall(text))
    hangul = sum("가" <= char <= "힣" for char in other)
    common = sum(char in _KOREAN_SYLLABLES for char in other)
    return hangul > 0 and hangul >= 0.7 * len(other) and common >= 0.15 * hangul


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeDecodeError, LookupError):
        return None


def _replacing(data: bytes, codec: str, evidence: str) -> Decoded:
    text = data.decode(codec, "replace")
    replaced = text.count(REPLACEMENT)
    if replaced and codec == "utf-8":
        replaced -= data.count(REPLACEMENT.encode())
    return Decoded(text, codec, evidence, replaced)
