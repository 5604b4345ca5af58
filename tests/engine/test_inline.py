"""One step over a frame: the same as in a pipeline, with a frame's conveniences."""

import polars as pl
import pytest
import toys
from jobs import dataset, run_job

from datatools import steps
from datatools.errors import ConfigError
from datatools.records import make_id

TEXTS = ["한국어 문서", "an English text", "drop me", "boom", "ab", "nan", "같은 글", "같은 글"]


@pytest.fixture
def frame():
    return pl.DataFrame({"text": TEXTS, "mine": range(len(TEXTS))})


def test_a_map_returns_what_stays_and_what_left_with_the_callers_columns(frame):
    kept, dropped = toys.Upper().apply(frame)
    assert kept.columns == ["text", "mine"]
    assert kept["mine"].to_list() == [0, 1, 4, 5, 6, 7]
    assert kept["text"][1] == "AN ENGLISH TEXT"
    told = ["fate", "reason", "measure", "value", "threshold", "detail"]
    assert dropped.columns == ["text", "mine", *told]
    assert dropped.select("mine", "fate", "reason").rows() == [
        (2, "dropped", "asked"),
        (3, "quarantined", "boom"),
    ]


def test_a_filter_shows_its_measures_and_the_rule_that_fired(frame):
    kept, dropped = toys.Length().apply(frame)
    assert kept.columns == ["text", "mine", "Length.characters"]
    assert dropped.select("mine", "reason", "measure", "value", "threshold").rows() == [
        (4, "too_short", "characters", "2.0", "< 3"),
        (5, "undefined:characters", "characters", None, None),
    ]


def test_a_flat_map_returns_children_with_ids_made_from_their_parents(frame):
    assert "id" not in toys.Words().apply(frame)[0].columns
    own = frame.with_columns(pl.Series("id", [f"x{i}" for i in range(frame.height)]))
    kept, dropped = toys.Words().apply(own)
    assert kept["text"].to_list()[:3] == ["한국어", "문서", "an"]
    assert kept["id"][0] == make_id("x0", "Words", "한국어")
    assert kept["id"].n_unique() == kept.height
    assert dropped["reason"].unique().to_list() == ["expanded"]
    assert dropped["mine"].to_list() == list(range(len(TEXTS)))


def test_a_global_keeps_the_order_and_drops_with_evidence(frame):
    kept, dropped = steps.ExactDedup().apply(frame)
    assert kept["mine"].to_list() == [0, 1, 2, 3, 4, 5, 6]
    assert dropped["mine"].to_list() == [7]
    assert "survivor" in dropped["detail"][0]


def test_ids_are_numbered_for_the_call_and_left_out(frame):
    kept, dropped = steps.Split(validation=0.5).apply(frame)
    assert "id" not in kept.columns
    assert "id" not in dropped.columns
    own = frame.with_columns(pl.Series("id", [f"x{i}" for i in range(frame.height)]))
    kept, _ = steps.Split(validation=0.5).apply(own)
    assert kept["id"].to_list() == own["id"].to_list()


def test_repeated_ids_are_refused_and_do_not_double_rows(frame):
    twice = frame.with_columns(pl.lit("same").alias("id"))
    with pytest.raises(ConfigError) as caught:
        toys.Upper().apply(twice)
    assert str(caught.value) == (
        "Upper: needs a different `id` for every row (got '7 repeated'). "
        "Leave `id` out to have rows numbered."
    )


@pytest.mark.parametrize("step", [toys.Upper(), toys.Length(), toys.Words(), steps.ExactDedup()])
def test_columns_of_the_callers_that_have_a_fates_name_do_no_harm(frame, step):
    named = ["reason", "value", "fate", "detail", "measure", "threshold"]
    awkward = frame.with_columns(pl.lit(1.5).alias(name) for name in named)
    kept, dropped = step.apply(awkward)
    assert dropped["reason"].dtype == pl.String
    assert dropped["reason"].null_count() == 0
    assert dropped.columns.count("value") == 1
    if step.gives is None and not isinstance(step, toys.Words):
        assert kept["reason"].to_list() == [1.5] * kept.height


@pytest.mark.parametrize(
    "step", [toys.Upper(), toys.Words(), toys.Length(), steps.ExactDedup(), steps.Shuffle()]
)
def test_an_empty_frame_passes(step):
    kept, dropped = step.apply(pl.DataFrame({"text": []}, schema={"text": pl.String}))
    assert (kept.height, dropped.height) == (0, 0)
    assert "text" in kept.columns
    assert "reason" in dropped.columns


def test_a_missing_column_is_named_with_the_nearest(frame):
    with pytest.raises(ConfigError) as caught:
        toys.Length().apply(frame.rename({"text": "Text"}))
    assert str(caught.value) == (
        "Length: needs the column 'text' (got ['Text', 'mine']). Did you mean 'Text'?"
    )


def test_a_step_that_reads_other_datasets_cannot_run_on_a_frame(frame):
    with pytest.raises(ConfigError) as caught:
        steps.Split(hold_with=("threads",)).apply(frame)
    assert str(caught.value) == (
        "Split: reads other datasets, so it cannot run on one frame (got ['threads']). "
        "Use it in a pipeline."
    )


def test_an_error_in_a_global_is_seen_where_it_happened(frame, monkeypatch):
    from datatools.steps.dedup import exact_dedup

    def fail(*args):
        raise KeyError("deep inside")

    monkeypatch.setattr(exact_dedup, "hash_texts", fail)
    with pytest.raises(KeyError, match="deep inside"):
        steps.ExactDedup().apply(frame)


def test_the_seed_changes_draws_and_nothing_else(frame):
    one = steps.Shuffle().apply(frame, seed=1)[0]
    two = steps.Shuffle().apply(frame, seed=2)[0]
    assert one["mine"].to_list() != two["mine"].to_list()
    assert one.sort("mine").equals(two.sort("mine"))
    assert one.equals(steps.Shuffle().apply(frame, seed=1)[0])


def test_a_frame_is_treated_as_a_pipeline_treats_its_records(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    chain = [toys.Upper(), toys.Length(), steps.ExactDedup(), steps.Split(validation=0.5)]
    run_job(tmp_path / "out", {"a": dataset(toys.ReadLines(paths=(str(path),)), *chain)})
    main = pl.read_parquet(tmp_path / "out/a/*.parquet").select("id", "text").sort("id")

    source = toys.ReadLines(paths=(str(path),))

    class Log:
        def consumed(self, start, end): ...

    frames = list(source.read(source.units()[0], Log(), "a"))
    frame = pl.concat(frames)
    for step in chain:
        frame, _ = step.apply(frame)
    assert frame.select("id", "text").sort("id").equals(main)
