"""Compressed files as a run of members, as gzip and zstd files are, each with its own end.

Owns: what a reader asks of a member, whatever the compression: bounded reading, a verdict when it
ends, and the search for the next whole one after damage. `gzip_members` and `zstd_frames` answer.

Standard readers take a cut stream for a short one (`zstandard` and `fsspec` return what
there is without an error, `warcio` gives a partial record), so the verdict is ours: a member that
has not ended with its own check sum raises `DamagedMemberError`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal, Protocol

from datatools.steps.ingest.files import StoredFile

__all__ = [
    "FREE_BYTES",
    "MAX_RATIO",
    "Checked",
    "Container",
    "Damage",
    "DamagedMemberError",
    "Member",
    "find_member",
    "padding_end",
]

Damage = Literal["truncated", "corrupt", "bomb"]

MAX_RATIO: Final = 200
FREE_BYTES: Final = 1 << 20
"""A member may grow to `FREE_BYTES + MAX_RATIO * stored bytes`. Text reaches about 20:1; deflate
cannot exceed 1,032:1 and zstd 32,768:1, which is what bombs use."""


class DamagedMemberError(Exception):
    """A member that is not whole: the file ends inside it, its bytes are wrong, or it is a bomb."""

    def __init__(self, kind: Damage, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Member(Protocol):
    """One member being decompressed."""

    start: int
    """First stored byte."""
    position: int
    """Next stored byte to read; once the member has ended, the end of the member."""

    def read(self, limit: int) -> bytes:
        """Return the next decompressed bytes, about `limit` at most; empty once it has ended.

        Raises:
            DamagedMemberError: It is not whole.
        """


class Container(Protocol):
    """A kind of compressed file."""

    name: str
    """What it is called in messages."""
    span: int
    """Whole members in a row for this many stored bytes cannot lie inside another member."""

    def open(self, file: StoredFile, start: int, *, max_ratio: int | None) -> Member:
        """Return the member that starts at `start`."""

    def candidates(self, file: StoredFile, start: int, end: int) -> Iterator[int]:
        """Return the positions in `[start, end)` where a member may start, in order."""


def whole_member_end(
    container: Container, file: StoredFile, start: int, opens_with: bytes
) -> int | None:
    """Return where the member at `start` ends; None unless it is whole and opens so."""
    member = container.open(file, start, max_ratio=MAX_RATIO)
    head = b""
    try:
        while len(head) < len(opens_with):
            data = member.read(len(opens_with) - len(head))
            if not data:
                return None
            head += data
        if not head.startswith(opens_with):
            return None
        while member.read(_READ_BYTES):
            pass
    except DamagedMemberError:
        return None
    return member.position


def find_member(
    container: Container,
    file: StoredFile,
    start: int,
    end: int,
    *,
    opens_with: bytes = b"",
    span: int = 0,
) -> int | None:
    """Return the first position in `[start, end)` where a whole member starts, or None.

    A member can hold the bytes of another file's members, stored uncompressed, so that a false
    start looks whole. With `span` at the container's own, the start is certain.

    Args:
        container: The kind of file.
        file: The file.
        start: Where to begin looking.
        end: Where to stop looking; the member itself may go beyond.
        opens_with: What its decompressed bytes must begin with.
        span: Whole members must follow one another from the start for this many stored bytes, or up
            to the end of the file.
    """
    for candidate in container.candidates(file, start, end):
        reached = whole_member_end(container, file, candidate, opens_with)
        while reached is not None and reached - candidate < span and reached < file.size:
            reached = whole_member_end(container, file, reached, b"")
        if reached is not None:
            return candidate
    return None


_READ_BYTES: Final = 256 << 10


def padding_end(file: StoredFile, start: int, end: int) -> int:
    """Return where the NULs at `start` end: what preallocating writers leave between members."""
    position = start
    while chunk := file.read_at(position, min(4096, end - position)):
        filled = len(chunk) - len(chunk.lstrip(b"\0"))
        position += filled
        if filled < len(chunk):
            break
    return position


class Checked:
    """Reads a member, holding its bytes back until its check sum is known.

    A flipped bit shows only where the member ends, so a record must not leave before. Holding is
    bounded: a member that grows beyond `hold_bytes` is handed out as it comes, and damage found
    later is reported by the reader as input that could not be read.
    """

    def __init__(self, member: Member, hold_bytes: int) -> None:
        self._member = member
        self._hold_bytes = hold_bytes
        self._held: deque[bytes] = deque()
        self._damage: DamagedMemberError | None = None
        self._filled = False
        self.position = member.start
        """Stored bytes that what was handed out so far came from, rounded up."""

    def read(self, limit: int) -> bytes:
        """Return the next bytes of the member; empty once it has ended.

        Raises:
            DamagedMemberError: It is not whole. What came before a cut is handed out first; of a
                member held whole whose bytes are wrong nothing is.
        """
        if not self._filled:
            self._fill()
        data = self._held.popleft() if self._held else b""
        if not data:
            if self._damage is not None:
                raise self._damage
            data = self._member.read(limit)
        if data:
            self.position = self._member.position
        return data

    def _fill(self) -> None:
        self._filled = True
        held = 0
        try:
            while held <= self._hold_bytes:
                data = self._member.read(_READ_BYTES)
                if not data:
                    return
                self._held.append(data)
                held += len(data)
        except DamagedMemberError as damage:
            self._damage = damage
            if damage.kind != "truncated":
                self._held.clear()
