"""Writing WARC files: one gzip member per record, the same bytes every time.

Owns: the bytes of `warcinfo`, `request` and `response` records as ISO 28500 (WARC 1.0) describes
them, with block and payload digests, and their compression. Refuses: reading; the pipeline's
reader and the peers' readers are what these files are tested with.

Nothing comes from the clock or a random source: the date is fixed and record ids are made from the
record's URL (UUID version 5).
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["WARC_DATE", "Page", "gzip_member", "replace_file", "request", "response", "warcinfo"]

WARC_DATE: Final = "2024-05-01T09:00:00Z"
"""When every page was fetched, so we say."""

_GZIP_LEVEL = 6


@dataclass(frozen=True)
class Page:
    """One answer of a web server.

    Attributes:
        url: Where it was fetched.
        body: The payload, as sent.
        content_type: The `Content-Type` header, true or not.
        status: The HTTP status code.
        reason: The words after it.
    """

    url: str
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    reason: str = "OK"


def warcinfo(filename: str) -> bytes:
    """Return the record that opens the file `filename`."""
    block = (
        b"software: datatools sample\r\n"
        b"format: WARC File Format 1.0\r\n"
        b"description: a small crawl made for trying datatools; no server was asked\r\n"
    )
    return _record("warcinfo", filename, "application/warc-fields", block)


def request(url: str) -> bytes:
    """Return the record of the request that fetched `url`."""
    host, _, path = url.removeprefix("https://").partition("/")
    block = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sample\r\n\r\n".encode("ascii")
    return _record("request", url, "application/http; msgtype=request", block)


def response(page: Page) -> bytes:
    """Return the record that holds `page` with its HTTP headers."""
    head = (
        f"HTTP/1.1 {page.status} {page.reason}\r\n"
        "Date: Wed, 01 May 2024 09:00:00 GMT\r\n"
        "Server: sample\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n\r\n"
    ).encode("ascii")
    return _record(
        "response", page.url, "application/http; msgtype=response", head + page.body, page.body
    )


def gzip_member(data: bytes) -> bytes:
    """Return `data` as one gzip member without a time, a name or an operating system.

    The compressed bytes are those of the running zlib; what they decompress to is the same
    everywhere.

    Example:
        >>> import gzip
        >>> gzip.decompress(gzip_member(b"WARC/1.0") + gzip_member(b"!"))
        b'WARC/1.0!'
    """
    deflate = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
        + deflate.compress(data)
        + deflate.flush()
        + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    )


def replace_file(path: Path, chunks: Iterable[bytes]) -> int:
    """Write a file that is either there in full or not at all; return its size in bytes.

    Raises:
        OSError: The file cannot be written. No temporary file stays behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            size = sum(file.write(chunk) for chunk in chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size


def _record(
    kind: str, target: str, content_type: str, block: bytes, payload: bytes | None = None
) -> bytes:
    name = "WARC-Filename" if kind == "warcinfo" else "WARC-Target-URI"
    headers = [
        ("WARC-Type", kind),
        ("WARC-Record-ID", f"<{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {target}').urn}>"),
        ("WARC-Date", WARC_DATE),
        (name, target),
        ("WARC-Block-Digest", _digest(block)),
    ]
    if payload is not None:
        headers.append(("WARC-Payload-Digest", _digest(payload)))
    headers += [("Content-Type", content_type), ("Content-Length", str(len(block)))]
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers)
    return f"WARC/1.0\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def _digest(data: bytes) -> str:
    # SHA-1 in base 32 is what crawlers write and readers check; it protects nothing.
    sha1 = hashlib.sha1(data, usedforsecurity=False).digest()
    return "sha1:" + base64.b32encode(sha1).decode("ascii")
