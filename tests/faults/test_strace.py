"""Every k-th system call fails, or kills the process: nothing broken is left, and a rerun mends it.

After SQLite's I/O error loop (sqlite.org/testing.html, section 3.2): no mocks, the kernel's own
answers, through `strace -e inject=`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs import published, write_lines

from datatools import verify

HERE = Path(__file__).resolve().parent
STRACE = shutil.which("strace")
CLEAN = 10
"""Exit code of the server's child when the job ended with a message for the user."""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(STRACE is None, reason="strace is not installed (apt-get install strace)"),
]

# What is made to fail, with what, and at how many points of all its calls in a clean run.
FAULTS = [
    ("write", "error=ENOSPC", 8),
    ("write", "error=EIO", 2),
    ("fsync", "error=EIO", 6),
    ("fsync", "error=ENOSPC", 2),
    ("rename", "error=ENOSPC", 6),
    ("rename", "error=EACCES", 2),
    ("openat", "error=ENOSPC", 5),
    ("openat", "error=EMFILE", 3),
    ("link", "error=EPERM", 2),
    ("mkdir", "error=ENOSPC", 2),
    ("write", "signal=KILL", 6),
    ("fsync", "signal=KILL", 5),
    ("rename", "signal=KILL", 6),
    ("link", "signal=KILL", 3),
    ("unlink", "signal=KILL", 3),
    ("close", "signal=KILL", 3),
]
TRACED = sorted({call for call, *_ in FAULTS})


class Server:
    """Starts jobs in forks of one warmed-up process, under strace or not."""

    def __init__(self, log):
        self._log = log
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "POLARS_MAX_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fork_server.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(log, "w"),  # noqa: SIM115 - closed with the process
            text=True,
        )

    def close(self):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def run(self, output, path, inject=None, trace=None):
        """Run the job and return its exit code (negative for a signal) and what it said."""
        said = Path(self._log).stat().st_size
        self._process.stdin.write(f"{output} {path}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        child = psutil.Process(pid)
        end = time.monotonic() + 120
        while child.status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < end
            time.sleep(0.001)
        tracer = None
        if inject or trace:
            command = [STRACE, "-p", str(pid), "-o", str(trace or "/dev/null")]
            command += ["-e", f"trace={','.join(TRACED)}"]
            command += ["-e", f"inject={inject}"] if inject else []
            tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert "attached" in tracer.stderr.readline()
        os.kill(pid, signal.SIGCONT)
        code = int(self._process.stdout.readline())
        if tracer is not None:
            tracer.wait(20)
            tracer.stderr.close()
        with open(self._log, encoding="utf-8", errors="replace") as file:
            file.seek(said)
            return code, file.read()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server") / "errors.txt")
    yield running
    running.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("input") / "a.txt", 22)


@pytest.fixture(scope="module")
def clean(server, path, tmp_path_factory):
    """A clean run: its published files, and how often it made each call."""
    folder = tmp_path_factory.mktemp("clean")
    code, said = server.run(folder / "out", path, trace=folder / "trace")
    assert code == 0, said
    text = (folder / "trace").read_text()
    calls = {call: len(re.findall(rf"^{call}\(", text, re.MULTILINE)) for call in TRACED}
    return published(folder / "out"), calls, text


def points(total, wanted):
    """Return `wanted` numbers of calls spread from the first to the last."""
    if total <= wanted:
        return list(range(1, total + 1))
    return sorted({1 + round(i * (total - 1) / (wanted - 1)) for i in range(wanted)})


def broken_files(output):
    """Return the files under a final name that are not whole."""
    broken = []
    for file in output.rglob("*"):
        if not file.is_file() or file.name.startswith(".tmp-") or file.name == ".lock":
            continue
        try:
            if file.suffix == ".arrow":
                with pa.memory_map(str(file)) as source:
                    pa.ipc.open_file(source).read_all().validate(full=True)
            elif file.suffix == ".parquet":
                pq.read_table(file).validate(full=True)
            elif file.suffix == ".json":
                json.loads(file.read_bytes())
        except Exception as error:
            broken.append(f"{file.relative_to(output)}: {type(error).__name__}: {error}")
    return broken


@pytest.mark.parametrize(
    ("call", "fault", "wanted"), FAULTS, ids=[f"{c}-{f}" for c, f, _ in FAULTS]
)
def test_a_fault_leaves_nothing_broken_and_a_rerun_gives_the_same_bytes(
    tmp_path, server, path, clean, call, fault, wanted
):
    reference, calls, _ = clean
    assert calls[call] > 0
    for k in points(calls[call], wanted):
        output = tmp_path / f"out-{k}"
        code, said = server.run(output, path, inject=f"{call}:{fault}:when={k}")
        where = f"{call} {k} of {calls[call]} with {fault}: {said}"
        if fault == "signal=KILL":
            assert code in (-signal.SIGKILL, 0), where
        else:
            # Told in a sentence, or lived through: never a traceback.
            assert code in (0, CLEAN), where
        assert broken_files(output) == [], where
        if (output / "pages/manifest.json").exists():
            assert verify(output).ok, where
        code, said = server.run(output, path)
        assert code == 0, f"{where}, then {said}"
        assert published(output) == reference, where
        assert not list(output.rglob(".tmp-*")), where
        shutil.rmtree(output)


def test_there_are_enough_points(clean):
    _, calls, _ = clean
    assert sum(len(points(calls[call], wanted)) for call, _, wanted in FAULTS) >= 60


def test_every_file_is_synced_before_its_name_and_directories_before_the_manifest(clean):
    """An order lint of the clean run: what a power cut at any point would leave."""
    _, _, text = clean
    synced, opened = set(), {}
    dirty_names = {}
    for line in text.splitlines():
        if match := re.match(r'openat\(AT_FDCWD, "([^"]+)".* = (\d+)$', line):
            opened[match[2]] = match[1]
        elif match := re.match(r"fsync\((\d+)\) += 0$", line):
            name = opened[match[1]]
            synced.add(name)
            dirty_names.pop(name, None)
        elif match := re.match(r'(?:rename|link)\("([^"]+)", "([^"]+)"\) += 0$', line):
            source, target = Path(match[1]), Path(match[2])
            if target.name == "manifest.json":
                # What the manifest names must have its name for good.
                assert not dirty_names.get(str(target.parent)), line
            durable = target.suffix in (".arrow", ".parquet") or target.name == "manifest.json"
            if durable and "/.cache/" in str(target):
                assert str(source) in synced, f"not synced before its name: {line}"
            if durable:
                dirty_names.setdefault(str(target.parent), []).append(target.name)
    assert len(synced) > 10
    assert not any(dirty_names.values()), dirty_names
