"""Every step of `datatools.steps` keeps the contract."""

import gzip
import importlib
import json

import polars as pl
import pytest

from datatools import DedupIndex, steps
from datatools.steps import STEPS
from datatools.testing import check_step, nasty_records


def importable(name):
    try:
        importlib.import_module(f"datatools.steps.{STEPS[name]}")
    except ModuleNotFoundError:
        return False
    return True


HERE = [name for name in STEPS if importable(name)]

# What a step cannot do without.
FIELDS = {
    "Apply": {"function": "textwrap:dedent"},
    "LanguageFilter": {"keep": ("en", "ko")},
    "UrlFilter": {"block": ("example.com",), "words": ("단어",)},
}
# Records of a step that reads columns which no kind of record has.
VECTORS = [[1.0, 0.0], [0.5, 0.01], [0.0, 0.0], None, [-1.0, 2.0], [float("nan"), 1.0]]
FRAMES = {
    "SemanticDedup": pl.DataFrame(
        {"text": ["하나", "one", "", None, "셋", "3"], "embedding": VECTORS}
    )
}
# Other forms of a step that take another way through it.
MORE = [
    ("DetectLanguage", {"paragraphs": True}),
    ("ExactDedup", {"compare": "words"}),
    ("MinHashDedup", {"keep": "first", "unit": "char"}),
    ("MinHashDedup", {"verify": "none"}),
    ("Split", {"validation": 0.5}),
    ("GroupPrompts", {"unit": "word", "ngram": 2}),
    ("GopherQuality", {"profile": "datatrove-0.10"}),
    ("GopherRepetition", {"profile": "datatrove-0.10"}),
    ("C4Quality", {"profile": "datatrove-0.10", "min_sentences": 1}),
    ("FineWebQuality", {"profile": "datatrove-0.3"}),
    ("Pii", {"email": "drop", "phone": "report", "ip": "off"}),
    ("Mix", {"unit": "documents", "total": 40, "max_epochs": 3}),
]


def warc(*pages):
    records = []
    for number, page in enumerate(pages):
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
        head = (
            "WARC/1.0\r\nWARC-Type: response\r\n"
            f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
            f"WARC-Target-URI: https://example.org/{number}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
            "Content-Type: application/http; msgtype=response\r\n"
            f"Content-Length: {len(http)}\r\n\r\n"
        )
        records.append(gzip.compress(head.encode() + http + b"\r\n\r\n", mtime=0))
    return b"".join(records)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Fields for the steps that read: small files in Korean and English, some of them broken."""
    folder = tmp_path_factory.mktemp("inputs")
    pages = ["<p>an English page</p>", "<p>한국어 페이지</p>", "", "<p>\ufffd\0</p>"]
    (folder / "a.warc.gz").write_bytes(warc(*(page.encode() for page in pages)))
    rows = [
        {"text": "an English text"},
        {"text": "한국어 글"},
        {"text": ""},
        {"text": "a\u2028b\0"},
    ]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    lines += [b"{broken", b"", b'{"text": "\\ud800"}', b'{"text": 7}', b"[]", b'{"text": "last"}']
    (folder / "a.jsonl").write_bytes(b"\n".join(lines))
    (folder / "b.jsonl").write_bytes(b"")
    frame = pl.DataFrame({"text": [row["text"] for row in rows] * 3})
    frame.write_parquet(folder / "a.parquet", row_group_size=5)
    published = folder / "published"
    published.mkdir()
    shard = published / "train-00000-of-00001.parquet"
    frame.with_row_index("id").cast({"id": pl.String}).write_parquet(shard)
    entry = {"path": shard.name, "rows": 12, "bytes": shard.stat().st_size, "split": "train"}
    manifest = {"kind": "document", "rows": 12, "shards": [{**entry, "sha256": "0" * 64}]}
    (published / "manifest.json").write_text(json.dumps(manifest))
    index = DedupIndex.create(folder / "kept.index")
    index.add(pl.DataFrame({"id": ["kept"], "text": [nasty_records("document")["text"][0]]}))
    items = folder / "items.jsonl"
    items.write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in nasty_records("document")["text"][:9])
    )
    return {
        "Decontaminate": {"benchmarks": {"nasty": {"path": str(items), "fields": ["text"]}}},
        "IndexDedup": {"index": index.address},
        "ReadWarc": {"paths": (str(folder / "*.warc.gz"),), "unit_bytes": 300},
        "ReadJsonl": {"paths": (str(folder / "*.jsonl"),), "unit_bytes": 40},
        "ReadParquet": {"paths": (str(folder / "*.parquet"),), "unit_bytes": 100},
        "ReadDataset": {"path": str(published)},
    }


@pytest.mark.parametrize("name", list(STEPS))
def test_every_name_in_the_list_can_be_imported(name):
    assert steps.load_step(name).name() == name


@pytest.mark.parametrize("name", HERE)
def test_a_step_keeps_the_contract(name, inputs):
    fields = {**FIELDS, **inputs}.get(name, {})
    check_step(steps.load_step(name)(**fields), FRAMES.get(name))


@pytest.mark.parametrize("action", ["cut", "report"])
def test_other_actions_of_decontamination_keep_it_too(action, inputs):
    fields = {**inputs["Decontaminate"], "ngram": 2, "min_length": 1, "action": action}
    check_step(steps.load_step("Decontaminate")(**fields))


@pytest.mark.parametrize(("name", "fields"), MORE)
def test_other_forms_of_a_step_keep_it_too(name, fields):
    check_step(steps.load_step(name)(**fields))
