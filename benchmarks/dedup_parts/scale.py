"""Scale: time, memory and disk as documents grow.

The slope is that of the logarithm of wall time, less the time of a run over few documents, against
the logarithm of the number of documents: 1 is linear. Runs that are mostly starting up are left out
of it; with fewer than two others it is not measured, and its figure not met. Disk is what the cache
holds beside the records themselves and the published files: tables of the deduplication.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from dedup_inputs import write_documents
from machine import figure

from dedup_parts.runs import run_ours, warm

__all__ = ["CacheWatch", "measure"]

SHORT_WORDS = 40  # ten million documents of these are 2.4 GB of text


def measure(
    work: Path, *, quick: bool, real: bool, peers: bool, full: bool = False
) -> tuple[dict[str, Any], Any]:
    """Return one row for each number of documents, and the figures."""
    sizes = (10_000, 30_000, 100_000) if quick else (100_000, 300_000, 1_000_000)
    source = work / "few.parquet"
    write_documents(source, 1_000)
    warm(source, work)
    starts = [run_ours(source, work / "out", workers=2).timed for _ in range(3)]
    start = min(one.seconds for one in starts)  # other work on the machine only adds
    start_cpu = min(one.cpu_seconds for one in starts)
    rows = [_row(work, size, 250) for size in sizes]
    result: dict[str, Any] = {
        "start_seconds": round(start, 2),
        "start_cpu_seconds": round(start_cpu, 2),
        "mean_words": 250,
        "rows": rows,
    }
    slope = _slope([(row["documents"], row["seconds"]) for row in rows], start)
    # For a machine that others use too; not what a user waits for.
    cpu_times = [(row["documents"], row["cpu_seconds"]) for row in rows]
    result["slope_of_cpu_seconds"] = _slope(cpu_times, start_cpu)
    disk = max(row["temporary_bytes_per_document"] for row in rows)
    figures = {
        "scale_slope": figure(slope, 1.05, at_most=True),
        "scale_temporary_bytes_per_document": figure(disk, 500, at_most=True),
    }
    if full:
        result["ten_million_short"] = _row(work, 10_000_000, SHORT_WORDS)
    return result, figures


def _slope(times: list[tuple[int, float]], start: float) -> float | None:
    """Return the slope of log seconds, less those of starting up, against log documents."""
    logs = np.log([(count, seconds - start) for count, seconds in times if seconds >= 2 * start])
    if len(logs) < 2:
        return None
    return round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 3)


def _row(work: Path, documents: int, mean_words: float) -> dict[str, Any]:
    source = work / "documents.parquet"
    size = write_documents(source, documents, mean_words=mean_words)
    out = work / "out"
    cache = CacheWatch(out / ".cache" / "stages")
    run = run_ours(source, out, workers=2, every_s=0.25, watch=cache.sample)
    cache.sample()
    source.unlink()
    return {
        "documents": documents,
        "text_bytes": size,
        "kept": len(run.kept),
        "seconds": round(run.timed.seconds, 2),
        "cpu_seconds": round(run.timed.cpu_seconds, 2),
        "peak_bytes": run.timed.peak_bytes,
        "temporary_bytes_per_document": round(cache.peak() / documents, 1),
        "cache_bytes_per_document": round(cache.peak(records=True) / documents, 1),
    }


class CacheWatch:
    """Sizes of the cache's stages over time; which of them hold records is asked at the end."""

    def __init__(self, stages: Path) -> None:
        self._stages = stages
        self._samples: list[dict[str, int]] = []

    def sample(self) -> None:
        """Take down the size of every stage now."""
        sizes: dict[str, int] = {}
        for folder, _, names in os.walk(self._stages):
            stage = Path(folder).relative_to(self._stages).parts
            for name in names:
                try:
                    size = os.stat(os.path.join(folder, name)).st_size
                except FileNotFoundError:  # renamed or removed meanwhile
                    continue
                sizes[stage[0] if stage else ""] = sizes.get(stage[0] if stage else "", 0) + size
        self._samples.append(sizes)

    def peak(self, *, records: bool = False) -> int:
        """Return the most bytes held at once, with or without stages that hold records.

        A stage that is gone at the end counts as a table of the deduplication.
        """
        left_out = set() if records else {s.name for s in self._stages.iterdir() if _records(s)}
        return max(
            (
                sum(size for stage, size in sizes.items() if stage not in left_out)
                for sizes in self._samples
            ),
            default=0,
        )


def _records(stage: Path) -> bool:
    if any(path.suffix == ".parquet" for path in stage.iterdir()):
        return True  # published files, linked
    for path in stage.glob("*.arrow"):
        with pa.OSFile(str(path)) as file:
            if "text" in pa.ipc.open_file(file).schema.names:
                return True
    return False
