"""Documents from Parquet files."""

import contextlib
import datetime
import decimal
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datatools.errors import ConfigError, UnsupportedFormatError
from datatools.records import make_id
from datatools.steps.ingest.read_parquet import ReadParquet

TEXTS = [f"{n} 밤이 깊었다 the night was long" for n in range(1000)]


@pytest.fixture
def parquet(tmp_path):
    """Write a table and return the path."""

    def write(table, name="docs.parquet", **options):
        path = tmp_path / name
        if isinstance(table, bytes):
            path.write_bytes(table)
        else:
            pq.write_table(pa.table(table) if isinstance(table, dict) else table, path, **options)
        return str(path)

    return write


def texts(reading):
    return [row["text"] for row in reading.rows]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array([text.encode() for text in TEXTS]),
    ],
    ids=["string", "large_string", "string_view", "dictionary", "binary"],
)
def test_text_of_every_type_is_read(column, parquet, read_all):
    path = parquet(
        {"text": column, "url": [f"http://x/{n}" for n in range(1000)]}, row_group_size=300
    )
    reading = read_all(ReadParquet(paths=path), bytewise=False)
    assert reading.whole
    assert texts(reading) == TEXTS
    assert [row["offset"] for row in reading.rows] == list(range(1000))
    assert reading.rows[7]["url"] == "http://x/7"
    assert reading.rows[7]["id"] == make_id("lab", "docs.parquet", 7)
    assert reading.rows[7]["meta"] is None


def test_rows_do_not_depend_on_the_size_of_units(parquet, read_all):
    path = parquet({"text": TEXTS}, row_group_size=70)
    whole = read_all(ReadParquet(paths=path), bytewise=False)
    counts = set()
    for unit_bytes in (1, 3000, 8000):
        split = read_all(ReadParquet(paths=path, unit_bytes=unit_bytes), bytewise=False)
        assert split.rows == whole.rows
        counts.add(len(split.units))
    assert max(counts) == 15
    assert len(counts) > 1


def test_native_ids_and_other_names_are_taken(parquet, read_all):
    path = parquet({"body": ["a", "b"], "key": [10, 11]})
    reading = read_all(ReadParquet(paths=path, text="body", id="key"), bytewise=False)
    assert [row["id"] for row in reading.rows] == [
        make_id("lab", "docs.parquet", "10"),
        make_id("lab", "docs.parquet", "11"),
    ]


def test_other_columns_become_meta_in_words_json_knows(parquet, read_all):
    schema = pa.schema(
        {
            "text": pa.string(), "n": pa.int64(), "price": pa.decimal128(5, 2), "day": pa.date32(),
            "when": pa.timestamp("ns", tz="UTC"), "span": pa.duration("s"), "raw": pa.binary(),
            "tags": pa.list_(pa.string()), "map": pa.map_(pa.string(), pa.int32()),
            "f": pa.float64(), "none": pa.null(),
            "inner": pa.struct({"a": pa.date32(), "b": pa.float32()}),
        }
    )  # fmt: skip
    row = {
        "text": "밤", "n": 2**53 + 1, "price": decimal.Decimal("1.10"), "raw": b"\xff\x00",
        "day": datetime.date(2024, 2, 29), "when": 1_700_000_000_123_456_789,
        "span": datetime.timedelta(seconds=90), "tags": ["a", "나"], "map": [("k", 1)],
        "inner": {"a": datetime.date(2024, 1, 1), "b": 0.5}, "f": float("nan"), "none": None,
    }  # fmt: skip
    path = parquet(pa.Table.from_pylist([row], schema))
    (got,) = read_all(ReadParquet(paths=path), bytewise=False).rows
    assert json.loads(got["meta"]) == {
        "n": 2**53 + 1, "price": "1.10", "day": "2024-02-29", "span": "0:01:30", "raw": "/wA=",
        "when": "2023-11-14 22:13:20.123456789Z", "tags": ["a", "나"],
        "inner": {"a": "2024-01-01", "b": 0.5}, "map": [["k", 1]], "f": None, "none": None,
    }  # fmt: skip


def test_rows_without_text_are_quarantined(parquet, read_all):
    path = parquet({"text": ["a", None, ""], "key": ["1", "2", None]})
    reading = read_all(ReadParquet(paths=path, id="key"), bytewise=False)
    assert texts(reading) == ["a"]
    assert reading.reasons == {"text_missing": 1, "id_missing": 1}
    assert [offset for offset, *_ in reading.quarantined] == [1, 2]


def test_a_string_that_is_not_utf8_costs_its_row(parquet, read_all):
    raw = pa.array([b"a", "밤".encode(), b"\xff", b"d"], pa.binary())
    for column in (raw.view(pa.string()), raw.cast(pa.large_binary()).view(pa.large_string())):
        path = parquet({"text": ["1", "2", "3", "4"], "other": column})
        reading = read_all(ReadParquet(paths=path), bytewise=False)
        assert texts(reading) == ["1", "2", "4"]
        assert reading.reasons == {"invalid_utf8": 1}
    path = parquet({"text": raw})
    reading = read_all(ReadParquet(paths=path), bytewise=False)
    assert (texts(reading), reading.reasons) == (["a", "밤", "d"], {"text_type": 1})


