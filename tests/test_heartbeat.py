"""Work that stands still ends its process, also where no Python code could."""

import subprocess
import sys
import textwrap

import pytest
from endless import soon

from datatools.heartbeat import beat, ends_when_still, place


def run(code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=180
    )


@pytest.mark.parametrize(
    "still",
    [
        "while True: pass",
        "time.sleep(60)",
        're.match(r"(a+)+$", "a" * 40 + "b")',  # 2**40 steps inside C, with the interpreter's lock
    ],
)
def test_work_without_a_beat_ends_its_process_and_says_where(still):
    done = run(f"""
        import re, time
        from datatools.heartbeat import ends_when_still
        def stand():
            {still}
        with ends_when_still(0.3):
            stand()
    """)
    assert done.returncode == 1
    assert "in stand" in done.stderr
    assert place(done.stderr).endswith(")")


def test_work_that_beats_goes_on_for_as_long_as_it_takes():
    done = run("""
        import time
        from datatools.heartbeat import beat, ends_when_still
        with ends_when_still(3.0):
            for _ in range(70):
                beat()
                time.sleep(0.05)
        time.sleep(3.2)
        print("went on")
    """)
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_a_beat_that_nobody_watches_does_nothing():
    beat()
    with soon(), ends_when_still(3600.0):
        for _ in range(10_000):
            beat()


def test_the_place_is_that_of_the_main_thread_s_innermost_frame():
    said = """\
Timeout (0:00:01)!
Thread 0x00007f1 (most recent call first):
  File "/lib/threading.py", line 320 in wait

Thread 0x00007f2 (most recent call first):
  File "/x/steps.py", line 7 in map
  File "/lib/chain.py", line 90 in run
"""
    assert place(said) == "map (steps.py line 7)"
    assert place("") == ""
    assert place("Timeout (0:00:01)!\n") == ""
