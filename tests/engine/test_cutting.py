"""Globals that take spans out of texts: what is written, what is told."""

import json
from dataclasses import dataclass

import polars as pl
import pytest
import toys
from jobs import dataset, run_job

from datatools import verify
from datatools.errors import DataError
from datatools.steps.base import Cuts, Global
from datatools.steps.shape.split import Split


class TakeOut(Global):
    """Takes given spans, in bytes, out of texts; a row number below 0 counts from the end."""

    spans: tuple[tuple[int, int, int, str, str | None], ...]
    """Row, first byte, one past the last, reason, survivor."""

    def reads(self):
        return frozenset({"id", "text"})

    def lower(self, rows, others):
        numbers = rows.map_shards(_Numbers(), columns=("id",), name="numbers")
        return Cuts(
            numbers.reduce(_Spans(self.spans), name="spans"), empty="all gone", notes={"n": 1}
        )


@dataclass(frozen=True)
class _Numbers:
    def __call__(self, batch, rows):
        return pl.DataFrame({"row": rows}, schema={"row": pl.UInt64})


@dataclass(frozen=True)
class _Spans:
    spans: tuple

    def __call__(self, frame):
        rows = [*sorted(frame["row"]), 2**40]
        return pl.DataFrame(
            [(rows[row], *rest) for row, *rest in self.spans],
            schema={
                "row": pl.UInt64,
                "start": pl.UInt32,
                "stop": pl.UInt32,
                "reason": pl.String,
                "survivor": pl.String,
            },
            orient="row",
        )


TEXTS = ["가나다라", "one two", "drop nothing", "여우", "last"]


def run(folder, spans, *below, unit_bytes=12):
    path = folder / "a.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    source = toys.ReadLines(paths=(str(path),), unit_bytes=unit_bytes)
    run_job(folder / "out", {"a": dataset(source, TakeOut(spans=tuple(spans)), *below)})
    manifest = json.loads((folder / "out/a/manifest.json").read_text())
    kept = pl.read_parquet(folder / "out/a/*.parquet")
    beside = pl.read_parquet(folder / "out/a/sidecar/train-*.parquet")
    return kept, beside, manifest["steps"][1]


@pytest.mark.parametrize("unit_bytes", [5, 1000])
def test_spans_leave_and_everything_is_told(tmp_path, unit_bytes):
    spans = [
        (0, 3, 6, "second", "x"),
        (0, 0, 3, "first", None),
        (1, 0, 5, "first", None),
        (1, 3, 7, "second", "y"),
        (3, 0, 6, "second", "z"),
        (4, 2, 2, "first", None),
    ]
    kept, beside, step = run(tmp_path, spans, unit_bytes=unit_bytes)
    assert kept["text"].to_list() == ["다라", "drop nothing", "last"]
    assert beside["TakeOut.removed"].to_list() == [2, None, 0]
    assert beside["TakeOut.survivor"].to_list() == ["x", None, None]
    # What left with its record is not counted as removed from records that stay.
    assert step["counts"]["removed"] == {"first": 1, "second": 1}
    assert step["counts"]["dropped"] == {"all gone": 2}
    assert step["counts"]["text_bytes"] == sum(len(text.encode()) for text in kept["text"])
    assert step["notes"] == {"n": 1}
    fates = pl.read_parquet(tmp_path / "out/a/sidecar/fates.parquet")
    assert [json.loads(detail) for detail in fates["detail"]] == [
        {"survivor": "y", "removed": 7},
        {"survivor": "z", "removed": 2},
    ]
    assert fates["preview"].to_list() == ["one two", "여우"]
    assert verify(tmp_path / "out").ok


def test_rows_that_left_before_are_not_there_to_cut(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    source = toys.ReadLines(paths=(str(path),))
    steps = (
        toys.Length(minimum=5),
        TakeOut(spans=((1, 0, 5, "r", None),)),
        Split(validation=0.5),
    )
    run_job(tmp_path / "out", {"a": dataset(source, *steps)})
    kept = pl.read_parquet(tmp_path / "out/a/*.parquet")
    assert sorted(kept["text"]) == ["nothing", "one two"]
    assert verify(tmp_path / "out").ok


@pytest.mark.parametrize(
    ("span", "problem"),
    [
        ((0, 3, 15, "r", None), "not in a text"),
        ((5, 0, 1, "r", None), "not there"),
    ],
)
def test_a_span_that_is_not_there_is_an_error_of_the_step(tmp_path, span, problem):
    with pytest.raises(DataError, match=problem):
        run(tmp_path, [span])
