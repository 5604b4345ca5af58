import json
import os
from dataclasses import replace
from pathlib import Path

import bodies
import pytest

from datatools.engine.executors.base import Done, Failed
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.progress import Silent
from datatools.engine.stages import NotCachedError, Stages
from datatools.engine.store import read_json
from datatools.errors import ConfigError, DataError


class Fails:
    """An executor that loses the worker of some tasks, a number of times each."""

    def __init__(self, deaths, stalled=False):
        self.deaths = dict(deaths)
        self.stalled = stalled
        self.given = []

    def map(self, tasks):
        for task in tasks:
            self.given.append(task.index)
            if self.deaths.get(task.index, 0):
                self.deaths[task.index] -= 1
                yield Failed(task.index, None, "worker 1 died with signal 9", self.stalled)
            else:
                yield from InlineExecutor().map([task])


class Messages(Silent):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


def stages(root, executor=None, **settings):
    return Stages(root, executor or InlineExecutor(), Messages(), **settings)


def directory(root, event):
    return root / "stages" / event.key


def test_outputs_come_in_task_order_and_are_found_again(tmp_path):
    first = stages(tmp_path)
    said = first.stage("say", 1, [bodies.Say(i) for i in range(5)])
    assert [output.values["said"] for output in said] == list(range(5))
    again = stages(tmp_path, Fails({0: 99}))
    assert again.stage("say", 1, [bodies.Say(i) for i in range(5)]) == said
    assert [event.cached for event in again.events] == [True]


def test_a_stage_has_no_task_records_once_its_manifest_is_written(tmp_path):
    one = stages(tmp_path)
    one.stage("rows", 1, [bodies.WriteRows(3), bodies.WriteRows(0)])
    found = sorted(path.name for path in directory(tmp_path, one.events[0]).iterdir())
    assert found == ["00000-data.arrow", "00001-data.arrow", "manifest.json"]


def test_other_keys_are_other_stages_and_one_key_is_asked_for_once(tmp_path):
    one = stages(tmp_path)
    one.stage("say", 1, [bodies.Say(1)])
    one.stage("say", 2, [bodies.Say(2)])
    (again,) = one.stage("say", 1, [bodies.Say(1)])
    assert again.values["said"] == 1
    assert [event.ran for event in one.events] == [1, 1]


def test_bodies_are_not_made_for_a_stage_that_is_there(tmp_path):
    stages(tmp_path).stage("say", 1, lambda: [bodies.Say(1)])

    def must_not_be_called():
        raise AssertionError

    (found,) = stages(tmp_path).stage("say", 1, must_not_be_called)
    assert found.values["said"] == 1


def test_a_dead_worker_is_tried_again_and_told(tmp_path):
    executor = Fails({1: 2})
    one = stages(tmp_path, executor)
    said = one.stage("say", 1, [bodies.Say(i) for i in range(3)])
    assert [output.values["said"] for output in said] == [0, 1, 2]
    assert executor.given == [0, 1, 2, 1, 1]
    assert one.progress.texts == ["say task 1: worker 1 died with signal 9; trying again"] * 2


def test_a_task_whose_worker_dies_three_times_stops_the_run_with_a_way_out(tmp_path):
    executor = Fails({1: 99})
    with pytest.raises(DataError) as caught:
        stages(tmp_path, executor).stage("say", 1, [bodies.Say(i) for i in range(3)])
    assert executor.given.count(1) == 3
    assert str(caught.value) == (
        "say task 1: its worker died 3 times (worker 1 died with signal 9). Out of memory? Lower "
        "`unit_bytes` or `run.workers`, then run again: finished work is kept."
    )


def test_per_row_work_is_done_carefully_the_third_time(tmp_path):
    executor = Fails({0: 1, 1: 2})
    one = stages(tmp_path, executor)
    said = one.stage("say", 1, [bodies.RowsOf(bodies.Say(i)) for i in range(2)])
    assert [output.values["careful"] for output in said] == [False, True]
    told = "say task 1: worker 1 died with signal 9; trying again"
    assert one.progress.texts[1:] == [told, f"{told} with every record behind the fence"]


def test_per_row_work_that_stood_still_is_done_carefully_at_once(tmp_path):
    executor = Fails({0: 1}, stalled=True)
    one = stages(tmp_path, executor)
    (said,) = one.stage("say", 1, [bodies.RowsOf(bodies.Say())])
    assert said.values["careful"]


def test_careful_work_whose_worker_dies_too_stops_the_run(tmp_path):
    with pytest.raises(DataError, match="its worker died 3 times"):
        stages(tmp_path, Fails({0: 3})).stage("say", 1, [bodies.RowsOf(bodies.Say())])


def test_what_a_result_says_of_its_worker_is_told(tmp_path):
    class Notes:
        def map(self, tasks):
            for result in InlineExecutor().map(tasks):
                yield replace(result, note="worker 1 was replaced")

    one = stages(tmp_path, Notes())
    one.stage("say", 1, [bodies.Say()])
    assert one.progress.texts == ["worker 1 was replaced"]


