"""End to end: Parquet in, survivors out, whole processes, ours beside peers and beside copying.

Start and imports are inside the times of every side. On one core processor time is compared, on two
wall time. Copying is the same pipeline without the step: reading and publishing alone.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from dedup_inputs import write_documents
from machine import Timed, figure, timed

from dedup_parts.runs import run_ours, run_peer, warm

__all__ = ["measure"]

PEERS = ("gaoya", "rensa")
_COPY = "import sys, polars; polars.read_parquet(sys.argv[1]).write_parquet(sys.argv[2])"


def measure(work: Path, *, quick: bool, real: bool, peers: bool) -> tuple[dict[str, Any], Any]:
    """Return the times and their figures."""
    documents, rounds = (20_000, 1) if quick else (200_000, 3)
    source = work / "documents.parquet"
    size = write_documents(source, documents)
    warm(source, work)
    result: dict[str, Any] = {"documents": documents, "text_bytes": size}
    figures: dict[str, Any] = {}
    digests = []
    for cores in (1, 2):
        times: dict[str, list[Timed]] = {"datatools": [], "copying": [], "polars_copy": []}
        kept: dict[str, int] = {}
        for _ in range(rounds):  # in turn, so that a busy minute harms all alike
            ours = run_ours(source, work / "out", workers=cores)
            digests.append(ours.digests)
            times["datatools"].append(ours.timed)
            kept["datatools"] = len(ours.kept)
            copy = run_ours(source, work / "copy", workers=cores, deduplicate=False)
            times["copying"].append(copy.timed)
            command = [sys.executable, "-c", _COPY, str(source), str(work / "copy.parquet")]
            times["polars_copy"].append(timed(command, cores=cores, every_s=0.1))
            for name in PEERS if peers else ():
                took, left = run_peer(name, source, work / "peer.parquet", cores)
                times.setdefault(name, []).append(took)
                kept[name] = len(left)
        rows = {name: _row(found, kept.get(name)) for name, found in times.items()}
        result[f"{cores}_cores"] = rows
        of = "cpu_seconds" if cores == 1 else "seconds"
        if peers:
            fastest = min(rows[name][of] for name in PEERS)
            ratio = round(fastest / rows["datatools"][of], 2)
            figures[f"copying_{cores}_cores_ratio_to_fastest_peer"] = figure(ratio, 3)
        share = round(rows["datatools"][of] / rows["copying"][of], 2)
        name = f"copying_{cores}_cores_times_the_copy"
        figures[name] = figure(share, 2, at_most=True)
    same = all(found == digests[0] for found in digests)
    figures["copying_same_bytes_whatever_the_workers"] = figure(int(same), 1)
    return result, figures


def _row(found: list[Timed], kept: int | None) -> dict[str, Any]:
    row = {
        "seconds": round(statistics.median(one.seconds for one in found), 2),
        "cpu_seconds": round(statistics.median(one.cpu_seconds for one in found), 2),
        "seconds_all": [round(one.seconds, 2) for one in found],
        "peak_bytes": max(one.peak_bytes for one in found),
    }
    return row if kept is None else {**row, "kept": kept}
