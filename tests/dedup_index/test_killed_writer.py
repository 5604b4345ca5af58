"""A writer killed at a system call leaves the index as it was, or with all that was added."""

import json
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from kept_texts import frame, texts

from datatools.dedup_index import DedupIndex

KEPT = frame(texts(400))
DAY = date(2026, 1, 31)

# Adds in nine pieces, and dies at the n-th of the calls by which files come and go.
WRITER = """
import os, sys
from datetime import date

from datatools.dedup_index import DedupIndex, local_index
from kept_texts import frame, texts

address, left = sys.argv[1], int(sys.argv[2])

def counted(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    setattr(os, name, call)

for name in ("fsync", "replace", "unlink", "rmdir"):
    counted(name)
local_index._PIECE = 50
frames = frame(texts(400))[150:].iter_slices(40)
DedupIndex.open(address).add(frames, added=date(2026, 1, 31))
"""


@pytest.mark.faults
@pytest.mark.parametrize("after", [0, 3, 8, 30, 54, 60, 61, 62, 63, 66, 72, 80])
def test_a_writer_killed_at_a_system_call_costs_nothing_that_was_committed(tmp_path, after):
    index = DedupIndex.create(tmp_path / "kept.index")
    index.add(KEPT[:150], added=DAY)
    whole = DedupIndex.open(shutil.copytree(index.address, tmp_path / "whole"))
    whole.add(KEPT[150:], added=DAY)
    command = [sys.executable, "-c", WRITER, index.address, str(after)]
    done = subprocess.run(command, cwd=Path(__file__).parent, timeout=120)
    assert done.returncode == -signal.SIGKILL
    opened = DedupIndex.open(index.address)
    assert len(opened) in (150, 400)
    opened.verify()
    opened.add(KEPT[150:], added=DAY)
    assert opened.state() == whole.state()
    opened.verify()
    manifest = json.loads((Path(index.address) / "index.json").read_text())
    named = {segment["name"] for segment in manifest["segments"]}
    assert {path.name for path in Path(index.address).glob("segment-*")} == named