def test_finished_tasks_are_kept_when_a_later_one_fails(tmp_path):
    go_on = tmp_path / "go on"
    work = [bodies.Say(0), bodies.WriteRows(2), bodies.WaitFor(str(tmp_path / "b"), str(go_on))]
    with pytest.raises(DataError):
        stages(tmp_path).stage("s", 1, [*work[:2], bodies.Raise("ValueError")])
    go_on.touch()
    resumed = stages(tmp_path)
    resumed.stage("s", 1, work)
    assert (resumed.events[0].tasks, resumed.events[0].ran) == (3, 1)


@pytest.mark.parametrize("torn", [b"", b'{"parts"', b"{}", b"\0" * 40, b"[]"])
def test_a_torn_task_record_is_run_again(tmp_path, torn):
    # Records are not synced: after a power cut one may be there by name and not by content.
    with pytest.raises(DataError):
        stages(tmp_path).stage("s", 1, [bodies.WriteRows(2), bodies.Raise("ValueError")])
    (record,) = tmp_path.glob("stages/*/00000.json")
    record.write_bytes(torn)
    resumed = stages(tmp_path)
    outputs = resumed.stage("s", 1, [bodies.WriteRows(2), bodies.WriteRows(3)])
    assert [output.parts["data"].rows for output in outputs] == [2, 3]
    assert resumed.events[0].ran == 2


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_record_whose_part_is_not_whole_is_run_again(tmp_path, damage):
    with pytest.raises(DataError):
        stages(tmp_path).stage("s", 1, [bodies.WriteRows(2), bodies.Raise("ValueError")])
    (part,) = tmp_path.glob("stages/*/00000-data.arrow")
    whole = part.read_bytes()
    part.unlink() if damage == "missing" else os.truncate(part, 10)
    stages(tmp_path).stage("s", 1, [bodies.WriteRows(2), bodies.WriteRows(3)])
    assert part.read_bytes() == whole


def test_a_dry_run_runs_nothing_and_says_what_it_would(tmp_path):
    stages(tmp_path).stage("say", 1, [bodies.Say()])
    dry = stages(tmp_path, Fails({0: 99}), dry=True)
    assert len(dry.stage("say", 1, [bodies.Say()])) == 1
    with pytest.raises(NotCachedError) as caught:
        dry.stage("other", 2, [bodies.Say(), bodies.Say()])
    assert caught.value.name == "other"
    assert len(list(tmp_path.glob("stages/*"))) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ConfigError", "step.field: is wrong (got 7). Mend it."),
        ("IntegrityError", "part.arrow: is not what it was."),
        (
            "OSError",
            "s: file.arrow: the disk is full (got 'No space left on device'). Free some space and "
            "run again: finished work is kept.",
        ),
    ],
)
def test_an_error_for_the_user_is_told_as_it_is(tmp_path, name, message):
    with pytest.raises((ConfigError, DataError, Exception)) as caught:
        stages(tmp_path).stage("s", 1, [bodies.Raise(name)])
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["ValueError", "AwkwardError", "PolarsError"])
def test_an_error_of_ours_is_a_sentence_and_a_file_with_the_traceback(tmp_path, name):
    with pytest.raises(DataError) as caught:
        stages(tmp_path).stage("s", 1, [bodies.Raise(name)])
    assert str(caught.value).startswith("s: failed with ")
    (log,) = (tmp_path / "errors").iterdir()
    assert str(log) in str(caught.value)
    assert "Traceback" in log.read_text()


def test_the_manifest_is_written_after_every_part_and_names_them(tmp_path):
    one = stages(tmp_path)
    one.stage("rows", 1, [bodies.WriteRows(3), bodies.WriteRows(4)])
    folder = directory(tmp_path, one.events[0])
    manifest = read_json(folder / "manifest.json")
    parts = [output["parts"]["data"] for output in manifest["outputs"]]
    assert [part["rows"] for part in parts] == [3, 4]
    written = (folder / "manifest.json").stat().st_mtime_ns
    assert all((tmp_path / part["path"]).stat().st_mtime_ns <= written for part in parts)
    assert json.loads((folder / "manifest.json").read_text())["name"] == "rows"


def test_results_may_come_in_any_order(tmp_path):
    class Backwards:
        def map(self, tasks):
            results = list(InlineExecutor().map(tasks))
            assert all(isinstance(result, Done) for result in results)
            yield from reversed(results)

    said = stages(tmp_path, Backwards()).stage("say", 1, [bodies.Say(i) for i in range(4)])
    assert [output.values["said"] for output in said] == [0, 1, 2, 3]


def test_a_finished_stage_leaves_one_file_and_not_one_for_each_of_a_thousand_tasks(tmp_path):
    work = [bodies.Say(i) for i in range(1000)]
    stages(tmp_path).stage("say", 1, work)
    assert not list(Path(tmp_path).glob("stages/*/0*.json"))
