import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.engine.store import write_part
from datatools.engine.view import KEEP, Overlay, View, row_numbers, split_rows

SCHEMA = pl.Schema({"id": pl.String, "text": pl.String, "n": pl.Int64})
fresh = itertools.count()


@st.composite
def views(draw):
    """A recipe: rows of every batch of every shard, and overlays with columns and fates."""
    shards = draw(st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=3))
    alive = [sum(batches) for batches in shards]
    overlays = []
    for _ in range(draw(st.integers(0, 4))):
        # "n" hides a base column; "a" and "b" may come again, and the later one counts.
        columns = draw(st.lists(st.sampled_from(["a", "b", "n"]), unique=True, max_size=3))
        decides = draw(st.booleans()) or not columns
        keeps = [draw(st.lists(st.booleans(), min_size=n, max_size=n)) for n in alive]
        overlays.append((columns, keeps if decides else None))
        if decides:
            alive = [sum(keep) for keep in keeps]
    return shards, overlays


def build(root, recipe):
    """Return the view on disk, and per shard the frame it must show, made with plain polars."""
    shards, overlays = recipe
    parts, expected = [], []
    for shard, batches in enumerate(shards):
        rows = sum(batches)
        frame = pl.DataFrame(
            {
                "id": [f"{shard}-{i}" for i in range(rows)],
                "text": [f"글 {i} " * (i % 3) for i in range(rows)],
                "n": [1000 * shard + i for i in range(rows)],
            },
            schema=SCHEMA,
        )
        starts = [0, *itertools.accumulate(batches)]
        pieces = [frame[a:b] for a, b in itertools.pairwise(starts)]
        parts.append(write_part(root, f"base-{shard}.arrow", frame.clear(), iter(pieces)))
        expected.append(frame)
    view = View("document", tuple(parts), tuple(f.height for f in expected), SCHEMA)
    value = itertools.count(7)
    for columns, keeps in overlays:
        refs = []
        for shard, before in enumerate(expected):
            new = pl.DataFrame(
                {name: [next(value) for _ in range(before.height)] for name in columns},
                schema=dict.fromkeys(columns, pl.Int64),
            )
            overlay = new
            after = before.with_columns(new) if columns else before
            if keeps is not None:
                keep = pl.Series(KEEP, keeps[shard], dtype=pl.Boolean)
                overlay = new.with_columns(keep) if columns else keep.to_frame()
                after = after.filter(keep)
            expected[shard] = after
            name = f"overlay-{next(fresh)}.arrow"
            refs.append(write_part(root, name, overlay.clear(), iter([overlay])))
        schema = pl.Schema(dict.fromkeys(columns, pl.Int64()))
        view = view.with_overlay(
            Overlay(tuple(refs), schema, decides=keeps is not None),
            None if keeps is None else [f.height for f in expected],
        )
    return view, expected


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@settings(max_examples=30)
@given(recipe=views(), data=st.data())
def test_a_view_shows_what_plain_polars_would(root, recipe, data):
    view, expected = build(root, recipe)
    assert view.alive == tuple(frame.height for frame in expected)
    assert view.rows == sum(view.alive)
    names = list(view.schema)
    assert set(names) == set(expected[0].columns)
    wanted = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    for shard, frame in enumerate(expected):
        assert view.frame(root, shard, wanted).equals(frame.select(wanted))
        assert view.frame(root, shard).equals(frame.select(names))
        batches = list(view.batches(root, shard, wanted))
        if batches:
            assert pl.concat(batches).equals(frame.select(wanted))
        else:
            assert frame.height == 0


@settings(max_examples=30)
@given(recipe=views(), data=st.data())
def test_gather_fetches_any_increasing_rows(root, recipe, data):
    view, expected = build(root, recipe)
    numbers = np.concatenate(
        [row_numbers(shard, frame.height) for shard, frame in enumerate(expected)]
    )
    mask = data.draw(st.lists(st.booleans(), min_size=numbers.size, max_size=numbers.size))
    rows = numbers[np.array(mask, dtype=bool)]
    wanted = data.draw(st.lists(st.sampled_from(list(view.schema)), min_size=1, unique=True))
    whole = pl.concat([frame.select(wanted) for frame in expected])
    assert view.gather(root, rows, wanted).equals(whole.filter(pl.Series(mask, dtype=pl.Boolean)))


def test_row_numbers_increase_over_shards_and_positions():
    rows = np.concatenate([row_numbers(0, 3), row_numbers(1, 2), row_numbers(7, 2, start=5)])
    assert rows.tolist() == [0, 1, 2, 2**32, 2**32 + 1, 7 * 2**32 + 5, 7 * 2**32 + 6]
    shards, positions = split_rows(rows)
    assert shards.tolist() == [0, 0, 0, 1, 1, 7, 7]
    assert positions.tolist() == [0, 1, 2, 0, 1, 5, 6]


def test_row_numbers_do_not_overflow_at_the_largest_shard():
    rows = row_numbers(2**31, 2)
    assert split_rows(rows)[0].tolist() == [2**31, 2**31]
    assert int(rows[1]) == 2**63 + 1


def test_only_the_batches_with_wanted_rows_are_read(root, monkeypatch):
    view, _ = build(root, ([[2, 2, 2]], [([], [[False, False, True, False, False, False]])]))
    from datatools.engine import store

    read = []
    real = pl.from_arrow
    monkeypatch.setattr(store.pl, "from_arrow", lambda x: read.append(x.num_rows) or real(x))
    assert view.frame(root, 0, ["id"])["id"].to_list() == ["0-2"]
    assert read == [6, 2]  # the overlay, then one batch of the text


def test_the_identity_changes_with_every_part_and_column(root):
    recipe = ([[2], [1]], [(["a"], [[True, False], [True]])])
    view, _ = build(root, recipe)
    ids = [view.identity]
    other, _ = build(root, ([[2], [2]], [(["a"], [[True, False], [True, True]])]))
    ids.append(other.identity)
    other, _ = build(root, ([[2], [1]], [(["a"], [[True, True], [True]])]))
    ids.append(other.identity)
    other, _ = build(root, ([[2], [1]], [(["b"], [[True, False], [True]])]))
    ids.append(other.identity)
    assert all(a != b for a, b in itertools.combinations(ids, 2))
    assert build(root, recipe)[0].identity == view.identity


def test_an_overlay_that_is_not_aligned_is_noticed(root):
    view, _ = build(root, ([[3]], []))
    keep = pl.DataFrame({KEEP: [True, False]})
    part = write_part(root, "short.arrow", keep.clear(), iter([keep]))
    broken = view.with_overlay(Overlay((part,), pl.Schema(), decides=True), [1])
    with pytest.raises(AssertionError, match="not aligned"):
        broken.frame(root, 0)
