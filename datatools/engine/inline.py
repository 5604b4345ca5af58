"""One step over a frame in memory, as an ETL job uses it: the code paths of a pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from datatools.engine.chain import Chain, Link, split_batches, text_bytes
from datatools.engine.decide import decide
from datatools.engine.executors.base import Done, Result
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.fates import empty_fates, fates_frame
from datatools.engine.measuring import measure
from datatools.engine.plan import DatasetPlan, Job, Segment
from datatools.engine.progress import Silent
from datatools.engine.runner import Runner
from datatools.engine.stages import Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import read_part, write_part
from datatools.engine.tasks import BYTES, Task, execute
from datatools.engine.view import View
from datatools.errors import ConfigError, nearest
from datatools.records import Kind, conform, make_id
from datatools.steps.base import Context, Filter, Global, Transform

__all__ = ["apply"]


def apply(step: Transform, df: pl.DataFrame, *, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Run one step on a frame in memory.

    Args:
        step: Any step with input rows.
        df: Records. Columns the step does not read are carried along; a missing `id` is numbered
            for the call and left out of the result.
        seed: Seed of the step's draws.

    Returns:
        kept: The rows that stay, in order, with new columns; a filter's measures are the columns
            `<Step>.<measure>`.
        dropped: `df`'s columns of the rows that leave, with `fate`, `reason`, `measure`, `value`,
            `threshold` and `detail` (which take the place of columns of these names).

    Raises:
        ConfigError: The frame lacks a column the step reads, or two of its rows share an id.
    """
    label = step.name()
    missing = sorted(step.reads() - set(df.columns) - {"id"})
    if missing:
        close = nearest(missing[0], df.columns)
        raise ConfigError(
            label,
            f"needs the column {missing[0]!r}",
            got=df.columns,
            hint=f"Did you mean {close!r}?" if close else "Rename a column to it.",
        )
    kind: Kind = step.takes or "document"
    numbered = "id" not in df.columns
    if numbered:
        ids = [make_id("row", index) for index in range(df.height)]
        df = df.with_columns(pl.Series("id", ids, dtype=pl.String))
    elif df["id"].n_unique() != df.height:
        raise ConfigError(
            label,
            "needs a different `id` for every row",
            got=f"{df.height - df['id'].n_unique()} repeated",
            hint="Leave `id` out to have rows numbered.",
        )
    given = [name for name in df.columns if not (numbered and name == "id")]
    link = Link(step, Context(seed, label))
    rows = conform(df, kind)
    if isinstance(step, Filter):
        kept, fates = _filter(link, rows)
    elif isinstance(step, Global):
        kept, fates = _global(link, rows, kind)
    else:
        kept, fates = _chain(link, rows, kind)
    # Columns that only conform() added are not the caller's.
    own = step.gives is None or step.gives == kind
    added = [n for n in kept.columns if n not in df.columns]
    new = [
        n
        for n in added
        if n not in rows.columns or n in step.adds() or kept[n].null_count() < kept.height
    ]
    shown = [*(given if own else []), *new] if own else kept.columns
    told = ["fate", "reason", "measure", "value", "threshold", "detail"]
    about = [name for name in given if name not in told]
    dropped = fates.select("id", *told).join(
        df.select(list(dict.fromkeys(["id", *about]))), on="id", how="left", maintain_order="left"
    )
    return kept.select([n for n in shown if n in kept.columns]), dropped.select(about + told)


def _chain(link: Link, rows: pl.DataFrame, kind: Kind) -> tuple[pl.DataFrame, pl.DataFrame]:
    chain = Chain([link], kind)
    try:
        batches = list(split_batches(rows, kind)) or [rows]
        kept = pl.concat([chain.run(batch) for batch in batches])
        return kept, chain.take_fates()
    finally:
        chain.close()


def _filter(link: Link, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    assert isinstance(link.step, Filter)
    batches = list(split_batches(rows, None)) or [rows]
    measured = pl.concat([measure([link], batch) for batch in batches])
    verdicts = decide(link.context.label, link.step, measured)
    told = {
        "measure": verdicts.measure,
        "value": verdicts.value,
        "threshold": verdicts.threshold,
    }
    fates = pl.concat(
        [
            fates_frame(rows, link.context.label, "dropped", verdicts.dropped, **told),
            fates_frame(rows, link.context.label, "quarantined", verdicts.quarantined, **told),
        ]
    )
    return rows.hstack(measured).filter(verdicts.keeps), fates


class _Direct(InlineExecutor):
    """Lets an error through to the caller, who sees where it happened."""

    def map(self, tasks: Sequence[Task]) -> Iterator[Result]:
        for task in tasks:
            yield Done(task.index, execute(task))


def _global(link: Link, rows: pl.DataFrame, kind: Kind) -> tuple[pl.DataFrame, pl.DataFrame]:
    if link.step.references():
        raise ConfigError(
            link.context.label,
            "reads other datasets, so it cannot run on one frame",
            got=list(link.step.references()),
            hint="Use it in a pipeline.",
        )
    with tempfile.TemporaryDirectory(prefix="datatools-") as directory:
        root = Path(directory)
        rows = rows.with_columns(text_bytes(kind).alias(BYTES))
        part = write_part(root, "rows.arrow", rows.clear(), split_batches(rows, kind))
        plan = DatasetPlan("frame", (), (link,))
        state = DatasetState(plan, View(kind, (part,), (part.rows,), rows.schema))
        stages = Stages(root, _Direct(), Silent())
        runner = Runner(Job("apply", (plan,), 1), stages, root / "out")
        runner.apply_global(state, Segment("global", (link,)))
        kept = pl.concat([state.view.frame(root, shard) for shard in range(len(state.view.shards))])
        fates = [read_part(root, part) for part in state.fates]
        return kept.drop(BYTES), pl.concat([empty_fates(), *fates])
