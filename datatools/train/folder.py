"""Folders that are whole or absent.

Owns: how a model or a checkpoint reaches its final name. A folder is filled under a private name
beside it, every file is fsynced, and one rename publishes it; a killed writer leaves the previous
folder, or none, and a leftover that the next writer removes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datatools.errors import DataError

__all__ = ["whole_folder"]


@contextmanager
def whole_folder(path: Path, *, need_bytes: int = 0) -> Iterator[Path]:
    """Yield an empty folder that becomes `path` when the block ends without an exception.

    A folder already at `path` is replaced: renamed aside, then removed once the new one is in
    place.

    Args:
        path: Final name. Its parent is created.
        need_bytes: Room the files will take; refused before anything is written if there is less.

    Raises:
        DataError: The disk has too little room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < need_bytes:
        raise DataError(
            str(path),
            f"needs {need_bytes:,} bytes and the disk has {free:,}",
            hint="Free some space and start again; nothing was written.",
        )
    fresh, stale = path.with_name(f".tmp-{path.name}"), path.with_name(f".old-{path.name}")
    if stale.exists() and not path.exists():
        os.replace(stale, path)  # a writer was killed between its two renames
    for leftover in (fresh, stale):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    for file in fresh.iterdir():
        _fsync(file)
    _fsync(fresh)
    if path.exists():
        os.replace(path, stale)
    os.replace(fresh, path)
    _fsync(path.parent)
    shutil.rmtree(stale, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
