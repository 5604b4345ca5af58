"""What `plan` prints for people: the whole job, aligned, within the terminal's width."""

import re

import pytest
from calling import PIPELINE, write_pipeline

from datatools.cli import plan_command
from datatools.job.forecasting import ConclusionForecast, Forecast

WHOLE = PIPELINE.replace(
    "      - ExactDedup\n", "      - ExactDedup\n      - MinHashDedup\n"
).replace(
    "run:\n",
    "train: {{pretrain: pages}}\nvalidate:\n  cleaning: {{compare: [pages, words]}}\nrun:\n",
)


def test_a_plan_names_every_stage_and_what_it_depends_on(datatools, tmp_path):
    file, _ = write_pipeline(tmp_path, 22, WHOLE)
    called = datatools("plan", file)
    assert called.code == 0
    lines = [line.rstrip() for line in called.out.splitlines()]
    assert lines[0] == "pages"
    assert lines[2:4] == [
        "  will run          ReadLines + Upper",
        "  follows           Length",
    ]
    assert lines[5:7] == [
        "  follows           MinHashDedup",
        "                      17 bands x 7 rows, 119 of 128 permutations",
    ]
    after = lines.index("words from pages")
    assert lines[after:-1] == [
        "words from pages",
        "  follows           Words",
        "                      depends on pages",
        "  follows           publishing",
        "after the datasets",
        "  will run          train",
        "                      not made yet",
        "                      depends on pages",
        "  will run          verdict cleaning",
        "                      not made yet",
        "                      depends on pages and words",
        "  will run          report",
        "                      not made yet",
        "                      depends on pages, words, train and verdict cleaning",
    ]
    assert re.fullmatch(r"  free disk space   [\d.]+ [GTP]B", lines[-1])


def test_a_plan_of_a_finished_run_says_cached_and_a_changed_field_is_told(datatools, made):
    states = re.findall(r"^  (\w[\w ]+?)  +\S", datatools("plan", made[0]).out, re.MULTILINE)
    assert set(states) == {"input", "cached", "free disk space"}
    called = datatools("plan", made[0], "--set", "datasets.pages.steps.2.toys:Length.minimum=9")
    assert "  will decide anew  Length\n" in called.out
    assert "  changed since     datasets.pages.steps[2].toys:Length.minimum: 3 -> 9\n" in called.out


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_is_longer_than_the_terminal_is_wide(datatools, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    file, _ = write_pipeline(tmp_path, 22, WHOLE)
    widths = [len(line.rstrip()) for line in datatools("plan", file).out.splitlines()]
    assert max(widths) <= columns
    assert max(widths) > 50


FORECAST = Forecast(
    sample_records=500,
    sample_bytes=10**6,
    input_bytes=10**9,
    seconds=100.0,
    disk_bytes=4 * 10**9,
    memory_bytes=2 * 10**9,
    method="by proportion from 500 records",
    conclusions=[
        ConclusionForecast("train", 30.0, 10**9, 10**6, "from the last run"),
        ConclusionForecast("verdict a-name-that-is-long", 50.0, None, 0, "from the last one"),
    ],
    total_seconds=180.0,
    total_disk_bytes=4_001_000_000,
    present_bytes=10**9,
)


def test_a_forecast_tells_each_part_and_the_total_with_where_it_comes_from(
    datatools, made, monkeypatch
):
    monkeypatch.setattr("datatools.job.forecasting.forecast", lambda pipeline: FORECAST)
    called = datatools("plan", made[0], "--forecast")
    assert called.code == 0
    told = called.out.partition("forecast of a run of everything, with nothing cached\n")[2]
    assert told == (
        "  datasets          1 min 40 s, 2.00 GB of memory, 4.00 GB of disk\n"
        "                      by proportion from 500 records\n"
        "  train             30.0 s, 1.00 GB of memory, 1.00 MB of disk\n"
        "                      from the last run\n"
        "  verdict a-name-that-is-long\n"
        "                    50.0 s\n"
        "                      from the last one\n"
        "  total             3 min 0 s, 4.00 GB of disk\n"
        "                      1.00 GB of it is in the cache already\n"
    )


@pytest.mark.parametrize(("free", "suffices"), [(3_001_000_000, True), (3_000_999_999, False)])
def test_a_disk_that_does_not_suffice_is_warned_of(capsys, free, suffices):
    # 4.001 GB in all, 1 GB of them there already.
    plan_command._warn_of_disk(FORECAST, free)
    told = capsys.readouterr().err
    assert told.startswith("warning: the disk has 3.00 GB free") is not suffices
    assert bool(told) is not suffices


def test_an_output_at_a_url_has_no_disk_to_warn_of(capsys):
    plan_command._warn_of_disk(FORECAST, None)
    assert capsys.readouterr().err == ""
