"""Ctrl-C is heard from the first line on, and what is not ours to end the program does not."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from datatools.cli import interrupts
from datatools.cli.main import cli, main

# Imports of the program are replaced by one that says that it has begun and swallows exceptions, as
# callbacks of C libraries do.
SLOW_IMPORT = """
import sys, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("importing", flush=True)
            end = time.monotonic() + 300
            while time.monotonic() < end:
                try:
                    time.sleep(0.1)
                except BaseException:
                    pass
sys.meta_path.insert(0, Finder())
sys.argv = ["datatools", "run", "nothing.yaml"]
from datatools.cli.start import main
main()
"""


@pytest.mark.parametrize("name", ["click", "datatools.cli.main", "polars"])
def test_ctrl_c_during_an_import_that_swallows_exceptions_ends_the_program(tmp_path, name):
    (tmp_path / "nothing.yaml").write_text("name: x\n")
    code = SLOW_IMPORT.format(name=name)
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert program.stdout.readline() == "importing\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=120)
    assert (program.returncode, errors) == (interrupts.EXIT_CODE, interrupts.STOPPED + "\n")


def handler():
    return signal.getsignal(signal.SIGINT)


def test_work_that_has_begun_is_interrupted_by_an_exception_again():
    before = handler()
    with interrupts.leaving_at_once():
        assert handler() is not before
        interrupts.work_begins()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert handler() is before


def test_a_program_that_ignores_ctrl_c_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.leaving_at_once():
            assert handler() is signal.SIG_IGN
            interrupts.work_begins()
            assert handler() is signal.SIG_IGN
        assert handler() is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_left_alone_outside_the_main_thread():
    before = handler()

    def elsewhere():
        with interrupts.leaving_at_once():
            interrupts.work_begins()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert handler() is before


QUITS = """
import sys
from datatools import steps
class Quits(steps.ExactDedup):
    def lower(self, rows, others):
        sys.exit(3)
"""


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        (
            '"own_step:Quits": {}',
            1,
            "own_step.py line 6 in lower: tried to end the program (got SystemExit(3)). Have it "
            "raise an exception instead.",
        ),
        ('Apply: {function: "at_once:f"}', 2, "cannot be imported: SystemExit: 3 (got"),
        ('"at_once:Step": {}', 2, "It could not be loaded: SystemExit: 3."),
    ],
)
def test_user_code_that_ends_the_program_is_told_by_name(tmp_path, step, code, told):
    (tmp_path / "own_step.py").write_text(QUITS)
    (tmp_path / "at_once.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "a.jsonl").write_text('{"text": "한 줄"}\n')
    (tmp_path / "p.yaml").write_text(
        "name: p\ndatasets:\n  a:\n    steps:\n      - ReadJsonl: {paths: [a.jsonl]}\n"
        f"      - {step}\nrun: {{executor: inline}}\noutput: out\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "datatools.cli.start", "run", "--only", "a", "p.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_no_end_that_has_to_be_told():
    assert CliRunner().invoke(cli, ["--help"]).exit_code == 0
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0


def test_a_reader_that_goes_away_is_no_mistake_of_anybody():
    source, drain = os.pipe()
    os.close(source)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "datatools.cli.start", "schema"],
            stdout=drain,
            stderr=subprocess.PIPE,
            timeout=180,
            check=False,
        )
    finally:
        os.close(drain)
    assert done.stderr == b""
    assert done.returncode == 141
