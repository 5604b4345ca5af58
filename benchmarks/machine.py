"""What a benchmark ran on, how long a command took, and what its processes held at once."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PEERS = Path(__file__).parent / ".peers"


@dataclass(frozen=True)
class Timed:
    """A finished command: wall seconds, peak memory of its process tree in bytes, its output."""

    seconds: float
    peak_bytes: int
    output: str


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


def peer_environment(name: str, *requirements: str) -> Path:
    """Return the interpreter of a peer's environment, made on first use.

    Raises:
        SystemExit: It cannot be made: a benchmark without its peer measures nothing.
    """
    folder = PEERS / name
    python = folder / "bin" / "python"
    mark = folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if mark.exists() and mark.read_text() == wanted:
        return python
    print(f"making the environment of {name} ...", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *requirements], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"the peer {name} could not be installed: {error}") from None
    mark.write_text(wanted)
    return python


def version_of(python: Path, package: str) -> str:
    """Return a package's version in another environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    found = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def timed(command: list[str], environment: dict[str, str] | None = None) -> Timed:
    """Run a command, sampling the memory of its whole process tree every 20 ms.

    Raises:
        SystemExit: The command failed.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    peak = 0
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        root = psutil.Process(process.pid)
        while not stop.wait(0.02):
            try:
                family = [root, *root.children(recursive=True)]
                held = sum(_unshared(one) for one in family)
            except psutil.Error:
                continue
            peak = max(peak, held)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, errors = process.communicate()
    seconds = time.monotonic() - started
    stop.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-4000:]}")
    return Timed(seconds, peak, output)


def _unshared(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0
