"""Records that left: the first few of each reason, and where the rules' limits cut.

Owns: reading `sidecar/fates.parquet` in bounded memory. Refuses: duplicates (`duplicates`), which
are told with the record that stayed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from datatools.dataset import Dataset
from datatools.report.histograms import histogram_of
from datatools.report.model.distributions import Measure, Threshold
from datatools.report.model.funnel import APART, StepLedger
from datatools.report.model.samples import GoneSample, ReasonSamples
from datatools.report.shards import sidecar_values

__all__ = ["FATES", "gone", "measures"]

FATES: Final = "sidecar/fates.parquet"

_PER_REASON: Final = 4
_BATCH_ROWS: Final = 65_536
_KEYS: Final = ["step", "fate", "reason"]
_THRESHOLD: Final = re.compile(r"(<=|>=|==|<|>)\s+(\S+)")
_CATEGORIES: Final = 12
_Fate = Literal["dropped", "quarantined"]


def gone(folder: Path, steps: Sequence[StepLedger]) -> tuple[ReasonSamples, ...]:
    """Return records that left, by step in order and reason, most frequent first.

    Records with a preview come first, then in the order of the file. Reasons that only replace
    records (`expanded`, `merged`) are left out.
    """
    first = _first_of_each(folder / FATES)
    found = []
    for step in steps:
        sides: tuple[tuple[_Fate, Mapping[str, int]], ...] = (
            ("dropped", step.dropped),
            ("quarantined", step.quarantined),
        )
        for fate, counts in sides:
            for reason, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
                rows = first.get((step.label, fate, reason), ())
                found.append(
                    ReasonSamples(step.label, fate, reason, number, tuple(_gone(r) for r in rows))
                )
    return tuple(found)


def _first_of_each(path: Path) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Return the first rows of each step, fate and reason, those with a preview before others."""
    if not path.is_file():
        return {}
    kept: pl.DataFrame | None = None
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH_ROWS):
        frame = pl.DataFrame(pl.from_arrow(batch)).filter(~pl.col("reason").is_in(APART))
        together = frame if kept is None else pl.concat([kept, frame])
        kept = (
            together.sort(pl.col("preview").is_null(), maintain_order=True)
            .group_by(_KEYS, maintain_order=True)
            .head(_PER_REASON)
            .select(frame.columns)
        )
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in kept.iter_rows(named=True) if kept is not None else ():
        rows.setdefault((row["step"], row["fate"], row["reason"]), []).append(row)
    return rows


def _gone(row: Mapping[str, Any]) -> GoneSample:
    value, threshold = _short(row["value"], row["threshold"]), row["threshold"]
    rule = [text for text in (row["measure"], value, threshold) if text]
    return GoneSample(
        id=row["id"],
        url=row["url"],
        preview=row["preview"],
        rule=" ".join(rule) or None,
        detail=row["detail"][:500] if row["detail"] else None,
    )


def _short(value: str | None, threshold: str | None) -> str | None:
    """Return a number to six digits, but whole where these would make it equal to the limit."""
    try:
        short = f"{float(value or ''):.6g}"
    except ValueError:
        return value
    limits = [limit.value for limit in _thresholds([threshold or ""])]
    return value if float(short) in limits else short


def measures(dataset: Dataset, steps: Sequence[StepLedger]) -> tuple[Measure, ...]:
    """Return each filter measure that dropped a record, with the published values beside.

    In the order of the steps, then by records dropped. A published record has passed every later
    step too, so the two series are what was published and what this measure dropped.
    """
    path = dataset.path / FATES
    if not path.is_file():
        return ()
    rows = (
        pl.scan_parquet(path, glob=False)
        .filter(pl.col("measure").is_not_null() & (pl.col("fate") == "dropped"))
        .select("step", "measure", "value", "threshold")
        .collect()
    )
    order = {step.label: number for number, step in enumerate(steps)}
    found = []
    for (label, name), own in rows.group_by("step", "measure", maintain_order=True):
        limits = own["threshold"].drop_nulls().unique(maintain_order=True).to_list()
        found.append(_measure(dataset, str(label), str(name), own["value"], limits))
    found.sort(key=lambda one: (order.get(one.step, len(order)), -one.dropped, one.name))
    return tuple(found)


def _measure(
    dataset: Dataset, label: str, name: str, values: pl.Series, limits: Sequence[str]
) -> Measure:
    dropped = values.cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    thresholds = tuple(sorted(_thresholds(limits), key=lambda one: one.value))
    published = sidecar_values(dataset, f"{label}.{name}") if thresholds else None
    if published is not None and len(dropped) == len(values):
        histogram = histogram_of(
            {"published": published, "dropped": dropped},
            include=tuple(one.value for one in thresholds),
        )
        return Measure(label, name, thresholds, len(dropped), histogram, {}, "")
    counted = values.fill_null("none").value_counts(sort=False)
    ordered = counted.sort(["count", counted.columns[0]], descending=[True, False])
    return Measure(
        label, name, thresholds, len(values), None, dict(ordered[:_CATEGORIES].rows()), limits[0]
    )


def _thresholds(limits: Sequence[str]) -> list[Threshold]:
    found = []
    for limit in limits:
        match = _THRESHOLD.fullmatch(limit)
        if match is None:
            continue
        try:
            value = float(match[2])
        except ValueError:
            continue
        if np.isfinite(value):
            found.append(Threshold(match[1], value))
    return found
