"""What the readers' tests share: a strict log, reading everything, and archives written by
warcio."""

import gzip
import io
from collections import Counter
from dataclasses import dataclass, field

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from datatools.records import SCHEMAS, conform


class StrictLog:
    """A ReadLog that believes nothing: ranges must tile, records must lie in consumed ones."""

    def __init__(self, unit):
        self.unit = unit
        self.ranges = []
        self.skips = []
        self.damage = []
        self.lost = []

    def consumed(self, start, end):
        self.ranges.append((start, end, "consumed"))

    def skipped(self, start, end, reason):
        assert reason
        self.ranges.append((start, end, "skipped"))
        self.skips.append(reason)

    def incomplete(self, start, end, detail):
        assert detail
        self.ranges.append((start, end, "incomplete"))
        self.damage.append((start, end, detail))

    def quarantined(self, id, reason, *, offset, detail=""):
        assert len(id) == 32
        assert reason
        self.lost.append((offset, reason, detail, id))

    def close(self, offsets):
        position = self.unit.start
        for start, end, _ in self.ranges:
            assert start == position, f"gap or overlap at {position}: {self.ranges}"
            assert end > start, f"empty range at {start}"
            position = end
        assert position == self.unit.end, f"stopped at {position} of {self.unit.end}"
        consumed = [(start, end) for start, end, kind in self.ranges if kind == "consumed"]
        for offset in offsets:
            assert any(start <= offset < end for start, end in consumed), (offset, self.ranges)


@dataclass
class Reading:
    """Everything a source said."""

    rows: list = field(default_factory=list)
    quarantined: list = field(default_factory=list)  # (offset, reason, detail, id)
    skipped: Counter = field(default_factory=Counter)
    incomplete: list = field(default_factory=list)  # (start, end, detail)
    units: list = field(default_factory=list)

    @property
    def reasons(self):
        return Counter(reason for _, reason, _, _ in self.quarantined)

    @property
    def whole(self):
        """Whether nothing was lost."""
        return not self.quarantined and not self.incomplete


@pytest.fixture(scope="session")
def read_all():
    """Return a function that reads a source and checks all it promises."""

    def read(source, label="lab", *, bytewise=True):
        reading = Reading(units=source.units())
        by_path = {}
        for unit in reading.units:
            assert unit.start == by_path.get(unit.relpath, 0)
            by_path[unit.relpath] = unit.end
            if bytewise:
                assert unit.end <= unit.size
            log = StrictLog(unit)
            rows = []
            for frame in source.read(unit, log, label):
                assert frame.schema == SCHEMAS["document"]
                assert frame.equals(conform(frame, "document"))
                assert 0 < frame.height <= 4096
                size = sum(len(t.encode()) for t in frame["text"] if t is not None)
                size += sum(len(h) for h in frame["html"] if h is not None)
                assert size <= 16 << 20 or frame.height == 1
                rows += frame.to_dicts()
            log.close([row["offset"] for row in rows] if bytewise else [])
            if bytewise:
                log.close([offset for offset, *_ in log.lost])
                assert [row["offset"] for row in rows] == sorted(row["offset"] for row in rows)
            assert all(row["origin"] == unit.relpath for row in rows)
            reading.rows += rows
            reading.quarantined += log.lost
            reading.skipped.update(log.skips)
            reading.incomplete += log.damage
        ids = [row["id"] for row in reading.rows] + [id for *_, id in reading.quarantined]
        assert len(ids) == len(set(ids))
        if bytewise:
            assert all(by_path[unit.relpath] == unit.size for unit in reading.units)
        return reading

    return read


@dataclass(frozen=True)
class Record:
    """A record to write with warcio."""

    body: bytes
    url: str = "http://example.org/"
    kind: str = "response"
    http: str = "200 OK"
    fields: tuple = (("Content-Type", "text/html; charset=utf-8"),)
    warc_fields: tuple = ()


@pytest.fixture(scope="session")
def write_warc():
    """Return a function that writes records with warcio and tells where each of them ends."""

    def write(records, *, compress=True):
        out = io.BytesIO()
        writer = WARCWriter(out, gzip=compress)
        ends = []
        for record in records:
            head = None
            if record.kind in ("response", "request"):
                status = record.http if record.kind == "response" else "GET / HTTP/1.1"
                protocol = "HTTP/1.1" if record.kind == "response" else ""
                head = StatusAndHeaders(status, list(record.fields), protocol=protocol)
            writer.write_record(
                writer.create_warc_record(
                    record.url,
                    record.kind,
                    payload=io.BytesIO(record.body),
                    http_headers=head,
                    warc_content_type="text/plain" if record.kind == "conversion" else "",
                    warc_headers_dict=dict(record.warc_fields),
                )
            )
            ends.append(out.tell())
        return out.getvalue(), ends

    return write


@pytest.fixture(scope="session")
def warc_record():
    """Return the class of records that `write_warc` takes."""
    return Record


@pytest.fixture(scope="session")
def page_record():
    """Return a function that makes an HTML page, Korean and English, that differs by number."""

    def make(number, size=300):
        words = f"페이지 {number} page. 밤이 깊었다 and the night was long. "
        body = f"<html><body><p>{words * (1 + size // len(words.encode()))}</p></body></html>"
        return Record(body.encode(), url=f"http://example.org/{number}")

    return make


@pytest.fixture(scope="session")
def gzip_bytes():
    """Return gzip without a time stamp, so that fixtures are the same bytes every day."""
    return lambda data: gzip.compress(data, mtime=0)
