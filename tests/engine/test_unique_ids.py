import json

import numpy as np
import polars as pl
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st
from jobs import dataset, ran, run_job

from datatools import steps, verify
from datatools.engine.unique_ids import repeated
from datatools.errors import DataError


def slow_repeated(shards):
    seen, found = set(), []
    for keys in shards:
        found.append(tuple(i for i, key in enumerate(keys) if key in seen or key in keys[:i]))
        seen |= set(keys)
    return found


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=4))
def test_repeated_keys_are_all_but_the_first_over_all_shards(shards):
    arrays = [np.array(keys, dtype=np.uint64) for keys in shards]
    assert repeated(arrays) == slow_repeated(shards)


def named(tmp_path, text, *more, unit_bytes=1 << 20, **settings):
    path = tmp_path / "a.txt"
    if not path.exists():
        path.write_text(text)
    source = toys.ReadNamed(paths=(str(path),), unit_bytes=unit_bytes)
    result = run_job(tmp_path / "out", {"a": dataset(source, *more)}, **settings)
    manifest = json.loads((tmp_path / "out/a/manifest.json").read_bytes())
    frame = pl.read_parquet(tmp_path / "out/a/*.parquet")
    return result, manifest, frame.select("id", "text").rows()


TEXT = "x=first\ny=둘째\nx=again\nz=third\ny=또\nx=once more\n"


@pytest.mark.parametrize("unit_bytes", [10, 1 << 20])
def test_a_record_whose_id_an_earlier_one_has_is_quarantined(tmp_path, unit_bytes):
    _, manifest, rows = named(tmp_path, TEXT, unit_bytes=unit_bytes)
    assert rows == [("x", "first"), ("y", "둘째"), ("z", "third")]
    counts = manifest["steps"][0]["counts"]
    assert (counts["read"], counts["kept"], counts["quarantined"]) == (6, 3, {"repeated_id": 3})
    assert counts["text_bytes"] == sum(len(text.encode()) for _, text in rows)
    assert verify(tmp_path / "out").ok


def test_steps_after_the_reading_see_each_id_once(tmp_path):
    _, manifest, rows = named(tmp_path, TEXT, toys.Length(), steps.Shuffle())
    assert sorted(rows) == [("x", "first"), ("z", "third")]
    assert manifest["steps"][1]["counts"]["read"] == 3
    assert verify(tmp_path / "out").ok


DROPPED_FIRST = "x=drop me\ny=stays\nx=stays too\n"
DROPPED_SECOND = "x=stays\ny=stays\nx=drop me\n"


@pytest.mark.parametrize(
    ("text", "rows", "dropped"),
    [(DROPPED_FIRST, [("y", "STAYS")], 1), (DROPPED_SECOND, [("x", "STAYS"), ("y", "STAYS")], 0)],
    ids=["first", "second"],
)
def test_an_id_stays_with_its_first_record_whatever_steps_do(tmp_path, text, rows, dropped):
    _, manifest, found = named(tmp_path, text, toys.Upper())
    assert found == rows
    read, upper = (step["counts"] for step in manifest["steps"])
    assert (read["read"], read["kept"], read["quarantined"]) == (3, 2, {"repeated_id": 1})
    assert (upper["read"], upper["dropped"].get("asked", 0)) == (2, dropped)
    assert verify(tmp_path / "out").ok


@pytest.mark.parametrize("text", [TEXT, DROPPED_FIRST, DROPPED_SECOND])
def test_steps_in_the_reading_pass_and_after_it_see_the_same_records(tmp_path, text):
    rows = []
    for place, more in (("in", [toys.Upper()]), ("after", [toys.Length(minimum=0), toys.Upper()])):
        (tmp_path / place).mkdir()
        _, manifest, found = named(tmp_path / place, text, *more)
        rows.append((found, manifest["ledger"]))
    assert rows[0] == rows[1]


@pytest.mark.parametrize("unit_bytes", [10, 1 << 20])
def test_the_second_record_of_an_id_has_a_fate_with_its_text(tmp_path, unit_bytes):
    many = "".join(f"x=record {number}\n" for number in range(9))
    named(tmp_path, many, toys.Words(), unit_bytes=unit_bytes)
    fates = pl.read_parquet(tmp_path / "out/a/sidecar/fates.parquet").filter(reason="repeated_id")
    assert fates["id"].to_list() == ["x"] * 8
    assert fates["step"].unique().to_list() == ["ReadNamed"]
    assert fates["detail"].unique().to_list() == [
        "an earlier record of this dataset has the same id"
    ]
    told = [f"record {number}" for number in range(1, 9)]
    assert fates["preview"].to_list() == told[:5] + [None] * 3  # of equal ids the first ones
    assert verify(tmp_path / "out").ok


def test_only_units_with_repeated_ids_are_read_again(tmp_path):
    text = "a=first unit\nb=second unit\na=third unit\n"
    result, _, rows = named(tmp_path, text, unit_bytes=1)
    assert rows == [("a", "first unit"), ("b", "second unit")]
    tasks = {event.name: event.tasks for event in result.events}
    assert (tasks["a/ReadNamed"], tasks["a/ReadNamed/repeated ids"]) == (3, 1)


def test_ids_of_any_form_are_told_apart(tmp_path):
    names = ["1", "01", "00000000000000000001", "00000000000000000002", "é", "한 글", "0x1", ""]
    text = "".join(f"{name}=text of {name}\n" for name in names)
    _, _, rows = named(tmp_path, text)
    assert [name for name, _ in rows] == names


def test_a_second_run_finds_the_repeated_ids_in_the_cache(tmp_path):
    named(tmp_path, TEXT)
    result, *_ = named(tmp_path, TEXT)
    assert ran(result) == []


class NoIds(toys.ReadLines):
    """Forgets the ids."""

    def read(self, unit, log, label):
        for frame in super().read(unit, log, label):
            yield frame.drop("id")


def test_a_source_that_makes_records_without_ids_is_stopped(tmp_path):
    (tmp_path / "a.txt").write_text("a line\n")
    with pytest.raises(DataError, match="NoIds made a record without an id"):
        run_job(tmp_path / "out", {"a": dataset(NoIds(paths=(str(tmp_path / "a.txt"),)))})
