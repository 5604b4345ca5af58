import json
import re

import polars as pl
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, run_job

from datatools.steps.dedup.exact_dedup import ExactDedup


def slow_key(text, compare):
    """Return what two equal texts share."""
    if compare == "text":
        return text or ""
    words = re.findall(r"\w+", (text or "").lower())
    return " ".join(words) or " ".join((text or "").lower().split())


def slow_dedup(texts, compare):
    """Return the positions that stay, and {position: position of the first}."""
    first, gone = {}, {}
    for at, text in enumerate(texts):
        key = slow_key(text, compare)
        if key in first:
            gone[at] = first[key]
        else:
            first[key] = at
    return sorted(first.values()), gone


def deduped(texts, compare):
    frame = pl.DataFrame(
        {"id": [str(i) for i in range(len(texts))], "text": texts},
        schema={"id": pl.String, "text": pl.String},
    )
    kept, dropped = ExactDedup(compare=compare).apply(frame)
    survivors = [int(json.loads(detail)["survivor"]) for detail in dropped["detail"]]
    assert set(dropped["reason"]) <= {"exact_duplicate"}
    return [int(i) for i in kept["id"]], dict(zip(map(int, dropped["id"]), survivors, strict=True))


TEXTS = [
    "같은 글",
    "같은  글",
    "같은 글!",
    "A b",
    "a B",
    "",
    " ",
    "!?",
    "? !",
    "!?!",
    None,
    "a\0b",
    "\ufeffa",
]


@settings(max_examples=12)
@given(
    texts=st.lists(st.sampled_from(TEXTS), max_size=12), compare=st.sampled_from(["text", "words"])
)
def test_all_but_the_first_of_equal_texts_leave(texts, compare):
    assert deduped(texts, compare) == slow_dedup(texts, compare)


def test_texts_that_differ_in_the_last_byte_of_a_megabyte_both_stay():
    long = "가" * 350_000
    assert deduped([long + "a", long + "b", long + "a"], "text") == ([0, 1], {2: 0})


@pytest.mark.parametrize("unit_bytes", [10, 1000])
def test_the_first_by_path_and_offset_stays_whatever_the_shards(tmp_path, unit_bytes):
    (tmp_path / "b.txt").write_text("one\n둘\none\nthree\n")
    (tmp_path / "a.txt").write_text("three\n둘\n")
    paths = (str(tmp_path / "b.txt"), str(tmp_path / "a.txt"))
    source = toys.ReadLines(paths=paths, unit_bytes=unit_bytes)
    run_job(tmp_path / "out", {"a": dataset(source, ExactDedup())})
    kept = pl.read_parquet(tmp_path / "out/a/*.parquet")
    beside = pl.read_parquet(tmp_path / "out/a/sidecar/train-*.parquet")
    assert kept["text"].to_list() == ["three", "둘", "one"]
    assert beside["origin"].to_list() == ["a.txt", "a.txt", "b.txt"]
    fates = pl.read_parquet(tmp_path / "out/a/sidecar/fates.parquet")
    first = dict(zip(kept["text"], kept["id"], strict=True))
    for preview, detail in fates.select("preview", "detail").iter_rows():
        assert json.loads(detail) == {"survivor": first[preview]}
