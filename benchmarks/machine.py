"""What a benchmark ran on, what a command took and held, and the environments of its peers."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = [
    "PeerUnavailableError",
    "Timed",
    "describe",
    "figure",
    "peer_environment",
    "timed",
    "version_of",
]

PEERS = Path(__file__).parent / ".peers"
_POLARS = f"polars=={importlib.metadata.version('polars')}"  # all sides read and write with one
REQUIREMENTS = {
    "data-juicer": ("py-data-juicer==1.6.1", "aiohttp", "scipy", "dill", _POLARS),
    "datasketch": ("datasketch==2.0.0", "xxhash", _POLARS),
    "datatrove": (
        "datatrove[io,processing]",
        "spacy",
        "orjson",
        "resiliparse>=2.0.1,<3",
        "lxml_html_clean",
        _POLARS,
    ),
    "gaoya": ("gaoya==0.2.2", _POLARS),
    "lightgbm": ("lightgbm==4.7.0", "numpy==2.4.6"),
    "language": ("py3langid==0.4.0", "pycld2==0.42"),
    "rensa": ("rensa==0.5.0", _POLARS),
    "text-dedup": ("text-dedup==0.4.0", _POLARS),
}
"""What each peer's environment holds."""


class PeerUnavailableError(SystemExit):
    """A peer's environment cannot be made. Unless caught, it ends the benchmark with status 1."""


@dataclass(frozen=True)
class Timed:
    """A finished command.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Processor time of the process and all its descendants.
        peak_bytes: Most memory that the process tree held at once, shared pages counted once.
        output: What it printed.
        errors: What it printed to its standard error.
        status: Its exit status.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str
    errors: str
    status: int


def figure(value: float | None, target: float, *, at_most: bool = False) -> dict[str, object]:
    """Return a measured value beside its target, and whether it is met.

    Args:
        value: The value; None, for what could not be measured, meets no target.
        target: The target.
        at_most: Whether the value must not exceed the target; else it must reach it.
    """
    met = value is not None and (value <= target if at_most else value >= target)
    return {"value": value, "target": target, "met": bool(met)}


def describe() -> dict[str, object]:
    """Return the machine and the versions that figures depend on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    packages = ("datatools", "polars", "pyarrow", "numba", "numpy", "resiliparse")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def peer_environment(name: str) -> Path:
    """Return the interpreter of a peer's environment, made on first use.

    Raises:
        PeerUnavailableError: It cannot be made: a benchmark without its peer measures nothing.
    """
    folder = PEERS / name
    python = folder / "bin" / "python"
    mark = folder / "requirements.txt"
    requirements = REQUIREMENTS[name]
    wanted = "\n".join(requirements)
    if mark.exists() and mark.read_text() == wanted:
        return python
    print(f"making the environment of {name} ...", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *requirements], check=True)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailableError(f"the peer {name} could not be installed: {error}") from None
    mark.write_text(wanted)
    return python


def version_of(python: Path, package: str) -> str:
    """Return a package's version in another environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    found = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def timed(
    command: list[str],
    environment: dict[str, str] | None = None,
    *,
    cores: int | None = None,
    every_s: float = 0.02,
    watch: Callable[[], None] | None = None,
    check: bool = True,
) -> Timed:
    """Run a command, sampling the memory of its whole process tree.

    Args:
        command: The command.
        environment: Variables to set for it.
        cores: Processor cores it may use; None leaves it all of them.
        every_s: Seconds between samples. Sampling a large process takes tens of milliseconds.
        watch: Called with every sample.
        check: Whether a command that fails ends the benchmark.

    Raises:
        SystemExit: The command failed, and `check` says that it must not.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with _only(cores):
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    peak = 0
    stop = threading.Event()

    def sample() -> None:
        nonlocal peak
        root = psutil.Process(process.pid)
        while not stop.wait(every_s):
            if watch is not None:
                watch()
            try:
                family = [root, *root.children(recursive=True)]
                held = sum(_unshared(one) for one in family)
            except psutil.Error:
                continue
            peak = max(peak, held)

    sampler = threading.Thread(target=sample)
    sampler.start()
    output, errors = process.communicate()
    seconds = time.monotonic() - started
    stop.set()
    sampler.join()
    if check and process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed(seconds, cpu_seconds, peak, output, errors, process.returncode)


@contextlib.contextmanager
def _only(cores: int | None) -> Iterator[None]:
    """Keep to some cores; a process started meanwhile inherits them for good."""
    if cores is None:
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _unshared(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0
