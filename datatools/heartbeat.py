"""A heartbeat: a process whose work stands still ends, and says where it stood.

Owns: the time since the last beat of this process, and what happens when it grows too long. The
clock runs in a thread of the C library that needs no interpreter lock, so it also ends a process
that hangs inside a C library, where no Python code would run any more. It is the same in a worker
process of our own and in one of Ray's, and needs nobody outside who watches.

Refuses: what the work is. A beat outside `ends_when_still` does nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

__all__ = ["beat", "ends_when_still", "place"]

_STEPS: Final = 64
"""A beat within one part in this many of the limit after the last one is not worth its 55 us."""
_FRAME: Final = re.compile(r'^  File "(?:.*/)?([^"/]+)", line (\d+) in (\S+)$', re.MULTILINE)


@dataclass
class _Watch:
    limit_s: float
    file: IO[bytes] | None
    beaten: float = 0.0

    def beat(self) -> None:
        now = time.monotonic()
        if now - self.beaten > self.limit_s / _STEPS:
            self.beaten = now
            # Armed again, the clock starts anew.
            if self.file is None:
                faulthandler.dump_traceback_later(self.limit_s, exit=True)
            else:
                faulthandler.dump_traceback_later(self.limit_s, exit=True, file=self.file)


_watch: _Watch | None = None


@contextlib.contextmanager
def ends_when_still(limit_s: float, file: IO[bytes] | None = None) -> Iterator[None]:
    """End this process with exit code 1 when no `beat` comes for a time while the block runs.

    Args:
        limit_s: Seconds without a beat, longer than 0. The block's start is the first beat. Time in
            which the machine sleeps does not count.
        file: Gets the tracebacks of all threads before the process ends; None means stderr.

    Example:
        >>> with ends_when_still(60.0):
        ...     for _ in range(3):
        ...         beat()
    """
    global _watch
    _watch = _Watch(limit_s, file)
    try:
        _watch.beat()
        yield
    finally:
        _watch = None
        faulthandler.cancel_dump_traceback_later()


def beat() -> None:
    """Say that the work goes on. Costs well under a microsecond where nothing watches."""
    if _watch is not None:
        _watch.beat()


def place(tracebacks: str) -> str:
    r"""Return where the main thread stood, from what `ends_when_still` wrote; empty if unknown.

    Example:
        >>> place('Thread 0x7f (most recent call first):\n  File "/x/steps.py", line 7 in map\n')
        'map (steps.py line 7)'
    """
    main = tracebacks.rpartition("most recent call first")[2]
    found = _FRAME.search(main)
    return "" if found is None else f"{found[3]} ({found[1]} line {found[2]})"
