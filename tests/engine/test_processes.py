"""Workers that die, hang, print, raise what cannot travel; a driver that dies; Ctrl-C."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import bodies
import psutil
import pytest
import toys
from jobs import dataset, published, run_job, write_lines

from datatools.engine.executors.base import Done, Failed, ForeignError
from datatools.engine.executors.processes import MAX_STILLBORN, ProcessExecutor
from datatools.engine.progress import Silent
from datatools.engine.stages import Stages
from datatools.engine.tasks import Limits, Task
from datatools.errors import ConfigError, DataError, IntegrityError

TESTS = Path(__file__).resolve().parents[1]


def tasks(root, *chosen):
    return [Task(str(root), "stages/x", index, body) for index, body in enumerate(chosen)]


def wait_until(claim, seconds=120.0):
    """Wait for something another process does; there is no event to wait on."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def by_index(results):
    return {result.index: result for result in results}


@pytest.fixture(scope="module")
def executor():
    """Two workers for all tests: what one test does to them must not matter to the next."""
    with ProcessExecutor(2) as running:
        yield running


def test_results_come_from_other_processes_that_live_on(tmp_path, executor):
    first = by_index(executor.map(tasks(tmp_path / "a", *map(bodies.Say, range(6)))))
    assert [first[i].output.values["said"] for i in range(6)] == list(range(6))
    pids = {result.output.values["pid"] for result in first.values()}
    assert pids <= set(executor.pids)
    second = by_index(executor.map(tasks(tmp_path / "b", bodies.Say())))
    assert second[0].output.values["pid"] in executor.pids
    assert os.getpid() not in pids


def test_no_more_workers_are_started_than_there_are_tasks(tmp_path):
    with ProcessExecutor(8) as running:
        assert len(list(running.map(tasks(tmp_path, bodies.Say())))) == 1
        assert len(running.pids) == 1


def test_a_task_larger_than_a_pipe_travels_both_ways(tmp_path, executor):
    (result,) = executor.map(tasks(tmp_path, bodies.Say("가" * 3_000_000)))
    assert result.output.values["said"] == "가" * 3_000_000


def test_what_a_step_prints_does_not_break_into_the_answers(tmp_path, executor):
    results = by_index(executor.map(tasks(tmp_path, bodies.Print(), bodies.Say("after"))))
    assert results[0].output.values["said"] == "printed"
    assert results[1].output.values["said"] == "after"


# --------------------------------------------------------------------------------------------------
# Exceptions


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("ConfigError", ConfigError, "step.field: is wrong (got 7). Mend it."),
        ("IntegrityError", IntegrityError, "part.arrow: is not what it was."),
        ("OSError", OSError, "[Errno 28] No space left on device: 'file.arrow'"),
        ("ValueError", ValueError, "got ㅋㅋ and \ud800"),
        ("AwkwardError", ForeignError, "AwkwardError: here: went wrong"),
        ("UnsendableError", ForeignError, "UnsendableError: cannot be sent"),
    ],
)
def test_exceptions_cross_the_boundary_with_type_words_and_traceback(
    tmp_path, executor, name, kind, text
):
    (result,) = executor.map(tasks(tmp_path, bodies.Raise(name)))
    assert isinstance(result, Failed)
    assert type(result.error) is kind
    assert str(result.error) == text
    assert "Traceback" in result.detail
    assert "bodies.py" in result.detail
    (after,) = executor.map(tasks(tmp_path / "b", bodies.Say()))
    assert isinstance(after, Done)


def test_a_config_error_keeps_its_parts_on_the_way(tmp_path, executor):
    (result,) = executor.map(tasks(tmp_path, bodies.Raise("ConfigError")))
    error = result.error
    assert (error.where, error.problem, error.got, error.hint) == (
        "step.field",
        "is wrong",
        7,
        "Mend it.",
    )


def test_an_exception_that_cannot_travel_is_told_to_the_user_by_its_own_name(tmp_path, executor):
    with pytest.raises(DataError) as caught:
        Stages(tmp_path, executor, Silent()).stage("s", 1, [bodies.Raise("AwkwardError")])
    assert str(caught.value).startswith("s: failed with AwkwardError: here: went wrong. ")


