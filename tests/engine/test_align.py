"""Orders: what they leave out, repeat and may not name."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, ran, run_job

from datatools import explain, open_dataset, steps, verify
from datatools.engine import runner
from datatools.errors import DataError
from datatools.records import make_id
from datatools.steps.base import Global, Order
from datatools.testing import check_step


@dataclass(frozen=True)
class _Numbers:
    def __call__(self, batch, rows):
        return pl.DataFrame({"row": rows}, schema={"row": pl.UInt64})


@dataclass(frozen=True)
class _Picked:
    places: tuple[int, ...]
    beyond: int

    def __call__(self, frame):
        rows = frame["row"]
        picked = rows.gather([place for place in self.places if place < rows.len()])
        if self.beyond:
            picked = picked.append(pl.Series([rows[-1] + self.beyond], dtype=pl.UInt64))
        return picked.to_frame()


class Pick(Global):
    """Names records by their place.

    Example:
        >>> Pick(places=(1, 0)).apply(pl.DataFrame({"text": ["a", "b"]}))[0]["text"].to_list()
        ['b', 'a']
    """

    places: tuple[int, ...] = ()
    """Places in the order wanted; those beyond the last record are passed over."""
    left_out: str | None = None
    """Reason of the records that are not named."""
    beyond: int = 0
    """How far beyond the last record a last one is named; 0 names none."""

    def lower(self, rows, others: Mapping):
        numbers = rows.map_shards(_Numbers(), columns=("id",), name="numbers")
        return Order(numbers.reduce(_Picked(self.places, self.beyond), name="pick"), self.left_out)


def lines(tmp_path, count):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"글 text {number}\n" for number in range(count)))
    # Some units hold one line, others two: shards of different sizes.
    return dataset(toys.ReadLines(paths=(str(path),), unit_bytes=15))


def picked(tmp_path, count, places, left_out=None, **fields):
    pick = Pick(places=tuple(places), left_out=left_out, **fields)
    datasets = {
        "pages": lines(tmp_path, count),
        "picked": dataset(pick, from_="pages"),
    }
    return run_job(tmp_path / "out", datasets)


def texts(tmp_path, name):
    return open_dataset(tmp_path / "out" / name).frame("train", ["id", "text"])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(0, 8), max_size=14), st.integers(1, 4))
def test_records_left_out_have_fates_and_repeats_are_created(
    tmp_path_factory, count, places, shard_rows
):
    tmp_path = tmp_path_factory.mktemp("order")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "ROWS_PER_GATHERED_SHARD", shard_rows)
        result = picked(tmp_path, count, places, "over_budget")
    wanted = [place for place in places if place < count]
    pages, found = texts(tmp_path, "pages"), texts(tmp_path, "picked")
    assert found["text"].to_list() == [pages["text"][place] for place in wanted]
    seen, ids = Counter(), []
    for place in wanted:
        id_ = pages["id"][place]
        ids.append(make_id(id_, "Pick", seen[place]) if seen[place] else id_)
        seen[place] += 1
    assert found["id"].to_list() == ids
    (step,) = result.datasets["picked"]["steps"]
    missing = [place for place in range(count) if place not in seen]
    assert (step["counts"]["read"], step["counts"]["kept"]) == (count, len(wanted))
    assert step["counts"]["created"] == len(wanted) - len(seen)
    assert step["counts"]["dropped"] == ({"over_budget": len(missing)} if missing else {})
    fates = pl.read_parquet(tmp_path / "out/picked/sidecar/fates.parquet")
    assert fates["id"].to_list() == [pages["id"][place] for place in missing]
    shown = sorted(missing, key=lambda place: pages["id"][place])[:5]
    assert fates["preview"].to_list() == [
        pages["text"][place] if place in shown else None for place in missing
    ]
    assert verify(tmp_path / "out").ok


def test_a_record_that_was_left_out_can_be_explained(tmp_path):
    picked(tmp_path, 3, [2, 0], "over_budget")
    left = texts(tmp_path, "pages")["id"][1]
    station = explain(tmp_path / "out", left).stations[1]
    assert (station.dataset, station.outcome, station.step) == ("picked", "dropped", "Pick")
    assert (station.reason, station.url) == ("over_budget", "https://example.org/a.txt/11")


def test_the_same_order_with_another_reason_gathers_nothing_again(tmp_path):
    picked(tmp_path, 3, [2, 0], "over_budget")
    assert "picked/publish" not in ran(picked(tmp_path, 3, [2, 0], "not_wanted"))


def test_an_order_that_leaves_records_out_without_a_reason_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        picked(tmp_path, 4, [3, 0, 0])
    told = "Pick left 2 of 4 records out of its order and gives no reason"
    assert f"picked/Pick: failed with TypeError: {told}" in str(caught.value).replace("/cut", "")


@pytest.mark.parametrize("beyond", [1, 1 << 32])
def test_an_order_that_names_a_record_that_is_not_there_is_refused(tmp_path, beyond):
    with pytest.raises(DataError, match="Pick ordered a record that is not there"):
        picked(tmp_path, 4, range(4), beyond=beyond)


def test_the_contract_kit_refuses_an_order_that_leaves_records_out():
    check_step(Pick(places=(1, 0, 1), left_out="not_wanted"))
    with pytest.raises(DataError, match=r"left .* records out of its order and gives no reason"):
        check_step(Pick(places=(1, 0, 1)))


def test_a_frame_in_memory_tells_what_an_order_leaves_out():
    frame = pl.DataFrame({"text": ["가", "b", "c"]})
    kept, dropped = Pick(places=(2, 0, 2), left_out="not_wanted").apply(frame)
    assert kept["text"].to_list() == ["c", "가", "c"]
    assert dropped.select("text", "fate", "reason").rows() == [("b", "dropped", "not_wanted")]


def test_a_shuffle_leaves_nothing_out(tmp_path):
    datasets = {"pages": lines(tmp_path, 9), "mixed": dataset(steps.Shuffle(), from_="pages")}
    result = run_job(tmp_path / "out", datasets)
    (step,) = result.datasets["mixed"]["steps"]
    assert (step["counts"]["created"], step["counts"]["dropped"]) == (0, {})
