"""What a WARC record means: a page to keep, a kind of record that is passed over, or a broken page.

Owns: which records are pages, their digests, and turning a block into text. Refuses: where records
begin and end (`warc_framing`).

References:
    IIPC, The WARC Format 1.1, 2017: section 5 (WARC-Block-Digest, WARC-Payload-Digest, where
    the payload of an HTTP response is its body, and WARC-Truncated), section 6 (record types).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from datatools.steps.ingest.charset import decode_page
from datatools.steps.ingest.http import HttpError, HttpHead, decode_body, parse_head
from datatools.steps.ingest.warc_framing import Framed

__all__ = ["Page", "PassedOver", "Unusable", "page_of"]

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_LOOKS_LIKE_HTML: Final = re.compile(rb"<(?:!doctype\s+html|html[\s>])", re.I)
_MEDIA_TYPE: Final = re.compile(
    r"(application|audio|font|image|message|model|multipart|text|video)/[a-z0-9][a-z0-9.+\-]{0,40}"
)
_TYPE: Final = re.compile(r"[a-z]{1,20}")
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([^\s\"';,]{1,40})", re.I)
_ALGORITHMS: Final = {
    "sha1": "sha1",
    "sha-1": "sha1",
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha512": "sha512",
    "sha-512": "sha512",
    "md5": "md5",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A record to keep: `text` for a conversion record (WET), else `html` in UTF-8.

    Attributes:
        text: The text, or None.
        html: The HTML as UTF-8 bytes, whatever encoding it was in and still names, or None.
        url: The page's address.
        date: When it was fetched, as the record says.
        meta: What else is known of it.
    """

    text: str | None
    html: bytes | None
    url: str | None
    date: str | None
    meta: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A record of a kind that is not read; `reason` names the kind."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """A page that is broken."""

    reason: str
    detail: str


def page_of(
    record: Framed, *, max_record_bytes: int, verify_digests: bool
) -> Page | PassedOver | Unusable:
    """Return what a whole record holds."""
    headers = record.headers
    kind = headers.get("warc-type", "").strip().lower()
    if kind not in ("response", "conversion"):
        return PassedOver(f"warc-type:{kind if _TYPE.fullmatch(kind) else 'other'}")
    try:
        if kind == "conversion":
            return _conversion(record, max_record_bytes, verify_digests)
        return _response(record, max_record_bytes, verify_digests)
    except HttpError as problem:
        return Unusable(problem.reason, problem.detail)


def _conversion(
    record: Framed, max_record_bytes: int, verify_digests: bool
) -> Page | PassedOver | Unusable:
    content_type = record.headers.get("content-type", "text/plain")
    if _media_type(content_type) != "text/plain":
        return PassedOver(_kind_of(content_type))
    broken = _size(record.length, max_record_bytes) or (
        verify_digests and _block_mismatch(record) is _MISMATCH and _wrong_digest()
    )
    if broken:
        return broken
    decoded = decode_page(record.block, _charset(content_type) or "utf-8")
    meta = _meta(record.headers)
    meta |= {"charset": decoded.encoding, "content_type": "text/plain"}
    if decoded.replaced:
        meta["replaced_chars"] = decoded.replaced
    return Page(decoded.text, None, _url(record.headers), _date(record.headers), meta)


def _response(
    record: Framed, max_record_bytes: int, verify_digests: bool
) -> Page | PassedOver | Unusable:
    headers = record.headers
    block_type = headers.get("content-type", "application/http")
    if _media_type(block_type) != "application/http":
        return PassedOver(_kind_of(block_type))
    head = parse_head(record.block)
    if head.status != 200:
        return PassedOver(f"http-status:{head.status}")
    content_type = head.fields.get("content-type", "")
    media_type = _media_type(content_type or headers.get("warc-identified-payload-type", ""))
    if not media_type and _LOOKS_LIKE_HTML.search(record.block, head.body_start, 4096):
        media_type = "text/html"
    if media_type not in _HTML_TYPES:
        return PassedOver(_kind_of(media_type))
    if "warc-segment-number" in headers:
        return Unusable("warc_segmented", "the page continues in other records")
    cut_short = "warc-truncated" in headers
    broken = _size(record.length, max_record_bytes)
    if broken:
        return broken
    if verify_digests and not cut_short and _digests_disagree(record, head):
        return _wrong_digest()
    body = decode_body(record.block, head, max_bytes=max_record_bytes, cut_short=cut_short)
    decoded = decode_page(body, _charset(content_type))
    meta = _meta(headers)
    meta |= {
        "charset": decoded.encoding,
        "charset_from": decoded.evidence,
        "content_type": media_type,
        "http_status": head.status,
    }
    if decoded.replaced:
        meta["replaced_chars"] = decoded.replaced
    # Strict UTF-8 is what the body is already: no need to encode it again.
    html = body if decoded.encoding == "utf-8" and not decoded.replaced else decoded.text.encode()
    return Page(None, html.removeprefix(b"\xef\xbb\xbf"), _url(headers), _date(headers), meta)


def _size(length: int, max_record_bytes: int) -> Unusable | None:
    if length <= max_record_bytes:
        return None
    return Unusable("record_size", f"a block of {length} bytes, {max_record_bytes} at most")


def _wrong_digest() -> Unusable:
    return Unusable("digest_mismatch", "the bytes are not those the record's digest was made from")


def _url(headers: Mapping[str, str]) -> str | None:
    # WARC 1.0's grammar put the URI in angle brackets, and wget did as it said.
    return headers.get("warc-target-uri", "").strip().strip("<>") or None


def _date(headers: Mapping[str, str]) -> str | None:
    return headers.get("warc-date", "").strip() or None


def _meta(headers: Mapping[str, str]) -> dict[str, str | int]:
    kept = {
        "record_id": headers.get("warc-record-id", "").strip("<> "),
        "payload_digest": headers.get("warc-payload-digest", ""),
        "truncated": headers.get("warc-truncated", ""),
        "languages": headers.get("warc-identified-content-language", ""),
    }
    return {name: value for name, value in kept.items() if value}


def _media_type(content_type: str) -> str:
    return re.split("[;,]", content_type, maxsplit=1)[0].strip().lower()


def _kind_of(content_type: str) -> str:
    """Return the reason for passing over a content type, from a bounded set of names."""
    media_type = _media_type(content_type)
    if not media_type:
        return "content-type:none"
    return f"content-type:{media_type if _MEDIA_TYPE.fullmatch(media_type) else 'other'}"


def _charset(content_type: str) -> str | None:
    found = _CHARSET.search(content_type)
    return found[1] if found else None


# ------------------------------------------------------------------------------------------------
# Digests

_MATCH, _MISMATCH, _UNKNOWN = "match", "mismatch", "unknown"


def _compare(label: str | None, data: bytes) -> str:
    """Return whether data has the digest a header names; `unknown` where that cannot be told."""
    algorithm, colon, value = (label or "").strip().partition(":")
    name = _ALGORITHMS.get(algorithm.lower())
    if not colon or name is None:
        return _UNKNOWN
    digest = hashlib.new(name, data, usedforsecurity=False)
    base32 = base64.b32encode(digest.digest()).decode().rstrip("=")
    value = value.strip().rstrip("=")
    if len(value) not in (len(base32), len(digest.hexdigest())):
        return _UNKNOWN
    same = value.upper() == base32 or value.lower() == digest.hexdigest()
    return _MATCH if same else _MISMATCH


def _block_mismatch(record: Framed) -> str:
    return _compare(record.headers.get("warc-block-digest"), record.block)


def _digests_disagree(record: Framed, head: HttpHead) -> bool:
    block = _block_mismatch(record)
    if block != _UNKNOWN:
        return block == _MISMATCH
    # Writers disagree on whether the payload is the body as sent or with its chunks joined.
    label = record.headers.get("warc-payload-digest")
    if _compare(label, record.block[head.body_start :]) != _MISMATCH:
        return False
    try:
        plain = {"transfer-encoding": head.fields.get("transfer-encoding", "")}
        body = decode_body(record.block, HttpHead(head.status, plain, head.body_start))
    except HttpError:
        return True
    return _compare(label, body) == _MISMATCH
