"""ReadJsonl: documents from JSON Lines, one object per line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final, NoReturn

import orjson
import polars as pl
from pydantic import Field

from datatools.errors import UnsupportedFormatError
from datatools.records import make_id
from datatools.steps.base import ReadLog, Unit
from datatools.steps.ingest.columns import ColumnNames, UnusableRecordError
from datatools.steps.ingest.files import FileSource, InputFile, StoredFile, open_file, open_unit
from datatools.steps.ingest.frames import DocumentFrames, Row
from datatools.steps.ingest.gzip_members import GZIP
from datatools.steps.ingest.lines import split_lines
from datatools.steps.ingest.members import (
    Checked,
    Container,
    DamagedMemberError,
    find_member,
    padding_end,
)
from datatools.steps.ingest.zstd_frames import ZstdFile, is_zstd

__all__ = ["ReadJsonl"]

_CHUNK_BYTES: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_FOREIGN: Final = (
    (b"WARC/", "a WARC file", "Use ReadWarc."),
    (b"PAR1", "a Parquet file", "Use ReadParquet."),
    (b"ARROW1", "an Arrow file", "Use ReadDataset, or write it as Parquet."),
    (b"PK\x03\x04", "a zip file", "Unpack it."),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Recompress it with zstd."),
    (b"BZh", "compressed with bzip2", "Recompress it with zstd."),
    (b"\xfd7zXZ\0", "compressed with xz", "Recompress it with zstd."),
    (b"\xff\xfe", "in UTF-16", "Convert it with `iconv -f UTF-16 -t UTF-8`."),
    (b"\xfe\xff", "in UTF-16", "Convert it with `iconv -f UTF-16 -t UTF-8`."),
)


class ReadJsonl(ColumnNames, FileSource):
    r"""Reads documents from JSON Lines, plain or compressed with gzip or zstd.

    A line is cut at `\n` only. Fields that become no column are kept in `meta`, as JSON.
    Quarantined, each with its reason and place, is a line that is not UTF-8, not one JSON value,
    not an object, has no text, holds an integer beyond 64 bits, or is too long. A blank line is a
    skipped range. A last line without its line end is kept if it parses, and is incomplete input if
    it does not.

    Lone surrogates, which JSON can escape and UTF-8 cannot hold, become U+FFFD; `meta` counts them
    as `_replaced_chars`. Of a repeated key the last value counts. Whether native ids are unique is
    checked over the whole dataset, not here.

    A compressed file is one unit, because lines do not end where its members do; `offset` is where
    the line's member begins and `meta` holds the position in it as `_stream_offset`.

    Example:
        >>> ReadJsonl(paths="posts/*.jsonl.zst", text="body", id="post_id").text
        'body'
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("orjson", "zstandard")

    max_record_bytes: int = Field(default=32 << 20, ge=1)
    """Longest line, in bytes; longer ones are quarantined. Raising it raises the memory a worker
    may need, to about six times as much."""

    def _split(self, file: InputFile) -> list[Unit]:
        with open_file(file) as stored:
            if _container(stored, file.path) is not None:
                return [file.unit(0, file.size)]
            starts = [0]
            for target in range(self.unit_bytes, file.size, self.unit_bytes):
                start = _next_line(stored, target)
                if starts[-1] < start < file.size:
                    starts.append(start)
        return [
            file.unit(start, end)
            for start, end in zip(starts, [*starts[1:], file.size], strict=True)
        ]

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        """Yield the unit's documents; see `Source.read`."""
        with open_unit(unit) as file:
            container = _container(file, unit.path)
            reading = _Reading(self, file, unit, log, label)
            if container is None:
                yield from reading.plain()
            else:
                yield from reading.compressed(container)
            yield from reading.frames.rest()


def _container(file: StoredFile, path: str) -> Container | None:
    """Return the file's compression, None for a plain file.

    Raises:
        UnsupportedFormatError: It is of another known kind.
    """
    head = file.read_at(0, 16)
    for magic, what, hint in _FOREIGN:
        if head.startswith(magic):
            raise UnsupportedFormatError(path, f"is {what}, not JSON Lines", hint=hint)
    name = path.lower()
    _refuse_other_text(head, path, re.sub(r"\.(gz|zst|zstd)$", "", name))
    looks_plain = head.removeprefix(_BOM)[:1] in (b"{", b"[", b" ", b"\t", b"\r", b"\n", b"")
    if head.startswith(b"\x1f\x8b") or (name.endswith(".gz") and not looks_plain):
        return GZIP
    if is_zstd(head) or (name.endswith((".zst", ".zstd")) and not looks_plain):
        return ZstdFile.of(file)
    return None


