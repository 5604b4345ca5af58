"""What a run would do: what is cached, what is decided anew, what runs, why, what changed."""

import json
from typing import ClassVar

import pytest
import toys
from counted import count_calls, whole_job
from jobs import dataset, job, published, ran, run_job, write_lines

from datatools import plan, steps
from datatools.errors import ConfigError
from datatools.job.running import run
from datatools.pipeline.definition import Dataset
from datatools.steps.base import Export


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


@pytest.mark.parametrize("place", ["file", "file/out"])
def test_an_output_that_cannot_be_is_refused(tmp_path, lines, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written \(got 'Not a directory'\)"):
        plan(job(tmp_path / place, usual(lines)))


def test_an_input_that_is_not_there_is_refused(tmp_path):
    missing = {"pages": dataset(steps.ReadJsonl(paths=(str(tmp_path / "no.jsonl"),)))}
    with pytest.raises(ConfigError, match="no file matches"):
        plan(job(tmp_path / "out", missing))


# --------------------------------------------------------------------------------------------------
# Publishing, training, verdicts, report


def test_publishing_follows_what_is_not_made_and_is_cached_after_a_run(tmp_path, lines):
    output, datasets = tmp_path / "out", usual(lines)

    def published_states(**settings):
        found = plan(job(output, datasets, **settings))
        return {one.name: one.published for one in found.datasets}

    assert published_states() == {"pages": "after", "words": "after"}
    run_job(output, datasets)
    assert published_states() == {"pages": "cached", "words": "cached"}
    # Smaller shards change no record, but every file.
    assert published_states(shard_bytes=100) == {"pages": "run", "words": "run"}
    assert ran(run_job(output, datasets, shard_bytes=100)) == ["pages/publish", "words/publish"]


def test_a_dataset_that_is_not_published_says_nothing_of_publishing(tmp_path, lines):
    datasets = usual(lines)
    datasets["pages"] = datasets["pages"].model_copy(update={"publish": False})
    assert plan(job(tmp_path / "out", datasets)).datasets[0].published is None


def test_a_dataset_says_which_datasets_above_are_not_made(tmp_path, lines):
    first, second = plan(job(tmp_path / "out", usual(lines))).datasets
    assert first.waits_for == []
    assert second.waits_for == ["pages"]


def test_steps_say_what_their_fields_come_to(tmp_path, lines):
    near = steps.MinHashDedup(threshold=0.8)
    found = plan(job(tmp_path / "out", usual(lines, more=(near,)))).datasets[0]
    assert found.explained == {"MinHashDedup": list(near.explains())}


@pytest.fixture
def counted(monkeypatch):
    """Calls of training, judging and reporting, which are replaced."""
    return count_calls(monkeypatch)


def conclusions(pipeline):
    """Return each conclusion's state and why."""
    return {one.name: (one.state, list(one.why)) for one in plan(pipeline).conclusions}


ALL_CACHED = {"train": ("cached", []), "verdict cleaning": ("cached", []), "report": ("cached", [])}


def test_before_the_first_run_everything_is_to_be_made_and_says_what_it_depends_on(tmp_path, lines):
    found = plan(whole_job(tmp_path, lines)).conclusions
    assert [(one.name, one.state, one.why, one.waits_for) for one in found] == [
        ("train", "run", ["not made yet"], ["clean"]),
        ("verdict cleaning", "run", ["not made yet"], ["pages", "clean"]),
        (
            "report",
            "run",
            ["not made yet"],
            ["pages", "clean", "other", "train", "verdict cleaning"],
        ),
    ]


def test_after_a_run_training_verdict_and_report_are_cached(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    assert conclusions(whole_job(tmp_path, lines)) == ALL_CACHED


def test_a_changed_field_of_training_is_named_and_leaves_the_verdict_alone(
    tmp_path, lines, counted
):
    run(whole_job(tmp_path, lines))
    changed = whole_job(tmp_path, lines, tokens=1000)
    assert conclusions(changed) == {
        "train": ("run", ["train.tokens: 400000 -> 1000"]),
        "verdict cleaning": ("cached", []),
        "report": ("after", []),
    }
    run(changed)
    assert counted == {"train": 2, "verdict": 1, "report": 2}
    assert conclusions(changed) == ALL_CACHED


def test_another_seed_is_named_by_what_it_makes_anew(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    found = conclusions(whole_job(tmp_path, lines, seed=7))
    assert found["train"] == found["verdict cleaning"] == ("run", ["seed: 0 -> 7"])


def test_a_dataset_whose_bytes_may_change_leaves_open_what_depends_on_it(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    changed = whole_job(tmp_path, lines, minimum=5)
    found = {one.name: one for one in plan(changed).conclusions}
    assert (found["train"].state, found["train"].waits_for) == ("after", ["clean"])
    # Once the datasets are made, which of their bytes changed is known.
    run(changed, only=["clean", "other"])
    assert conclusions(changed)["train"] == ("run", ["not made yet"])  # a partial run forgets it


def test_the_dataset_whose_bytes_changed_is_named(tmp_path, lines, counted):
    output = tmp_path / "out"
    run(whole_job(tmp_path, lines))
    marks = [output / "models/train.key", output / "verdicts/cleaning.key"]
    results = [output / "models/train.json", output / "verdicts/cleaning.json"]
    kept = {path: path.read_bytes() for path in [*marks, *results]}
    changed = whole_job(tmp_path, lines, minimum=5)
    run(changed, only=["pages", "clean", "other"])
    for path, data in kept.items():  # as if the run had been killed before it forgot them
        path.write_bytes(data)
    assert conclusions(changed)["train"] == ("run", ["clean changed"])
    assert conclusions(changed)["verdict cleaning"] == ("run", ["clean changed"])


def test_a_threshold_that_changes_no_bytes_leaves_training_cached(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    same = whole_job(tmp_path, lines, minimum=2)
    run(same, only=["pages", "clean", "other"])
    found = conclusions(same)
    assert (found["train"], found["verdict cleaning"]) == (("cached", []), ("cached", []))


def test_a_lost_model_and_a_damaged_verdict_are_named(tmp_path, lines, counted):
    output = tmp_path / "out"
    run(whole_job(tmp_path, lines))
    (output / "models/clean/model.safetensors").unlink()
    (output / "verdicts/cleaning.json").write_text("{")
    found = conclusions(whole_job(tmp_path, lines))
    assert found["train"] == ("run", ["model.safetensors is gone"])
    assert found["verdict cleaning"] == ("run", ["cleaning.json is damaged"])
    run(whole_job(tmp_path, lines))
    assert (counted["train"], counted["verdict"]) == (2, 2)


def test_a_setting_that_only_the_report_tells_makes_only_the_report_anew(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    changed = whole_job(tmp_path, lines)
    changed = changed.model_copy(update={"run": changed.run.model_copy(update={"workers": 3})})
    assert conclusions(changed) == {**ALL_CACHED, "report": ("run", ["the pipeline changed"])}
    run(changed)
    assert counted == {"train": 1, "verdict": 1, "report": 2}


def test_planning_deletes_no_file_of_the_cache_that_was_edited(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    shard = next((output / "pages").glob("train-*.parquet"))
    with shard.open("r+b") as file:  # the cache links the same file
        file.seek(100)
        file.write(b"????")
    before = sorted(output.rglob("*"))
    assert plan(job(output, usual(lines))).datasets[0].published == "run"
    assert sorted(output.rglob("*")) == before


class Aside(Export):
    """A format whose folder comes before the others' by name, as a cached output has them."""

    folder: ClassVar[str] = "aside"

    def accepts(self):
        return frozenset({"document"})

    def convert(self, frame, kind):
        return frame.select("text")


def test_a_manifest_lists_its_files_alike_whether_they_were_cached_or_not(tmp_path, lines):
    output = tmp_path / "out"
    datasets = {"pages": Dataset(steps=(toys.ReadLines(paths=(lines,)),), export=(Aside(),))}
    run_job(output, datasets)
    manifest = output / "pages/manifest.json"
    first = manifest.read_bytes(), manifest.stat().st_mtime_ns
    assert [file["path"].partition("/")[0] for file in json.loads(first[0])["files"]] == [
        "aside",
        "sidecar",
        "sidecar",
    ]
    run_job(output, datasets)
    assert (manifest.read_bytes(), manifest.stat().st_mtime_ns) == first
