"""Holding an output at a URL: one holder, refusals by name, and runs that died."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datatools.engine import lease
from datatools.engine.lease import leased
from datatools.engine.remote import Remote
from datatools.errors import DataError, OutputHeldError

QUICK = {"renew_s": 0.05, "patience_s": 1.5}


@pytest.fixture(params=["memory", "bucket"])
def remote(request):
    return Remote(f"{request.getfixturevalue(request.param)}/out")


def write(remote, number, **values):
    """Write a lease as another run would have."""
    base = {"owner": "their run", "token": "theirs", "count": 1, "ended": False}
    here = {"machine": "another machine", "pid": 1, "born": 0.0}
    remote.write(f".lock/{number:010d}", json.dumps({**base, **here, **values}).encode())


def holder(remote):
    """Return what the highest lease says."""
    path = max(remote.listing(".lock"))
    return json.loads(remote.read(path))


def test_a_second_run_is_refused_and_the_output_is_free_again_at_the_end(remote):
    with leased(remote, "the first run"):
        with pytest.raises(OutputHeldError, match=r"another run holds.*'the first run'") as caught:
            leased(remote, "the second").__enter__()
        assert caught.value.exit_code == 3
        assert holder(remote)["owner"] == "the first run"
    assert holder(remote)["ended"]
    with leased(remote, "the third run"):
        assert holder(remote)["owner"] == "the third run"
        assert len(remote.listing(".lock")) == 1


def test_an_output_is_free_after_a_run_that_failed(remote):
    with pytest.raises(RuntimeError), leased(remote, "the first run"):
        raise RuntimeError("stopped")
    with leased(remote, "the second run"):
        pass


def test_of_many_runs_that_start_at_once_one_holds(remote):
    gate, leave = threading.Barrier(6), threading.Event()

    def run(number):
        gate.wait()
        try:
            with leased(remote, f"run {number}", **QUICK):
                held.append(number)
                leave.wait(20)
        except OutputHeldError:
            refused.append(number)
            if len(refused) == 5:
                leave.set()

    held, refused = [], []
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    assert len(held) == 1
    assert len(refused) == 5


def test_a_lease_that_is_renewed_elsewhere_is_respected(memory):
    remote = Remote(memory)
    write(remote, 4)
    stop = threading.Event()

    def renew():
        count = 1
        while not stop.wait(0.02):
            count += 1
            write(remote, 4, count=count)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(OutputHeldError, match="their run"):
            leased(remote, "ours", **QUICK).__enter__()
    finally:
        stop.set()
        thread.join()


def test_a_lease_that_stands_still_is_taken_over(remote):
    write(remote, 4)
    began = time.monotonic()
    with leased(remote, "ours", **QUICK):
        assert time.monotonic() - began >= QUICK["patience_s"]
        assert holder(remote)["owner"] == "ours"
        assert [*remote.listing(".lock")] == [".lock/0000000005"]


def test_the_lease_of_a_process_that_was_killed_here_is_taken_over_at_once(bucket):
    code = (
        "import os, signal, sys\n"
        "from datatools.engine.lease import leased\n"
        "from datatools.engine.remote import Remote\n"
        "with leased(Remote(sys.argv[1]), 'the killed run'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, bucket], env=os.environ, check=False)
    assert killed.returncode == -9
    remote = Remote(bucket)
    assert holder(remote)["owner"] == "the killed run"
    with leased(remote, "ours", renew_s=3600, patience_s=3600):
        assert holder(remote)["owner"] == "ours"


def test_a_number_of_another_process_space_is_not_taken_for_a_dead_process(memory):
    remote = Remote(memory)
    write(remote, 1, machine="another machine", pid=2**22 + 1)
    began = time.monotonic()
    with leased(remote, "ours", **QUICK):
        assert time.monotonic() - began >= QUICK["patience_s"]


def test_a_process_with_the_number_of_the_dead_one_is_not_the_run(memory):
    remote = Remote(memory)
    mine = lease._process()
    write(remote, 1, **{**mine, "born": mine["born"] - 1000})
    with leased(remote, "ours", renew_s=3600, patience_s=3600):
        assert holder(remote)["owner"] == "ours"


def refusal(still_ours):
    """Return what the holder of a lease is told once it is lost, which takes a renewal."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            still_ours()
        except OutputHeldError as error:
            return str(error)
        time.sleep(0.01)
    raise AssertionError("the lease was never lost")


def test_who_was_taken_over_learns_it(remote):
    with leased(remote, "ours", **QUICK) as still_ours:
        still_ours()
        number = int(max(remote.listing(".lock")).rpartition("/")[2])
        write(remote, number + 1, owner="the thief")
        told = refusal(still_ours)
        assert "taken over by another run" in told
        assert "the thief" in told
    assert not holder(remote)["ended"]  # the thief's lease was left alone


def test_who_cannot_renew_stops_before_another_may_take_over(memory, monkeypatch):
    remote = Remote(memory)
    with leased(remote, "ours", **QUICK) as still_ours:

        def write(self, path, data):
            raise DataError(self.address(path), "the store did not answer as it should")

        monkeypatch.setattr(Remote, "write", write)
        assert "could not be reached" in refusal(still_ours)


def test_an_answer_that_was_lost_on_its_way_is_not_another_run(memory, monkeypatch):
    """The store made the lease and the driver, asking again, is told that it exists."""
    plain = Remote.create

    def create(self, path, data):
        plain(self, path, data)
        raise FileExistsError(path)

    monkeypatch.setattr(Remote, "create", create)
    remote = Remote(memory)
    with leased(remote, "ours", **QUICK):
        assert holder(remote)["owner"] == "ours"


def test_a_lease_that_is_no_json_is_free_after_the_patience(memory):
    remote = Remote(memory)
    remote.write(".lock/0000000001", b"{torn")
    with leased(remote, "ours", **QUICK):
        assert [*remote.listing(".lock")] == [".lock/0000000002"]


def test_a_stranger_in_the_lock_folder_is_left_alone(memory):
    remote = Remote(memory)
    remote.write(".lock/README", b"hands off")
    with leased(remote, "ours", **QUICK):
        pass
    assert Path(max(remote.listing(".lock"))).name == "README"
