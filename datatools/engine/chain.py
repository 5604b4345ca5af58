"""Per-batch steps in a row: run a batch through bound steps and say what became of every record.

Owns: ids of children, the checks that a step keeps its contract, counts and fates. Used alike by
stages and by `Step.apply`, so a frame in memory is treated as a shard is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from datatools.engine.fates import PREVIEW_CHARACTERS, empty_fates, fates_frame
from datatools.engine.ledger import EXPANDED, StepCounts
from datatools.engine.shown import Lowest
from datatools.heartbeat import beat
from datatools.records import Kind, conform, make_id
from datatools.steps.base import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ROWS,
    Batch,
    Context,
    Expanded,
    FlatMap,
    Map,
    Mapped,
    Step,
)

__all__ = [
    "Chain",
    "Link",
    "bind",
    "check_children",
    "check_lengths",
    "preview",
    "split_batches",
    "text_bytes",
]


@dataclass(frozen=True)
class Link:
    """A step of a chain, as a task carries it: picklable, not yet bound."""

    step: Step
    context: Context


def preview(kind: Kind) -> pl.Expr:
    """Return the expression for a record's first characters, for people to look at."""
    shown = {
        "document": pl.col("text"),
        "thread": pl.col("question"),
        "conversation": pl.col("messages").list.first().struct.field("content"),
        "preference": pl.col("prompt").list.first().struct.field("content"),
    }[kind]
    return shown.str.slice(0, PREVIEW_CHARACTERS)


def _content_bytes(column: str, field: str) -> pl.Expr:
    lengths = pl.element().struct.field(field).str.len_bytes()
    return pl.col(column).list.eval(lengths).list.sum()


def text_bytes(kind: Kind) -> pl.Expr:
    """Return the expression for the UTF-8 bytes of text in a record (0 where it is null)."""
    parts = {
        "document": [pl.col("text").str.len_bytes()],
        "thread": [pl.col("question").str.len_bytes(), _content_bytes("answers", "text")],
        "conversation": [_content_bytes("messages", "content")],
        "preference": [
            _content_bytes(column, "content") for column in ("prompt", "chosen", "rejected")
        ],
    }[kind]
    return pl.sum_horizontal([part.cast(pl.Int64).fill_null(0) for part in parts])


def split_batches(df: pl.DataFrame, kind: Kind | None) -> Iterator[pl.DataFrame]:
    """Cut a frame into batches of at most 4,096 rows and 16 MiB; a larger record travels alone."""
    if df.height == 0:
        return
    columns = [name for name in ("text", "html") if name in df.columns]
    if not columns:
        yield from df.iter_slices(MAX_BATCH_ROWS)
        return
    sizes = df.select(
        pl.sum_horizontal(
            [
                (
                    pl.col(name).str.len_bytes()
                    if df.schema[name] == pl.String
                    else pl.col(name).bin.size()
                )
                .cast(pl.Int64)
                .fill_null(0)
                for name in columns
            ]
        )
    ).to_series()
    if df.height <= MAX_BATCH_ROWS and int(sizes.sum()) <= MAX_BATCH_BYTES:
        yield df
        return
    start, used = 0, 0
    for index, size in enumerate(sizes.to_list()):
        full = index - start >= MAX_BATCH_ROWS or used + size > MAX_BATCH_BYTES
        if full and index > start:
            yield df[start:index]
            start, used = index, 0
        used += size
    yield df[start:]


