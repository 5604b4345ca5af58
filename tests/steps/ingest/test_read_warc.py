"""Pages from web archives, with every byte accounted for."""

import gzip
import json
import random
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import fsspec
import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator

from datatools.errors import UnsupportedFormatError
from datatools.records import make_id
from datatools.steps.ingest.read_warc import ReadWarc

HTML_TYPES = ("text/html", "application/xhtml+xml")


def by_url(reading):
    return {row["url"]: row["html"] for row in reading.rows}


def whole_records(rows):
    """What a record is, whatever unit it was read in."""
    return [(row["id"], row["url"], row["html"], row["offset"], row["meta"]) for row in rows]


@pytest.fixture
def warc(tmp_path):
    """Write bytes under a name and return the path."""

    def write(data, name="pages.warc.gz"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


@pytest.fixture(scope="module")
def pages(page_record):
    return [page_record(number, size=200 + 997 * number % 4000) for number in range(20)]


def test_pages_are_read_with_address_date_and_place(warc, write_warc, pages, read_all):
    data, ends = write_warc(pages)
    reading = read_all(ReadWarc(paths=warc(data)), label="crawl")
    assert reading.whole
    assert by_url(reading) == {page.url: page.body for page in pages}
    for row, start in zip(reading.rows, [0, *ends], strict=False):
        assert row["offset"] == start
        assert row["id"] == make_id("crawl", "pages.warc.gz", start)
        assert (row["source"], row["origin"], row["text"]) == ("crawl", "pages.warc.gz", None)
        assert row["date"].startswith("20")
        assert json.loads(row["meta"])["charset"] == "utf-8"


def test_records_of_other_kinds_are_skipped_ranges_with_their_kind(
    warc, write_warc, warc_record, read_all
):
    records = [
        warc_record(b"a: b\r\n", kind="metadata"),
        warc_record(b"", kind="request", fields=(("Host", "x"),)),
        warc_record(b"<p>gone", http="404 Not Found"),
        warc_record(b"\x89PNG", fields=(("Content-Type", "image/png"),)),
        warc_record("<p>밤 night".encode()),
    ]
    for compress, name in ((True, "a.warc.gz"), (False, "a.warc")):
        data, _ = write_warc(records, compress=compress)
        reading = read_all(ReadWarc(paths=warc(data, name)))
        assert [row["html"] for row in reading.rows] == ["<p>밤 night".encode()]
        assert reading.skipped == {
            "warc-type:metadata": 1, "warc-type:request": 1, "http-status:404": 1,
            "content-type:image/png": 1,
        }  # fmt: skip


def test_wet_files_give_text(warc, write_warc, warc_record, read_all):
    text = "한국어 문장과 English sentences.\n둘째 줄 second line"
    data, _ = write_warc([warc_record(text.encode(), kind="conversion")])
    (row,) = read_all(ReadWarc(paths=warc(data, "a.warc.wet.gz"))).rows
    assert (row["text"], row["html"]) == (text, None)


@pytest.mark.parametrize("codec", ["cp949", "utf-16", "cp932", "euc_jp", "gb18030", "utf-8"])
def test_pages_in_other_encodings_are_utf8_afterwards(
    codec, warc, write_warc, warc_record, read_all
):
    text = "日本語テキスト" if codec in ("cp932", "euc_jp") else "한국어 Englisch 中文"
    label = {"cp949": "euc-kr", "cp932": "shift_jis", "euc_jp": "euc-jp"}.get(codec, codec)
    html = f'<html><head><meta charset="{label}"></head><p>{text}</p></html>'
    records = [
        warc_record(html.encode(codec), fields=(("Content-Type", f"text/html;charset={label}"),)),
        warc_record(html.encode(codec), fields=(("Content-Type", "text/html"),)),
    ]
    reading = read_all(ReadWarc(paths=warc(write_warc(records)[0])))
    assert [row["html"].decode() for row in reading.rows] == [html, html]


@pytest.mark.parametrize("name", ["pages.warc.gz", "pages.warc", "pages.warc.zst"])
def test_records_do_not_depend_on_the_size_of_units(name, warc, write_warc, pages, read_all):
    data, ends = write_warc(pages, compress=name.endswith(".gz"))
    if name.endswith(".zst"):
        starts = [0, *ends[:-1]]
        packer = zstandard.ZstdCompressor(write_checksum=True)
        data = b"".join(packer.compress(data[s:e]) for s, e in zip(starts, ends, strict=True))
    path = warc(data, name)
    whole = read_all(ReadWarc(paths=path))
    assert len(whole.rows) == 20
    assert whole.whole
    counts = set()
    for unit_bytes in (1, 100, 1000, 5000, len(data) - 1):
        split = read_all(ReadWarc(paths=path, unit_bytes=unit_bytes))
        assert whole_records(split.rows) == whole_records(whole.rows)
        counts.add(len(split.units))
    assert len(counts) > (3 if name == "pages.warc" else 0)


def test_a_large_compressed_file_is_divided_at_records(warc, write_warc, warc_record, read_all):
    rng = random.Random(0)
    records = [
        warc_record(b"<p>" + rng.randbytes(30_000).hex().encode(), url=f"http://x/{number}")
        for number in range(40)
    ]
    data, ends = write_warc(records)
    path = warc(data)
    whole = read_all(ReadWarc(paths=path))
    for unit_bytes in (1, 50_000, 300_000):
        split = read_all(ReadWarc(paths=path, unit_bytes=unit_bytes))
        assert len(split.units) > 3
        assert {unit.start for unit in split.units} <= {0, *ends}
        assert whole_records(split.rows) == whole_records(whole.rows)


def test_an_archive_inside_a_page_divides_no_unit(warc, write_warc, warc_record, read_all):
    rng = random.Random(0)
    inner, _ = write_warc(
        [warc_record(rng.randbytes(900), url=f"http://in/{n}") for n in range(30)]
    )
    records = []
    for number in range(12):
        noise = warc_record(rng.randbytes(60_000), url=f"http://noise/{number}")
        archive = warc_record(
            inner, url=f"http://archive/{number}", fields=(("Content-Type", "application/warc"),)
        )
        records += [noise, archive]
    plain, ends = write_warc(records, compress=False)
    # Level 0 stores: the inner members stand in the file as they are.
    data = b"".join(
        gzip.compress(plain[start:end], 0, mtime=0)
        for start, end in zip([0, *ends], ends, strict=False)
    )
    assert data.count(b"\x1f\x8b\x08") > 12 * 30
    path = warc(data)
    whole = read_all(ReadWarc(paths=path))
    assert len(whole.rows) == 12
    for unit_bytes in (1, 10_000, 64_000):
        split = read_all(ReadWarc(paths=path, unit_bytes=unit_bytes))
        assert whole_records(split.rows) == whole_records(whole.rows)
        assert split.skipped == whole.skipped


def test_every_cut_keeps_the_records_before_it_and_tells_of_the_rest(
    warc, write_warc, page_record, read_all
):
    pages = [page_record(number) for number in range(3)]
    data, ends = write_warc(pages)
    for cut in range(1, len(data)):
        reading = read_all(ReadWarc(paths=warc(data[:cut])))
        before = sum(end <= cut for end in ends)
        assert by_url(reading) == {page.url: page.body for page in pages[:before]}
        assert bool(reading.incomplete) == (cut not in ends)


def test_every_cut_of_a_plain_file_keeps_whole_records_only(
    warc, write_warc, page_record, read_all
):
    pages = [page_record(number) for number in range(3)]
    data, ends = write_warc(pages, compress=False)
    for cut in range(1, len(data), 3):
        reading = read_all(ReadWarc(paths=warc(data[:cut], "a.warc")))
        # The line ends that close a record carry nothing; without them it is whole.
        before = sum(end - 4 <= cut for end in ends)
        assert by_url(reading) == {page.url: page.body for page in pages[:before]}
        closed = any(end - 4 <= cut <= end for end in ends)
        assert bool(reading.incomplete) != closed


def test_a_flipped_bit_costs_one_record_and_changes_none(warc, write_warc, pages, read_all):
    data, _ = write_warc(pages)
    original = {page.url: page.body for page in pages}
    rng = random.Random(0)
    for _ in range(50):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path = warc(bytes(flipped))
        reading = read_all(ReadWarc(paths=path))
        kept = by_url(reading)
        assert kept.items() <= original.items()
        assert len(kept) >= 19
        assert len(kept) == 20 or not reading.whole
        split = read_all(ReadWarc(paths=path, unit_bytes=2000))
        assert whole_records(split.rows) == whole_records(reading.rows)


def test_a_flipped_bit_in_a_plain_page_is_told_by_its_digest(warc, write_warc, pages, read_all):
    data, ends = write_warc(pages, compress=False)
    original = {page.url: page.body for page in pages}
    rng = random.Random(1)
    for _ in range(50):
        number = rng.randrange(20)
        block = data.index(b"<html>", ends[number] - len(pages[number].body) - 4)
        flipped = bytearray(data)
        flipped[rng.randrange(block, ends[number] - 4)] ^= 1 << rng.randrange(8)
        reading = read_all(ReadWarc(paths=warc(bytes(flipped), "a.warc")))
        assert reading.reasons == {"digest_mismatch": 1}
        assert by_url(reading).items() < original.items()
        assert len(reading.rows) == 19


def test_damage_in_two_records_keeps_the_one_between_them(warc, write_warc, pages, read_all):
    data, ends = write_warc(pages)
    broken = bytearray(data)
    for number in (4, 6):
        broken[ends[number] - 20 : ends[number] - 10] = b"\xff" * 10
    reading = read_all(ReadWarc(paths=warc(bytes(broken))))
    lost = {page.url for page in pages} - by_url(reading).keys()
    assert lost == {pages[4].url, pages[6].url}
    assert [(start, end) for start, end, _ in reading.incomplete] == [
        (ends[3], ends[4]),
        (ends[5], ends[6]),
    ]


def test_a_file_whose_beginning_is_damaged_is_read_from_the_next_record(
    warc, write_warc, pages, read_all
):
    data, ends = write_warc(pages)
    reading = read_all(ReadWarc(paths=warc(b"\x00\x01" + data[2:])))
    assert len(reading.rows) == 19
    assert reading.incomplete[0][1] == ends[0]


def test_garbage_and_padding_after_the_last_record_are_told(warc, write_warc, pages, read_all):
    data, _ = write_warc(pages)
    reading = read_all(ReadWarc(paths=warc(data + b"\0" * 5000)))
    assert (len(reading.rows), reading.skipped) == (20, {"padding": 1})
    reading = read_all(ReadWarc(paths=warc(data + b"garbage")))
    assert (len(reading.rows), reading.incomplete[0][:2]) == (20, (len(data), len(data) + 7))


def test_a_file_compressed_as_a_whole_is_one_unit(warc, write_warc, pages, read_all, gzip_bytes):
    plain, ends = write_warc(pages, compress=False)
    for data, name in (
        (gzip_bytes(plain), "a.warc.gz"),
        (zstandard.ZstdCompressor().compress(plain), "a.warc.zst"),
    ):
        reading = read_all(ReadWarc(paths=warc(data, name), unit_bytes=1000))
        assert by_url(reading) == {page.url: page.body for page in pages}
        assert len(reading.units) == 1
        assert {row["offset"] for row in reading.rows} == {0}
        positions = [json.loads(row["meta"]).get("stream_offset", 0) for row in reading.rows]
        assert positions == [0, *ends[:-1]]


def test_a_cut_in_a_file_compressed_as_a_whole_keeps_what_came_before(
    warc, write_warc, pages, read_all, gzip_bytes
):
    data = gzip_bytes(write_warc(pages, compress=False)[0])
    reading = read_all(ReadWarc(paths=warc(data[: len(data) // 2])))
    assert 5 < len(reading.rows) < 19
    assert by_url(reading).items() < {page.url: page.body for page in pages}.items()
    assert reading.incomplete == [
        (
            len(data) // 2 - 1,
            len(data) // 2,
            "the file ends inside the gzip member that begins at byte 0; "
            f"{len(reading.rows)} records were read before",
        )
    ]


def test_a_wrong_check_sum_keeps_nothing_of_its_member(
    warc, write_warc, pages, read_all, gzip_bytes
):
    data = gzip_bytes(write_warc(pages, compress=False)[0])
    wrong = data[:-8] + b"\0\0\0\0" + data[-4:]
    reading = read_all(ReadWarc(paths=warc(wrong)))
    assert reading.rows == []
    assert [detail for *_, detail in reading.incomplete] == ["gzip: incorrect data check"]


def test_of_a_member_too_large_to_hold_records_are_kept_and_its_damage_is_told(
    warc, write_warc, warc_record, read_all, gzip_bytes
):
    rng = random.Random(0)
    records = [
        warc_record(rng.randbytes(9000).hex().encode(), url=f"http://x/{n}") for n in range(9)
    ]
    data = gzip_bytes(write_warc(records, compress=False)[0])
    wrong = data[:-8] + b"\0\0\0\0" + data[-4:]
    assert read_all(ReadWarc(paths=warc(wrong))).rows == []
    reading = read_all(ReadWarc(paths=warc(wrong), max_record_bytes=40_000))
    assert 5 < len(reading.rows) < 9
    assert [detail for *_, detail in reading.incomplete] == ["gzip: incorrect data check"]


def test_bombs_are_quarantined_and_their_neighbours_kept(
    warc, write_warc, warc_record, page_record, read_all, gzip_bytes
):
    payload_bomb = warc_record(
        gzip.compress(b"A" * (200 << 20)),
        url="http://bomb/payload",
        fields=(("Content-Type", "text/html"), ("Content-Encoding", "gzip")),
    )
    head, _ = write_warc([page_record(0), payload_bomb])
    huge = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"\0" * (200 << 20)
    member_bomb = gzip_bytes(
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:2>\r\n"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(huge), huge)
    )
    tail, _ = write_warc([page_record(1)])
    reading = read_all(ReadWarc(paths=warc(head + member_bomb + tail)))
    assert list(by_url(reading)) == [page_record(0).url, page_record(1).url]
    assert reading.reasons == {"record_size": 2}


def test_a_large_image_between_pages_is_passed_over(
    warc, write_warc, warc_record, page_record, read_all
):
    image = warc_record(
        random.Random(0).randbytes(300_000), fields=(("Content-Type", "image/png"),)
    )
    for compress, name in ((True, "a.warc.gz"), (False, "a.warc")):
        data, _ = write_warc([page_record(0), image, page_record(1)], compress=compress)
        reading = read_all(ReadWarc(paths=warc(data, name), max_record_bytes=10_000))
        assert len(reading.rows) == 2
        assert reading.skipped == {"content-type:image/png": 1}


def test_frames_stay_small_and_a_large_page_travels_alone(warc, write_warc, warc_record, read_all):
    rng = random.Random(0)
    small = [warc_record(rng.randbytes(1000).hex().encode(), url=f"http://s/{n}") for n in range(9)]
    large = warc_record(rng.randbytes(9 << 20).hex().encode(), url="http://large/")
    data, _ = write_warc([*small[:5], large, *small[5:]])
    source = ReadWarc(paths=warc(data))
    (unit,) = source.units()

    class Quiet:
        def consumed(self, *_): ...
        def skipped(self, *_): ...
        def incomplete(self, *_): ...
        def quarantined(self, *_, **__): ...

    assert [frame.height for frame in source.read(unit, Quiet(), "x")] == [5, 1, 4]
    assert len(read_all(source).rows) == 10


def test_an_empty_file_is_one_empty_unit(warc, read_all):
    reading = read_all(ReadWarc(paths=warc(b"", "a.warc.gz")))
    assert (reading.rows, reading.whole, len(reading.units)) == ([], True, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"filedesc://a.arc 0.0.0.0 2008 text/plain 75\n", mtime=0), "ARC file"),
        (b"filedesc://a.arc 0.0.0.0 2008 text/plain 75\n", "ARC file"),
        (b"PK\x03\x04rest", "zip file"),
        (b"\x04\x22\x4d\x18rest", "lz4"),
        (b'{"text": "a"}\n', "is not a WARC file"),
        (gzip.compress(b'{"text": "a"}\n', mtime=0), "is not a WARC file"),
    ],
)
def test_other_kinds_of_files_are_refused_with_what_they_are(data, message, warc):
    with pytest.raises(UnsupportedFormatError, match=message):
        ReadWarc(paths=warc(data, "data.gz")).units()


def test_remote_files_are_read_like_local_ones(warc, write_warc, pages, read_all):
    data, _ = write_warc(pages)
    fsspec.filesystem("memory").pipe("/crawl/pages.warc.gz", data)
    remote = read_all(ReadWarc(paths="memory://crawl/*.warc.gz", unit_bytes=1000))
    local = read_all(ReadWarc(paths=warc(data)))
    assert whole_records(remote.rows) == whole_records(local.rows)


# ------------------------------------------------------------------------------------------------
# Real archives


def count_pages(path):
    """Count with warcio the responses that are HTML pages."""
    found = 0
    with Path(path).open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response" and record.http_headers:
                kind = record.http_headers.get_header("content-type") or ""
                status = record.http_headers.get_statuscode()
                found += status == "200" and kind.split(";")[0].strip().lower() in HTML_TYPES
    return found


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "IAH-20080430204825-00000-blackbook.warc.gz",
        "commoncrawl-2020-34-sample.warc.gz",
        "dolma-sample-0000.warc.gz",
        "wcxb_dev_A.warc.gz",
        "whirlwind.warc.gz",
    ],
)
def test_a_real_crawl_gives_the_pages_that_warcio_counts(name, shared_dir, read_all):
    path = shared_dir / "data/a_warc" / name
    reading = read_all(ReadWarc(paths=str(path)))
    assert reading.whole
    assert len(reading.rows) == count_pages(path)
    split = read_all(ReadWarc(paths=str(path), unit_bytes=200_000))
    assert whole_records(split.rows) == whole_records(reading.rows)
    assert len(split.units) > path.stat().st_size // 1_000_000


