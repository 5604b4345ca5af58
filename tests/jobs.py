"""Small jobs over toy steps, and what they leave on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datatools.job.running import RunResult, run
from datatools.pipeline.definition import Dataset, Pipeline, RunSettings

# Korean and English, a comment, a bad line, an undefined length, a record that a step drops and one
# that a step quarantines: every way out of a pipeline in eleven lines.
LINES = [
    "a line of English text",
    "한국어 문서 한 줄",
    "# a comment",
    "! a bad line",
    "ab",
    "nan",
    "drop me now",
    "boom goes this one",
    "the quick brown fox jumps over the lazy dog",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다",
    "",
]


def write_lines(path: Path, count: int = 44, salt: str = "") -> str:
    """Write `count` lines, most of them different, and return the path."""
    lines = [f"{LINES[i % len(LINES)]}{_tail(i, salt)}" for i in range(count)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def _tail(i: int, salt: str) -> str:
    same = LINES[i % len(LINES)] in ("nan", "ab", "")
    return "" if same else f" {i}{salt}"


def dataset(*steps: Any, **settings: Any) -> Dataset:
    """Return a dataset; `from_` names its parents."""
    if "from_" in settings:
        settings["from"] = settings.pop("from_")
    return Dataset(steps=steps, **settings)


def job(
    output: Path, datasets: Mapping[str, Dataset], *, seed: int = 0, **settings: Any
) -> Pipeline:
    """Return a pipeline that runs in this process unless `settings` say otherwise."""
    chosen = {
        "executor": "inline",
        "workers": 2,
        "on_input_error": "quarantine",
        "max_quarantine_fraction": 1.0,
        **settings,
    }
    return Pipeline(
        name="job",
        seed=seed,
        datasets=dict(datasets),
        run=RunSettings(**chosen),
        output=str(output),
    )


def run_job(output: Path, datasets: Mapping[str, Dataset], **settings: Any) -> RunResult:
    """Run every dataset; no report."""
    return run(job(output, datasets, **settings), only=list(datasets))


def ran(result: RunResult) -> list[str]:
    """Return the names of the stages that were not found in the cache."""
    return [event.name for event in result.events if not event.cached]


def published(output: Path) -> dict[str, str]:
    """Return the SHA-256 of every published file by its path, the manifests among them."""
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file()
        and path.relative_to(output).parts[0] not in (".cache", ".lock", "run.json")
    }
