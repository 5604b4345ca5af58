"""Patterns that take in what the pipeline writes, held against what `glob` finds after a run."""

import glob
import os
from pathlib import Path

import pytest
import toys
from jobs import dataset, job, run_job, write_lines

from datatools import steps
from datatools.errors import ConfigError
from datatools.job.running import run
from datatools.pipeline.own_output import own_file
from datatools.steps.export.alpaca import Alpaca

WRITTEN = (
    "out/run.json",
    "out/pages/manifest.json",
    "out/pages/train-00000-of-00001.parquet",
    "out/pages/validation-00000-of-00001.parquet",
    "out/pages/sidecar/train-00000-of-00001.parquet",
    "out/instruct/alpaca/train-00000-of-00001.jsonl",
    "out/trial/pages/train-00000-of-00001.parquet",
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(output, **settings):
    """A pipeline with two datasets of conversations and documents, one of them not published."""
    source = dataset(steps.ReadJsonl(paths=("elsewhere/*.jsonl",)))
    exported = dataset(
        steps.ExtractQuestions(), steps.AcceptedAnswer(), from_="pages", export=(Alpaca(),)
    )
    hidden = source.model_copy(update={"publish": False})
    return job(output, {"pages": source, "instruct": exported, "hidden": hidden}, **settings)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.jsonl", "out/instruct/alpaca/train-00000-of-00001.jsonl"),
        ("**/*.parquet", "out/pages/train-00000-of-00001.parquet"),
        ("*/*/*.parquet", "out/pages/train-00000-of-00001.parquet"),
        ("out/**/*.json", "out"),
        ("out/pages/*.parquet", "out/pages"),
        ("./out/pages", "out/pages"),
        ("o?t/*/validation-*", "out/pages/validation-00000-of-00001.parquet"),
        ("o[tu]t/*.json", "out/run.json"),
        ("**", "out/run.json"),
        ("*/trial/*/*.parquet", "out/trial/pages/train-00000-of-00001.parquet"),
        ("../*/out/run.json", "out/run.json"),
        ("**/*.warc.gz", None),
        ("*.parquet", None),
        ("*/*.parquet", None),
        ("data/**/*.parquet", None),
        ("output/**", None),
        ("**/hidden/*.parquet", None),
        ("**/out2/**/*.parquet", None),
        ("elsewhere/a.jsonl", None),
        ("s3://bucket/**/*.parquet", None),
    ],
)
def test_a_pattern_over_the_output_names_what_it_takes_in(here, pattern, found):
    own = own_file(made("out"), pattern)
    assert own is None if found is None else os.path.abspath(own) == f"{here.resolve()}/{found}"
    # A run leaves such files, and some of others beside them.
    for name in (
        *WRITTEN,
        "train.parquet",
        "data/a.parquet",
        "out2/b.parquet",
        "elsewhere/a.jsonl",
    ):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    hits = [Path(path).resolve() for path in glob.glob(pattern, recursive=True)]
    assert any(hit.is_relative_to(here.resolve() / "out") for hit in hits) == (found is not None)


def test_a_hidden_folder_is_not_found_by_a_pattern_without_a_dot(here):
    hidden = made(".work/out")
    assert own_file(hidden, "**/*.parquet") is None
    assert own_file(hidden, "*/out/*/*.parquet") is None
    assert own_file(hidden, ".w*/**/*.parquet") is not None


def test_a_link_to_the_output_is_seen_through(here):
    (here / "out").mkdir()
    (here / "link").symlink_to("out")
    assert own_file(made("out"), "link/**/*.parquet") == f"{here.resolve()}/out"
    assert own_file(made("link"), "out/pages/*") == f"{here.resolve()}/out/pages"


def test_a_file_url_is_a_folder(here):
    found = f"{here.resolve()}/out/pages"
    assert own_file(made(f"file://{here}/out"), "out/pages/*") == found
    assert own_file(made("out"), f"file://{here}/out/pages/*") == found


def test_an_output_with_a_bracket_in_its_name_is_a_plain_folder(here):
    assert own_file(made("out[1]"), "out1/**/*.parquet") is None
    assert own_file(made("out[1]"), "out*/**/*.parquet") is not None


@pytest.mark.parametrize("output", ["s3://bucket/job/out", "s3://bucket//job/out/"])
def test_an_output_at_an_address_is_told_by_its_parts(output):
    remote = made(output)
    assert own_file(remote, "s3://bucket/job/*/*/*.parquet") is not None
    assert own_file(remote, "s3://bucket/job/out/pages/a.parquet") is not None
    assert own_file(remote, "s3://other/job/*/*/*.parquet") is None
    assert own_file(remote, "gs://bucket/job/out/*/*.parquet") is None
    assert own_file(remote, "**/*.parquet") is None


def test_a_run_writes_what_the_patterns_are_held_against(here):
    path = write_lines(here / "a.txt", 66)
    questions = dataset(steps.GroupPrompts(), steps.AcceptedAnswer(), from_="threads")
    datasets = {
        "pages": dataset(toys.ReadLines(paths=(path,)), steps.Split(validation=0.3)),
        "threads": dataset(toys.Questions(), from_="pages"),
        "instruct": questions.model_copy(update={"export": (Alpaca(),)}),
    }
    run_job(here / "out", datasets)
    run(job(here / "out", datasets), only=["instruct"], limit=9)
    found = {str(path.relative_to(here)) for path in (here / "out").rglob("*.*")}
    assert set(WRITTEN) - found == set()


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (steps.ReadJsonl(paths=("a.jsonl", "**/*.jsonl")), "paths"),
        (steps.ReadDataset(path="out/instruct"), "path"),
    ],
)
def test_a_pipeline_that_reads_its_own_output_is_refused_before_it_runs(here, source, field):
    good = made("out")
    with pytest.raises(ConfigError) as caught:
        good.model_copy(update={"datasets": {**good.datasets, "pages": dataset(source)}}).job()
    told = str(caught.value)
    assert f"datasets.pages.steps[0].{source.name()}.{field}: takes in the pipeline's own " in told
    assert not (here / "out").exists()