def _refuse_other_text(head: bytes, path: str, name: str) -> None:
    """Refuse text of another kind, whose every line would be quarantined, by its name and start."""
    start = head.removeprefix(_BOM).lstrip()
    if name.endswith((".csv", ".tsv")) and not start.startswith(b"{"):
        raise UnsupportedFormatError(
            path,
            "is named as CSV, not JSON Lines",
            hint="Convert it, e.g. with `polars.read_csv(FILE).write_ndjson(OTHER)`.",
        )
    if name.endswith(".json") and start.startswith((b"[", b"{\n", b"{\r\n")):
        each = "'.[]'" if start.startswith(b"[") else "."
        raise UnsupportedFormatError(
            path,
            "is JSON over several lines, not JSON Lines",
            hint=f"Write one object per line, e.g. with `jq -c {each} FILE`.",
        )


def _next_line(file: StoredFile, target: int) -> int:
    """Return the first line start at or after `target`, or the file's size."""
    position = target - 1
    while chunk := file.read_at(position, 1 << 16):
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(chunk)
    return file.size


class _Reading:
    """The reading of one unit."""

    def __init__(
        self, step: ReadJsonl, file: StoredFile, unit: Unit, log: ReadLog, label: str
    ) -> None:
        self._step = step
        self._file = file
        self._unit = unit
        self._log = log
        self._label = label
        self.frames = DocumentFrames(unit.relpath, label)

    def plain(self) -> Iterator[pl.DataFrame]:
        """Read line after line of a file that is not compressed."""
        unit, log = self._unit, self._log
        consumed_from = unit.start
        position = unit.start
        for start, position, line in split_lines(
            self._stored_chunks(), unit.start, self._step.max_record_bytes
        ):
            if line is not None and (line.isspace() or not line):
                if consumed_from < start:
                    log.consumed(consumed_from, start)
                log.skipped(start, position, "blank-line")
                consumed_from = position
                continue
            try:
                row = self._row(line, start, 0)
            except UnusableRecordError as error:
                if position == unit.size and self._cut(line):
                    if consumed_from < start:
                        log.consumed(consumed_from, start)
                    log.incomplete(start, position, "the file ends inside a line")
                    return
                self._quarantine(error, start, 0)
            else:
                yield from self.frames.add(row, position - start)
        if consumed_from < position:
            log.consumed(consumed_from, position)
        if position < unit.end:
            log.incomplete(position, unit.end, "the file is shorter than it was")

    def _stored_chunks(self) -> Iterator[bytes]:
        position = self._unit.start
        while position < self._unit.end:
            chunk = self._file.read_at(position, min(_CHUNK_BYTES, self._unit.end - position))
            if not chunk:
                break
            position += len(chunk)
            yield chunk

    def _cut(self, line: bytes | None) -> bool:
        """Return whether the file's last line, which is broken, also lacks its line end."""
        return line is None or self._file.read_at(self._unit.size - 1, 1) != b"\n"

    def compressed(self, container: Container) -> Iterator[pl.DataFrame]:
        """Read line after line of a compressed file, and go on after damage."""
        position = lines = 0
        while position < self._unit.end:
            padded = padding_end(self._file, position, self._unit.end)
            if padded > position:
                self._log.skipped(position, padded, "padding")
                position = padded
                continue
            run = _Run(container, self._file, position, self._step.max_record_bytes)
            reached = position
            try:
                for start, _, line in split_lines(run.chunks(), 0, self._step.max_record_bytes):
                    reached = run.position
                    lines += 1
                    yield from self._compressed_line(line, *run.place(start))
            except DamagedMemberError as damage:
                end = find_member(container, self._file, run.member_start + 1, self._unit.end)
                end = self._unit.end if end is None else end
                reached = min(reached, end - 1)
                if position < reached:
                    self._log.consumed(position, reached)
                # Of a member that was cut all stored bytes are read: its last one stands for what
                # is missing, and says nothing of how much that is.
                before = f"; {lines:,} whole lines were read before"
                detail = damage.detail + (before if damage.kind == "truncated" else "")
                self._log.incomplete(reached, end, detail)
                position = end
            else:
                self._log.consumed(position, run.position)
                position = run.position

    def _compressed_line(
        self, line: bytes | None, offset: int, position: int
    ) -> Iterator[pl.DataFrame]:
        if line is not None and (line.isspace() or not line):
            return
        try:
            row = self._row(line, offset, position, {"_stream_offset": position})
        except UnusableRecordError as error:
            self._quarantine(error, offset, position)
        else:
            yield from self.frames.add(row, len(line or b""))

    def _row(
        self, line: bytes | None, offset: int, position: int, notes: dict[str, int] | None = None
    ) -> Row:
        if line is None:
            limit = self._step.max_record_bytes
            raise UnusableRecordError("record_size", f"a line of more than {limit} bytes")
        if offset + position == 0:
            line = line.removeprefix(_BOM)
        record, replaced = _parse(line)
        notes = {} if notes is None else notes
        if replaced:
            notes["_replaced_chars"] = replaced
        columns = self._step.take(record, notes)
        return Row(
            self._id(offset, position, columns.native_id),
            offset,
            columns.text,
            None,
            columns.url,
            columns.source,
            columns.date,
            columns.language,
            columns.license,
            columns.meta,
        )

    def _id(self, offset: int, position: int, native_id: str | None = None) -> str:
        if native_id is not None:
            return make_id(self._label, self._unit.relpath, native_id)
        place: tuple[int | str, ...] = (offset, position) if position else (offset,)
        if self._step.id is not None:
            place = (*place, "place")  # words that no native id is in
        return make_id(self._label, self._unit.relpath, *place)

    def _quarantine(self, error: UnusableRecordError, offset: int, position: int) -> None:
        detail = error.detail
        if position:
            detail = f"at {position} of the decompressed member: {detail}"
        self._log.quarantined(
            self._id(offset, position), error.reason, offset=offset, detail=detail
        )


