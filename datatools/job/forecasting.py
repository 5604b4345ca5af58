"""What a whole run would take, from a sample: time, memory and disk.

Owns: the datasets' figures by proportion from a sample, those of training and verdicts from the
last run's records or from a moment of measuring, and saying which. Refuses: what is cached
(`planning`): a forecast is of a run of everything.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datatools.engine.store import read_json
from datatools.errors import IntegrityError
from datatools.job.conclusions import trained_datasets
from datatools.job.running import RunResult, cache_of, run
from datatools.outputs.addresses import output_at
from datatools.pipeline.definition import Pipeline
from datatools.pipeline.inputs import find_inputs

__all__ = ["ConclusionForecast", "Forecast", "forecast"]

BYTES_PER_WEIGHT: Final = 4


@dataclass(frozen=True)
class ConclusionForecast:
    """What training or a verdict would take.

    Attributes:
        name: `train` or `verdict NAME`.
        seconds: Wall time, of training at most.
        memory_bytes: Memory beside the texts, which are held whole; None where it is not known.
        disk_bytes: What it leaves on disk.
        method: Where the figures come from, and how good they are.
    """

    name: str
    seconds: float
    memory_bytes: int | None
    disk_bytes: int
    method: str


@dataclass(frozen=True)
class Forecast:
    """What a run of everything, nothing cached, would take.

    Attributes:
        sample_records: Records that were run.
        sample_bytes: Bytes of input they came from.
        input_bytes: Bytes of the whole input.
        seconds: Wall time of the datasets.
        disk_bytes: Their cache and published files; what is published is linked, not copied.
        memory_bytes: Memory of all workers: what one held, times their number.
        method: Where these figures come from, and how good they are.
        conclusions: Training and verdicts.
        total_seconds: Wall time of everything but the report.
        total_disk_bytes: Disk of everything.
        present_bytes: Bytes that the output's cache holds already.
    """

    sample_records: int
    sample_bytes: int
    input_bytes: int
    seconds: float
    disk_bytes: int
    memory_bytes: int
    method: str
    conclusions: Sequence[ConclusionForecast]
    total_seconds: float
    total_disk_bytes: int
    present_bytes: int


def forecast(pipeline: Pipeline, records: int = 500) -> Forecast:
    """Run a sample of each source in this process and say what the whole would take.

    The sample is the first records of each source's first unit, so a crawl whose files differ much
    is forecast badly; the datasets' figures are good to about a factor of two. Training and
    verdicts are forecast from what the last run of this output recorded or, where it recorded
    nothing of the kind, from a few training steps on made-up tokens and one small n-gram model.

    Args:
        pipeline: The pipeline.
        records: Records per source.

    Raises:
        DatatoolsError: The sample could not be run.
    """
    job = pipeline.job()
    find_inputs(pipeline, job)
    whole = sum(unit.end - unit.start for dataset in job.datasets for unit in dataset.units)
    workers = pipeline.run.workers or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="datatools-forecast-") as folder:

        def sample(name: str, limit: int) -> RunResult:
            settings = pipeline.run.model_copy(
                update={"executor": "inline", "on_input_error": "quarantine"}
            )
            output = str(Path(folder) / name)
            tried = pipeline.model_copy(update={"run": settings, "output": output})
            return run(tried, only=list(pipeline.datasets), limit=limit)

        # A first, tiny run loads models and compiled kernels, which a real run does once.
        sample("warm", 8)
        result = sample("sample", records)
        stored = _stored(cache_of(result.output))
    sources = [m for m in result.datasets.values() if m["inputs"]]
    read = sum(m["steps"][0]["counts"]["read"] for m in sources)
    consumed = sum(
        counts["consumed"] + sum(counts["skipped"].values())
        for manifest in sources
        for counts in manifest["inputs"].values()
    )
    times = whole / consumed if consumed else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    text_bytes = {
        name: round(times * manifest["ledger"]["text_bytes"])
        for name, manifest in result.datasets.items()
    }
    there = output_at(pipeline.output)
    there.bring_conclusions()
    conclusions = [_training(pipeline, there.folder)] if pipeline.train is not None else []
    conclusions += [
        _verdict(pipeline, there.folder, name, text_bytes) for name in pipeline.validate_
    ]
    seconds, disk = result.seconds * times / workers, int(stored * times)
    return Forecast(
        read,
        consumed,
        whole,
        seconds,
        disk,
        peak * workers,
        f"by proportion from {read:,} records; within a factor of 2 or so",
        conclusions,
        seconds + sum(one.seconds for one in conclusions),
        disk + sum(one.disk_bytes for one in conclusions),
        sum(stage.bytes for stage in there.store.stages().values()),
    )


def _stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _training(pipeline: Pipeline, output: Path) -> ConclusionForecast:
    from datatools.train.model import resolve_size

    settings = pipeline.train
    assert settings is not None
    names = trained_datasets(pipeline)
    disk = BYTES_PER_WEIGHT * resolve_size(settings.size).parameters * len(names)
    seconds = _recorded_training(pipeline, output)
    if seconds is not None:
        method = "from the last run's own speed; within a tenth or so on a machine as busy"
        return ConclusionForecast("train", seconds, None, disk, method)
    from datatools.train.speed import measure_speed, training_seconds

    speed = measure_speed(settings.size, settings.tokens)
    return ConclusionForecast(
        "train",
        training_seconds(speed.tokens_per_s, settings.tokens, len(names) - 1),
        speed.memory_bytes,
        disk,
        f"at most, from {speed.seconds:.0f} s of training on made-up tokens "
        f"({speed.tokens_per_s:,.0f} tokens per second); within a factor of 1.5 or so",
    )


def _recorded_training(pipeline: Pipeline, output: Path) -> float | None:
    """Return the last run's training time at this run's number of tokens, if it trained alike."""
    settings = pipeline.train
    assert settings is not None
    last = _json(output / "models" / "train.json")
    try:
        alike = last["size"] == settings.size and all(
            (last[part] is None) == (getattr(settings, part) is None)
            for part in ("instruct", "preference")
        )
        if not alike:
            return None
        return float(last["seconds"]) * settings.tokens / int(last["pretrain"]["run"]["tokens"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _verdict(
    pipeline: Pipeline, output: Path, name: str, text_bytes: Mapping[str, int]
) -> ConclusionForecast:
    from datatools.judge.cost import measure_ngram, verdict_seconds
    from datatools.judge.tiers import resolve_tier

    settings = pipeline.validate_[name]
    before, after = settings.compare
    sizes = (text_bytes[before], text_bytes[after])
    label, tier = f"verdict {name}", resolve_tier(settings.tier)
    seconds = _recorded_verdict(pipeline, output, name, sizes)
    if seconds is not None:
        method = "the last run's own time; within a fifth or so on a machine as busy"
        return ConclusionForecast(label, seconds, None, 0, method)
    tokens_per_s = None
    if tier.neural is not None:
        from datatools.train.speed import measure_speed

        tokens_per_s = measure_speed(tier.neural.size, tier.neural.tokens).tokens_per_s
    seconds = verdict_seconds(tier, sizes, measure_ngram(tier.ngram.order), tokens_per_s)
    method = f"from a moment of either voice, {len(tier.runs())} runs; within a factor of 1.5 or so"
    return ConclusionForecast(label, seconds, None, 0, method)


def _recorded_verdict(
    pipeline: Pipeline, output: Path, name: str, sizes: tuple[int, int]
) -> float | None:
    """Return the last verdict's time, if it was of this tier and about as much text."""
    last = _json(output / "verdicts" / f"{name}.json")
    try:
        alike = last["tier"] == pipeline.validate_[name].tier and all(
            size / 2 <= last[arm]["size"] <= 2 * size for arm, size in zip("ab", sizes, strict=True)
        )
        return float(last["seconds"]) if alike and last["seconds"] else None
    except (KeyError, TypeError, ValueError):
        return None


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except (FileNotFoundError, IntegrityError):
        return None
