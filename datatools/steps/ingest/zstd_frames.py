"""zstd files as a run of frames, read block by block so that a cut is seen and a bomb is bounded.

A frame's own block headers say where it ends, so truncation is known whatever the library makes of
it (`zstandard` 0.25 returns what there is without an error), and no step grows by more than one
block. A frame without a check sum hides a flipped bit; nothing here can see it.

References:
    Y. Collet and M. Kucherawy, RFC 8878, Zstandard Compression, 2021: section 3.1.1 frames and
    blocks, section 3.1.2 skippable frames. A block's content is at most 128 KiB.
    IIPC, Zstandard Compression for WARC Files 1.0, proposed specification: a dictionary travels in
    a skippable frame of type 0x184D2A5D at the file's start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import zstandard

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.members import FREE_BYTES, DamagedMemberError

__all__ = ["ZstdFile", "ZstdFrame", "is_zstd"]

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after a first byte of 0x50 to 0x5f
_DICTIONARY: Final = 0x5D
_MAX_DICTIONARY_BYTES: Final = 100 << 20
_BLOCK_BYTES: Final = 128 << 10
_SCAN_BYTES: Final = 256 << 10
_RLE: Final = 1


def is_zstd(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is zstd.

    Example:
        >>> is_zstd(bytes.fromhex("28b52ffd00")), is_zstd(b"{}")
        (True, False)
    """
    return head.startswith(_MAGIC) or _is_skippable(head)


def _is_skippable(head: bytes) -> bool:
    return len(head) >= 4 and head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE


class ZstdFrame:
    """One frame being decompressed. A skippable frame has no content."""

    def __init__(
        self,
        file: StoredFile,
        start: int,
        max_ratio: int | None = None,
        dictionary: zstandard.ZstdCompressionDict | None = None,
    ) -> None:
        self.start = start
        self.position = start
        self._file = file
        self._max_ratio = max_ratio
        self._stream = zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()
        self._produced = 0
        self._in_blocks = False
        self._ended = False
        self._checksum_bytes = 0

    def read(self, limit: int) -> bytes:
        """Return the content of the next block, 128 KiB at most; empty once the frame has ended."""
        del limit  # a block is the unit; it is small
        data = b""
        while not data and not self._ended:
            data = self._block() if self._in_blocks else self._header()
        self._produced += len(data)
        if self._max_ratio is not None:
            allowed = FREE_BYTES + self._max_ratio * (self.position - self.start)
            if self._produced > allowed:
                raise DamagedMemberError(
                    "bomb", f"{self.position - self.start} bytes grew to {self._produced}"
                )
        return data

    def _header(self) -> bytes:
        head = self._take(4)
        if _is_skippable(head):
            self._take(int.from_bytes(self._take(4), "little"), keep=False)
            self._ended = True
            return b""
        if head != _MAGIC:
            raise DamagedMemberError("corrupt", "zstd: not a frame")
        descriptor = self._take(1)[0]
        single_segment = descriptor >> 5 & 1
        size_bytes = (single_segment, 2, 4, 8)[descriptor >> 6]
        rest = (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3] + size_bytes
        self._checksum_bytes = 4 if descriptor & 4 else 0
        self._in_blocks = True
        return self._decompress(head + bytes([descriptor]) + self._take(rest))

    def _block(self) -> bytes:
        head = self._take(3)
        fields = int.from_bytes(head, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        if kind == 3 or size > _BLOCK_BYTES:
            raise DamagedMemberError("corrupt", "zstd: impossible block")
        data = head + self._take(1 if kind == _RLE else size)
        if last:
            data += self._take(self._checksum_bytes)
            self._ended = True
        content = self._decompress(data)
        if last and not self._stream.eof:
            raise DamagedMemberError("corrupt", "zstd: the frame does not end where it says")
        return content

    def _decompress(self, data: bytes) -> bytes:
        try:
            return bytes(self._stream.decompress(data))
        except zstandard.ZstdError as error:
            raise DamagedMemberError("corrupt", f"zstd: {str(error).rpartition(': ')[2]}") from None

    def _take(self, size: int, *, keep: bool = True) -> bytes:
        if self.position + size > self._file.size:
            self.position = self._file.size
            raise DamagedMemberError(
                "truncated",
                f"the file ends inside the zstd frame that begins at byte {self.start:,}",
            )
        data = self._file.read_at(self.position, size) if keep else b""
        self.position += size
        return data


class ZstdFile:
    """The zstd container, with the dictionary of the file if it carries one."""

    name = "zstd"
    # A raw block shows the bytes of another file as they are, 128 KiB at most.
    span = _BLOCK_BYTES + 1

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None = None) -> None:
        self._dictionary = dictionary

    @classmethod
    def of(cls, file: StoredFile) -> ZstdFile:
        """Return the container for one file."""
        head = file.read_at(0, 8)
        size = int.from_bytes(head[4:], "little")
        if not _is_skippable(head) or head[0] != _DICTIONARY or size > _MAX_DICTIONARY_BYTES:
            return cls()
        data = file.read_at(8, size)
        try:
            if data.startswith(_MAGIC):
                data = zstandard.ZstdDecompressor().decompress(
                    data, max_output_size=_MAX_DICTIONARY_BYTES
                )
            return cls(zstandard.ZstdCompressionDict(data))
        except zstandard.ZstdError:
            return cls()  # a damaged dictionary shows in every frame that needs it

    def open(self, file: StoredFile, start: int, *, max_ratio: int | None) -> ZstdFrame:
        """Return the frame that starts at `start`."""
        return ZstdFrame(file, start, max_ratio, self._dictionary)

    def candidates(self, file: StoredFile, start: int, end: int) -> Iterator[int]:
        """Return the positions in `[start, end)` with the magic of a frame that has content."""
        for base in range(start, end, _SCAN_BYTES):
            chunk = file.read_at(base, _SCAN_BYTES + len(_MAGIC) - 1)
            found = chunk.find(_MAGIC)
            while 0 <= found < min(_SCAN_BYTES, end - base):
                yield base + found
                found = chunk.find(_MAGIC, found + 1)
