import json
import math
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, run_job

from datatools import explain
from datatools.steps.dedup.canonical_url import canonical_url
from datatools.steps.dedup.url_dedup import UrlDedup
from datatools.steps.ingest.read_jsonl import ReadJsonl
from datatools.testing import check_step

URLS = [
    "http://a.kr/글",
    "HTTP://A.kr:80/%EA%B8%80?utm_id=1",
    "http://a.kr/글#top",
    "https://www.a.kr/글/",
    "https://a.kr/글?no=1",
    "https://a.kr/글?ref=b&no=1",
    "not an address",
    "",
    None,
]
DATES = ["2024-05-01", "2024-05-01T00:00:00+09:00", "2024-04-30T20:00:00Z", "yesterday", "", None]
rows = st.lists(
    st.tuples(st.sampled_from(URLS), st.sampled_from(DATES), st.sampled_from(["가", "an", "a b"])),
    max_size=12,
)


def age(date):
    """Return minus the seconds since 1970; dates in other forms are the oldest."""
    try:
        found = datetime.fromisoformat(date or "")
    except ValueError:
        return math.inf
    return -(found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def slow_dedup(records, step):
    """Return {position: position of the one that stays} by comparing everything."""
    best = {
        "first": lambda at: at,
        "newest": lambda at: (age(records[at][1]), at),
        "longest": lambda at: (-len(records[at][2].encode()), at),
    }[step.keep]
    gone = {}
    for at, (url, _, _) in enumerate(records):
        form = canonical_url(url, ignore=step.ignore, parameters=step.parameters)
        equal = [
            other
            for other, (u, _, _) in enumerate(records)
            if form is not None
            and canonical_url(u, ignore=step.ignore, parameters=step.parameters) == form
        ]
        if equal and min(equal, key=best) != at:
            gone[at] = min(equal, key=best)
    return gone


def deduped(records, step):
    frame = pl.DataFrame(
        {
            "id": [str(at) for at in range(len(records))],
            "url": [url for url, _, _ in records],
            "date": [date for _, date, _ in records],
            "text": [text for _, _, text in records],
        },
        schema=dict.fromkeys(("id", "url", "date", "text"), pl.String),
    )
    kept, dropped = step.apply(frame)
    assert set(dropped["reason"]) <= {"url_duplicate"}
    survivors = [int(json.loads(detail)["survivor"]) for detail in dropped["detail"]]
    gone = dict(zip(map(int, dropped["id"]), survivors, strict=True))
    assert [int(id_) for id_ in kept["id"]] == sorted(set(range(len(records))) - set(gone))
    return gone


STEPS = [
    UrlDedup(),
    UrlDedup(keep="newest", ignore=("www", "scheme")),
    UrlDedup(keep="longest", parameters=("ref",)),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
@settings(max_examples=8)
@given(records=rows)
def test_one_document_of_each_address_stays(step, records):
    assert deduped(records, step) == slow_dedup(records, step)


def test_a_run_counts_what_has_no_address_and_explains_what_left(tmp_path):
    rows = [
        {"id": "1", "text": "첫 글", "url": "https://a.kr/x?fbclid=1"},
        {"id": "2", "text": "no address", "url": "x"},
        {"id": "3", "text": "longer text", "url": "https://a.kr/x/"},
        {"id": "4", "text": "주소 없음"},
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    source = ReadJsonl(paths=(str(tmp_path / "a.jsonl"),), id="id", unit_bytes=70)
    run_job(tmp_path / "out", {"a": dataset(source, UrlDedup(keep="longest"))})
    kept = pl.read_parquet(tmp_path / "out/a/*.parquet")
    assert kept["text"].to_list() == ["no address", "longer text", "주소 없음"]
    manifest = json.loads((tmp_path / "out/a/manifest.json").read_text())
    assert manifest["steps"][1]["notes"] == {"without_address": 2}
    (station,) = explain(tmp_path / "out", "https://a.kr/x?fbclid=1").stations
    assert station.reason == "url_duplicate"
    assert station.survivor.id == kept["id"][1]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_it_keeps_the_contract(step):
    check_step(step)
