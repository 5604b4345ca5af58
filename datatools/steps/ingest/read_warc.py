"""ReadWarc: pages from web archives, with every byte of the archive accounted for.

Reads `.warc`, `.warc.gz` and `.warc.zst`, and the text of WET files. One record per gzip member or
zstd frame is the rule, and what makes a file divisible; a file compressed as a whole is one unit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator
from itertools import islice
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from datatools.errors import UnsupportedFormatError
from datatools.records import make_id
from datatools.steps.base import ReadLog, Unit
from datatools.steps.ingest.files import FileSource, InputFile, StoredFile, open_file, open_unit
from datatools.steps.ingest.frames import DocumentFrames, Row, to_json
from datatools.steps.ingest.gzip_members import GZIP
from datatools.steps.ingest.members import (
    MAX_RATIO,
    Checked,
    Container,
    DamagedMemberError,
    find_member,
    padding_end,
)
from datatools.steps.ingest.warc_framing import (
    OPENING,
    PADDING,
    FileWindow,
    Framed,
    Window,
    frame_records,
)
from datatools.steps.ingest.warc_page import Page, PassedOver, Unusable, page_of
from datatools.steps.ingest.zstd_frames import ZstdFile, is_zstd

__all__ = ["ReadWarc"]

_NAMED_WARC: Final = re.compile(r"\.(warc|wet|wat)(\.|$)", re.I)
_FOREIGN: Final = (
    (
        b"filedesc://",
        "an ARC file",
        "Convert it with `warcio recompress FILE.arc.gz FILE.warc.gz`.",
    ),
    (b"PK\x03\x04", "a zip file", "Of a WACZ, read the files in its `archive/` folder."),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Recompress it with gzip, record by record."),
    (b"BZh", "compressed with bzip2", "Recompress it with gzip, record by record."),
    (b"\xfd7zXZ\0", "compressed with xz", "Recompress it with gzip, record by record."),
)
_HEAD_BYTES: Final = 16


class ReadWarc(FileSource):
    """Reads web pages from WARC files and page texts from WET files.

    Kept are `response` records with HTTP status 200 and an HTML content type, whose `html` is UTF-8
    whatever the page was written in (`text` is null until a step extracts it), and `conversion`
    records, whose `text` is set. Every other kind of record is a skipped range whose reason names
    the kind. A record whose length, digest, codings or size are wrong is quarantined; damage costs
    the records it touches, and reading goes on at the next record.

    `meta` holds `charset`, what named it (`charset_from`), `content_type`, `http_status`,
    `replaced_chars` (U+FFFD for bytes that no encoding explains), `payload_digest`, `record_id`,
    and `truncated` where the crawler says that it cut the page. `offset` is where the record's gzip
    member begins; of a file compressed as a whole, `meta` holds the position in the decompressed
    stream as `stream_offset`.

    Example:
        >>> ReadWarc(paths=["crawl/*.warc.gz"]).max_record_bytes
        33554432
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("FastWARC", "Resiliparse", "brotli", "zstandard")

    max_record_bytes: int = Field(default=32 << 20, ge=1)
    """Largest page, in bytes, before and after its codings are undone; larger ones are quarantined.
    Raising it raises the memory a worker may need, to about four times as much."""
    verify_digests: bool = True
    """Whether pages are compared with the digests their records carry. Off saves about a tenth of
    the reading time, and damage inside an uncompressed page then goes unseen."""

    def _split(self, file: InputFile) -> list[Unit]:
        with open_file(file) as stored:
            container = _container(stored, file.path)
            if stored.size <= self.unit_bytes:
                starts = [0]
            elif container is None:
                starts = _record_starts(stored, self.unit_bytes)
            else:
                starts = _member_starts(container, stored, self.unit_bytes)
        return [
            file.unit(start, end)
            for start, end in zip(starts, [*starts[1:], file.size], strict=True)
        ]

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        """Yield the unit's pages; see `Source.read`."""
        with open_unit(unit) as file:
            container = _container(file, unit.path)
            reading = _Reading(self, file, unit, log, label)
            if container is None:
                yield from reading.plain()
            else:
                yield from reading.members(container)
            yield from reading.frames.rest()


def _container(file: StoredFile, path: str) -> Container | None:
    """Return the file's compression, None for a plain file.

    A file whose beginning is damaged is still read if its name says that it is a WARC.

    Raises:
        UnsupportedFormatError: It is not a WARC file.
    """
    head = file.read_at(0, _HEAD_BYTES)
    container: Container | None = None
    if head.startswith(b"\x1f\x8b"):
        container = GZIP
    elif is_zstd(head):
        container = ZstdFile.of(file)
    inside = head if container is None else _first_bytes(container, file)
    for magic, what, hint in _FOREIGN:
        if inside.startswith(magic):
            raise UnsupportedFormatError(path, f"is {what}, not a WARC file", hint=hint)
    if not head or inside.startswith(OPENING):
        return container
    if not _NAMED_WARC.search(path):
        raise UnsupportedFormatError(
            path, "is not a WARC file", got=inside, hint="ReadJsonl reads JSON Lines."
        )
    if container is None and path.lower().endswith(".gz"):
        return GZIP
    return container


def _first_bytes(container: Container, file: StoredFile) -> bytes:
    position = 0
    try:
        while position < file.size:  # members without content may come first
            member = container.open(file, position, max_ratio=MAX_RATIO)
            if head := member.read(_HEAD_BYTES):
                return head[:_HEAD_BYTES]
            position = member.position
    except DamagedMemberError:
        pass
    return b""


