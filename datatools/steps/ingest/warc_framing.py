"""Where the records of a WARC stream begin and end, checked against what their headers claim.

Owns: cutting a stream of bytes into record headers and blocks, and finding the next record after
one that lies about its length or is not a record. Refuses: what a record means, and compression.

Readers trust Content-Length and so lose what follows a wrong one: a length of 10^15 swallows the
next records in `warcio` 1.8.1 and `fastwarc` 2.0.1 alike. Here a block must be followed by the end
of the stream or by another record; otherwise reading goes on at the next header that parses.
`fastwarc` parses the header block once its bounds are known.

References:
    IIPC, The WARC Format 1.1, 2017: section 4, `header CRLF block CRLF CRLF`; version lines are
    `WARC/1.0` and `WARC/1.1`, and drafts (0.17, 0.18) are still about. The limits of the
    header block (64 KiB, 500 lines) are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from fastwarc.warc import HeaderMap

from datatools.steps.ingest.files import StoredFile

__all__ = ["OPENING", "PADDING", "FileWindow", "Framed", "Problem", "Window", "frame_records"]

OPENING: Final = b"WARC/"
"""What every record begins with."""
PADDING: Final = "padding"
"""The problem of a stretch of nothing but line ends and NULs: no data, no damage."""

_MAX_HEADER_BYTES: Final = 64 << 10
_MAX_HEADER_LINES: Final = 500
_READ_BYTES: Final = 1 << 20

_VERSION: Final = re.compile(rb"WARC/\d\.\d{1,2}[ \t]*\r?\n", re.I)
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_LINE_ENDS: Final = re.compile(rb"[\r\n]*")
_NOTHING: Final = re.compile(rb"[\r\n\0]*")


class Window:
    """A view of a forward stream: some bytes of it, and where they are in it.

    Args:
        read: Returns the next bytes, about as many as asked for; empty at the end.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data = bytearray()
        self._start = 0
        self._ended = False

    @property
    def end(self) -> int:
        """Position after the last byte in view."""
        return self._start + len(self._data)

    def reach(self, position: int) -> bool:
        """Bring what lies before `position` into view; False if the stream ends sooner."""
        while self.end < position and not self._ended:
            data = self._read(min(max(position - self.end, _MAX_HEADER_BYTES), _READ_BYTES))
            self._data += data
            self._ended = not data
        return self.end >= position

    def view(self, start: int, end: int) -> bytes:
        """Return `[start, end)` as far as it is in view."""
        return bytes(self._data[start - self._start : max(end - self._start, 0)])

    def find(self, pattern: re.Pattern[bytes], start: int, end: int) -> tuple[int, int] | None:
        """Return the first match that lies in `[start, end)`, as far as that is in view."""
        match = pattern.search(self._data, start - self._start, max(end - self._start, 0))
        return (match.start() + self._start, match.end() + self._start) if match else None

    def after(self, pattern: re.Pattern[bytes], position: int) -> int:
        """Return where the run of bytes that `pattern` accepts, from `position` on, ends."""
        while self.reach(position + 1):
            match = pattern.match(self._data, position - self._start)
            position = match.end() + self._start if match else position
            if position < self.end:
                break
        return position

    def forget(self, position: int) -> None:
        """Let go of everything before `position`, which is in view."""
        del self._data[: position - self._start]
        self._start = position

    def skip_to(self, position: int, keep_bytes: int) -> bool:
        """Go to `position`; False if the stream ends sooner.

        What lies before is let go, unless the stream ends within the first `keep_bytes`.
        """
        if not self.reach(min(position, self._start + keep_bytes)):
            return False
        while self.end < position and not self._ended:
            self.forget(self.end)
            self.reach(min(position, self.end + _READ_BYTES))
        self.forget(min(position, self.end))
        return self.end >= position

    def go_back(self, position: int) -> bool:
        """Return whether `position` can be read again."""
        return position >= self._start


