"""Holding an output: two runs never mix on one folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from datatools.errors import ConfigError, OutputHeldError

__all__ = ["held"]


@contextlib.contextmanager
def held(output: Path, owner: str) -> Iterator[None]:
    """Hold an output for this run; a second run on it is refused at once.

    Raises:
        OutputHeldError: Another run holds it; nothing on disk was changed.
        ConfigError: The folder cannot be made or written to.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(
            str(output),
            "cannot be written",
            got=error.strerror,
            hint="Choose another `output:`, or change its permissions.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            raise OutputHeldError(
                str(output),
                "another run holds this output",
                got=holder,
                hint="Wait for it to end, or choose another `output:`.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner.encode(), 0)
        yield
    finally:
        os.close(descriptor)