def _record_starts(file: StoredFile, unit_bytes: int) -> list[int]:
    starts = [0]
    for framed in frame_records(FileWindow(file, 0), 0, 0):
        if framed.start // unit_bytes > starts[-1] // unit_bytes:
            starts.append(framed.start)
    return starts


def _member_starts(container: Container, file: StoredFile, unit_bytes: int) -> list[int]:
    starts: list[int] = [0]
    if _holds_several_records(container, file):
        return starts
    while (target := (starts[-1] // unit_bytes + 1) * unit_bytes) < file.size:
        start = find_member(
            container, file, target, file.size, opens_with=OPENING, span=container.span
        )
        if start is None:
            break
        starts.append(start)
    return starts


def _holds_several_records(container: Container, file: StoredFile) -> bool:
    window = Window(container.open(file, 0, max_ratio=MAX_RATIO).read)
    try:
        records = (framed for framed in frame_records(window, 0, 0) if framed.problem is None)
        return len(list(islice(records, 2))) == 2
    except DamagedMemberError:
        return False


class _Reading:
    """The reading of one unit."""

    def __init__(
        self, step: ReadWarc, file: StoredFile, unit: Unit, log: ReadLog, label: str
    ) -> None:
        self._step = step
        self._file = file
        self._unit = unit
        self._log = log
        self._label = label
        self.frames = DocumentFrames(unit.relpath, label)

    def plain(self) -> Iterator[pl.DataFrame]:
        """Read records one after the other from a file that is not compressed."""
        window = FileWindow(self._file, self._unit.start)
        for record in frame_records(window, self._unit.start, self._step.max_record_bytes):
            if record.start >= self._unit.end:
                break
            if record.problem is not None and record.problem.reason == "truncated":
                self._log.incomplete(record.start, record.end, record.problem.detail)
                continue
            skipped = yield from self._record(record, record.start, 0)
            if skipped is None:
                self._log.consumed(record.start, record.end)
            else:
                self._log.skipped(record.start, record.end, skipped)

    def members(self, container: Container) -> Iterator[pl.DataFrame]:
        """Read member after member of a compressed file."""
        position = self._unit.start
        while position < self._unit.end:
            padded = padding_end(self._file, position, self._unit.end)
            if padded > position:
                self._log.skipped(position, padded, PADDING)
                position = padded
            else:
                position = yield from self._member(container, position)

    def _member(self, container: Container, start: int) -> Generator[pl.DataFrame, None, int]:
        """Read one member and return where the next one starts."""
        member = container.open(self._file, start, max_ratio=MAX_RATIO)
        checked = Checked(member, self._step.max_record_bytes)
        fates: Counter[str | None] = Counter()  # why records are skipped; None is not
        try:
            window = Window(checked.read)
            for record in frame_records(window, 0, self._step.max_record_bytes):
                fates[(yield from self._record(record, start, record.start))] += 1
        except DamagedMemberError as damage:
            end = find_member(container, self._file, start + 1, self._unit.end, opens_with=OPENING)
            end = self._unit.end if end is None else end
            self._damaged(damage, start, end, checked.position, fates[None])
            return end
        if None in fates:
            self._log.consumed(start, member.position)
        else:
            reason = "several" if len(fates) > 1 else next(iter(fates), None) or "empty-member"
            self._log.skipped(start, member.position, reason)
        return member.position

    def _damaged(
        self, damage: DamagedMemberError, start: int, end: int, read_to: int, records: int
    ) -> None:
        if damage.kind == "bomb":
            self._quarantine("record_size", damage.detail, start, 0)
            self._log.consumed(start, end)
            return
        if not records:
            self._log.incomplete(start, end, damage.detail)
            return
        # The damage showed after records of this member: its last byte stands for what is lost.
        read_to = min(read_to, end - 1)
        self._log.consumed(start, read_to)
        before = f"; {records:,} records were read before" if damage.kind == "truncated" else ""
        self._log.incomplete(read_to, end, damage.detail + before)

    def _record(
        self, record: Framed, offset: int, position: int
    ) -> Generator[pl.DataFrame, None, str | None]:
        """Keep or quarantine one record; return why it is skipped, None if it is not."""
        if record.problem is not None:
            if record.problem.reason == PADDING:
                return PADDING
            reason = (
                "warc_length" if record.problem.reason == "truncated" else record.problem.reason
            )
            self._quarantine(reason, record.problem.detail, offset, position)
            return None
        page = page_of(
            record,
            max_record_bytes=self._step.max_record_bytes,
            verify_digests=self._step.verify_digests,
        )
        match page:
            case PassedOver(reason):
                return reason
            case Unusable(reason, detail):
                self._quarantine(reason, detail, offset, position)
            case Page():
                if position:
                    page.meta["stream_offset"] = position
                row = Row(
                    id=self._id(offset, position),
                    offset=offset,
                    text=page.text,
                    html=page.html,
                    url=page.url,
                    date=page.date,
                    meta=to_json(dict(sorted(page.meta.items()))),
                )
                yield from self.frames.add(row, record.length)
        return None

    def _quarantine(self, reason: str, detail: str, offset: int, position: int) -> None:
        if position:
            detail = f"at {position} of the decompressed member: {detail}"
        self._log.quarantined(self._id(offset, position), reason, offset=offset, detail=detail)

    def _id(self, offset: int, position: int) -> str:
        parts = (offset, position) if position else (offset,)
        return make_id(self._label, self._unit.relpath, *parts)
