"""Cleaning the cache: intermediate stages may go at any time; what the last run used goes last."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from datatools.engine.lock import held
from datatools.engine.store import drop_stale_temporaries, read_json
from datatools.errors import DataError, IntegrityError
from datatools.running import cache_of

__all__ = ["Collected", "collect"]


@dataclass(frozen=True)
class Collected:
    """What was removed.

    Attributes:
        stages: Stages removed.
        bytes: Bytes freed. Files that are also published are linked, so removing them frees
            nothing.
        left: Bytes of the stages that stay.
    """

    stages: int
    bytes: int
    left: int


def collect(output: Path | str, *, everything: bool = False, limit: int | None = None) -> Collected:
    """Remove stages that the last run did not use.

    Args:
        output: A pipeline's output folder.
        everything: Remove the stages that it used too.
        limit: After that, remove the least recently made ones until this many bytes are left.

    Raises:
        DataError: The output has no cache.
        OutputHeldError: A run is using it.
    """
    cache = cache_of(Path(output))
    if not cache.is_dir():
        raise DataError(str(output), "has no cache", hint="Give the `output:` of a pipeline.")
    with held(Path(output), "datatools gc"):
        drop_stale_temporaries(cache)
        try:
            used = set() if everything else set(read_json(cache / "used.json"))
        except (FileNotFoundError, IntegrityError):
            used = set()
        stages = sorted((cache / "stages").glob("*"), key=lambda path: path.stat().st_mtime)
        sizes = {path: _size(path) for path in stages}
        gone = [path for path in stages if path.name not in used]
        left = sum(sizes[path] for path in stages if path not in gone)
        for path in stages:
            if limit is None or left <= limit:
                break
            if path not in gone:
                gone.append(path)
                left -= sizes[path]
        for path in gone:
            shutil.rmtree(path)
        return Collected(len(gone), sum(sizes[path] for path in gone), left)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
