"""Inputs in a bucket, read as local files are: the same records, ids and bytes accounted for."""

import gzip

import fsspec
import polars as pl
import pytest

from datatools import steps
from datatools.errors import ConfigError, DataError
from datatools.sample.warc import Page, gzip_member, response

TEXTS = [f"line {i} of a crawl, 크롤링한 글의 {i}번째 줄" for i in range(300)]


@pytest.fixture
def both(tmp_path, bucket):
    """Put files into a folder and a bucket; return the two places."""

    def put(files):
        for name, data in files.items():
            (tmp_path / "crawl").mkdir(exist_ok=True)
            (tmp_path / "crawl" / name).write_bytes(data)
            fsspec.filesystem("s3").pipe(f"{bucket}/crawl/{name}", data)
        return tmp_path / "crawl", f"{bucket}/crawl"

    return put


def jsonl():
    return b"".join(f'{{"id": "{i}", "text": "{text}"}}\n'.encode() for i, text in enumerate(TEXTS))


def test_json_lines_by_byte_range_and_packed(both, read_all):
    data = jsonl()
    local, remote = both({"a.jsonl": data, "b.jsonl.gz": gzip.compress(data)})
    for unit_bytes in (1000, 10**9):
        here, there = (
            read_all(steps.ReadJsonl(paths=(f"{place}/*.jsonl*",), unit_bytes=unit_bytes))
            for place in (local, remote)
        )
        assert len(there.rows) == 600
        assert there.rows == here.rows


def test_parquet_by_row_group(both, read_all, tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": TEXTS}).write_parquet(path, row_group_size=50)
    local, remote = both({"a.parquet": path.read_bytes()})
    here, there = (
        read_all(steps.ReadParquet(paths=(f"{place}/*.parquet",), unit_bytes=1), bytewise=False)
        for place in (local, remote)
    )
    assert len(there.rows) == 300
    assert there.rows == here.rows


def test_warc_by_member(both, read_all):
    data = b"".join(
        gzip_member(response(Page(f"https://example.org/{i}", f"<p>{text}</p>".encode())))
        for i, text in enumerate(TEXTS[:40])
    )
    local, remote = both({"a.warc.gz": data})
    here, there = (
        read_all(steps.ReadWarc(paths=(f"{place}/*.warc.gz",), unit_bytes=1000))
        for place in (local, remote)
    )
    assert len(there.rows) == 40
    assert there.rows == here.rows


def test_a_file_that_changed_since_it_was_planned_is_refused(both):
    from datatools.steps.ingest.files import open_unit

    _, remote = both({"a.jsonl": jsonl()})
    (unit,) = steps.ReadJsonl(paths=(f"{remote}/a.jsonl",)).units()
    with open_unit(unit) as file:
        assert file.read_at(0, 5) == jsonl()[:5]
    both({"a.jsonl": jsonl().replace(b"line 7 ", b"LINE 7 ")})
    with pytest.raises(DataError, match="changed"):
        open_unit(unit)


def test_a_typo_in_a_name_is_told_with_the_nearest_name(both):
    _, remote = both({"pages.jsonl": jsonl()})
    with pytest.raises(ConfigError, match=r"Did you mean .*pages\.jsonl"):
        steps.ReadJsonl(paths=(f"{remote}/pagse.jsonl",)).units()


def test_a_bucket_that_is_not_there_is_told(bucket):
    with pytest.raises((ConfigError, DataError), match="no-such-bucket-of-ours"):
        steps.ReadJsonl(paths=("s3://no-such-bucket-of-ours/a.jsonl",)).units()
