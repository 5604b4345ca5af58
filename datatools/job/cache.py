"""Cleaning the cache: intermediate stages may go at any time; what the last run used goes last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datatools.errors import DataError, IntegrityError
from datatools.outputs.addresses import output_at

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
        output: A pipeline's output, a folder or a URL. Of a URL, this machine's scratch folder is
            emptied, too.
        everything: Remove the stages that it used too.
        limit: After that, remove the least recently made ones until this many bytes are left.

    Raises:
        DataError: The output has no cache.
        OutputHeldError: A run is using it.
    """
    there = output_at(output)
    if not there.has_cache():
        raise DataError(there.address, "has no cache", hint="Give the `output:` of a pipeline.")
    with there.held("datatools gc"):
        store = there.store
        store.sweep()
        try:
            used = set() if everything else set(store.read("used.json"))
        except (FileNotFoundError, IntegrityError):
            used = set()
        stages = store.stages()
        oldest_first = sorted(stages, key=lambda key: stages[key].made)
        gone = [key for key in oldest_first if key not in used]
        left = sum(stages[key].bytes for key in stages if key in used)
        for key in oldest_first:
            if limit is None or left <= limit:
                break
            if key in used:
                gone.append(key)
                left -= stages[key].bytes
        store.remove_stages(gone)
        return Collected(len(gone), sum(stages[key].bytes for key in gone), left)