class Chain:
    """Bound steps in a row, with the counts and fates of what has passed through them.

    Args:
        links: The steps.
        kind: Record kind that comes in.
        bound: The steps made ready elsewhere; None makes them ready in this process.
    """

    def __init__(
        self, links: Sequence[Link], kind: Kind, bound: Sequence[Any] | None = None
    ) -> None:
        self._links = list(links)
        self._bound = [bind(link) for link in links] if bound is None else list(bound)
        self._kind = kind
        self._schemas: list[pl.Schema | None] = [None] * len(links)
        self._lowest: Lowest
        self._fates: list[pl.DataFrame]
        self.counts: dict[str, StepCounts]
        self.reset()

    def close(self) -> None:
        """Release what bound steps hold (fenced children)."""
        for bound in self._bound:
            if hasattr(bound, "close"):
                bound.close()

    def reset(self) -> None:
        """Forget counts, fates and previews: the next batch is the first of a task.

        A worker keeps its chain between tasks, and what a task writes must not depend on which
        tasks ran there before it.
        """
        self._fates = []
        self._lowest = Lowest()
        self.counts = {link.context.label: StepCounts() for link in self._links}

    def take_fates(self) -> pl.DataFrame:
        """Return the fates gathered so far and forget them."""
        fates = pl.concat([empty_fates(), *self._fates])
        self._fates = []
        return fates

    def run(self, df: pl.DataFrame) -> pl.DataFrame:
        """Pass one batch through every step and return the rows that stay."""
        kind = self._kind
        for index, (link, bound) in enumerate(zip(self._links, self._bound, strict=True)):
            counts = self.counts[link.context.label]
            counts.read += df.height
            given = link.step.gives or kind
            if isinstance(link.step, Map):
                df = self._map(link, bound, df, kind, counts)
            elif isinstance(link.step, FlatMap):
                df = self._flat_map(link, bound, df, kind, given, counts)
            else:
                raise TypeError(f"{link.step.name()} is not a per-batch step")
            kind = given
            df = conform(df, kind)
            expected = self._schemas[index]
            if expected is None:
                self._schemas[index] = df.schema
            elif df.schema != expected:
                raise TypeError(
                    f"{link.context.label} returned other columns for another batch: "
                    f"{_difference(expected, df.schema)}"
                )
            counts.kept += df.height
            counts.text_bytes += int(df.select(text_bytes(kind).sum()).item())
            if counts.balance:
                raise AssertionError(f"{link.context.label} lost {counts.balance} records")
            beat()
        return df

    def _record(
        self, label: str, fates: pl.DataFrame, df: pl.DataFrame, kind: Kind, counts: StepCounts
    ) -> None:
        for fate, reason, count in fates.group_by("fate", "reason").len().iter_rows():
            target = counts.dropped if fate == "dropped" else counts.quarantined
            target[reason] += count
        if fates.height == 0:
            return
        # Expanded parents are no loss to look at; of the others a few show their texts.
        rows = fates.with_row_index("at")
        lost = rows.filter(pl.col("reason") != EXPANDED)
        shown = lost.filter(self._lowest.among(lost)).select("at", "id")
        texts = (
            df.join(shown, on="id", how="semi")
            .select("id", preview(kind).alias("preview"))
            .unique("id", keep="first")
        )
        previews = shown.join(texts, on="id", how="left").select("at", "preview")
        fates = (
            rows.drop("preview")
            .join(previews, on="at", how="left", maintain_order="left")
            .select(fates.columns)
        )
        self._fates.append(fates)

    def _map(
        self, link: Link, bound: Any, df: pl.DataFrame, kind: Kind, counts: StepCounts
    ) -> pl.DataFrame:
        mapped: Mapped = bound.map(Batch(df))
        if mapped.df.height != df.height:
            raise TypeError(
                f"{link.context.label} is a Map and must return the same rows "
                f"(got {mapped.df.height} for {df.height})"
            )
        if "id" not in mapped.df.columns or not mapped.df["id"].equals(df["id"]):
            raise TypeError(f"{link.context.label} is a Map and must leave ids and order alone")
        check_lengths(link.context.label, df.height, mapped)
        counts.removed.update({k: v for k, v in mapped.removed.items() if v})
        counts.notes.update({k: v for k, v in mapped.notes.items() if v})
        gone = _gone(df, link.context.label, mapped.dropped, mapped.quarantined, mapped.detail)
        shown = mapped.df if link.step.conceals else df
        self._record(link.context.label, gone, shown, kind, counts)
        if gone.height == 0:
            return mapped.df
        return mapped.df.filter(_stays(df.height, mapped.dropped, mapped.quarantined))

    def _flat_map(
        self,
        link: Link,
        bound: Any,
        df: pl.DataFrame,
        kind: Kind,
        given: Kind,
        counts: StepCounts,
    ) -> pl.DataFrame:
        label = link.context.label
        expanded: Expanded = bound.flat_map(Batch(df))
        children = expanded.children
        check_lengths(label, df.height, expanded)
        check_children(label, df.height, children)
        parents = children["parent"].cast(pl.UInt32)
        ids = df["id"].gather(parents) if children.height else df["id"].head(0)
        children = children.with_columns(
            pl.Series(
                "id",
                [
                    make_id(parent, label, key)
                    for parent, key in zip(ids, children["key"], strict=True)
                ],
                dtype=pl.String,
            )
        )
        has_child = pl.Series("has_child", [False] * df.height, dtype=pl.Boolean)
        if children.height:
            has_child = has_child.scatter(parents.unique().to_list(), True)
        dropped = _reasons(expanded.dropped, df.height)
        quarantined = _reasons(expanded.quarantined, df.height)
        silent = ~has_child & dropped.is_null() & quarantined.is_null()
        if silent.any():
            raise TypeError(f"{label} gave a record neither children nor a reason")
        if (has_child & ~(dropped.is_null() & quarantined.is_null())).any():
            raise TypeError(f"{label} gave a record both children and a reason to leave")
        dropped = (
            pl.select(pl.when(has_child).then(pl.lit(EXPANDED)).otherwise(dropped))
            .to_series()
            .rename("dropped")
        )
        self._record(
            label, _gone(df, label, dropped, quarantined, expanded.detail), df, kind, counts
        )
        counts.created += children.height
        repeated = ~children["id"].is_first_distinct()
        kept = conform(children.drop("parent", "key"), given)
        if repeated.any():
            reason = pl.select(pl.when(repeated).then(pl.lit("repeated_key"))).to_series()
            twice = fates_frame(kept, label, "quarantined", reason, detail=children["key"])
            self._record(label, twice, kept, given, counts)
            kept = kept.filter(~repeated)
        return kept


