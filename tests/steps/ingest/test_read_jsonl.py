"""Documents from JSON Lines."""

import gzip
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import fsspec
import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datatools.errors import UnsupportedFormatError
from datatools.records import make_id
from datatools.steps.ingest.read_jsonl import ReadJsonl

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=9)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"text": st.text(max_size=60)}, optional={"n": JSON, "키": JSON, "url": st.text()}
    ),
    max_size=12,
)


@pytest.fixture
def jsonl(tmp_path):
    """Write bytes under a name and return the path."""

    def write(data, name="posts.jsonl"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def zst(data, size=None):
    packer = zstandard.ZstdCompressor(write_checksum=True)
    size = size or max(len(data), 1)
    return b"".join(packer.compress(data[i : i + size]) for i in range(0, max(len(data), 1), size))


def gz(data, size=None):
    size = size or max(len(data), 1)
    pieces = [data[i : i + size] for i in range(0, max(len(data), 1), size)]
    return b"".join(gzip.compress(piece, mtime=0) for piece in pieces)


def texts(reading):
    return [row["text"] for row in reading.rows]


def records_of(reading):
    """What was written, from what was read."""
    records = []
    for row in reading.rows:
        meta = json.loads(row["meta"] or "{}")
        meta.pop("_stream_offset", None)
        url = {} if row["url"] is None else {"url": row["url"]}
        records.append({"text": row["text"]} | url | meta)
    return records


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    records=RECORDS,
    unit_bytes=st.integers(1, 300),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    closed=st.booleans(),
    name=st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"]),
    ascii_only=st.booleans(),
)
def test_writing_then_reading_is_identity(
    jsonl, read_all, records, unit_bytes, line_end, closed, name, ascii_only
):
    lines = [json.dumps(record, ensure_ascii=ascii_only).encode() for record in records]
    data = line_end.join(lines) + (line_end if closed and lines else b"")
    data = {"a.jsonl": bytes, "a.jsonl.gz": gz, "a.jsonl.zst": zst}[name](data)
    path = jsonl(data, name)
    reading = read_all(ReadJsonl(paths=path, unit_bytes=unit_bytes))
    assert reading.whole
    assert records_of(reading) == records
    whole = read_all(ReadJsonl(paths=path))
    assert [row["id"] for row in reading.rows] == [row["id"] for row in whole.rows]


def test_a_line_belongs_to_the_unit_in_which_it_starts(jsonl, read_all):
    data = b'{"text": "one"}\n{"text": "two two two two"}\n{"text": "three"}\n'
    starts = [0, 16, 44]
    for unit_bytes in range(1, len(data) + 1):
        reading = read_all(ReadJsonl(paths=jsonl(data), unit_bytes=unit_bytes))
        assert [row["offset"] for row in reading.rows] == starts
        assert {unit.start for unit in reading.units} <= {*starts}
    assert len(read_all(ReadJsonl(paths=jsonl(data), unit_bytes=1)).units) == 3


def test_ids_are_made_from_the_offset_or_from_the_native_id(jsonl, read_all):
    path = jsonl(b'{"text": "a", "post": 7}\n{"text": "b", "post": "x"}\n')
    assert [row["id"] for row in read_all(ReadJsonl(paths=path)).rows] == [
        make_id("lab", "posts.jsonl", 0),
        make_id("lab", "posts.jsonl", 25),
    ]
    reading = read_all(ReadJsonl(paths=path, id="post"))
    assert [row["id"] for row in reading.rows] == [
        make_id("lab", "posts.jsonl", "7"),
        make_id("lab", "posts.jsonl", "x"),
    ]


def test_a_broken_line_takes_no_native_id(jsonl, read_all):
    data = (
        b'{"text": null, "post": "x"}\n{"text": "a", "post": 0}\n{"text": "b", "post": "28"}\n{\n'
    )
    reading = read_all(ReadJsonl(paths=jsonl(data), id="post"))  # which checks that ids are unique
    assert (texts(reading), len(reading.quarantined)) == (["a", "b"], 2)


