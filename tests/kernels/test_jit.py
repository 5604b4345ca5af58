import os
import subprocess
import sys

import pytest

PROGRAM = """
import time, warnings
warnings.simplefilter("always")
from datatools.kernels import hashing, minhash, repetition, shingles
from datatools.kernels import text_stats, unionfind, words
from numba.core.dispatcher import Dispatcher
modules = (hashing, minhash, repetition, shingles, text_stats, unionfind, words)
kernels = [k for m in modules for k in vars(m).values() if isinstance(k, Dispatcher)]
assert len(kernels) > 10
assert not any(k.signatures for k in kernels), "importing compiled a kernel"
import numpy as np
print(unionfind.components(np.array([2, 1]), np.array([1, 0]), 3).tolist())
print(sum(sum(k.stats.cache_hits.values()) for k in kernels))
"""


def run(directory):
    environment = {**os.environ, "DATATOOLS_KERNEL_CACHE": str(directory)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    result, hits = done.stdout.splitlines()
    assert result == "[0, 0, 0]"
    return int(hits), done.stderr


def test_importing_compiles_nothing_and_a_second_process_finds_the_machine_code(tmp_path):
    first, _ = run(tmp_path / "cache")
    assert first == 0
    second, warned = run(tmp_path / "cache")
    assert second > 0
    assert warned == ""


def test_damaged_machine_code_is_compiled_again(tmp_path):
    run(tmp_path)
    damaged = list(tmp_path.rglob("*.nbc")) + list(tmp_path.rglob("*.nbi"))
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:40])
    run(tmp_path)
    hits, _ = run(tmp_path)
    assert hits > 0


@pytest.mark.parametrize("blocked", ["file", "under a file"])
def test_an_unwritable_cache_warns_once_and_kernels_still_run(tmp_path, blocked):
    (tmp_path / "taken").write_text("")
    target = tmp_path / "taken" if blocked == "file" else tmp_path / "taken" / "deeper"
    hits, warned = run(target)
    assert hits == 0
    assert warned.count("RuntimeWarning") == 1
    assert "DATATOOLS_KERNEL_CACHE" in warned
