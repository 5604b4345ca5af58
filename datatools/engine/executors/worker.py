"""A worker process of the `processes` executor: reads tasks from stdin, writes results to stdout.

Started as `python -m datatools.engine.executors.worker FD`, so it needs no main guard in the
caller's script and inherits nothing but its environment and the file FD, into which it writes where
it stood still. Dies with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import struct
import sys
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from datatools.errors import ConfigError

if TYPE_CHECKING:
    from datatools.engine.executors.base import Result

__all__ = ["cannot_travel", "main", "packed", "receive"]


def packed(value: object) -> bytes:
    """Return one length-prefixed message."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return struct.pack("<Q", len(data)) + data


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


def cannot_travel(error: Exception) -> ConfigError:
    """Return what to tell the user about a task that cannot be pickled or unpickled."""
    return ConfigError(
        "run.executor",
        f"a step cannot be sent to a worker process: {type(error).__name__}: {error}",
        hint="Define it at the top level of an importable module, not in the main script; or set "
        "`executor: inline`.",
    )


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
    stalls = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    # What a library prints must not break into the protocol.
    os.dup2(2, 1)
    sys.path[:] = receive(requests)
    from datatools.engine.tasks import close_chains

    try:
        replies.write(packed("ready"))
        replies.flush()
        while True:
            index = receive(requests)
            replies.write(packed(_result(index, requests, stalls)))
            replies.flush()
    except (EOFError, BrokenPipeError):
        # The driver has gone, or has no more work. Taking the interpreter down in order would cost
        # half a second and free nothing we hold.
        close_chains()
        os._exit(0)


def _result(index: int, requests: BinaryIO, stalls: IO[bytes]) -> Result:
    from datatools.engine.executors.base import Done, Failed
    from datatools.engine.tasks import execute_watched

    try:
        task = receive(requests)
    except EOFError:
        raise
    except Exception as error:
        return Failed.of(index, cannot_travel(error))
    try:
        return Done(index, execute_watched(task, stalls))
    except BaseException as error:  # user code may raise SystemExit; nobody else sends it here
        return Failed.of(index, error)


if __name__ == "__main__":
    main()