BROKEN = [
    (b"{", "invalid_json"),
    (b'{"text": "a"', "invalid_json"),
    (b'{"text": "a"} {"text": "b"}', "invalid_json"),
    (b'{"text": "a", "n": NaN}', "invalid_json"),
    (b'{"text": "a", "n": Infinity}', "invalid_json"),
    (b'{"text": "a", "n": 1e999}', "invalid_json"),
    (b'{"text": "\\ud800", "n": NaN}', "invalid_json"),
    (b'{"text": "a\tb"}', "invalid_json"),
    (b'{"text": "caf\xe9"}', "invalid_utf8"),
    (b'{"text": "\xed\xa0\x80"}', "invalid_utf8"),
    (b'{"text": "\xc0\xaf"}', "invalid_utf8"),
    (b'{"text": "\\ud800 \xff"}', "invalid_utf8"),
    (b"[1, 2]", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"null", "not_an_object"),
    (b'{"body": "a"}', "text_missing"),
    (b'{"text": null}', "text_missing"),
    (b'{"text": 5}', "text_type"),
    (b'{"text": "a", "n": 18446744073709551616}', "wide_integer"),
    (b'{"text": "a", "n": [{"m": -9223372036854775809}]}', "wide_integer"),
    (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "invalid_json"),
    (b'{"text": "a", "n": ' + b"[" * 300 + b"]" * 300 + b"}", "meta_json"),
    (b'{"text": "a", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
    (b'{"text": "\\ud800", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
    (b'{"text": "' + b"x" * 300_000 + b'"}', "record_size"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
def test_a_broken_line_costs_one_line_and_says_why(line, reason, name, jsonl, read_all):
    data = b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n'
    path = jsonl(data if name == "a.jsonl" else zst(data), name)
    reading = read_all(ReadJsonl(paths=path, max_record_bytes=250_000))
    assert texts(reading) == ["before", "after"]
    assert reading.reasons == {reason: 1}
    assert not reading.incomplete
    if name == "a.jsonl":
        assert reading.quarantined[0][0] == 19


def test_numbers_within_64_bits_and_large_floats_are_kept(jsonl, read_all):
    line = (
        b'{"text": "a", "n": [18446744073709551615, -9223372036854775808, 1e30, -1.5e300, 1e2]}\n'
    )
    (row,) = read_all(ReadJsonl(paths=jsonl(line))).rows
    assert json.loads(row["meta"])["n"] == [2**64 - 1, -(2**63), 1e30, -1.5e300, 100.0]


def test_lone_surrogates_become_replacement_characters_and_are_counted(jsonl, read_all):
    data = (
        rb'{"text": "lone \ud800 end", "tag": "\udc00\ud800"}' + b"\n"
        rb'{"text": "pair \ud83d\ude00"}' + b"\n"
    )
    first, second = read_all(ReadJsonl(paths=jsonl(data))).rows
    assert first["text"] == "lone \ufffd end"
    assert json.loads(first["meta"]) == {"tag": "\ufffd\ufffd", "_replaced_chars": 3}
    assert (second["text"], second["meta"]) == ("pair 😀", None)


def test_of_a_repeated_key_the_last_value_counts(jsonl, read_all):
    data = b'{"text": "first", "text": "second"}\n' + rb'{"text": "\ud800", "text": "x"}'
    assert texts(read_all(ReadJsonl(paths=jsonl(data)))) == ["second", "x"]


def test_blank_lines_are_skipped_ranges(jsonl, read_all):
    data = b'\n{"text": "a"}\n\r\n   \n{"text": "b"}\n\n'
    for unit_bytes in (1, 5, 1000):
        reading = read_all(ReadJsonl(paths=jsonl(data), unit_bytes=unit_bytes))
        assert texts(reading) == ["a", "b"]
        assert reading.skipped == {"blank-line": 4}


def test_lines_end_at_line_feeds_only(jsonl, read_all):
    text = "a\u2028b\u2029c\u0085d"
    reading = read_all(
        ReadJsonl(paths=jsonl(json.dumps({"text": text}, ensure_ascii=False).encode()))
    )
    assert texts(reading) == [text]


@pytest.mark.parametrize("pack", [bytes, gz, zst])
def test_a_byte_order_mark_is_no_part_of_the_first_line(pack, jsonl, read_all):
    data = b'\xef\xbb\xbf{"text": "a"}\n{"text": "b"}\n'
    assert texts(read_all(ReadJsonl(paths=jsonl(pack(data))))) == ["a", "b"]


def test_a_last_line_without_its_end_is_kept_if_it_parses_and_incomplete_if_not(jsonl, read_all):
    whole = b'{"text": "a"}\n{"text": "b"}'
    assert texts(read_all(ReadJsonl(paths=jsonl(whole)))) == ["a", "b"]
    reading = read_all(ReadJsonl(paths=jsonl(whole[:-3])))
    assert texts(reading) == ["a"]
    assert reading.incomplete == [(14, len(whole) - 3, "the file ends inside a line")]
    # With its line end the same line is broken, not cut.
    assert read_all(ReadJsonl(paths=jsonl(whole[:-3] + b"\n"))).reasons == {"invalid_json": 1}


def test_every_cut_of_a_plain_file_is_told(jsonl, read_all):
    data = '{"text": "가나다"}\n{"text": "abc"}\n'.encode()
    for cut in range(1, len(data)):
        reading = read_all(ReadJsonl(paths=jsonl(data[:cut])))
        lines = data[:cut].split(b"\n")
        complete = lines[-1] == b"" or lines[-1].endswith(b"}")
        assert len(reading.rows) == data[:cut].count(b"}")
        assert bool(reading.incomplete) == (not complete)


NUMBERED = [{"text": f"{n} 밤이 깊었다 the night was long", "n": n} for n in range(400)]
LINES = b"".join(orjson.dumps(record) + b"\n" for record in NUMBERED)


@pytest.mark.parametrize(("pack", "name"), [(gz, "a.jsonl.gz"), (zst, "a.jsonl.zst")])
@pytest.mark.parametrize("size", [None, 3000])
def test_compressed_lines_may_span_members(pack, name, size, jsonl, read_all):
    reading = read_all(ReadJsonl(paths=jsonl(pack(LINES, size), name)))
    assert reading.whole
    assert records_of(reading) == NUMBERED
    members = {row["offset"] for row in reading.rows}
    assert len(members) == (1 if size is None else -(-len(LINES) // 3000))


@pytest.mark.parametrize(("pack", "name"), [(gz, "a.jsonl.gz"), (zst, "a.jsonl.zst")])
@pytest.mark.parametrize("size", [None, 3000])
def test_a_cut_compressed_file_keeps_whole_lines_and_tells_of_the_rest(
    pack, name, size, jsonl, read_all
):
    data = pack(LINES, size)
    for cut in [*range(1, len(data), 97), len(data) - 1, len(data) - 4, len(data) - 9]:
        reading = read_all(ReadJsonl(paths=jsonl(data[:cut], name)))
        assert records_of(reading) == NUMBERED[: len(reading.rows)]
        assert not reading.whole


@pytest.mark.parametrize(("pack", "name"), [(gz, "a.jsonl.gz"), (zst, "a.jsonl.zst")])
def test_a_flipped_bit_costs_one_member_and_changes_no_line(pack, name, jsonl, read_all):
    data = pack(LINES, 3000)
    rng = random.Random(0)
    for _ in range(50):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        reading = read_all(ReadJsonl(paths=jsonl(bytes(flipped), name)))
        kept = records_of(reading)
        assert all(NUMBERED[record["n"]] == record for record in kept)
        assert len(kept) == 400 or not reading.whole
        assert len(kept) > 400 - 3 * 3000 // 60


def test_a_single_damaged_member_keeps_nothing_that_is_not_checked(jsonl, read_all):
    data = gz(LINES)
    wrong = data[:-8] + b"\0\0\0\0" + data[-4:]
    reading = read_all(ReadJsonl(paths=jsonl(wrong, "a.jsonl.gz")))
    assert reading.rows == []
    assert reading.incomplete == [(0, len(data), "gzip: incorrect data check")]


def test_padding_after_a_compressed_file_is_skipped(jsonl, read_all):
    reading = read_all(ReadJsonl(paths=jsonl(gz(LINES) + b"\0" * 600, "a.jsonl.gz")))
    assert len(reading.rows) == 400
    assert (reading.skipped, reading.incomplete) == ({"padding": 1}, [])


def test_an_endless_line_is_let_go_in_bounded_memory(jsonl, read_all):
    packer = zstandard.ZstdCompressor().compressobj()
    data = packer.compress(b'{"text": "a"}\n{"text": "')
    data += b"".join(packer.compress(b"x" * (1 << 20)) for _ in range(300))
    data += packer.compress(b'"}\n{"text": "b"}\n') + packer.flush()
    path = jsonl(data, "a.jsonl.zst")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "from datatools.steps.ingest.read_jsonl import ReadJsonl\n"
        "class Log:\n"
        "    consumed = skipped = incomplete = lambda *_: None\n"
        "    def quarantined(self, id, reason, **_): print(reason)\n"
        f"source = ReadJsonl(paths={path!r})\n"
        "frames = [f for u in source.units() for f in source.read(u, Log(), 'x')]\n"
        "rows = [text for frame in frames for text in frame['text']]\n"
        "status = open('/proc/self/status').read()\n"
        "print(rows, int(status.split('VmHWM:')[1].split()[0]) < 300_000)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "record_size\n['a', 'b'] True\n", done.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1....", "Parquet file"),
        (b"WARC/1.0\r\n", "WARC file"),
        (b"PK\x03\x04", "zip file"),
        ("\ufeff{}".encode("utf-16-le"), "UTF-16"),
        (b"BZh91AY", "bzip2"),
    ],
)
def test_other_kinds_of_files_are_refused_with_what_they_are(data, message, jsonl):
    with pytest.raises(UnsupportedFormatError, match=message):
        ReadJsonl(paths=jsonl(data)).units()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", "id,text\n1,한국어\n", r"named as CSV, not JSON Lines\. Convert it"),
        ("a.CSV", "\ufeffid,text\n1,one\n", "named as CSV"),
        ("a.tsv.gz", "id\ttext\n1\tone\n", "named as CSV"),
        ("a.json", '[\n  {"text": "하나"}\n]\n', r"JSON over several lines.*jq -c '\.\[\]' FILE"),
        ("a.json", '{\n  "text": "one"\n}\n', r"JSON over several lines.*jq -c \. FILE"),
    ],
)
def test_text_that_is_not_json_lines_is_refused_with_what_to_do(name, data, message, jsonl):
    stored = data.encode()
    with pytest.raises(UnsupportedFormatError, match=message):
        ReadJsonl(paths=jsonl(gz(stored) if name.endswith(".gz") else stored, name)).units()


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_json_lines_are_read_whatever_their_name_is(name, jsonl, read_all):
    assert len(read_all(ReadJsonl(paths=jsonl(LINES, name))).rows) == 400


def test_compression_is_known_by_content_and_a_damaged_beginning_by_name(jsonl, read_all):
    assert len(read_all(ReadJsonl(paths=jsonl(gz(LINES), "misnamed.jsonl"))).rows) == 400
    assert len(read_all(ReadJsonl(paths=jsonl(LINES, "misnamed.jsonl.gz"))).rows) == 400
    reading = read_all(ReadJsonl(paths=jsonl(b"\0\1" + gz(LINES, 3000)[2:], "a.jsonl.gz")))
    assert len(reading.rows) > 300
    assert reading.incomplete


def test_remote_files_are_read_like_local_ones(jsonl, read_all):
    fsspec.filesystem("memory").pipe("/posts/posts.jsonl", LINES)
    remote = read_all(ReadJsonl(paths="memory://posts/*.jsonl", unit_bytes=1000))
    local = read_all(ReadJsonl(paths=jsonl(LINES), unit_bytes=1000))
    assert remote.rows == local.rows
    assert len(remote.units) > 10


def test_an_empty_file_is_one_empty_unit(jsonl, read_all):
    reading = read_all(ReadJsonl(paths=jsonl(b"")))
    assert (reading.rows, reading.whole, len(reading.units)) == ([], True, 1)


# ------------------------------------------------------------------------------------------------
# Real and hostile files


@pytest.mark.shared
def test_json_is_accepted_and_refused_as_its_test_suite_says(shared_dir, jsonl, read_all):
    folder = shared_dir / "badinputs/JSONTestSuite/test_parsing"
    wrong = []
    for path in sorted(folder.iterdir()):
        value = path.read_bytes()
        if b"\n" in value:
            continue  # a value on several lines is no JSON Lines
        data = b'{"text": "before"}\n{"text": "x", "v": ' + value + b'}\n{"text": "after"}\n'
        reading = read_all(ReadJsonl(paths=jsonl(data)))
        accepted = len(reading.rows) == 3
        assert texts(reading)[:: len(reading.rows) - 1] == ["before", "after"], path.name
        assert accepted == reading.whole
        if path.name[0] in "yn" and accepted != (path.name[0] == "y"):
            wrong.append(path.name)
    # As a member of an object an empty value, or one with a closing bracket too many, is still
    # wrong.
    assert wrong == []


@pytest.mark.shared
def test_hostile_lines_cost_themselves(shared_dir, read_all):
    folder = shared_dir / "badinputs/generated/files"
    reading = read_all(ReadJsonl(paths=str(folder / "hostile.jsonl"), id="id"))
    assert reading.reasons == {
        "invalid_json": 5, "text_missing": 2, "text_type": 2, "not_an_object": 3,
    }  # fmt: skip
    assert reading.skipped == {"blank-line": 2}
    assert len(reading.rows) == 17
    raw = read_all(ReadJsonl(paths=str(folder / "hostile_rawbytes.jsonl")))
    assert (texts(raw), raw.reasons) == (["ok", "ok"], {"invalid_utf8": 3})
    cut = read_all(ReadJsonl(paths=str(folder / "no_final_newline_truncated.jsonl")))
    assert (texts(cut), len(cut.incomplete)) == (["1"], 1)
    bomb = read_all(ReadJsonl(paths=str(folder / "bomb_one_line_256MB.jsonl.gz")))
    assert bomb.reasons == {"record_size": 1}


@pytest.mark.shared
def test_naughty_strings_are_read_as_they_are(shared_dir, jsonl, read_all):
    strings = json.loads((shared_dir / "badinputs/blns/blns.json").read_text(encoding="utf-8"))
    data = b"".join(orjson.dumps({"text": string}) + b"\n" for string in strings)
    assert texts(read_all(ReadJsonl(paths=jsonl(data), unit_bytes=100))) == strings


@pytest.mark.shared
@pytest.mark.parametrize("name", ["ko_rust_book", "python_peps", "ko_nsmc_reviews_A"])
def test_real_corpora_are_read_whole(name, shared_dir, read_all):
    path = shared_dir / f"data/g_corpora/{name}.jsonl.zst"
    raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
    records = [json.loads(line) for line in raw.splitlines()]
    field = next(key for key, value in records[0].items() if key in ("text", "document", "review"))
    reading = read_all(ReadJsonl(paths=str(path), text=field))
    assert reading.whole
    assert texts(reading) == [record[field] for record in records]
