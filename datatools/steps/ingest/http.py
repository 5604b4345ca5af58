"""HTTP responses as crawlers store them: the head, and the body with its codings undone.

Owns: status and header fields, chunked transfer coding, content codings (gzip, deflate, br, zstd,
identity) in up to three layers, and the budget that stops bombs. Refuses: characters (`charset`).

Crawlers differ: some store the body as it came, some undo the codings and leave the fields as they
were. A body that plainly does not carry the coding its head claims is taken as it is.

References:
    R. Fielding, M. Nottingham and J. Reschke, RFC 9112, HTTP/1.1, 2022: section 7.1, chunked;
    RFC 9110, HTTP Semantics, 2022: section 8.4.1, content codings.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from fastwarc.warc import HeaderMap

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.members import FREE_BYTES, MAX_RATIO, DamagedMemberError
from datatools.steps.ingest.zstd_frames import ZstdFrame

__all__ = ["MAX_BODY_BYTES", "HttpError", "HttpHead", "decode_body", "parse_head"]

MAX_BODY_BYTES: Final = 32 << 20
MAX_CODINGS: Final = 3

_MAX_HEAD_BYTES: Final = 64 << 10
_STEP_BYTES: Final = 1 << 20
_STATUS_LINE: Final = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+([1-9]\d\d)(?:[ \t][^\r\n]*)?\r?(?:\n|$)")
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_CHUNK: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]{0,1000})?\r?\n")
_CHUNK_END: Final = re.compile(rb"\r?\n")


class HttpError(Exception):
    """A response that cannot be used.

    Args:
        reason: Code for the quarantine.
        detail: What was found.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class HttpHead:
    """Status and header fields of a response.

    Attributes:
        status: Three-digit status.
        fields: Values by lower-case name, Latin-1; repeated ones joined by a comma and a space.
        body_start: Where the body begins in the block.
    """

    status: int
    fields: Mapping[str, str]
    body_start: int


def parse_head(block: bytes) -> HttpHead:
    r"""Return the head of an HTTP response.

    Line ends may be CRLF or LF, folded lines are joined, a line without a colon is passed over. A
    head that nothing follows has an empty body.

    Raises:
        HttpError: There is no status line, or the head is longer than 64 KiB.

    Example:
        >>> parse_head(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>").fields
        {'content-type': 'text/html'}
    """
    status = _STATUS_LINE.match(block)
    if not status:
        raise HttpError("http_head", f"does not begin with a status line: {block[:40]!r}")
    end = _HEAD_END.search(block, status.end() - 1, _MAX_HEAD_BYTES)
    if end is None and len(block) > _MAX_HEAD_BYTES:
        raise HttpError("http_head", f"no end of the head within {_MAX_HEAD_BYTES} bytes")
    body_start = end.end() if end else len(block)
    map_of = HeaderMap("latin1")
    try:
        map_of.parse(BytesIO(_BARE_LF.sub(b"\r\n", block[:body_start])))
    except OSError as error:
        raise HttpError("http_head", f"the head does not parse: {error}") from None
    fields: dict[str, str] = {}
    for name, value in map_of.astuples():
        name = name.lower()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return HttpHead(int(status[1]), fields, body_start)


def decode_body(
    block: bytes, head: HttpHead, *, max_bytes: int = MAX_BODY_BYTES, cut_short: bool = False
) -> bytes:
    r"""Return the body with transfer and content codings undone.

    Args:
        block: The response, head included.
        head: What `parse_head` returned for it.
        max_bytes: Most bytes the body, or any layer of it, may decode to.
        cut_short: The crawler says that it cut the response: take what is there.

    Raises:
        HttpError: A coding is unknown or broken, there are more than three, or the body outgrows
            `max_bytes` or 200 times its stored size.

    Example:
        >>> block = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        >>> decode_body(block, parse_head(block))
        b'hi'
    """
    body = block[head.body_start :]
    if "chunked" in head.fields.get("transfer-encoding", "").lower():
        body = b"".join(_chunks(body, cut_short))
    names = [name.strip().lower() for name in head.fields.get("content-encoding", "").split(",")]
    codings = [name for name in names if name not in ("", "identity", "none")]
    if len(codings) > MAX_CODINGS:
        raise HttpError("http_coding", f"{len(codings)} content codings, {MAX_CODINGS} at most")
    for coding in reversed(codings):
        body = _undo(coding, body, max_bytes, cut_short)
    if len(body) > max_bytes:
        raise HttpError("record_size", f"a body of {len(body)} bytes, {max_bytes} at most")
    return body


