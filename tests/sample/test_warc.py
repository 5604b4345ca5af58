import gzip
import os
import zlib

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from datatools.sample import warc
from datatools.sample.warc import Page


def complete(crawl):
    return [name for name in crawl.summary.files if not name.startswith("truncated")]


def test_warcio_reads_every_record_and_its_digests_hold(crawl):
    for name in complete(crawl):
        with (crawl.folder / name).open("rb") as file:
            kinds = []
            for record in ArchiveIterator(file, check_digests="raise"):
                record.content_stream().read()  # the digest is checked at the end
                kinds.append(record.rec_type)
        told = crawl.totals["files"][name]
        assert len(kinds) == told["records"]
        assert kinds.count("response") == told["responses"]
        assert kinds[0] == "warcinfo"


def test_fastwarc_reads_as_many_responses_and_verifies_their_digests(crawl):
    for name in complete(crawl):
        with (crawl.folder / name).open("rb") as file:
            good = [
                record.verify_payload_digest()
                for record in FastIterator(
                    file, record_types=WarcRecordType.response, verify_digests=True
                )
            ]
        assert good == [True] * crawl.totals["files"][name]["responses"]


def test_fastwarc_finds_each_planted_page_at_the_offset_that_truth_tells(crawl):
    for row in crawl.truth:
        with (crawl.folder / row.file).open("rb") as file:
            file.seek(row.offset)
            # The truncated member still yields its head.
            head = zlib.decompressobj(31).decompress(file.read(), 400)
        assert f"WARC-Target-URI: {row.url}\r\n".encode() in head


def test_every_record_is_a_gzip_member_of_its_own(crawl):
    for name in complete(crawl):
        data = (crawl.folder / name).read_bytes()
        members = 0
        while data:
            decoder = zlib.decompressobj(31)
            assert decoder.decompress(data).startswith(b"WARC/1.0\r\n")
            data = decoder.unused_data
            members += 1
        assert members == crawl.totals["files"][name]["records"]


def test_record_ids_are_unique_across_files(crawl):
    ids = []
    for name in complete(crawl):
        with (crawl.folder / name).open("rb") as file:
            ids += [
                record.rec_headers.get_header("WARC-Record-ID") for record in ArchiveIterator(file)
            ]
    assert len(set(ids)) == len(ids)


def test_headers_carry_no_time_but_the_fixed_one(crawl):
    for name in complete(crawl):
        with (crawl.folder / name).open("rb") as file:
            dates = {record.rec_headers.get_header("WARC-Date") for record in ArchiveIterator(file)}
        assert dates == {"2024-05-01T09:00:00Z"}
        assert (crawl.folder / name).read_bytes()[4:8] == bytes(4)  # the gzip time


def test_a_page_comes_back_as_it_went_in(tmp_path):
    body = "끝\r\n\r\n".encode() + bytes(range(256))
    page = Page("https://a.example/x", body, "text/plain", 404, "Not Found")
    path = tmp_path / "a.warc.gz"
    path.write_bytes(warc.gzip_member(warc.response(page)))
    with path.open("rb") as file:
        record = next(iter(ArchiveIterator(file, check_digests="raise")))
        assert record.content_stream().read() == body
    assert record.http_headers.get_statuscode() == "404"
    assert record.http_headers.get_header("Content-Type") == "text/plain"


@pytest.mark.parametrize("data", [b"", b"a", b"\0" * 100_000, os.urandom(100_000)])
def test_gzip_reads_a_member(data):
    assert gzip.decompress(warc.gzip_member(data)) == data


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def chunks():
        yield b"new"
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        warc.replace_file(path, chunks())
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
