"""Killed at random moments and run again, a job gives the bytes of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import toys
from jobs import dataset, published, run_job, write_lines

from datatools import steps, verify

TESTS = Path(__file__).resolve().parents[1]
SCRIPT = """
import sys
from pathlib import Path
from test_kill import job
job(Path(sys.argv[1]), sys.argv[2], executor="processes", workers=2)
"""

pytestmark = pytest.mark.slow


def job(output, path, **settings):
    """Run a job slow enough to be killed anywhere in it."""
    run_job(
        output,
        {
            "pages": dataset(
                toys.ReadLines(paths=(path,), unit_bytes=400),
                toys.Slow(seconds=0.05),
                toys.Upper(),
                toys.Length(),
                steps.ExactDedup(),
                steps.Split(validation=0.3),
            ),
            "words": dataset(toys.Words(), toys.Slow(seconds=0.02), steps.Shuffle(), from_="pages"),
            "cut": dataset(steps.LineDedup(), steps.SubstringDedup(length=8), from_="pages"),
        },
        **settings,
    )


def start(output, path):
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS / 'faults'}"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(output), path],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("input") / "a.txt", 88)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, path):
    """What an undisturbed run publishes, and how long it takes from its first file to its end."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    driver = start(output, path)
    begun = wait_for_beginning(output)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    return published(output), time.monotonic() - begun


def wait_for_beginning(output):
    end = time.monotonic() + 120
    while not output.exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    return time.monotonic()


def workers_of(driver):
    return psutil.Process(driver.pid).children()


def test_a_driver_killed_at_random_moments_leaves_a_job_that_goes_on(tmp_path, path, undisturbed):
    reference, seconds = undisturbed
    draw = random.Random(20)
    killed = 0
    for attempt in range(20):
        output = tmp_path / f"out-{attempt}"
        driver = start(output, path)
        begun = wait_for_beginning(output)
        moment = draw.uniform(0, seconds)
        try:
            driver.wait(max(0.0, moment - (time.monotonic() - begun)))
        except subprocess.TimeoutExpired:
            workers = workers_of(driver)
            driver.kill()
            killed += 1
            psutil.wait_procs(workers, timeout=60)
            assert not any(worker.is_running() for worker in workers)
        driver.communicate()
        # The next run takes another executor, as a user might.
        job(output, path, executor="inline")
        assert published(output) == reference, f"killed after {moment:.3f} s"
        assert verify(output).ok
    assert killed >= 10


def test_workers_killed_at_random_moments_are_replaced_and_change_nothing(
    tmp_path, path, undisturbed
):
    reference, seconds = undisturbed
    draw = random.Random(21)
    killed = 0
    for attempt in range(8):
        output = tmp_path / f"out-{attempt}"
        driver = start(output, path)
        begun = wait_for_beginning(output)
        for moment in sorted(draw.uniform(0, seconds) for _ in range(2)):
            time.sleep(max(0.0, moment - (time.monotonic() - begun)))
            workers = workers_of(driver) if driver.poll() is None else []
            if workers:
                os.kill(draw.choice(workers).pid, signal.SIGKILL)
                killed += 1
        _, errors = driver.communicate(timeout=120)
        assert driver.returncode == 0, errors
        assert published(output) == reference
    assert killed >= 8


def test_a_driver_killed_again_and_again_gets_there(tmp_path, path, undisturbed):
    reference, seconds = undisturbed
    output = tmp_path / "out"
    draw = random.Random(22)
    kills = 0
    while True:
        driver = start(output, path)
        wait_for_beginning(output)
        try:
            # Python's own start takes part of it; finished tasks must add up all the same.
            driver.wait(draw.uniform(1.0, 1.5) + seconds / 3)
        except subprocess.TimeoutExpired:
            driver.kill()
            kills += 1
        driver.communicate()
        if driver.returncode == 0:
            break
        assert kills < 40
    assert published(output) == reference
