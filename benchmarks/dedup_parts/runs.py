"""A real pipeline over one Parquet file: read, deduplicate, publish; and a peer's whole job."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from machine import Timed, peer_environment, timed

__all__ = ["PEER_SCRIPTS", "OurRun", "run_ours", "run_peer", "warm"]

PEER_SCRIPTS = Path(__file__).resolve().parent.parent / "peers"
UNIT_BYTES = 8_000_000


@dataclass(frozen=True)
class OurRun:
    """What a pipeline did.

    Attributes:
        timed: Time, memory and messages of the whole process tree.
        kept: Ids of the survivors as the input has them.
        digests: Digests of the published shards, in order.
    """

    timed: Timed
    kept: list[str]
    digests: list[str]


def run_ours(
    source: Path,
    out: Path,
    *,
    workers: int,
    deduplicate: bool = True,
    every_s: float = 0.1,
    watch: Callable[[], None] | None = None,
    check: bool = True,
) -> OurRun:
    """Run ReadParquet, MinHashDedup and publishing in processes of their own.

    Args:
        source: The input.
        out: Output folder, made anew.
        workers: Worker processes, and cores they may use.
        deduplicate: False leaves the step out: reading and publishing alone.
        every_s: Seconds between samples of memory.
        watch: Called with every sample.
        check: Whether a run that fails ends the benchmark.
    """
    shutil.rmtree(out, ignore_errors=True)
    # The address is the one published column that holds a string of the input's as it is.
    steps = [f"ReadParquet: {{paths: ['{source}'], url: id, unit_bytes: {UNIT_BYTES}}}"]
    steps += ["MinHashDedup: {threshold: 0.8}"] if deduplicate else []
    lines = [
        "name: dedup",
        "datasets:",
        "  docs:",
        "    steps:",
        *(f"      - {step}" for step in steps),
        # One core is one process: a second one would only import everything again.
        f"run: {{executor: {'inline' if workers == 1 else 'processes'}, workers: {workers}, "
        "on_input_error: quarantine, max_quarantine_fraction: 1}",
        f"output: {out}",
    ]
    pipeline = out.with_suffix(".yaml")
    pipeline.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "datatools.cli.start", "run", str(pipeline)]
    command += ["--json", "--quiet", "--only", "docs"]
    took = timed(command, cores=workers, every_s=every_s, watch=watch, check=check)
    if took.status:
        return OurRun(took, [], [])
    manifest = json.loads((out / "docs" / "manifest.json").read_text())
    paths = [out / "docs" / shard["path"] for shard in manifest["shards"]]
    kept = [name for path in paths for name in pl.read_parquet(path, columns=["url"])["url"]]
    return OurRun(took, kept, [shard["sha256"] for shard in manifest["shards"]])


def warm(source: Path, work: Path) -> None:
    """Compile the kernels, which happens once per machine and is in no time we report."""
    few = work / "warm.parquet"
    pl.scan_parquet(source).head(200).collect().write_parquet(few)
    run_ours(few, work / "warm", workers=1)


def run_peer(name: str, source: Path, out: Path, cores: int) -> tuple[Timed, list[str]]:
    """Run a peer's whole job and return what it took and the ids that it keeps.

    Raises:
        PeerUnavailableError: It cannot be installed.
    """
    script = PEER_SCRIPTS / f"{name.replace('-', '_')}_dedup.py"
    command = [str(peer_environment(name)), str(script), "deduplicate", str(source), str(out)]
    took = timed(command, cores=cores, every_s=0.1)
    return took, pl.read_parquet(out, columns=["id"])["id"].to_list()
