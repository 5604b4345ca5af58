"""The command line, called in this process or as a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jobs import write_lines

TESTS = Path(__file__).resolve().parents[1]

# Every kind of step; `Slow` only where a test wants time to act.
PIPELINE = """\
name: toy
datasets:
  pages:
    steps:
      - toys:ReadLines: {{paths: [{lines}], unit_bytes: 500}}
      - toys:Upper
      - toys:Length
      - ExactDedup
      - Split: {{validation: 0.2}}
  words:
    from: pages
    steps:
      - toys:Words
run:
  executor: inline
  on_input_error: quarantine
  max_quarantine_fraction: 1
output: {output}
"""


@dataclass(frozen=True)
class Called:
    """What a command left: its exit code, its results and its messages."""

    code: int
    out: str
    err: str


def environment(**more):
    """Return the environment of a process that finds the toys."""
    return {**os.environ, "PYTHONPATH": str(TESTS), **more}


def process(*args, **settings):
    """Call the command line as a process and return what it left."""
    done = subprocess.run(
        [sys.executable, "-m", "datatools.cli.main", *map(str, args)],
        env=environment(**settings),
        capture_output=True,
        timeout=120,
        check=False,
    )
    encoding = settings.get("PYTHONIOENCODING", "utf-8")
    return Called(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))


def write_pipeline(folder, count=66, text=PIPELINE):
    """Write lines and a pipeline over them, and return the file and its output."""
    lines = write_lines(folder / "a.txt", count)
    file, output = folder / "p.yaml", folder / "out"
    file.write_text(text.format(lines=lines, output=output))
    return file, output


def tree(folder):
    """Return the bytes of every file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
