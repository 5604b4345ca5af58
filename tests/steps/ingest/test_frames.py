"""Rows gathered into frames."""

import datetime
import decimal
import json

import pytest

from datatools.records import SCHEMAS
from datatools.steps.ingest.frames import DocumentFrames, Row, to_json


def frames_of(sizes):
    gathered = DocumentFrames("a.jsonl", "forum")
    frames = []
    for number, size in enumerate(sizes):
        frames += gathered.add(Row(str(number), number, "x"), size)
    return [*frames, *gathered.rest()]


@pytest.mark.parametrize(
    ("sizes", "heights"),
    [
        ([], []),
        ([1] * 3, [3]),
        ([1] * 10_000, [4096, 4096, 1808]),
        ([1] * 4096, [4096]),
        ([6 << 20] * 5, [2, 2, 1]),
        ([1, 1, 20 << 20, 1], [2, 1, 1]),
        ([17 << 20, 17 << 20], [1, 1]),
    ],
)
def test_frames_are_bounded_in_rows_and_bytes_and_keep_the_order(sizes, heights):
    frames = frames_of(sizes)
    assert [frame.height for frame in frames] == heights
    assert [offset for frame in frames for offset in frame["offset"]] == list(range(len(sizes)))
    assert all(frame.schema == SCHEMAS["document"] for frame in frames)


def test_a_row_without_a_source_has_the_label():
    gathered = DocumentFrames("a.jsonl", "forum")
    gathered.add(Row("1", 0, "한국어"), 9)
    gathered.add(Row("2", 1, "text", source="elsewhere"), 4)
    (frame,) = gathered.rest()
    assert frame["source"].to_list() == ["forum", "elsewhere"]
    assert frame["origin"].to_list() == ["a.jsonl", "a.jsonl"]


def test_what_json_cannot_say_is_said_in_words():
    value = {
        "day": datetime.date(2024, 2, 29), "price": decimal.Decimal("1.10"), "nan": float("nan"),
        "bytes": "밤".encode(), "raw": b"\xff", "span": datetime.timedelta(seconds=90),
    }  # fmt: skip
    assert json.loads(to_json(value)) == {
        "day": "2024-02-29", "price": "1.10", "nan": None, "bytes": "밤", "raw": "/w==",
        "span": "0:01:30",
    }  # fmt: skip
