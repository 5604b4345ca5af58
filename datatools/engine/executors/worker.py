"""A worker process of the `processes` executor: reads tasks from stdin, writes results to stdout.

Started as `python -m datatools.engine.executors.worker`, so it needs no main guard in the caller's
script and inherits nothing but its environment. Dies with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import struct
import sys
from typing import Any, BinaryIO

__all__ = ["main", "receive", "send"]


def send(file: BinaryIO, value: object) -> None:
    """Write one length-prefixed message."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    file.write(struct.pack("<Q", len(data)) + data)
    file.flush()


def receive(file: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: The other side is gone.
    """
    header = file.read(8)
    if len(header) < 8:
        raise EOFError
    (size,) = struct.unpack("<Q", header)
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 - from our own parent, over a private pipe


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux; elsewhere EOF ends it)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve tasks until the parent closes the pipe."""
    die_with_parent()
    # Ctrl-C goes to the whole terminal group; only the driver decides how a run stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    # What a library prints must not break into the protocol.
    os.dup2(2, 1)
    sys.path[:] = receive(requests)
    from datatools.engine.executors.base import Done, Failed
    from datatools.engine.tasks import close_chains, execute

    send(replies, "ready")
    while True:
        try:
            index = receive(requests)
        except EOFError:
            close_chains()
            return
        result: Done | Failed
        try:
            result = Done(index, execute(receive(requests)))
        except Exception as error:
            result = Failed.of(index, error)
        send(replies, result)


if __name__ == "__main__":
    main()