def _chunks(body: bytes, cut_short: bool) -> Iterator[bytes]:
    position = 0
    while header := _CHUNK.match(body, position):
        size = int(header[1], 16)
        position = header.end()
        if size == 0:
            return
        yield body[position : position + size]
        position += size
        if position >= len(body):
            break
        if not (end := _CHUNK_END.match(body, position)):
            raise HttpError("http_chunks", f"the chunk before byte {position} has another length")
        position = end.end()
    if position == 0:
        yield body  # stored without the coding that the head still names
    elif not cut_short:
        raise HttpError("http_chunks", f"no last chunk after byte {position}")


def _undo(coding: str, data: bytes, max_bytes: int, cut_short: bool) -> bytes:
    if not data:
        return data
    if coding in ("gzip", "x-gzip"):
        if data[:2] != b"\x1f\x8b":
            return data
        pieces = _inflated(data, 31)
    elif coding == "deflate":
        # RFC 9110 means the zlib format; some servers send raw deflate.
        zlib_format = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        pieces = _inflated(data, 15 if zlib_format else -15)
    elif coding == "br":
        pieces = _unbrotlied(data)
    elif coding == "zstd":
        pieces = _unzstd(data)
    else:
        raise HttpError("http_coding", f"unknown content coding {coding[:40]!r}")
    allowed = min(max_bytes, FREE_BYTES + MAX_RATIO * len(data))
    body: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            size += len(piece)
            if size > allowed:
                raise HttpError(
                    "record_size", f"{len(data)} bytes of {coding} grew to more than {allowed}"
                )
            body.append(piece)
    except _BrokenCodingError as broken:
        if not (cut_short and broken.cut):
            raise HttpError("http_coding", f"broken {coding}: {broken}") from None
    return b"".join(body)


class _BrokenCodingError(Exception):
    """A coded stream that does not decode; `cut` if it only stops too early."""

    def __init__(self, message: str, *, cut: bool = False) -> None:
        super().__init__(message)
        self.cut = cut


_CUT: Final = "it stops before its end"


def _inflated(data: bytes, wbits: int) -> Iterator[bytes]:
    while data:
        inflater = zlib.decompressobj(wbits)
        while not inflater.eof:
            try:
                piece = inflater.decompress(data, _STEP_BYTES)
            except zlib.error as error:
                raise _BrokenCodingError(str(error).rpartition(": ")[2]) from None
            data = inflater.unconsumed_tail
            yield piece
            if not data and not piece and not inflater.eof:
                raise _BrokenCodingError(_CUT, cut=True)
        # Members may follow one another; what else comes after the end browsers pass over, too.
        data = inflater.unused_data if inflater.unused_data[:2] == b"\x1f\x8b" else b""


def _unbrotlied(data: bytes) -> Iterator[bytes]:
    try:
        import brotli  # type: ignore[import-untyped]
    except ImportError:
        raise HttpError("http_coding", "br, and the package `brotli` is not installed") from None
    decoder = brotli.Decompressor()
    try:
        piece = decoder.process(data, output_buffer_limit=_STEP_BYTES)
        while piece:
            yield piece
            piece = decoder.process(b"", output_buffer_limit=_STEP_BYTES)
    except brotli.error as error:
        raise _BrokenCodingError(str(error)) from None
    if not decoder.is_finished():
        raise _BrokenCodingError(_CUT, cut=True)


def _unzstd(data: bytes) -> Iterator[bytes]:
    file = StoredFile(BytesIO(data), len(data))
    position = 0
    try:
        while position < len(data):
            frame = ZstdFrame(file, position)
            while piece := frame.read(_STEP_BYTES):
                yield piece
            position = frame.position
    except DamagedMemberError as damage:
        raise _BrokenCodingError(damage.detail, cut=damage.kind == "truncated") from None
