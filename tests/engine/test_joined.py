import itertools

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from datatools.engine.joined import JoinedView
from datatools.engine.store import write_part
from datatools.engine.view import View, row_numbers

fresh = itertools.count()
SCHEMA = pl.Schema({"id": pl.String, "text": pl.String, "score": pl.Float64})


def view(root, name, shards, **extra):
    """Return a view over shards of texts; ids say where a record is."""
    parts = []
    for shard, texts in enumerate(shards):
        ids = [f"{name}{shard}-{i}" for i in range(len(texts))]
        frame = pl.DataFrame(
            {"id": ids, "text": texts}, schema={"id": pl.String, "text": pl.String}
        ).with_columns(pl.lit(value).alias(column) for column, value in extra.items())
        parts.append(write_part(root, f"{next(fresh)}.arrow", frame.clear(), iter([frame])))
    schema = frame.schema
    return View("document", tuple(parts), tuple(part.rows for part in parts), schema)


shards = st.lists(st.lists(st.sampled_from(["a", "가", ""]), max_size=3), min_size=1, max_size=3)


@given(mine=shards, theirs=shards, data=st.data())
def test_records_of_both_are_found_by_one_row_of_numbers(tmp_path_factory, mine, theirs, data):
    root = tmp_path_factory.getbasetemp()
    joined = JoinedView((view(root, "m", mine), view(root, "t", theirs)))
    expected = {
        int(row): (f"{name}{shard}-{i}", text)
        for first, name, side in ((0, "m", mine), (len(mine), "t", theirs))
        for shard, texts in enumerate(side)
        for i, (row, text) in enumerate(
            zip(row_numbers(first + shard, len(texts)), texts, strict=True)
        )
    }
    read = {
        int(row): found
        for shard in range(len(joined.shard_bytes))
        for frame in joined.batches(root, shard, ["id", "text"])
        for row, found in zip(row_numbers(shard, frame.height), frame.rows(), strict=True)
    }
    assert read == expected
    assert joined.rows == len(expected)
    wanted = sorted(data.draw(st.sets(st.sampled_from(sorted(expected))))) if expected else []
    gathered = joined.gather(root, np.array(wanted, np.uint64), ["text", "id"])
    assert gathered.select("id", "text").rows() == [expected[row] for row in wanted]


def test_a_column_the_other_view_lacks_or_has_in_another_type_is_null_there(tmp_path):
    mine = view(tmp_path, "m", [["a"]], score=0.5, rank=1)
    theirs = view(tmp_path, "t", [["b", "c"]], rank="first", other=3)
    joined = JoinedView((mine, theirs))
    columns = ["score", "rank", "id"]
    assert list(joined.schema) == ["id", "text", "score", "rank"]
    frames = [frame for shard in (0, 1) for frame in joined.batches(tmp_path, shard, columns)]
    assert pl.concat(frames).rows() == [
        (0.5, 1, "m0-0"),
        (None, None, "t0-0"),
        (None, None, "t0-1"),
    ]
    only_missing = joined.gather(tmp_path, row_numbers(1, 2), ["score"])
    assert only_missing.rows() == [(None,), (None,)]
    assert only_missing.schema == {"score": pl.Float64}


def test_the_digest_names_both_and_their_order(tmp_path):
    one, two = view(tmp_path, "m", [["a"]]), view(tmp_path, "t", [["b"]])
    digests = {JoinedView(views).digest for views in [(one, two), (two, one), (one, one)]}
    assert len(digests) == 3
