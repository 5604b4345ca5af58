"""Ctrl-C, heard from the first line of the program on.

An exception is the right answer to Ctrl-C while there is work to put in order: workers to end, a
bar to take off the terminal. While modules are imported it is not. Raised inside a callback of a C
library or a finalizer, Python reports and forgets it, and the program goes on. There is nothing to
put in order yet, so the program leaves at once.

Imports nothing that takes time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

__all__ = ["EXIT_CODE", "STOPPED", "leave_at_once", "leaving_at_once", "work_begins"]

EXIT_CODE: Final = 130
"""128 and the number of SIGINT, as shells have it."""
STOPPED: Final = "Stopped. Finished work is kept: run the same command to go on."


def leave_at_once() -> None:
    """End the program at Ctrl-C, without an exception, until `work_begins`.

    A program that was told to ignore Ctrl-C (`nohup`), or that has a handler of its own, keeps to
    that.
    """
    if _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def work_begins() -> None:
    """Raise `KeyboardInterrupt` at Ctrl-C from here on, for work that must be put in order."""
    if _in_main_thread() and signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """Call `leave_at_once`, and put back what was before once the block ends."""
    before = signal.getsignal(signal.SIGINT)
    leave_at_once()
    try:
        yield
    finally:
        if _in_main_thread():
            signal.signal(signal.SIGINT, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, f"{STOPPED}\n".encode())
    os._exit(EXIT_CODE)
