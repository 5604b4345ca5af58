"""Hard shapes: each ends with the right answer, or stops and says why; none with a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from dedup_inputs import STRESS
from machine import figure

from dedup_parts.runs import run_ours, warm

__all__ = ["measure"]

QUICK = 0.05


def measure(work: Path, *, quick: bool, real: bool, peers: bool) -> tuple[dict[str, Any], Any]:
    """Return what became of every input, and the figures: 1 for a right end."""
    scale = QUICK if quick else 1.0
    result: dict[str, Any] = {"scale": scale}
    figures: dict[str, Any] = {}
    for name, write in STRESS.items():
        source = work / f"{name}.parquet"
        expected = write(source, scale)
        if len(result) == 1:
            warm(source, work)
        run = run_ours(source, work / "out", workers=2, every_s=0.25, check=False)
        message = run.timed.errors.strip()
        stopped_clearly = run.timed.status == 1 and bool(message) and "Traceback" not in message
        right = not run.timed.status and expected.fewest <= len(run.kept) <= expected.most
        result[name] = {
            "documents": expected.documents,
            "file_bytes": source.stat().st_size,
            "text_bytes": pq.read_metadata(source).row_group(0).column(1).total_uncompressed_size,
            "right_from": expected.fewest,
            "right_to": expected.most,
            "why": expected.why,
            "status": run.timed.status,
            "kept": len(run.kept),
            "seconds": round(run.timed.seconds, 2),
            "cpu_seconds": round(run.timed.cpu_seconds, 2),
            "peak_bytes": run.timed.peak_bytes,
            **({"message": message[-600:]} if run.timed.status else {}),
        }
        figures[f"stress_{name}"] = figure(int(right or stopped_clearly), 1)
        source.unlink()
    return result, figures