class FileWindow(Window):
    """A window over a plain file, which can be moved anywhere."""

    def __init__(self, file: StoredFile, start: int) -> None:
        super().__init__(lambda size: file.read_at(self.end, size))
        self._size = file.size
        self._start = start

    def skip_to(self, position: int, keep_bytes: int) -> bool:
        """Go to `position`; False if the file ends sooner."""
        if position <= self.end:
            self.forget(position)
        else:
            self._move(min(position, self._size))
        return position <= self._size

    def go_back(self, position: int) -> bool:
        """Move the view so that `position` can be read again."""
        if position < self._start:
            self._move(position)
        return True

    def _move(self, position: int) -> None:
        self._data.clear()
        self._start = position
        self._ended = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a stretch of the stream is not a whole record.

    Attributes:
        reason: `truncated` where the stream ends inside, `padding`, or a code for the quarantine.
        detail: What was found.
    """

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Framed:
    """One stretch of the stream: a record with the blank lines after it, or what is not a record.

    Attributes:
        start: Position of the first byte.
        end: One past the last; the next stretch starts here.
        headers: Header fields by lower-case name, the last of a repeated one; empty when
            unreadable.
        length: Bytes of the block.
        block: The block; of one longer than the limit the first 64 KiB.
        problem: What is wrong with it, or None.
    """

    start: int
    end: int
    headers: Mapping[str, str]
    length: int
    block: bytes
    problem: Problem | None = None


def frame_records(window: Window, start: int, max_block_bytes: int) -> Iterator[Framed]:
    r"""Cut a stream into records. What is yielded tiles the stream from `start` to its end.

    Depends on nothing but the bytes from `start` on, so that reading may begin at any record.

    Args:
        window: The stream.
        start: Position of the first record.
        max_block_bytes: Longer blocks are passed over, and only their beginning is given.

    Example:
        >>> from io import BytesIO
        >>> record = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: 2\r\n\r\nhi\r\n\r\n"
        >>> [f.block for f in frame_records(Window(BytesIO(record * 2).read), 0, 100)]
        [b'hi', b'hi']
    """
    position = start
    while window.reach(position + 1):
        window.forget(position)
        framed = _frame(window, position, max_block_bytes)
        yield framed
        position = framed.end


def _frame(window: Window, start: int, max_block_bytes: int) -> Framed:
    after_padding = window.after(_NOTHING, start)
    if after_padding > start:
        return Framed(start, after_padding, {}, 0, b"", Problem(PADDING, "line ends or NULs"))
    found = _header_at(window, start)
    if isinstance(found, Problem):
        return _broken(window, start, start + 1, {}, found)
    headers, block_start, length = found
    block_end = block_start + length
    if length <= max_block_bytes:
        whole = window.reach(block_end)
        block = window.view(block_start, block_end)
    else:
        window.reach(block_start + _MAX_HEADER_BYTES)
        block = window.view(block_start, block_start + _MAX_HEADER_BYTES)
        whole = window.skip_to(block_end, max_block_bytes)
    if whole:
        end = window.after(_LINE_ENDS, block_end)
        # Two line ends close a record: what follows them is another stretch, whatever it is.
        if (
            window.view(block_end, end).count(b"\n") >= 2
            or not window.reach(end + 1)
            or (window.reach(end + len(OPENING)) and window.view(end, end + 5).upper() == OPENING)
        ):
            return Framed(start, end, headers, length, block)
        problem = Problem("warc_length", f"after the {length} bytes it declares no record follows")
    else:
        problem = Problem("truncated", f"declares {length} bytes, and the input ends before")
    return _broken(window, start, block_start, headers, problem)


def _header_at(window: Window, start: int) -> tuple[dict[str, str], int, int] | Problem:
    """Return the header fields at `start`, where the block begins and how long it claims to be."""
    blank = None
    for size in (1024, _MAX_HEADER_BYTES):
        ended = not window.reach(start + size)
        blank = blank or window.find(_BLANK_LINE, start, start + size)
        if blank or ended:
            break
    head = window.view(start, blank[1] if blank else start + _MAX_HEADER_BYTES)
    cut = Problem("truncated", "the input ends inside a record's header")
    if not _VERSION.match(head):
        return (
            cut
            if ended and OPENING.startswith(head[:5].upper()) and len(head) < 12
            else _NOT_A_RECORD
        )
    if blank is None:
        return cut if ended else _TOO_LONG
    if head.count(b"\n") > _MAX_HEADER_LINES:
        return _TOO_LONG
    # Not `WarcRecord.from_bytes`: it allocates what Content-Length says, and 10^15 aborts the
    # process.
    fields_of = HeaderMap()
    try:
        fields_of.parse(BytesIO(_BARE_LF.sub(b"\r\n", head)))
    except OSError as error:
        return Problem("warc_header", f"the header does not parse: {error}")
    fields = fields_of.astuples()
    lengths = {value.strip() for name, value in fields if name.lower() == "content-length"}
    length = lengths.pop() if len(lengths) == 1 else ""
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        shown = " and ".join(sorted({*lengths, length} - {""}))[:60] or "none"
        return Problem("warc_length", f"needs one Content-Length, a number of bytes; has {shown}")
    return {name.lower(): value for name, value in fields}, start + len(head), int(length)


_NOT_A_RECORD: Final = Problem("warc_no_record", "bytes that are not a WARC record")
_TOO_LONG: Final = Problem(
    "warc_header_size",
    f"a header of more than {_MAX_HEADER_BYTES} bytes or {_MAX_HEADER_LINES} lines",
)


def _broken(
    window: Window, start: int, search: int, headers: Mapping[str, str], problem: Problem
) -> Framed:
    """Return the stretch from `start` to the next header that parses, or to the stream's end.

    Paragraph by paragraph, because a header is what stands between the last version line of a
    paragraph and the blank line that ends it: linear in the bytes passed over, whatever they are.
    """
    again = window.go_back(search)
    while again and window.reach(search + 1):
        window.forget(search)
        ended = not window.reach(search + _MAX_HEADER_BYTES)
        blank = window.find(_BLANK_LINE, search, search + _MAX_HEADER_BYTES)
        if blank is None:
            if ended:
                break
            # Half is kept, because a header may begin there. One of more than 32 KiB may be missed.
            search += _MAX_HEADER_BYTES // 2
            continue
        openings = [match.start() for match in _VERSION.finditer(window.view(search, blank[1]))]
        at = search + openings[-1] if openings else None
        found = _header_at(window, at) if at is not None else None
        if at is not None and isinstance(found, tuple) and found[0].keys() >= _MARKS:
            if problem.reason == "truncated":
                problem = Problem("warc_length", "declares more than lies before the next record")
            return Framed(start, at, headers, 0, b"", problem)
        search = blank[1]
    while window.reach(window.end + 1):
        window.forget(window.end)
    return Framed(start, window.end, headers, 0, b"", problem)


_MARKS: Final = frozenset({"warc-type", "warc-record-id"})
"""Fields that every record has: what tells a header found by searching from a likeness."""
