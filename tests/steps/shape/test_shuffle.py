import itertools

import polars as pl
import pytest
import toys
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import dataset, run_job, write_lines

from datatools.engine import runner
from datatools.steps.shape.shuffle import Shuffle


def shuffled(ids, seed=0):
    frame = pl.DataFrame({"id": ids, "n": range(len(ids))}, schema={"id": pl.String, "n": pl.Int64})
    kept, dropped = Shuffle().apply(frame, seed=seed)
    assert dropped.height == 0
    return kept


def place(id_, seed, label="Shuffle"):
    """Return the place of a record, by the definition."""
    return xxhash.xxh3_64(f"{seed}:{label}:{id_}".encode()).intdigest()


ids = st.lists(st.text("ab한글01", min_size=1, max_size=6), unique=True, max_size=30)


@settings(max_examples=12)
@given(ids=ids, seed=st.integers(-5, 2**40))
def test_a_shuffle_is_a_bijection_decided_by_seed_and_id(ids, seed):
    kept = shuffled(ids, seed)
    assert kept["id"].to_list() == sorted(ids, key=lambda id_: place(id_, seed))
    assert sorted(kept["n"].to_list()) == list(range(len(ids)))
    assert [ids[n] for n in kept["n"]] == kept["id"].to_list()


@settings(max_examples=8)
@given(ids=ids, data=st.data())
def test_records_that_stay_keep_their_order_when_others_leave(ids, data):
    fewer = [id_ for id_ in ids if data.draw(st.booleans())]
    whole = [id_ for id_ in shuffled(ids)["id"] if id_ in fewer]
    assert shuffled(fewer)["id"].to_list() == whole


def test_the_order_looks_random():
    order = shuffled([f"id-{i}" for i in range(2000)])["n"].to_list()
    rises = sum(a < b for a, b in itertools.pairwise(order))
    assert 900 < rises < 1100
    assert abs(sum(order[:1000]) / 1000 - 1000) < 60


@pytest.mark.parametrize("rows", [1, 7, 65_536])
def test_the_result_does_not_depend_on_shards(tmp_path, monkeypatch, rows):
    path = write_lines(tmp_path / "a.txt", 60)
    monkeypatch.setattr(runner, "ROWS_PER_GATHERED_SHARD", rows)
    texts = []
    for unit_bytes in (100, 1 << 20):
        source = toys.ReadLines(paths=(path,), unit_bytes=unit_bytes)
        output = tmp_path / f"out-{unit_bytes}"
        run_job(output, {"a": dataset(source, Shuffle(), toys.Upper())})
        frame = pl.read_parquet(output / "a/*.parquet")
        texts.append(frame["text"].to_list())
    expected = frame.sort(pl.col("id").map_elements(lambda i: place(i, 0), pl.UInt64))
    assert texts[0] == texts[1] == expected["text"].to_list()


def test_a_second_shuffle_is_another(tmp_path):
    path = write_lines(tmp_path / "a.txt", 60)
    datasets = {
        "one": dataset(toys.ReadLines(paths=(path,), label="x"), Shuffle()),
        "two": dataset(toys.ReadLines(paths=(path,), label="x"), Shuffle(), Shuffle()),
    }
    run_job(tmp_path / "out", datasets)
    one, two = (
        pl.read_parquet(tmp_path / f"out/{name}/*.parquet")["id"].to_list()
        for name in ("one", "two")
    )
    assert one != two
    assert two == sorted(one, key=lambda id_: place(id_, 0, "Shuffle#2"))
