"""Inputs that are outputs: patterns over files that the pipeline itself writes.

A first run would not find such files, and the second would read what the first wrote. So patterns
are held against the names that a run gives its files, whether or not they are there already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datatools.pipeline.definition import Pipeline

__all__ = ["TRIAL", "own_file"]

TRIAL: Final = "trial"
"""Folder below the output for runs with a limit: a trial must not take the place of a result."""
_MAGIC: Final = re.compile(r"[*?\[]")
_SPLITS: Final = ("train", "validation")


def own_file(pipeline: Pipeline, pattern: str) -> str | None:
    """Return a file or folder of the pipeline's own output that an input pattern takes in, or None.

    Args:
        pipeline: The pipeline.
        pattern: A path or pattern of files, as readers take it.
    """
    folder, pattern = pipeline.output.removeprefix("file://"), pattern.removeprefix("file://")
    output = _parts(folder, len(folder))
    special = _MAGIC.search(pattern)
    wanted = _parts(pattern, special.start() if special else len(pattern))
    fixed = next((i for i, part in enumerate(wanted) if _MAGIC.search(part)), len(wanted))
    if wanted[:fixed][: len(output)] == output:
        return "/".join(wanted[:fixed])
    for written in _written(pipeline):
        path = [*output, *written.split("/")]
        if _matches(wanted, path):
            return "/".join([pipeline.output.rstrip("/"), written])
    return None


def _parts(path: str, plain: int) -> list[str]:
    """Return the parts of a whole path, with links followed in the folders of its `plain` start."""
    if "://" in path:
        return [part for part in path.split("/") if part not in ("", ".")]
    cut = len(path) if plain == len(path) else path.rfind("/", 0, plain) + 1
    return [*os.path.realpath(path[:cut] or ".").split("/"), *filter(None, path[cut:].split("/"))]


def _written(pipeline: Pipeline) -> Iterator[str]:
    """Name one file of each form that a run writes, below the output."""
    for place in ("", f"{TRIAL}/"):
        yield f"{place}run.json"
        for name, dataset in pipeline.datasets.items():
            if not dataset.publish:
                continue
            yield f"{place}{name}/manifest.json"
            for split in _SPLITS:
                stem = f"{split}-00000-of-00001"
                yield f"{place}{name}/{stem}.parquet"
                yield f"{place}{name}/sidecar/{stem}.parquet"
                for export in dataset.export:
                    yield f"{place}{name}/{export.folder}/{stem}.{export.suffix}"


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Return whether a pattern names a path, part by part; `**` stands for any number of parts."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        visible = next((i for i, part in enumerate(path) if part.startswith(".")), len(path))
        if len(pattern) == 1:
            return visible == len(path)
        return any(_matches(pattern[1:], path[skipped:]) for skipped in range(visible + 1))
    if not path:
        return False
    hidden = path[0].startswith(".") and not pattern[0].startswith(".")
    one = path[0] == pattern[0] or (not hidden and fnmatchcase(path[0], pattern[0]))
    return one and _matches(pattern[1:], path[1:])
