"""gzip files as a run of members, with the length and the check sum of each verified.

References:
    P. Deutsch, RFC 1952, GZIP file format specification 4.3, 1996: section 2.2, a file is a series
    of members; section 2.3.1, the reserved flag bits 5 to 7 must be zero.
    P. Deutsch, RFC 1951, DEFLATE 1.3, 1996: section 3.2.4, a stored block has at most 65,535 bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.members import FREE_BYTES, DamagedMemberError

__all__ = ["GZIP", "GzipFile", "GzipMember"]

_MAGIC: Final = b"\x1f\x8b\x08"
_FEED_BYTES: Final = 16 << 10  # what zlib leaves unused after a member is copied: keep it small
_SCAN_BYTES: Final = 256 << 10


class GzipMember:
    """One gzip member being inflated."""

    def __init__(self, file: StoredFile, start: int, max_ratio: int | None) -> None:
        self.start = start
        self.position = start
        self._file = file
        self._max_ratio = max_ratio
        self._inflater = zlib.decompressobj(wbits=31)
        self._fed = b""
        self._produced = 0

    def read(self, limit: int) -> bytes:
        """Return up to `limit` inflated bytes; empty once the member has ended, verified."""
        inflater = self._inflater
        while not inflater.eof:
            fed = self._fed or self._file.read_at(self.position, _FEED_BYTES)
            try:
                data = inflater.decompress(fed, limit)
            except zlib.error as error:
                raise DamagedMemberError("corrupt", _words(error)) from None
            # At the end of a member zlib names what is left twice, in both attributes.
            self._fed = b"" if inflater.eof else inflater.unconsumed_tail
            self.position += len(fed) - len(self._fed) - len(inflater.unused_data)
            self._produced += len(data)
            if self._max_ratio is not None:
                allowed = FREE_BYTES + self._max_ratio * (self.position - self.start)
                if self._produced > allowed:
                    raise DamagedMemberError(
                        "bomb",
                        f"{self.position - self.start} bytes grew to more than {self._produced}",
                    )
            if data:
                return data
            if not fed and not inflater.eof:
                raise DamagedMemberError(
                    "truncated",
                    f"the file ends inside the gzip member that begins at byte {self.start:,}",
                )
        return b""


def _words(error: zlib.error) -> str:
    # "Error -3 while decompressing data: incorrect data check" says it after the colon.
    return "gzip: " + str(error).rpartition(": ")[2]


class GzipFile:
    """The gzip container."""

    name = "gzip"
    # A stored block shows the bytes of another file as they are, 65,535 at most; what follows it
    # (5 bytes of block header, or the trailer) breaks a run of members that lies inside.
    span = 65_536

    def open(self, file: StoredFile, start: int, *, max_ratio: int | None) -> GzipMember:
        """Return the member that starts at `start`."""
        return GzipMember(file, start, max_ratio)

    def candidates(self, file: StoredFile, start: int, end: int) -> Iterator[int]:
        """Return the positions in `[start, end)` with a gzip magic and no reserved flag."""
        for base in range(start, end, _SCAN_BYTES):
            chunk = file.read_at(base, _SCAN_BYTES + len(_MAGIC))
            found = chunk.find(_MAGIC)
            while found >= 0:
                if (
                    found < min(_SCAN_BYTES, end - base)
                    and found + 3 < len(chunk)
                    and not chunk[found + 3] & 0xE0
                ):
                    yield base + found
                found = chunk.find(_MAGIC, found + 1)


GZIP: Final = GzipFile()