def test_a_body_that_no_worker_can_load_is_a_configuration_error(tmp_path, executor, monkeypatch):
    only_here = types.ModuleType("only_here")
    only_here.Body = type("Body", (), {"__module__": "only_here"})
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    (result,) = executor.map(tasks(tmp_path, only_here.Body()))
    assert isinstance(result.error, ConfigError)
    assert str(result.error).startswith(
        "run.executor: a step cannot be sent to a worker process: ModuleNotFoundError: "
    )
    assert str(result.error).endswith(
        "Define it at the top level of an importable module, not in the main script; or set "
        "`executor: inline`."
    )


def test_a_body_that_cannot_be_pickled_is_a_configuration_error(tmp_path, executor):
    work = tasks(tmp_path, bodies.Say("one"), bodies.Say(lambda: 1), bodies.Say("three"))
    results = by_index(executor.map(work))
    assert isinstance(results[1].error, ConfigError)
    assert [results[i].output.values["said"] for i in (0, 2)] == ["one", "three"]


def test_a_step_of_the_main_script_is_told_what_to_do(tmp_path):
    script = tmp_path / "script.py"
    path = write_lines(tmp_path / "a.txt")
    script.write_text(
        textwrap.dedent(f"""
        import toys
        from jobs import dataset, run_job
        from pathlib import Path

        class Mine(toys.Upper):
            pass

        steps = toys.ReadLines(paths=({path!r},)), Mine()
        run_job(Path({str(tmp_path / "out")!r}), {{"a": dataset(*steps)}}, executor="processes")
        """)
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert "ConfigError: run.executor: a step cannot be sent to a worker process" in done.stderr
    assert "not in the main script" in done.stderr


# --------------------------------------------------------------------------------------------------
# Deaths


def test_a_dead_worker_is_a_failure_with_its_signal_and_is_replaced(tmp_path, executor):
    deadly = tmp_path / "deadly"
    deadly.touch()
    results = by_index(
        executor.map(tasks(tmp_path, bodies.DieWhile(str(deadly)), *map(bodies.Say, range(4))))
    )
    assert results[0].error is None
    assert results[0].detail.endswith("died with signal 9")
    assert all(isinstance(results[i], Done) for i in range(1, 5))
    deadly.unlink()
    (again,) = executor.map(tasks(tmp_path, bodies.DieWhile(str(deadly))))
    assert again.output.values["said"] == "alive"


def test_a_poison_task_stops_the_run_after_three_deaths(tmp_path, executor):
    deadly = tmp_path / "deadly"
    deadly.touch()
    with pytest.raises(DataError) as caught:
        Stages(tmp_path, executor, Silent()).stage(
            "s", 1, [bodies.Say(), bodies.DieWhile(str(deadly))]
        )
    assert "s task 1: its worker died 3 times (worker " in str(caught.value)
    assert "died with signal 9). Out of memory?" in str(caught.value)
    assert deadly.read_text().splitlines() == ["died"] * 3


def test_a_run_whose_worker_dies_once_gives_the_same_bytes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("die\n" + "한국어 줄\n" * 30)
    deadly = tmp_path / "deadly"

    def pages(output, executor):
        steps = toys.ReadLines(paths=(str(path),), unit_bytes=100), toys.DieOnce(mark=str(deadly))
        run_job(output, {"a": dataset(*steps)}, executor=executor)
        return {k: v for k, v in published(output).items() if k.endswith("parquet")}

    deadly.touch()
    died = pages(tmp_path / "one", "processes")
    assert not deadly.exists()
    assert died == pages(tmp_path / "two", "inline")


def test_workers_killed_from_outside_are_replaced_even_when_idle(tmp_path, executor):
    list(executor.map(tasks(tmp_path / "a", *map(bodies.Say, range(4)))))
    for pid in executor.pids:
        os.kill(pid, signal.SIGKILL)
    results = list(executor.map(tasks(tmp_path / "b", *map(bodies.Say, range(4)))))
    assert sorted(result.index for result in results) == [0, 1, 2, 3]
    lost = [result for result in results if isinstance(result, Failed)]
    assert all(result.error is None for result in lost)
    assert len(lost) <= 2


def test_a_worker_killed_while_it_starts_is_replaced(tmp_path):
    with ProcessExecutor(1) as running:
        results = running.map(tasks(tmp_path, bodies.Say()))
        outcome = []
        waiter = threading.Thread(target=lambda: outcome.extend(results))
        waiter.start()
        wait_until(lambda: running.pids)
        os.kill(running.pids[0], signal.SIGKILL)
        waiter.join(120)
    assert [type(result) for result in outcome] in ([Done], [Failed])


def test_workers_that_never_start_stop_the_run_with_a_message(tmp_path, monkeypatch, capfd):
    # A broken environment: the worker's interpreter cannot import the package.
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with ProcessExecutor(1) as running, pytest.raises(DataError) as caught:
        list(running.map(tasks(tmp_path, bodies.Say())))
    assert str(caught.value).startswith(
        f"run.executor: {MAX_STILLBORN} workers in a row died while they started (worker "
    )
    assert "died with exit code 1" in str(caught.value)


def test_results_of_an_abandoned_call_are_not_taken_for_those_of_the_next(tmp_path, executor):
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    results = executor.map(
        tasks(tmp_path / "a", bodies.WaitFor(str(begun), str(go_on)), bodies.Say("quick"))
    )
    assert next(results).output.values["said"] == "quick"
    results.close()
    go_on.touch()
    second = by_index(executor.map(tasks(tmp_path / "b", *map(bodies.Say, range(6)))))
    assert [second[i].output.values["said"] for i in range(6)] == list(range(6))


def test_leaving_with_an_exception_does_not_wait_for_busy_workers(tmp_path):
    begun = tmp_path / "begun"  # and it would go on for ever
    running = ProcessExecutor(1)

    def leave():
        with running:
            work = tasks(tmp_path, bodies.WaitFor(str(begun), "/never"), bodies.Say())
            results = running.map(work)
            threading.Thread(target=lambda: next(results, None), daemon=True).start()
            wait_until(begun.exists)
            raise KeyError

    with pytest.raises(KeyError):
        leave()
    assert not running.pids


@pytest.mark.parametrize("name", ["quits", "asks to be interrupted", "has no memory", "panics"])
def test_whatever_a_body_raises_its_worker_lives_on(tmp_path, executor, name):
    (result,) = executor.map(tasks(tmp_path, bodies.Raise(name)))
    told = {
        "quits": (SystemExit, "Traceback"),
        "asks to be interrupted": (KeyboardInterrupt, "Traceback"),
        "has no memory": (type(None), "its worker gave up (MemoryError: )"),
        "panics": (type(None), "its worker gave up (PanicError: index out of bounds)"),
    }
    kind, words = told[name]
    assert type(result.error) is kind
    assert words in result.detail
    (after,) = executor.map(tasks(tmp_path / "b", bodies.Say()))
    assert isinstance(after, Done)


# --------------------------------------------------------------------------------------------------
# Standing still


def test_per_row_work_that_stands_still_ends_its_worker_and_other_work_may_wait(tmp_path):
    go_on = tmp_path / "go on"
    limits = Limits(stall_s=1.5)
    wait = bodies.WaitFor(str(tmp_path / "begun"), str(go_on))
    waits = bodies.WaitFor(str(tmp_path / "begun too"), str(go_on))
    work = [
        Task(str(tmp_path), "stages/x", 0, bodies.RowsOf(wait), limits),
        Task(str(tmp_path), "stages/x", 1, waits, limits),
    ]
    with ProcessExecutor(2) as running:
        results = running.map(work)
        still = next(results)
        assert (still.index, still.error, still.stalled) == (0, None, True)
        assert "stood still for 1.5 s in run (bodies.py line " in still.detail
        # A Global's work has no rows to go by: it is waited for.
        go_on.touch()
        assert next(results).output.values["said"] == "went on"


def test_a_worker_that_is_done_may_be_idle_for_as_long_as_it_likes(tmp_path):
    limits = Limits(stall_s=0.5)
    with ProcessExecutor(1) as running:
        pids = []
        for number in range(2):
            body = bodies.RowsOf(bodies.Say(number))
            (result,) = running.map([Task(str(tmp_path), f"stages/{number}", 0, body, limits)])
            pids.append(result.output.values["pid"])
            time.sleep(1.0)
    assert pids[0] == pids[1]


# --------------------------------------------------------------------------------------------------
# Memory


def test_a_worker_that_has_grown_past_its_share_is_replaced_between_two_tasks(tmp_path):
    limits = Limits(memory_bytes=400 << 20)
    work = [bodies.Hold(1), bodies.Hold(1), bodies.Hold(600), bodies.Hold(1), bodies.Hold(1)]
    given = [Task(str(tmp_path), "stages/x", i, body, limits) for i, body in enumerate(work)]
    with ProcessExecutor(1) as running:
        results = by_index(running.map(given))
        assert len(running.pids) == 1
    assert [results[i].output.values["said"] for i in range(5)] == [1, 1, 600, 1, 1]
    pids = [results[i].output.values["pid"] for i in range(5)]
    assert pids[0] == pids[1] == pids[2] != pids[3] == pids[4]
    notes = [results[i].note for i in range(5)]
    assert [bool(note) for note in notes] == [False, False, True, False, False]
    assert notes[2].startswith(f"worker {pids[2]} held ")
    assert notes[2].endswith(" MiB and was replaced")


def test_a_worker_whose_first_task_takes_all_is_not_replaced_for_what_the_next_would_take_too(
    tmp_path,
):
    limits = Limits(memory_bytes=1)
    work = [bodies.Hold(200), bodies.Hold(1), bodies.Hold(1)]
    given = [Task(str(tmp_path), "stages/x", i, body, limits) for i, body in enumerate(work)]
    with ProcessExecutor(1) as running:
        results = list(running.map(given))
    assert len({result.output.values["pid"] for result in results}) == 1


# --------------------------------------------------------------------------------------------------
# The driver


DRIVER = """
import sys
sys.path.insert(0, {tests!r})
import bodies
from datatools.engine.executors.processes import ProcessExecutor
from datatools.engine.tasks import Limits, Task
body = bodies.WaitFor({begun!r}, "/never", child={child})
with ProcessExecutor(1) as executor:
    print(list(executor.map([Task({root!r}, "s", 0, body)])))
"""


def start_driver(tmp_path, *, child=False):
    begun = tmp_path / "begun"
    code = DRIVER.format(tests=str(TESTS), begun=str(begun), root=str(tmp_path), child=child)
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(begun.exists)
    return driver, [int(pid) for pid in begun.read_text().split()]


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_workers_are_gone_within_five_seconds_of_a_killed_driver(tmp_path):
    driver, pids = start_driver(tmp_path)
    driver.kill()
    driver.wait()
    wait_until(lambda: all(map(gone, pids)), seconds=5)


def test_ctrl_c_stops_the_driver_and_its_workers(tmp_path):
    driver, pids = start_driver(tmp_path)
    # As a terminal does it: to the whole group.
    os.killpg(driver.pid, signal.SIGINT)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in errors
    # One traceback, the driver's: workers leave the decision to it.
    assert errors.count(b"Traceback") == 1
    wait_until(lambda: all(map(gone, pids)), seconds=5)


def test_ctrl_c_on_the_command_says_that_finished_work_is_kept(tmp_path):
    path = write_lines(tmp_path / "a.txt", 80)
    output = tmp_path / "out"
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        f"name: stopped\ndatasets:\n  a:\n    steps:\n"
        f"      - toys:ReadLines: {{paths: [{path}], unit_bytes: 200}}\n"
        f"      - toys:Slow: {{seconds: 0.1}}\n"
        f"run: {{workers: 2, on_input_error: quarantine, max_quarantine_fraction: 1}}\n"
        f"output: {output}\n"
    )
    command = [sys.executable, "-m", "datatools.cli.main", "run", "--only", "a", str(pipeline)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    driver = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: list(output.glob(".cache/stages/*/0*.json")))
    os.killpg(driver.pid, signal.SIGINT)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 130, errors
    assert "Stopped. Finished work is kept: run the same command to go on." in errors
    assert "Traceback" not in errors
    finished = len(list(output.glob(".cache/stages/*/0*.json")))
    assert finished
    resumed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert resumed.returncode == 0, resumed.stderr
    assert (output / "a/manifest.json").exists()