def bind(link: Link) -> Any:
    """Return a per-row step made ready in this process."""
    binds: Any = link.step.bind  # type: ignore[attr-defined]
    return binds(link.context)


def _reasons(series: pl.Series | None, height: int) -> pl.Series:
    if series is None:
        return pl.Series("reason", [None] * height, dtype=pl.String)
    return series.cast(pl.String)


def check_lengths(label: str, height: int, result: Mapped | Expanded) -> None:
    """Refuse per-row series of another length: polars would repeat a single value for every row.

    Raises:
        TypeError: One is longer or shorter than the batch.
    """
    for name in ("dropped", "quarantined", "detail"):
        series = getattr(result, name)
        if series is not None and len(series) != height:
            raise TypeError(f"{label} returned {len(series)} values of `{name}` for {height} rows")


def check_children(label: str, height: int, children: pl.DataFrame) -> None:
    """Refuse children whose parent or key is not told, or is not in the batch.

    Raises:
        TypeError: The step broke its contract.
    """
    for name in ("parent", "key"):
        if name not in children.columns:
            raise TypeError(f"{label} returned children without the column {name!r}")
        if children[name].null_count():
            raise TypeError(f"{label} returned children with a null {name}")
    if "id" in children.columns:
        raise TypeError(f"{label} returned children with ids; the engine makes them from the keys")
    if children.height and not children["parent"].is_between(0, height - 1).all():
        raise TypeError(f"{label} named a parent outside its batch of {height} records")


def _stays(height: int, dropped: pl.Series | None, quarantined: pl.Series | None) -> pl.Series:
    return _reasons(dropped, height).is_null() & _reasons(quarantined, height).is_null()


def _gone(
    df: pl.DataFrame,
    label: str,
    dropped: pl.Series | None,
    quarantined: pl.Series | None,
    detail: pl.Series | None,
) -> pl.DataFrame:
    """Return the fates of one call. Quarantine wins over a drop: it says that we could not tell."""
    quarantine = _reasons(quarantined, df.height)
    drop = (
        pl.select(pl.when(quarantine.is_null()).then(_reasons(dropped, df.height)))
        .to_series()
        .rename("reason")
    )
    return pl.concat(
        [
            fates_frame(df, label, "dropped", drop, detail=detail),
            fates_frame(df, label, "quarantined", quarantine, detail=detail),
        ]
    )


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    names = [n for n in {**expected, **found} if expected.get(n) != found.get(n)]
    return ", ".join(f"{n}: {expected.get(n)} is now {found.get(n)}" for n in names)
