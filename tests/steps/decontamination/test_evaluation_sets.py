import gzip
import json

import polars as pl
import pytest
import zstandard
from pydantic import ValidationError

from datatools.errors import DataError
from datatools.steps.decontamination.evaluation_sets import Benchmark

ITEMS = [
    {
        "id": "a",
        "question": "물은?",
        "choices": {"text": ["H2O", "금"], "label": ["A", "B"]},
        "n": 1,
    },
    {"id": "b", "question": "What?", "choices": {"text": [], "label": []}, "n": None},
]
LINES = "\n".join(json.dumps(item, ensure_ascii=False) for item in ITEMS).encode() + b"\n\n"


def write_parquet(path):
    pl.DataFrame(ITEMS).write_parquet(path)


WRITERS = {
    "plain": lambda path: path.write_bytes(LINES),
    "marked": lambda path: path.write_bytes(b"\xef\xbb\xbf" + LINES),
    "gzip": lambda path: path.write_bytes(gzip.compress(LINES)),
    "zstd": lambda path: path.write_bytes(zstandard.compress(LINES)),
    "array": lambda path: path.write_text(json.dumps(ITEMS, indent=1)),
    "parquet": write_parquet,
}


def texts(path, **settings):
    benchmark = Benchmark(path=str(path), **settings)
    return [row for reader in benchmark.readers("set") for row in reader().rows()]


@pytest.mark.parametrize("form", WRITERS)
def test_items_are_read_from_every_form(tmp_path, form):
    WRITERS[form](tmp_path / "items")
    fields = ["question", "choices.text", ["question", "choices.text", "n"]]
    joined = "question+choices.text+n"
    assert texts(tmp_path / "items", fields=fields, id="id") == [
        ("set", "a", "question", "물은?"),
        ("set", "a", "choices.text", "H2O\n금"),
        ("set", "a", joined, "물은?\nH2O\n금\n1"),
        ("set", "b", "question", "What?"),
        ("set", "b", "choices.text", ""),
        ("set", "b", joined, "What?"),
    ]


def test_items_without_an_id_are_numbered_and_files_of_a_pattern_told_apart(tmp_path):
    for name in ("x.jsonl", "y.jsonl"):
        (tmp_path / name).write_bytes(LINES)
    assert [row[1] for row in texts(tmp_path / "x.jsonl", fields="question")] == ["0", "1"]
    named = [row[1] for row in texts(tmp_path / "*.jsonl", fields="question")]
    assert named == ["x.jsonl:0", "x.jsonl:1", "y.jsonl:0", "y.jsonl:1"]


def test_the_digest_is_of_what_the_files_hold_and_not_of_where_they_are(tmp_path):
    for name, data in (("x", LINES), ("y", LINES), ("z", LINES + b"{}")):
        (tmp_path / name).write_bytes(data)
    x, y, z = (Benchmark(path=str(tmp_path / name), fields=("n",)).digest() for name in "xyz")
    assert x == y != z


@pytest.mark.parametrize(
    ("data", "fields", "told"),
    [
        (LINES, "qestion", "Did you mean 'question'"),
        (LINES, "choices.txt", "Did you mean 'text'"),
        (b"id,question\n1,x\n", "question", "is not JSON"),
        (b"[1, 2]", "question", "is not an object"),
        (gzip.compress(LINES)[:-30], "question", "cannot be unpacked"),
    ],
)
def test_what_cannot_be_read_is_told_when_the_pipeline_is_read(tmp_path, data, fields, told):
    (tmp_path / "items").write_bytes(data)
    with pytest.raises(ValidationError, match=told):
        Benchmark(path=str(tmp_path / "items"), fields=fields)


def test_a_missing_file_is_told_when_the_pipeline_is_read(tmp_path):
    with pytest.raises(ValidationError, match="no file matches"):
        Benchmark(path=str(tmp_path / "items.jsonl"), fields="question")


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"question": {"en": "x"}}, r"items, item 1\.question: is no text \(got 'dict'\)"),
        ({"other": "x"}, "items, item 1: has no field 'question'"),
    ],
)
def test_a_later_item_that_is_otherwise_is_named(tmp_path, second, told):
    (tmp_path / "items").write_text(f"{json.dumps(ITEMS[0])}\n{json.dumps(second)}")
    with pytest.raises(DataError, match=told):
        texts(tmp_path / "items", fields="question")
