"""Files that end too early: which, where, how much of them was read, and what to do."""

import gzip
import io
import json

import polars as pl
import pytest
import zstandard
from jobs import dataset, run_job

from datatools import steps
from datatools.sample.warc import Page, gzip_member, response

TEXTS = [f"line {n} 줄 {n * n * 7919 % 10007}" for n in range(500)]
LINES = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS).encode()
MEMBERS = [
    gzip_member(response(Page(f"https://example.org/{n}", f"<p>{text}</p>".encode())))
    for n, text in enumerate(TEXTS[:9])
]


def told_of(folder, reader, name, data):
    """Run a job over one file; return what it says of the file, and how many records it read."""
    (folder / name).write_bytes(data)
    source = reader(paths=(str(folder / name),))
    result = run_job(folder / "out", {"pages": dataset(source)})
    lines = [*result.problems, *result.notes]
    (told,) = [line for line in lines if f" {name}, " in line]
    return told, result.datasets["pages"]["rows"]


@pytest.mark.parametrize(
    ("name", "pack", "what"),
    [
        ("cut.jsonl.gz", lambda data: gzip.compress(data, mtime=0), "gzip member"),
        ("cut.jsonl.zst", lambda data: zstandard.ZstdCompressor().compress(data), "zstd frame"),
    ],
)
def test_a_compressed_file_cut_in_half_says_where_and_how_much_was_read(tmp_path, name, pack, what):
    # Incompressible lines after the others: a zstd block is read whole or not at all.
    noise = "".join(f'{{"text": "{n * 0x9E3779B97F4A7C15:x}"}}\n' for n in range(20_000)).encode()
    whole = pack(LINES + noise)
    half = whole[: len(whole) // 2]
    told, rows = told_of(tmp_path, steps.ReadJsonl, name, half)
    assert 500 < rows < 20_000
    assert told == (
        f"pages: ReadJsonl could not read {name}, byte {len(half) - 1:,}: the file ends inside the "
        f"{what} that begins at byte 0; {rows:,} whole lines were read before. Get the whole file "
        "and run again"
    )


def test_json_lines_cut_in_the_middle_of_one_say_which(tmp_path):
    start = LINES.rindex(b"{")
    told, rows = told_of(tmp_path, steps.ReadJsonl, "cut.jsonl", LINES[:-9])
    assert rows == 499
    assert told == (
        f"pages: ReadJsonl could not read cut.jsonl, bytes {start:,} to {len(LINES) - 9:,}: the "
        "file ends inside a line. Get the whole file and run again"
    )


def test_a_web_archive_cut_inside_a_member_says_which(tmp_path):
    start = sum(map(len, MEMBERS[:-1]))
    data = b"".join(MEMBERS)[:-20]
    told, rows = told_of(tmp_path, steps.ReadWarc, "cut.warc.gz", data)
    assert rows == 8
    assert told == (
        f"pages: ReadWarc could not read cut.warc.gz, bytes {start:,} to {len(data):,}: the file "
        f"ends inside the gzip member that begins at byte {start:,}. Get the whole file and run "
        "again"
    )


def test_a_parquet_file_cut_in_half_is_counted_in_row_groups(tmp_path):
    whole = io.BytesIO()
    pl.DataFrame({"text": TEXTS}).write_parquet(whole)
    half = whole.getvalue()[: len(whole.getvalue()) // 2]
    told, rows = told_of(tmp_path, steps.ReadParquet, "cut.parquet", half)
    assert rows == 0
    assert told.startswith(
        "pages: ReadParquet could not read cut.parquet, row group 0: the footer cannot be read: "
    )
    assert told.endswith(". Get the whole file and run again")