class _Run:
    """Members of a compressed file read as one stream, from a start to the end or to damage."""

    def __init__(self, container: Container, file: StoredFile, start: int, hold_bytes: int) -> None:
        self._container = container
        self._file = file
        self._hold_bytes = hold_bytes
        self._starts: list[tuple[int, int]] = []  # stream position, stored position of each member
        self.member_start = start
        self.position = start
        """Stored bytes handed out so far, rounded up."""

    def chunks(self) -> Iterator[bytes]:
        """Return the decompressed stream in pieces."""
        produced = 0
        while self.position < self._file.size:
            if padding_end(self._file, self.position, self._file.size) > self.position:
                return
            self.member_start = self.position
            self._starts.append((produced, self.position))
            member = self._container.open(self._file, self.position, max_ratio=None)
            checked = Checked(member, self._hold_bytes)
            while data := checked.read(_CHUNK_BYTES):
                self.position = checked.position
                produced += len(data)
                yield data
            self.position = member.position

    def place(self, position: int) -> tuple[int, int]:
        """Return where the member that holds a stream position starts, and the position in it."""
        while len(self._starts) > 1 and self._starts[1][0] <= position:
            del self._starts[0]
        base, start = self._starts[0]
        return start, position - base


# ------------------------------------------------------------------------------------------------
# JSON

_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WIDE: Final = float(1 << 63)


def _parse(line: bytes) -> tuple[dict[str, Any], int]:
    """Return the object on a line, and how many lone surrogates were replaced in it.

    Raises:
        UnusableRecordError: There is none.
    """
    replaced = 0
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if not _SURROGATE_ESCAPE.search(line):
            raise _invalid(line, error) from None
        value, replaced = _parse_surrogates(line)
    if type(value) is not dict:
        raise UnusableRecordError("not_an_object", f"a JSON {type(value).__name__}")
    if _holds_wide_number(value):
        # orjson turns an integer beyond 64 bits into a float; the slow parser tells it from 1e30.
        _load_strictly(line)
    return value, replaced


def _invalid(line: bytes, error: ValueError) -> UnusableRecordError:
    try:
        line.decode()
    except UnicodeDecodeError as undecodable:
        return UnusableRecordError("invalid_utf8", f"byte {undecodable.start} of the line")
    return UnusableRecordError("invalid_json", str(error))


def _holds_wide_number(value: Any) -> bool:
    if type(value) is float:
        return not -_WIDE < value < _WIDE
    # Plain loops: `any` over a generator costs three times as much, for every record.
    if type(value) is dict:
        for item in value.values():
            if type(item) is not str and _holds_wide_number(item):
                return True
    elif type(value) is list:
        for item in value:
            if type(item) is not str and _holds_wide_number(item):
                return True
    return False


def _load_strictly(line: bytes) -> Any:
    try:
        return json.loads(line.decode(), parse_int=_int64, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _invalid(line, error if isinstance(error, ValueError) else _DEEP) from None


_DEEP: Final = ValueError("nested too deep")


def _int64(digits: str) -> int:
    if len(digits) <= 20 and -(1 << 63) <= (value := int(digits)) < 1 << 64:
        return value
    raise UnusableRecordError("wide_integer", f"{digits[:24]} does not fit 64 bits")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_surrogates(line: bytes) -> tuple[Any, int]:
    value = _load_strictly(line)
    replaced = 0

    def mend(item: Any) -> Any:
        nonlocal replaced
        if isinstance(item, str):
            item, count = _SURROGATE.subn("\ufffd", item)
            replaced += count
        elif isinstance(item, dict):
            item = {mend(name): mend(inner) for name, inner in item.items()}
        elif isinstance(item, list):
            item = [mend(inner) for inner in item]
        return item

    return mend(value), replaced
