import json
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, published, run_job
from stored_rows import rows_of

from datatools import explain, verify
from datatools.kernels import windows
from datatools.steps.dedup import substring_dedup
from datatools.steps.dedup.substring_dedup import SubstringDedup
from datatools.steps.ingest.read_jsonl import ReadJsonl
from datatools.testing import check_step

LENGTH = 8


def slow_dedup(texts, length):
    """Return what is left of each text: every window is looked up among all before it."""
    seen, left = set(), []
    for text in texts:
        gone = set()
        for place in range(len(text) - length + 1):
            window = text[place : place + length]
            if window in seen:
                gone |= set(range(place, place + length))
            seen.add(window)
        left.append("".join(char for at, char in enumerate(text) if at not in gone))
    return left


def passages(draw, count):
    """Return texts put together from a few passages, English and Korean, with noise between."""
    alphabets = ("abc ", "가나다 ")
    shared = [
        "".join(draw.choices(draw.choice(alphabets), k=draw.randint(5, 30))) for _ in range(4)
    ]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(draw.randint(0, 4)):
            passage = draw.choice(shared)
            cut = draw.randint(0, len(passage))
            parts.append(draw.choice([passage, passage[:cut], passage[cut:]]))
            parts.append("".join(draw.choices(draw.choice(alphabets), k=draw.randint(0, 6))))
        texts.append("".join(parts))
    return texts


def deduped(texts, **fields):
    frame = pl.DataFrame(
        {"id": [str(at) for at in range(len(texts))], "text": texts},
        schema={"id": pl.String, "text": pl.String},
    )
    kept, dropped = SubstringDedup(length=LENGTH, **fields).apply(frame)
    assert set(dropped["reason"]) <= {"nothing_left"}
    return dict(zip(map(int, kept["id"]), kept["text"], strict=True))


def staying(texts):
    left = slow_dedup(texts, LENGTH)
    return {at: text for at, text in enumerate(left) if text.strip() or text == texts[at]}


@settings(max_examples=25)
@given(texts=st.lists(st.text("ab가", max_size=60), max_size=6))
def test_exactly_what_begins_earlier_leaves(texts):
    assert deduped(texts) == staying(texts)


@pytest.mark.parametrize("seed", range(6))
def test_passages_cut_anywhere_leave_exactly(seed):
    texts = passages(random.Random(seed), 40)
    assert deduped(texts) == staying(texts)


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["가나다라마바사아", "x가나다라마바사아y"], ["가나다라마바사아", "xy"]),
        (["abcdefgh", "abcdefg"], ["abcdefgh", "abcdefg"]),
        # The period of a text that repeats itself stays once.
        (["가" * 50, "나" * 9], ["가", "나"]),
        (["abc" * 10], ["abc"]),
        # Two passages that overlap leave both, though they stand earlier in two texts.
        (["01234567", "456789ab", "-0123456789ab-"], ["01234567", "456789ab", "--"]),
        (["01234567", "3456789a", "01234567 3456789a"], ["01234567", "3456789a"]),
        # Characters are whole: 가 and 각 share two of their three bytes.
        (["12345678가", "12345678각"], ["12345678가", "각"]),
    ],
)
def test_hand_checked_examples(texts, left):
    assert list(deduped(texts).values()) == left


def test_hashes_that_collide_remove_nothing_that_differs(monkeypatch):
    def same_anchor(*buffers, **how):
        found = windows.segments(*buffers, **how)
        return found._replace(anchor=np.zeros_like(found.anchor))

    def same_content(*asked, **how):
        found = windows.windows(*asked, **how)
        return found._replace(content=np.zeros_like(found.content))

    monkeypatch.setattr(substring_dedup, "segments", same_anchor)
    monkeypatch.setattr(substring_dedup, "windows", same_content)
    texts = passages(random.Random(3), 30)
    kept, exact = deduped(texts), staying(texts)
    assert exact != dict(enumerate(texts))
    assert all(len(kept[at]) >= len(text) for at, text in exact.items())
    assert all(kept[at] == text for at, text in exact.items() if text == texts[at])


@pytest.fixture
def source(tmp_path):
    def make(texts, unit_bytes):
        path = tmp_path / "a.jsonl"
        rows = [{"text": text} for text in texts]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return ReadJsonl(paths=(str(path),), unit_bytes=unit_bytes)

    return make


@pytest.mark.parametrize("unit_bytes", [200, 100_000])
def test_a_run_publishes_what_is_left_whatever_the_shards(tmp_path, source, unit_bytes):
    texts = passages(random.Random(1), 50)
    steps = {"a": dataset(source(texts, unit_bytes), SubstringDedup(length=LENGTH))}
    run_job(tmp_path / "out", steps)
    kept = pl.read_parquet(tmp_path / "out/a/*.parquet")
    assert kept["text"].to_list() == list(staying(texts).values())
    counts = json.loads((tmp_path / "out/a/manifest.json").read_text())["steps"][1]["counts"]
    left = staying(texts)
    removed = sum(len(texts[at]) - len(text) for at, text in left.items())
    assert counts["removed"] == {"repeated_passage": removed}
    assert verify(tmp_path / "out").ok


def test_output_does_not_depend_on_workers(tmp_path, source):
    steps = {
        "a": dataset(source(passages(random.Random(2), 60), 300), SubstringDedup(length=LENGTH))
    }
    run_job(tmp_path / "one", steps)
    run_job(tmp_path / "two", steps, executor="processes", workers=2)
    assert published(tmp_path / "one") == published(tmp_path / "two")


def test_explain_names_a_document_that_has_it(tmp_path, source):
    texts = [
        "공지: 모든 글은 여기에서 옮겨 쓸 수 있습니다.",
        "머리. 모든 글은 여기에서 옮겨 쓸 수 있습니다. 꼬리",
    ]
    run_job(tmp_path / "out", {"a": dataset(source(texts, 1000), SubstringDedup(length=10))})
    kept = pl.read_parquet(tmp_path / "out/a/*.parquet")
    assert kept["text"][1] == "머리. 꼬리"
    (station,) = explain(tmp_path / "out", kept["id"][1]).stations
    assert station.signals["SubstringDedup.survivor"] == kept["id"][0]
    assert station.signals["SubstringDedup.removed"] == len(texts[1]) - len("머리. 꼬리")


def test_partitions_do_not_change_what_is_found(tmp_path):
    texts = passages(random.Random(4), 40)
    step = SubstringDedup(length=LENGTH)
    cuts = [
        step.lower(rows_of(tmp_path / str(memory), shards, memory), {})
        .table.collect()
        .sort("row", "start", "stop")
        for memory, shards in ((10**9, [texts]), (2000, [texts]))
    ]
    assert cuts[0].height > 10
    assert cuts[0].equals(cuts[1])


@pytest.mark.parametrize("length", [8, 200])
def test_it_keeps_the_contract(length):
    check_step(SubstringDedup(length=length))
