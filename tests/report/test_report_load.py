import json
import os
import re

import outputs
import pytest
from outputs import step

from datatools.errors import DataError
from datatools.report.build import write_report
from datatools.report.load import load_report


def test_datasets_come_parents_first(whole_output):
    folder, _ = whole_output
    names = [facts.name for facts in load_report(folder).datasets]
    assert names == ["pages", "clean", "questions", "instruct", "preference"]


def test_documents_made_from_conversations_still_come_after_them(tmp_path):
    outputs.publish(tmp_path, "all", "document", [], parents=["chats"])
    outputs.publish(tmp_path, "chats", "conversation", [], parents=["gone"])
    assert [facts.name for facts in load_report(tmp_path).datasets] == ["chats", "all"]


def test_replaced_records_are_told_apart_from_lost_ones(whole_output):
    folder, _ = whole_output
    (questions,) = [d for d in load_report(folder).datasets if d.name == "questions"]
    (extract,) = questions.steps
    assert (extract.lost, extract.replaced, extract.refused, extract.unaccounted) == (9, 1, 0, 0)


def test_a_ledger_that_does_not_add_up_is_noticed(tmp_path):
    outputs.publish(tmp_path, "d", "document", [], [step("A", read=10, kept=7, dropped={"r": 2})])
    assert load_report(tmp_path).datasets[0].steps[0].unaccounted == 1


def test_input_tiles_the_files(whole_output):
    folder, _ = whole_output
    (source,) = load_report(folder).datasets[0].inputs
    assert (source.passed_over, source.missing, source.unaccounted) == (1600, 400, 0)
    assert source.unit == "bytes"


def test_rows_and_row_groups_are_not_called_bytes(tmp_path):
    counts = {"size": 4, "consumed": 4, "skipped": {}, "incomplete": []}
    steps = [step("ReadParquet", kept=0), step("ReadDataset", kept=0)]
    outputs.publish(
        tmp_path, "d", "document", [], steps, inputs={"ReadParquet": counts, "ReadDataset": counts}
    )
    units = [source.unit for source in load_report(tmp_path).datasets[0].inputs]
    assert units == ["row groups", "rows"]


def test_bytes_per_token_follow_the_mix_of_languages(whole_output):
    folder, _ = whole_output
    report = load_report(folder)
    (clean,) = [d for d in report.datasets if d.name == "clean"]
    sizes = {one.language: one.text_bytes for one in clean.languages}
    tokens = sizes["en"] / 2.5 + sizes["ko"] / 2.0
    assert report.bytes_per_token == pytest.approx(sum(sizes.values()) / tokens)


def test_without_training_there_are_no_tokens(tmp_path):
    outputs.publish(tmp_path, "d", "document", [])
    assert load_report(tmp_path).bytes_per_token is None


def test_an_output_without_a_dataset_is_refused(tmp_path):
    with pytest.raises(DataError):
        load_report(tmp_path / "nowhere")
    with pytest.raises(DataError):
        load_report(tmp_path)


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(tmp_path):
    outputs.publish(tmp_path, "good", "document", [])
    for name in ("broken", "foreign", "short"):
        outputs.publish(tmp_path, name, "document", [])
    (tmp_path / "broken" / "manifest.json").write_text("{")
    (tmp_path / "foreign" / "manifest.json").write_text(
        '{"kind": "document", "rows": 0, "shards": []}'
    )
    os.truncate(tmp_path / "short" / "train-00000-of-00001.parquet", 10)
    outputs.add_training(tmp_path, {"size": "smoke"})
    outputs.add_verdict(tmp_path, "old", {**outputs.verdict(), "decision": "splendid"})
    outputs.add_verdict(tmp_path, "fine", outputs.verdict())
    (tmp_path / "run.json").write_text("[")
    report = load_report(tmp_path)
    assert [facts.name for facts in report.datasets] == ["good"]
    assert [named.name for named in report.verdicts] == ["fine"]
    told = "\n".join(report.unread)
    for name in ("broken", "foreign", "short", "train.json", "old.json", "run.json"):
        assert name in told
    assert len(report.unread) == 6


def test_no_dataset_that_can_be_read_is_an_error(tmp_path):
    outputs.publish(tmp_path, "broken", "document", [])
    (tmp_path / "broken" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="no dataset that can be read"):
        load_report(tmp_path)


def test_the_publication_is_dated_by_its_newest_manifest(tmp_path):
    for name, time in (("a", 0), ("b", 86_400 + 3600)):
        outputs.publish(tmp_path, name, "document", [])
        os.utime(tmp_path / name / "manifest.json", (time, time))
    assert load_report(tmp_path).published == "1970-01-02 01:00"


def test_the_run_says_what_failed_and_what_was_asked(whole_output):
    folder, _ = whole_output
    report = load_report(folder)
    assert report.problems == ("pages: 2 of 13 records quarantined (bad_record 2)",)
    assert json.loads(report.resolved)["name"] == "byhand"
    assert report.title == "byhand"
    assert load_report(folder, title="다른 제목").title == "다른 제목"


def test_rules_that_never_fired_stand_apart_from_those_that_no_record_reached(tmp_path):
    rules = [("short", 9, 4), ("long", 5, 0), ("odd", 5, 5), ("ugly", 0, 0)]
    told = [dict(zip(("reason", "saw", "dropped"), rule, strict=True)) for rule in rules]
    counts = {"read": 9, "dropped": {"short": 4, "odd": 5}}
    outputs.publish(tmp_path, "d", "document", [], [outputs.step("Length", **counts, rules=told)])
    (step,) = load_report(tmp_path).datasets[0].steps
    assert [rule.reason for rule in step.idle_rules] == ["long"]
    assert [rule.reason for rule in step.unreached_rules] == ["ugly"]
    page = write_report(tmp_path).read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))
    assert "Rules that never fired: long (saw 5)." in text
    assert "No record was left for: ugly." in text


def test_a_left_over_dataset_is_named_and_not_shown(tmp_path):
    for name in ("kept", "renamed"):
        outputs.publish(tmp_path, name, "document", [])
    datasets = {"kept": {"publish": True}, "hidden": {"publish": False}}
    (tmp_path / "run.json").write_text(json.dumps({"pipeline": {"datasets": datasets}}))
    report = load_report(tmp_path)
    assert [facts.name for facts in report.datasets] == ["kept"]
    assert report.left_over == ("renamed",)
    (tmp_path / "renamed/sidecar/fates.parquet").unlink()  # nobody asks for it any more
    assert (
        "does not publish them any more: <code>renamed</code>."
        in write_report(tmp_path).read_text()
    )


def test_a_report_of_nothing_but_left_over_datasets_is_refused(tmp_path):
    outputs.publish(tmp_path, "renamed", "document", [])
    (tmp_path / "run.json").write_text('{"pipeline": {"datasets": {}}}')
    with pytest.raises(DataError, match="Left over from another pipeline: renamed"):
        load_report(tmp_path)
