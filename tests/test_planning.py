"""What a run would do: what is cached, what is decided anew, what runs, what changed."""

import json

import pytest
import toys
from jobs import dataset, job, published, ran, run_job, write_lines

from datatools import plan, steps
from datatools.errors import ConfigError
from datatools.planning import forecast
from datatools.running import run


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "a.txt", 44)


def usual(lines, *, minimum=3, suffix="", more=()):
    return {
        "pages": dataset(
            toys.ReadLines(paths=(lines,), unit_bytes=300),
            toys.Upper(suffix=suffix),
            toys.Length(minimum=minimum),
            steps.ExactDedup(),
            *more,
            steps.Split(validation=0.2),
        ),
        "words": dataset(toys.Words(), steps.Shuffle(), from_="pages"),
    }


def states(output, datasets, **settings):
    """Return each dataset's segments as `(steps, state)`."""
    found = plan(job(output, datasets, **settings))
    return {
        one.name: [("+".join(labels), state) for labels, state in one.segments]
        for one in found.datasets
    }


def test_before_the_first_run_the_first_pass_runs_and_everything_follows(tmp_path, lines):
    assert states(tmp_path / "out", usual(lines)) == {
        "pages": [
            ("ReadLines+Upper", "run"),
            ("Length", "after"),
            ("ExactDedup", "after"),
            ("Split", "after"),
        ],
        "words": [("Words", "after"), ("Shuffle", "after")],
    }


def test_after_a_run_everything_is_cached_and_a_run_then_runs_nothing(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    found = states(output, usual(lines))
    assert {state for segments in found.values() for _, state in segments} == {"cached"}
    assert ran(run_job(output, usual(lines))) == []


def test_a_changed_threshold_is_decided_anew_and_measures_nothing(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    found = states(output, usual(lines, minimum=10))
    assert found["pages"] == [
        ("ReadLines+Upper", "cached"),
        ("Length", "decide"),
        ("ExactDedup", "after"),
        ("Split", "after"),
    ]
    names = ran(run_job(output, usual(lines, minimum=10)))
    assert names[0] == "pages/Length decide"
    assert "pages/Length measure" not in names


def test_a_changed_step_runs_again(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    found = states(output, usual(lines, suffix="!"))
    assert found["pages"][0] == ("ReadLines+Upper", "run")
    assert found["words"] == [("Words", "after"), ("Shuffle", "after")]


def test_a_new_step_in_the_middle_runs_and_what_is_above_it_is_cached(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    found = states(output, usual(lines, more=(toys.Length(minimum=4),)))
    assert found["pages"] == [
        ("ReadLines+Upper", "cached"),
        ("Length", "cached"),
        ("ExactDedup", "cached"),
        ("Length#2", "run"),
        ("Split", "after"),
    ]


def test_of_two_steps_with_one_name_only_the_one_that_changed_is_named(tmp_path, lines):
    output = tmp_path / "out"

    def twice(minimum):
        first, second = toys.Length(minimum=3), toys.Length(minimum=minimum)
        read = toys.ReadLines(paths=(lines,))
        return {"pages": dataset(read, first, steps.ExactDedup(), second)}

    run_job(output, twice(4))
    assert states(output, twice(5))["pages"] == [
        ("ReadLines", "cached"),
        ("Length", "cached"),
        ("ExactDedup", "cached"),
        ("Length#2", "decide"),
    ]


def test_a_lost_table_between_two_steps_is_no_reason_to_call_what_follows_cached(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    for manifest in output.glob(".cache/stages/*/manifest.json"):
        if json.loads(manifest.read_bytes())["name"] == "pages/texts of dropped records":
            manifest.unlink()
    assert states(output, usual(lines))["pages"] == [
        ("ReadLines+Upper", "cached"),
        ("Length", "cached"),
        ("ExactDedup", "after"),
        ("Split", "after"),
    ]


def test_a_stopped_run_is_cached_as_far_as_it_came(tmp_path, lines):
    output = tmp_path / "out"
    datasets = usual(lines)
    run(job(output, datasets), only=["pages"])
    found = states(output, datasets)
    assert {state for _, state in found["pages"]} == {"cached"}
    assert found["words"][0] == ("Words", "run")


def test_planning_changes_nothing(tmp_path, lines):
    output = tmp_path / "out"
    plan(job(output, usual(lines)))
    assert not output.exists()
    run_job(output, usual(lines))
    before = published(output), sorted(output.rglob("*"))
    plan(job(output, usual(lines, suffix="!")))
    assert (published(output), sorted(output.rglob("*"))) == before


def test_the_input_is_counted_in_units_and_bytes(tmp_path, lines):
    found = plan(job(tmp_path / "out", usual(lines))).datasets[0]
    size = (tmp_path / "a.txt").stat().st_size
    assert found.input_bytes == size
    assert size // 400 <= found.units <= size // 300 + 1


def changes(output, datasets, **settings):
    return plan(job(output, datasets, **settings)).changes


def test_changes_are_listed_with_their_place_and_both_values(tmp_path, lines):
    output = tmp_path / "out"
    assert changes(output, usual(lines)) == []
    run_job(output, usual(lines))
    assert changes(output, usual(lines)) == []
    assert changes(output, usual(lines, minimum=10, suffix="!"), seed=7) == [
        "datasets.pages.steps[1].toys:Upper.suffix: '' -> '!'",
        "datasets.pages.steps[2].toys:Length.minimum: 3 -> 10",
        "seed: 0 -> 7",
    ]


def test_added_steps_and_datasets_are_listed_by_name(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    more = usual(lines, more=(toys.Length(),))
    more["again"] = dataset(from_="words")
    assert changes(output, more) == [
        "datasets.pages.steps: [toys:ReadLines, toys:Upper, toys:Length, ExactDedup, Split] -> "
        "[toys:ReadLines, toys:Upper, toys:Length, ExactDedup, toys:Length, Split]",
        "datasets.again: None -> {from, steps, export, publish}",
    ]


def test_free_space_is_that_of_the_disk_the_output_will_be_on(tmp_path, lines):
    import shutil

    found = plan(job(tmp_path / "not/there/yet", usual(lines))).free_bytes
    assert abs(found - shutil.disk_usage(tmp_path).free) < 1 << 30


def test_a_forecast_counts_up_from_a_sample_and_leaves_nothing_behind(tmp_path, lines, monkeypatch):
    places = tmp_path / "temporary"
    places.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(places))
    size = (tmp_path / "a.txt").stat().st_size
    datasets = {"pages": dataset(toys.ReadLines(paths=(lines,)), toys.Upper(), toys.Length())}
    found = forecast(job(tmp_path / "out", datasets), records=10)
    assert found.sample_records == 11  # ten that can be used, and a bad line among them
    assert 0 < found.sample_bytes < found.input_bytes == size
    whole = forecast(job(tmp_path / "out", datasets), records=1000)
    assert whole.sample_bytes == size
    # By proportion: a sample of a quarter forecasts about what the whole takes on disk.
    assert whole.disk_bytes / 4 < found.disk_bytes < whole.disk_bytes * 8
    assert found.seconds > 0
    assert list(places.iterdir()) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "file/out"])
def test_an_output_that_cannot_be_is_refused(tmp_path, lines, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written \(got 'Not a directory'\)"):
        plan(job(tmp_path / place, usual(lines)))


def test_an_input_that_is_not_there_is_refused(tmp_path):
    missing = {"pages": dataset(steps.ReadJsonl(paths=(str(tmp_path / "no.jsonl"),)))}
    with pytest.raises(ConfigError, match="no file matches"):
        plan(job(tmp_path / "out", missing))
