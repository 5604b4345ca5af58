import json

import polars as pl
import pytest
import slow_pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, run_job

from datatools import explain, verify
from datatools.errors import ConfigError
from datatools.steps.dedup.exact_dedup import ExactDedup
from datatools.steps.dedup.line_dedup import LineDedup
from datatools.steps.ingest.read_jsonl import ReadJsonl
from datatools.steps.ingest.read_parquet import ReadParquet
from datatools.steps.shape.shuffle import Shuffle
from datatools.testing import check_step


def slow_dedup(texts, step):
    """Return what is left of each text, by comparing every run of pieces with every other."""
    span = step.span or (3 if step.unit == "sentence" else 1)
    runs = []
    for row, text in enumerate(texts):
        at, places = 0, []
        for piece in slow_pieces.UNITS[step.unit](text):
            form = slow_pieces.folded(piece) if step.compare == "folded" else piece.strip()
            if slow_pieces.says_something(piece):
                places.append((at, at + len(piece), form, len(slow_pieces.folded(piece))))
            at += len(piece)
        for first in range(len(places) - span + 1):
            run = places[first : first + span]
            if sum(length for *_, length in run) >= step.min_length:
                form = tuple(form for *_, form, _ in run)
                runs.append((row, run[0][0], run[-1][1], form))
    gone = [set() for _ in texts]
    for at, (row, start, stop, form) in enumerate(runs):
        documents = {other[0] for other in runs if other[3] == form}
        frequent = step.max_documents is not None and len(documents) > step.max_documents
        later = any(other[3] == form for other in runs[:at])
        if frequent or (later and step.keep == "first"):
            gone[row] |= set(range(start, stop))
    return [
        "".join(char for at, char in enumerate(text) if at not in gone[row])
        for row, text in enumerate(texts)
    ]


STEPS = [
    LineDedup(),
    LineDedup(unit="line", max_documents=2, min_length=3),
    LineDedup(unit="paragraph", keep="all", max_documents=1),
    LineDedup(unit="sentence", compare="text"),
    LineDedup(unit="sentence", span=2),
]
SENTENCES = [
    "홈 화면.",
    "Home 1!",
    "HOME 2!",
    "네.",
    "Yes.",
    "---",
    "다시 보기 »",
    "A long line of it.",
]
texts = st.lists(
    st.lists(
        st.tuples(st.sampled_from(SENTENCES), st.sampled_from([" ", "\n", "\n\n"])), max_size=8
    ).map(lambda parts: "".join(part for pair in parts for part in pair)),
    max_size=5,
)


@pytest.mark.parametrize("step", STEPS, ids=str)
@settings(max_examples=6)
@given(texts=texts)
def test_what_is_left_is_what_no_earlier_text_has(step, texts):
    frame = pl.DataFrame(
        {"id": [str(at) for at in range(len(texts))], "text": texts},
        schema={"id": pl.String, "text": pl.String},
    )
    kept, dropped = step.apply(frame)
    left = slow_dedup(texts, step)
    stays = [at for at, text in enumerate(left) if text.strip() or text == texts[at]]
    assert [int(id_) for id_ in kept["id"]] == stays
    assert kept["text"].to_list() == [left[at] for at in stays]
    removed = [len(texts[at]) - len(left[at]) or None for at in stays]
    assert kept["LineDedup.removed"].to_list() == removed
    assert set(dropped["reason"]) <= {"nothing_left"}


ROWS = [
    {"id": "a", "text": "메뉴: 홈\n\n첫 문서의 본문입니다.\n공유하기 1"},
    {"id": "b", "text": "메뉴 홈\nThe second document's own text.\n공유하기 2"},
    {"id": "c", "text": "공유하기 3\n메뉴, 홈"},
    {"id": "d", "text": "Nothing shared."},
]


@pytest.fixture
def output(tmp_path):
    def make(step, unit_bytes=1000, **settings):
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS))
        source = ReadJsonl(paths=(str(path),), id="id", unit_bytes=unit_bytes)
        run_job(tmp_path / "out", {"a": dataset(source, step)}, **settings)
        return tmp_path / "out"

    return make


@pytest.mark.parametrize("unit_bytes", [50, 1000])
def test_a_run_publishes_what_is_left_and_accounts_for_what_is_not(output, unit_bytes):
    out = output(LineDedup(), unit_bytes)
    kept = pl.read_parquet(out / "a/*.parquet")
    assert kept["text"].to_list() == [
        "메뉴: 홈\n\n첫 문서의 본문입니다.\n공유하기 1",
        "The second document's own text.\n",
        "Nothing shared.",
    ]
    step = json.loads((out / "a/manifest.json").read_text())["steps"][1]["counts"]
    assert step["removed"] == {"repeated_line": len("메뉴 홈\n") + len("공유하기 2")}
    assert (step["read"], step["kept"], step["dropped"]) == (4, 3, {"nothing_left": 1})
    assert step["text_bytes"] == sum(len(text.encode()) for text in kept["text"])
    assert verify(out).ok


def test_explain_names_the_document_that_has_what_was_taken(output):
    out = output(LineDedup())
    kept = pl.read_parquet(out / "a/*.parquet")
    (station,) = explain(out, kept["id"][1]).stations
    assert station.signals["LineDedup.removed"] == len("메뉴 홈\n") + len("공유하기 2")
    assert station.signals["LineDedup.survivor"] == kept["id"][0]
    fates = pl.read_parquet(out / "a/sidecar/fates.parquet")
    (station,) = explain(out, fates["id"][0]).stations
    assert (station.reason, station.survivor.id) == ("nothing_left", kept["id"][0])
    assert fates["preview"].to_list() == ["공유하기 3\n메뉴, 홈"]


def test_what_is_in_too_many_documents_leaves_everywhere(output):
    out = output(LineDedup(keep="all", max_documents=1))
    kept = pl.read_parquet(out / "a/*.parquet")
    assert kept["text"].to_list() == [
        "\n첫 문서의 본문입니다.\n",
        "The second document's own text.\n",
        "Nothing shared.",
    ]
    manifest = json.loads((out / "a/manifest.json").read_text())
    assert set(manifest["steps"][1]["counts"]["removed"]) == {"frequent_line"}


def test_steps_below_read_what_is_left(tmp_path):
    texts = ["머리글입니다\n본문\n", "머리글입니다\nown text\n", "머리글입니다\nown text"]
    frame = pl.DataFrame({"id": ["a", "b", "c"], "text": texts})
    path = tmp_path / "a.parquet"
    frame.write_parquet(path)
    source = ReadParquet(paths=(str(path),), id="id")
    steps = (LineDedup(min_length=9), LineDedup(span=2), LineDedup(keep="all", max_documents=1))
    run_job(tmp_path / "out", {"a": dataset(source, *steps, ExactDedup(), Shuffle())})
    kept = pl.read_parquet(tmp_path / "out/a/*.parquet")
    assert sorted(kept["text"]) == ["own text\n", "본문\n"]
    beside = pl.read_parquet(tmp_path / "out/a/sidecar/train-*.parquet")
    assert sorted(beside["LineDedup#3.removed"]) == [7, 7]
    assert verify(tmp_path / "out").ok


def test_a_rule_that_removes_nothing_is_refused():
    with pytest.raises(ConfigError, match="removes nothing"):
        LineDedup(keep="all")


@pytest.mark.parametrize("step", STEPS[1:4], ids=str)
def test_it_keeps_the_contract(step):
    check_step(step)
