"""What counts as success, what is told while it runs, and what is trained and judged once."""

import json
import math
from pathlib import Path

import pytest
import toys
from counted import count_calls, whole_job
from jobs import dataset, job, published, ran, run_job, write_lines

from datatools import steps
from datatools.engine.lock import held
from datatools.engine.progress import Silent
from datatools.errors import DataError, OutputHeldError
from datatools.inquiry.verifying import left_over
from datatools.job.running import cache_of, resolved, run
from datatools.sample.warc import Page, gzip_member, response


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "a.txt", 44)


def pages(lines):
    return {"pages": dataset(toys.ReadLines(paths=(lines,)), toys.Upper(), toys.Length())}


# --------------------------------------------------------------------------------------------------
# Problems


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"on_input_error": "fail"}, "pages: 8 of 40 records quarantined (bad_line 4, boom 4)"),
        ({"on_input_error": "quarantine", "max_quarantine_fraction": 0.2}, None),
        (
            {"on_input_error": "quarantine", "max_quarantine_fraction": 0.19},
            "pages: 8 of 40 records quarantined, more than the allowed 19.000% "
            "(bad_line 4, boom 4)",
        ),
    ],
)
def test_what_quarantined_records_mean(tmp_path, lines, settings, problem):
    result = run_job(tmp_path / "out", pages(lines), **settings)
    assert list(result.problems) == ([] if problem is None else [problem])
    assert result.ok is (problem is None)
    summary = json.loads((tmp_path / "out/run.json").read_bytes())
    assert summary["problems"] == list(result.problems)
    # Published in any case: to look at, and because the next run need not do it again.
    assert result.datasets["pages"]["rows"] > 0