def test_a_missing_column_names_the_nearest_one(parquet):
    path = parquet({"content": ["a"], "texts": [1]})
    with pytest.raises(ConfigError, match=r"ReadParquet\.text: .*Did you mean 'texts'\?"):
        ReadParquet(paths=path).units()
    with pytest.raises(ConfigError, match=r"ReadParquet\.id: .*Its columns: content, texts"):
        ReadParquet(paths=path, text="content", id="zzz").units()
    with pytest.raises(ConfigError, match="does not hold text but int64"):
        ReadParquet(paths=path, text="texts").units()


def test_a_file_without_rows_is_one_empty_unit(parquet, read_all):
    reading = read_all(
        ReadParquet(paths=parquet({"text": pa.array([], pa.string())})), bytewise=False
    )
    assert (reading.rows, reading.whole, len(reading.units)) == ([], True, 1)


def test_other_files_are_refused(parquet):
    for data in (b"", b'{"text": "a"}\n', b"PK\x03\x04"):
        with pytest.raises(UnsupportedFormatError, match="is not a Parquet file"):
            ReadParquet(paths=parquet(data)).units()


def test_every_cut_is_incomplete_input(parquet, read_all):
    data = Path(parquet({"text": TEXTS[:20]})).read_bytes()
    for cut in range(4, len(data), 7):
        reading = read_all(ReadParquet(paths=parquet(data[:cut])), bytewise=False)
        assert reading.rows == []
        assert len(reading.incomplete) == 1


def test_damage_in_one_row_group_costs_that_row_group(parquet, read_all):
    path = parquet(
        {"text": TEXTS}, row_group_size=100, compression="zstd", use_dictionary=False,
        write_page_checksum=True,
    )  # fmt: skip
    data = bytearray(Path(path).read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(4).column(0)
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 20] = b"\xff" * 20
    reading = read_all(ReadParquet(paths=parquet(bytes(data))), bytewise=False)
    assert texts(reading) == TEXTS[:400] + TEXTS[500:]
    assert [(start, end) for start, end, _ in reading.incomplete] == [(4, 5)]


def test_random_damage_never_escapes(parquet, read_all):
    data = Path(
        parquet({"text": TEXTS[:100], "n": list(range(100))}, row_group_size=20)
    ).read_bytes()
    rng = random.Random(0)
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(4, len(data))] ^= 1 << rng.randrange(8)
        with contextlib.suppress(ConfigError):  # the column's name may be hit
            read_all(ReadParquet(paths=parquet(bytes(broken))), bytewise=False)


def test_remote_files_are_read_like_local_ones(parquet, read_all):
    path = parquet({"text": TEXTS})
    fsspec.filesystem("memory").pipe("/docs/docs.parquet", Path(path).read_bytes())
    remote = read_all(ReadParquet(paths="memory://docs/*.parquet"), bytewise=False)
    assert remote.rows == read_all(ReadParquet(paths=path), bytewise=False).rows


READ_ONE = """
import io, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import pyarrow as pa, pyarrow.parquet as pq
from datatools.errors import DatatoolsError
from datatools.steps.ingest.read_parquet import ReadParquet

class Log:
    def __init__(self): self.ranges = []; self.lost = 0; self.gaps = 0
    def consumed(self, start, end): self.ranges.append((start, end))
    def incomplete(self, start, end, detail): self.ranges.append((start, end)); self.gaps += 1
    def quarantined(self, id, reason, *, offset, detail=""): self.lost += 1

for path in sys.stdin.read().split("\\n"):
    try:
        names = [f.name for f in pq.ParquetFile(path).schema_arrow if pa.types.is_string(f.type)
                 or pa.types.is_binary(f.type)]
    except Exception:
        names = []
    try:
        source = ReadParquet(paths=path, text=(names or ["text"])[0])
        for unit in source.units():
            log = Log()
            rows = sum(frame.height for frame in source.read(unit, log, "x"))
            position = unit.start
            for start, end in log.ranges:
                assert start == position < end, path
                position = end
            assert position == unit.end, path
        print("read", rows, log.lost, log.gaps)
    except DatatoolsError as error:
        print("refused", type(error).__name__)
"""


@pytest.mark.shared
def test_broken_parquet_files_are_read_or_refused_without_a_crash(shared_dir):
    folders = ("parquet-testing", "arrow-testing", "generated")
    paths = [
        str(path)
        for folder in folders
        for path in (shared_dir / "badinputs" / folder).rglob("*")
        if path.is_file()
    ]
    done = subprocess.run(
        [sys.executable, "-c", READ_ONE],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = done.stdout.split("\n")[:-1]
    assert len(results) == len(paths)
    assert any(result.startswith("read") for result in results)


def test_a_large_row_group_is_read_in_frames(parquet, read_all):
    rng = random.Random(0)
    long = [rng.randbytes(1 << 20).hex() for _ in range(20)]
    table = pa.table({"text": long})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert texts(read_all(ReadParquet(paths=parquet(sink.getvalue())), bytewise=False)) == long
