"""Measuring: what a group of adjacent filters says of a batch, as columns `label.measure`.

Owns: bound filters, which a process keeps, and the check that a filter measures every row. Refuses:
thresholds; `decide.py` applies them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import polars as pl

from datatools.engine.chain import Link
from datatools.engine.decide import column_of
from datatools.heartbeat import beat
from datatools.steps.base import Batch, BoundFilter, Filter

__all__ = ["bound_filter", "measure", "measure_schema"]

MAX_BOUND = 16
"""Filters a process keeps bound."""

_filters: OrderedDict[Link, BoundFilter] = OrderedDict()


def bound_filter(link: Link) -> BoundFilter:
    """Return a filter made ready, which this process keeps for the next batch."""
    if link not in _filters:
        while len(_filters) >= MAX_BOUND:
            _filters.popitem(last=False)
        assert isinstance(link.step, Filter)
        _filters[link] = link.step.bind(link.context)
    return _filters[link]


def measure(links: Sequence[Link], df: pl.DataFrame) -> pl.DataFrame:
    """Return the measures of a group of filters for one batch, as columns `label.measure`."""
    batch = Batch(df)
    columns: list[pl.Series] = []
    for link in links:
        step = link.step
        assert isinstance(step, Filter)
        frame = bound_filter(link).measure(batch)
        if frame.height != df.height or set(frame.columns) != set(step.measures):
            raise TypeError(
                f"{link.context.label} must measure {sorted(step.measures)} for every row "
                f"(got {sorted(frame.columns)} for {frame.height} of {df.height} rows)"
            )
        columns += [
            frame[name].cast(dtype).alias(column_of(link.context.label, name))
            for name, dtype in step.measures.items()
        ]
        beat()
    return pl.DataFrame(columns)


def measure_schema(links: Sequence[Link]) -> pl.Schema:
    """Return the schema of what `measure` returns."""
    return pl.Schema(
        {
            column_of(link.context.label, name): dtype
            for link in links
            if isinstance(link.step, Filter)
            for name, dtype in link.step.measures.items()
        }
    )
