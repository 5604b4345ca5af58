"""Runs a tiny job in a fork of a process that has imported everything but used no threads yet.

Starting Python and importing takes longer than the job. For each line `OUTPUT INPUT` on its
standard input a child stops itself (so that a tracer can attach) and runs the job when continued;
the server prints the child's pid and later its exit code.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

import toys
from jobs import dataset, run_job

from datatools import steps
from datatools.errors import DatatoolsError

CLEAN, TRACEBACK = 10, 20


def job(output: str, path: str) -> None:
    """Run a source, a map, a filter, a split and a flat map, and publish both datasets."""
    run_job(
        Path(output),
        {
            "pages": dataset(
                toys.ReadLines(paths=(path,), unit_bytes=300),
                toys.Upper(),
                toys.Length(),
                steps.Split(validation=0.3),
            ),
            "words": dataset(toys.Words(), from_="pages"),
        },
    )


def child(output: str, path: str) -> int:
    """Run the job and return the exit code."""
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        job(output, path)
    except DatatoolsError as error:
        sys.stderr.write(f"clean: {error}\n")
        return CLEAN
    except BaseException:
        sys.stderr.write(traceback.format_exc())
        return TRACEBACK
    return 0


def main() -> None:
    """Serve until standard input ends."""
    steps.Split()  # its module, and with it the kernels' imports
    for line in sys.stdin:
        output, path = line.split()
        pid = os.fork()
        if pid == 0:
            code = TRACEBACK
            try:
                code = child(output, path)
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