READ_ONE = """
import sys
from datatools.errors import UnsupportedFormatError
from datatools.steps.ingest.read_warc import ReadWarc

class Log:
    def __init__(self): self.ranges = []; self.lost = 0
    def consumed(self, start, end): self.ranges.append((start, end))
    def skipped(self, start, end, reason): self.ranges.append((start, end))
    def incomplete(self, start, end, detail): self.ranges.append((start, end))
    def quarantined(self, id, reason, *, offset, detail=""): self.lost += 1

for path in sys.stdin.read().split("\\n"):
    try:
        source = ReadWarc(paths=path)
        for unit in source.units():
            log = Log()
            rows = sum(frame.height for frame in source.read(unit, log, "x"))
            position = unit.start
            for start, end in log.ranges:
                assert start == position < end, path
                position = end
            assert position == unit.end, path
        print("read", rows, log.lost)
    except UnsupportedFormatError:
        print("refused")
"""


@pytest.mark.shared
def test_hostile_and_broken_files_are_read_or_refused_in_bounded_time_and_memory(
    shared_dir, tmp_path
):
    for archive in ("edge_and_broken_warcs.tar.gz", "wacz_samples.tar.gz"):
        with tarfile.open(shared_dir / "data/a_warc" / archive) as tar:
            tar.extractall(tmp_path, filter="data")
    folders = (tmp_path, shared_dir / "data/a_warc", shared_dir / "badinputs")
    paths = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    code = textwrap.dedent(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code + READ_ONE],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = done.stdout.split("\n")[:-1]
    assert len(results) == len(paths)
    assert sum(result.startswith("read") for result in results) > 150


@pytest.mark.shared
def test_neighbours_of_hostile_records_are_kept(shared_dir, read_all):
    folder = shared_dir / "badinputs/generated/files"
    for path in sorted(folder.glob("warc_*")):
        reading = read_all(ReadWarc(paths=str(path)))
        urls = [row["url"] for row in reading.rows]
        assert "http://e.test/0" in urls, path.name
        if path.name != "warc_trailing_garbage.warc.gz":
            assert "http://e.test/1" in urls, path.name
