"""A driver killed before or after any request that changes the store leaves a job that goes on.

The requests of a clean run are counted; a driver is then killed around the k-th of them, for k all
over the run, and the job is run again, as on this machine and as on another. A reader that looks in
between finds no dataset, or a whole one.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toys
from jobs import dataset, published, run_job, write_lines
from object_store import published_at

from datatools import steps, verify
from datatools.engine.remote import Remote

TESTS = Path(__file__).resolve().parents[1]
CHANGES = ("put", "write", "create", "copy", "remove")
SCRIPT = """
import sys
from test_remote_kill import job, kill_around
kill_around(int(sys.argv[3]), sys.argv[4])
job(sys.argv[1], sys.argv[2])
"""
POINTS = 8

pytestmark = [pytest.mark.slow, pytest.mark.faults]


def job(output, path, *, minimum=3, **settings):
    return run_job(
        output,
        {
            "pages": dataset(
                toys.ReadLines(paths=(path,), unit_bytes=1200),
                toys.Upper(),
                toys.Length(minimum=minimum),
                steps.ExactDedup(),
                steps.Split(validation=0.3),
            ),
            "words": dataset(toys.Words(), from_="pages"),
        },
        **settings,
    )


def counted(monkeypatch, act):
    """Count the changes to a store that `act` asks for."""
    asked = []
    for name in CHANGES:
        plain = getattr(Remote, name)

        def count(self, *args, plain=plain):
            asked.append(args)
            return plain(self, *args)

        monkeypatch.setattr(Remote, name, count)
    act()
    monkeypatch.undo()
    return len(asked)


def kill_around(number, when):
    """Have this process killed before or after the `number`-th change to a store."""
    asked = 0

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    for name in CHANGES:
        plain = getattr(Remote, name)

        def change(self, *args, plain=plain):
            nonlocal asked
            asked += 1
            mine = asked == number
            if mine and when == "before":
                die()
            plain(self, *args)
            if mine:
                die()

        setattr(Remote, name, change)


def killed(url, path, number, when):
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS / 'faults'}"}
    command = [sys.executable, "-c", SCRIPT, url, path, str(number), when]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def whole_or_absent(url):
    """Check that what is published, if anything is, is whole."""
    manifests = [p for p in Remote(url).listing() if p.count("/") == 1 and "/manifest.json" in p]
    if not manifests:
        return
    found = verify(url)
    for name, check in found.datasets.items():
        shards = [problem for problem in check.problems if "came in" not in problem]
        assert shards == [], name


def test_a_driver_killed_around_any_change_leaves_a_job_that_goes_on(tmp_path, bucket, monkeypatch):
    path = write_lines(tmp_path / "a.txt", 88)
    run_job_locally = tmp_path / "local"
    job(run_job_locally, path)
    reference = published(run_job_locally)
    clean = f"{bucket}/clean"
    with pytest.MonkeyPatch.context() as patch:
        total = counted(patch, lambda: job(clean, path))
    assert total > 40
    assert published_at(clean) == reference
    for point in range(POINTS):
        number = 1 + point * (total - 1) // (POINTS - 1)
        url = f"{bucket}/out-{point}"
        killed(url, path, number, "before" if point % 2 else "after")
        whole_or_absent(url)
        if point % 3 == 0:
            shutil.rmtree(tmp_path / "scratch")
        job(url, path)
        assert published_at(url) == reference, f"killed around change {number} of {total}"
        assert verify(url).ok


def test_a_driver_killed_while_it_publishes_anew_leaves_the_old_or_no_dataset(
    tmp_path, bucket, monkeypatch
):
    path = write_lines(tmp_path / "a.txt", 88)
    url = f"{bucket}/out"
    job(url, path, minimum=12)
    job(tmp_path / "local", path)
    reference = published(tmp_path / "local")
    # A run that finds its stages made changes nothing but what it publishes.
    other = f"{bucket}/other"
    job(other, path, minimum=12)
    with pytest.MonkeyPatch.context() as patch:
        total = counted(patch, lambda: job(other, path))
    for back in (2, 6, 10, 14, 18):
        job(url, path, minimum=12)
        Remote(url).remove(list(Remote(url).listing(".cache/stages")))
        shutil.rmtree(tmp_path / "scratch")
        try:
            killed(url, path, total - back, "after")
        except AssertionError:
            assert published_at(url) == reference  # the run had fewer changes to make
        whole_or_absent(url)
    job(url, path)
    assert published_at(url) == reference