def cut_crawl(tmp_path):
    """A crawl of two pages whose last member has lost its second half."""
    texts = ["English and 한국어 side by side.", "The page that is cut off."]
    members = [
        gzip_member(response(Page(f"https://example.org/{i}", f"<p>{text}</p>".encode())))
        for i, text in enumerate(texts)
    ]
    data = b"".join(members)
    path = tmp_path / "cut.warc.gz"
    path.write_bytes(data[: len(members[0]) + len(members[1]) // 2])
    return str(path), len(members[0]), path.stat().st_size


def test_input_that_ends_too_early_fails_a_run_that_does_not_allow_it(tmp_path):
    path, start, end = cut_crawl(tmp_path)
    datasets = {"pages": dataset(steps.ReadWarc(paths=(path,)), steps.ExtractText())}
    strict = run_job(tmp_path / "out", datasets, on_input_error="fail")
    (problem,) = strict.problems
    assert problem.startswith(
        f"pages: ReadWarc could not read cut.warc.gz, bytes {start:,} to {end:,}: "
    )
    assert strict.datasets["pages"]["rows"] == 1
    lax = {"on_input_error": "quarantine", "max_quarantine_fraction": 0.5}
    allowed = run_job(tmp_path / "out", datasets, **lax)
    assert allowed.ok
    assert list(allowed.notes) == [problem]
    few = {"on_input_error": "quarantine", "max_quarantine_fraction": 0.01}
    assert problem in run_job(tmp_path / "out", datasets, **few).problems


# --------------------------------------------------------------------------------------------------
# What is told


class Told(Silent):
    """Keeps what it is told, with the state that the status file has at that time."""

    def __init__(self, output):
        self._path = cache_of(output) / "status.json"
        self.states = []

    def stage_ended(self, name, *, cached):
        if self._path.exists():
            status = json.loads(self._path.read_bytes())
            self.states.append((status["state"], status["stage"]))


def status(output):
    return json.loads((cache_of(output) / "status.json").read_bytes())


def test_the_status_is_running_then_ended(tmp_path, lines):
    told = Told(tmp_path / "out")
    result = run(job(tmp_path / "out", pages(lines)), only=["pages"], progress=told)
    assert ("running", "pages/ReadLines+Upper") in told.states
    last = status(tmp_path / "out")
    assert (last["state"], last["stage"]) == ("ended", None)
    assert last["stages_ended"] == len(result.events)
    assert last["stages_cached"] == 0
    again = run_job(tmp_path / "out", pages(lines))
    assert status(tmp_path / "out")["stages_cached"] == len(again.events)


def test_the_status_of_a_run_with_problems_is_failed(tmp_path, lines):
    run_job(tmp_path / "out", pages(lines), on_input_error="fail")
    assert status(tmp_path / "out")["state"] == "failed"


class Breaks(toys.Upper):
    """Raises."""

    def map(self, batch):
        raise RuntimeError("it broke")


def test_the_status_of_a_run_that_broke_is_stopped(tmp_path, lines):
    broken = {"pages": dataset(toys.ReadLines(paths=(lines,)), Breaks())}
    with pytest.raises(
        DataError, match=r"pages/ReadLines\+Breaks: failed with RuntimeError: it broke"
    ):
        run_job(tmp_path / "out", broken)
    last = status(tmp_path / "out")
    assert (last["state"], last["stage"]) == ("stopped", "pages/ReadLines+Breaks")
    assert not (tmp_path / "out/pages/manifest.json").exists()


# --------------------------------------------------------------------------------------------------
# After the datasets


@pytest.fixture
def counted(monkeypatch):
    """Calls of training, judging and reporting, which are replaced."""
    return count_calls(monkeypatch)


def test_training_verdict_and_report_are_made_once(tmp_path, lines, counted):
    first = run(whole_job(tmp_path, lines))
    assert counted == {"train": 1, "verdict": 1, "report": 1}
    assert first.train == {"tokens": 400_000}
    assert first.verdicts == {"cleaning": {"headline": "no difference"}}
    assert first.report == tmp_path / "out/report.html"
    second = run(whole_job(tmp_path, lines))
    assert counted == {"train": 1, "verdict": 1, "report": 1}
    assert (second.train, second.verdicts, second.report) == (
        first.train,
        first.verdicts,
        first.report,
    )


def test_only_what_a_change_touches_is_made_again(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    run(whole_job(tmp_path, lines, tokens=1000))
    assert (counted["train"], counted["verdict"]) == (2, 1)
    run(whole_job(tmp_path, lines, tokens=1000, minimum=5))  # other bytes in `clean`
    assert (counted["train"], counted["verdict"]) == (3, 2)
    run(whole_job(tmp_path, lines, tokens=1000, minimum=5, seed=1))
    assert (counted["train"], counted["verdict"]) == (4, 3)


def test_a_threshold_that_changes_no_bytes_trains_nothing_again(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    result = run(whole_job(tmp_path, lines, minimum=2))
    assert "clean/Length decide" in ran(result)
    assert (counted["train"], counted["verdict"]) == (1, 1)


def test_a_result_that_is_gone_or_broken_is_made_again(tmp_path, lines, counted):
    run(whole_job(tmp_path, lines))
    (tmp_path / "out/models/train.json").write_text("{")
    (tmp_path / "out/verdicts/cleaning.json").unlink()
    (tmp_path / "out/report.html").unlink()
    run(whole_job(tmp_path, lines))
    assert counted == {"train": 2, "verdict": 2, "report": 2}


def test_a_training_that_broke_off_is_not_taken_for_done(tmp_path, lines, counted, monkeypatch):
    from datatools.train import api

    good = api.train_all

    def breaks(output, **settings):
        (output / "models").mkdir(exist_ok=True)
        (output / "models/train.json").write_text("{}")
        raise DataError("training", "broke")

    monkeypatch.setattr(api, "train_all", breaks)
    with pytest.raises(DataError, match="training: broke"):
        run(whole_job(tmp_path, lines))
    assert status(tmp_path / "out")["state"] == "stopped"
    monkeypatch.setattr(api, "train_all", good)
    assert run(whole_job(tmp_path, lines)).train == {"tokens": 400_000}


def test_only_leaves_training_verdicts_and_report_out(tmp_path, lines, counted):
    result = run(whole_job(tmp_path, lines), only=["clean"])
    assert counted == {"train": 0, "verdict": 0, "report": 0}
    assert result.datasets.keys() == {"pages", "clean"}
    assert (result.train, result.verdicts, result.report) == (None, {}, None)


def test_the_summary_is_the_resolved_pipeline(tmp_path, lines, counted):
    pipeline = whole_job(tmp_path, lines)
    run(pipeline)
    summary = json.loads((tmp_path / "out/run.json").read_bytes())
    assert summary["pipeline"] == resolved(pipeline)
    assert summary["datasets"] == ["clean", "other", "pages"]
    pages_ = summary["pipeline"]["datasets"]["pages"]
    assert pages_["steps"][2] == {"toys:Length": {"minimum": 3, "maximum": None, "log": None}}
    assert summary["pipeline"]["run"]["shard_bytes"] == 256_000_000
    assert summary["pipeline"]["validate"]["cleaning"]["tier"] == "smoke"


# --------------------------------------------------------------------------------------------------
# Trials


def test_a_limit_reads_that_many_records_of_each_source(tmp_path):
    datasets = {}
    for name in ("one", "two"):
        path = write_lines(tmp_path / f"{name}.txt", 44)
        datasets[name] = dataset(toys.ReadLines(paths=(path,), unit_bytes=200))
    result = run(job(tmp_path / "out", datasets), only=["one", "two"], limit=3)
    assert [manifest["rows"] for manifest in result.datasets.values()] == [3, 3]
    more = run(job(tmp_path / "out", datasets), only=["one", "two"], limit=4)
    assert [manifest["rows"] for manifest in more.datasets.values()] == [4, 4]


def test_a_limit_beyond_the_input_reads_its_first_unit(tmp_path):
    path = write_lines(tmp_path / "a.txt", 44)
    datasets = {"pages": dataset(toys.ReadLines(paths=(path,)))}
    result = run(job(tmp_path / "out", datasets), only=["pages"], limit=10_000)
    assert result.datasets["pages"]["rows"] == 36


def test_a_trial_leaves_a_full_result_as_it_is(tmp_path, lines, counted):
    pipeline = whole_job(tmp_path, lines)
    full = run(pipeline)
    before = published(tmp_path / "out")
    summary = (tmp_path / "out/run.json").read_bytes()
    result = run(pipeline, limit=5)
    assert result.output == tmp_path / "out/trial"
    assert result.report == tmp_path / "out/trial/report.html"
    assert {name: one["rows"] for name, one in result.datasets.items()} == {
        "pages": 3,
        "clean": 3,
        "other": 1,
    }
    assert {m["limited"] for m in result.datasets.values()} == {5}
    kept = {name: sha for name, sha in published(tmp_path / "out").items() if "trial" not in name}
    assert kept == before
    assert (tmp_path / "out/run.json").read_bytes() == summary
    # Neither takes the other for its own: the same run again makes nothing.
    assert ran(run(pipeline)) == []
    assert ran(run(pipeline, limit=5)) == []
    assert run(pipeline).datasets == full.datasets
    assert left_over(tmp_path / "out") == []


def test_a_trial_and_a_run_hold_one_output(tmp_path, lines):
    pipeline = job(tmp_path / "out", pages(lines))
    with held(tmp_path / "out", "another"), pytest.raises(OutputHeldError):
        run(pipeline, only=["pages"], limit=5)
    assert not (tmp_path / "out/trial").exists()
    run(pipeline, only=["pages"], limit=5)
    with held(tmp_path / "out/trial", "gc of the trial"), pytest.raises(OutputHeldError):
        run(pipeline, only=["pages"], limit=5)


# --------------------------------------------------------------------------------------------------
# Rules that never fired


def ruled(lines):
    """A filter of which one rule fires and one does not, one that nothing reaches, and one whose
    rules all fire, in a dataset that is not published."""
    return {
        "pages": dataset(toys.ReadLines(paths=(lines,)), publish=False),
        "clean": dataset(
            toys.Length(minimum=3, maximum=99_999),
            toys.Length(minimum=99_999, maximum=100_000),
            toys.Length(),
            from_="pages",
        ),
        "both": dataset(toys.Length(minimum=3, maximum=20), from_="pages", publish=False),
        "end": dataset(toys.Words(), from_="both"),
    }


def test_rules_that_never_fired_are_told_with_what_they_saw(tmp_path, lines):
    result = run_job(tmp_path / "out", ruled(lines))
    texts = [t for t in Path(lines).read_text().split("\n")[:-1] if t[:1] not in ("#", "!")]
    lengths = [math.nan if text == "nan" else len(text) for text in texts]
    short = sum(n < 3 for n in lengths)
    undefined = sum(map(math.isnan, lengths))
    left = len(texts) - short - undefined
    told = {
        name: {label: [(r.reason, r.saw, r.dropped) for r in rules] for label, rules in by.items()}
        for name, by in result.rules.items()
    }
    assert told["clean"] == {
        "Length": [("too_short", len(texts), short), ("too_long", len(texts) - short, 0)],
        "Length#2": [("too_short", left, left), ("too_long", 0, 0)],
        "Length#3": [("too_short", 0, 0)],
    }
    assert told["pages"] == {"ReadLines": []}
    assert told["both"]["Length"][1][2] == sum(n > 20 for n in lengths) > 0
    assert result.notes == [
        f"clean holds no records: Length#2 kept none of {left} records (too_short {left})",
        f"Length in clean: never fired on {len(texts) - short} records: too_long",
        "Length#2 in clean: no record was left for too_long",
        "Length#3 in clean: no record came to it, so no rule could fire",
    ]
    steps_ = result.datasets["clean"]["steps"]
    assert steps_[0]["rules"] == [
        {"reason": "too_short", "saw": len(texts), "dropped": short},
        {"reason": "too_long", "saw": len(texts) - short, "dropped": 0},
    ]
    assert result.datasets["end"]["steps"][0]["rules"] == []
    again = run_job(tmp_path / "out", ruled(lines))
    assert ran(again) == []
    assert (again.rules, again.notes) == (result.rules, result.notes)
