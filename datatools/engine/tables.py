"""Global steps on disk: the verbs of `steps.base.Rows` and `Table`, as stages.

A table is lazy until it is known how its rows are wanted: whole, or partitioned by a key for the
verb that comes next. So `map_shards(...).group_by(...)` is two passes: every shard writes one file
sorted by key with one record batch per partition, then every partition reads its batch of each
file. There are as many files as tasks, never tasks x partitions.

Nothing here depends on the number of workers: partitions are counted from rows, and equal keys meet
in one partition in an order given by the keys alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.engine.stages import Bodies
from datatools.engine.store import PartRef, read_batch, read_part
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import View, row_numbers
from datatools.steps.base import (
    Batch,
    Context,
    GroupFn,
    LookupFn,
    ReduceFn,
    ShardFn,
    Table,
)

__all__ = ["Partitioning", "StageRunner", "StoredRows", "StoredTable", "group_starts", "identity"]

BYTES_PER_ROW = 64
"""What a table row takes while it is sorted: a few integers, twice."""
MAX_PARTITIONS = 1024
LOOKUP_ROWS = 20_000
"""Table rows per lookup: bounds the records held at once to twice as many."""


class StageRunner(Protocol):
    """What tables need of the runner: run these bodies as a keyed stage, or find them done."""

    @property
    def root(self) -> Any:
        """The store's root."""

    @property
    def memory(self) -> int:
        """Bytes that a global step may hold at once."""

    def stage(self, name: str, key: object, bodies: Bodies) -> list[Output]:
        """Return the outputs of the bodies, in order."""


def identity(fn: object) -> dict[str, Any]:
    """Return what names a picklable function in a key: its class and its fields.

    Fields may be frozen dataclasses themselves.


    Raises:
        TypeError: `fn` is not an instance of a frozen dataclass.
    """
    kind = type(fn)
    if not (dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise TypeError(f"{kind.__qualname__} must be a frozen dataclass to be part of a key")
    fields = {
        f.name: identity(value) if dataclasses.is_dataclass(value) else value
        for f in dataclasses.fields(fn)  # type: ignore[arg-type]
        for value in [getattr(fn, f.name)]
    }
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "fields": fields}


def _mix64(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble keys so that partitions are even (Steele et al., SplitMix, 2014)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


@dataclass(frozen=True)
class Partitioning:
    """How a table's rows are laid out.

    Attributes:
        key: Column that decides the partition and sorts within it.
        order_by: Further sort columns.
        count: Partitions.
        by_shard: Whether the partition is the shard of a row number, else a hash of the key.
    """

    key: str
    order_by: tuple[str, ...]
    count: int
    by_shard: bool = False

    def split(self, frame: pl.DataFrame) -> list[pl.DataFrame]:
        """Return the frame's rows by partition, each sorted by key and order."""
        frame = frame.sort([self.key, *self.order_by], maintain_order=True)
        keys = frame[self.key].to_numpy()
        if self.by_shard:
            where = (keys >> np.uint64(32)).astype(np.int64)
            if where.size and where.max() >= self.count:
                raise TypeError(f"{self.key} names a record that is not there")
        else:
            high = _mix64(keys.astype(np.uint64)) >> np.uint64(32)
            where = ((high * np.uint64(self.count)) >> np.uint64(32)).astype(np.int64)
        order = np.argsort(where, kind="stable")
        bounds = np.searchsorted(where[order], np.arange(self.count + 1))
        return [frame[order[bounds[p] : bounds[p + 1]]] for p in range(self.count)]


def group_starts(keys: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the starts of the runs of equal keys, and the end: int64 of shape (groups + 1,)."""
    if keys.size == 0:
        return np.zeros(1, dtype=np.int64)
    edges = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.concatenate(([0], edges, [keys.size])).astype(np.int64)


# --------------------------------------------------------------------------------------------------
# Producers: how a piece of a table comes about. Picklable; run inside a task.


class Producer(Protocol):
    def frame(self, env: TaskEnv) -> pl.DataFrame: ...

    def key(self) -> object: ...


@dataclass(frozen=True)
class _MapShard:
    view: View
    shard: int
    fn: ShardFn
    columns: tuple[str, ...]

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        empty = pl.Schema({name: self.view.schema[name] for name in self.columns}).to_frame()
        pieces = [self.fn(Batch(empty), np.empty(0, dtype=np.uint64))]
        position = 0
        for frame in self.view.batches(env.root, self.shard, self.columns):
            rows = row_numbers(self.shard, frame.height, position)
            pieces.append(self.fn(Batch(frame), rows))
            position += frame.height
        return pl.concat(pieces)

    def key(self) -> object:
        parts = [self.view.shards[self.shard].sha256]
        parts += [overlay.parts[self.shard].sha256 for overlay in self.view.overlays]
        return ["map", identity(self.fn), self.columns, parts, self.shard]


@dataclass(frozen=True)
class _Group:
    parts: tuple[PartRef, ...]
    partition: int
    layout: Partitioning
    fn: GroupFn

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        frame = _read_partition(env, self.parts, self.partition, self.layout)
        return self.fn(frame, group_starts(frame[self.layout.key].to_numpy()))

    def key(self) -> object:
        sources = [part.sha256 for part in self.parts]
        return [
            "group",
            identity(self.fn),
            dataclasses.asdict(self.layout),
            self.partition,
            sources,
        ]


@dataclass(frozen=True)
class _Join:
    left: tuple[PartRef, ...]
    right: tuple[PartRef, ...]
    partition: int
    layout: Partitioning
    how: Literal["inner", "left", "semi", "anti"]

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        left = _read_partition(env, self.left, self.partition, self.layout)
        right = _read_partition(env, self.right, self.partition, self.layout)
        joined = left.join(right, on=self.layout.key, how=self.how, maintain_order="left_right")
        return joined.sort(self.layout.key, maintain_order=True)

    def key(self) -> object:
        sources = [[part.sha256 for part in side] for side in (self.left, self.right)]
        return ["join", self.how, dataclasses.asdict(self.layout), self.partition, sources]


@dataclass(frozen=True)
class _Reduce:
    parts: tuple[PartRef, ...]
    fn: ReduceFn

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        return self.fn(pl.concat([read_part(env.root, part) for part in self.parts]))

    def key(self) -> object:
        return ["reduce", identity(self.fn), [part.sha256 for part in self.parts]]


@dataclass(frozen=True)
class _Lookup:
    part: PartRef
    view: View
    on: tuple[str, ...]
    columns: tuple[str, ...]
    fn: LookupFn

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        frame = read_part(env.root, self.part)
        pieces = [self._look(env, frame.clear())]
        pieces += [self._look(env, piece) for piece in frame.iter_slices(LOOKUP_ROWS)]
        return pl.concat(pieces)

    def _look(self, env: TaskEnv, piece: pl.DataFrame) -> pl.DataFrame:
        named = {column: piece[column].to_numpy() for column in self.on}
        rows = np.unique(np.concatenate(list(named.values()))).astype(np.uint64)
        records = Batch(self.view.gather(env.root, rows, self.columns))
        positions = {
            column: np.searchsorted(rows, values).astype(np.int64)
            for column, values in named.items()
        }
        return self.fn(piece, records, positions)

    def key(self) -> object:
        return [
            "lookup",
            identity(self.fn),
            self.on,
            self.columns,
            self.part.sha256,
            self.view.identity,
        ]


def _read_partition(
    env: TaskEnv, parts: Sequence[PartRef], partition: int, layout: Partitioning
) -> pl.DataFrame:
    pieces = [read_batch(env.root, part, partition) for part in parts]
    return pl.concat(pieces).sort([layout.key, *layout.order_by], maintain_order=True)


@dataclass(frozen=True)
class _Produce:
    """A task that commits one piece of a table, whole or partitioned."""

    producer: Producer
    layout: Partitioning | None

    def run(self, env: TaskEnv) -> Output:
        frame = self.producer.frame(env)
        pieces = [frame] if self.layout is None else self.layout.split(frame)
        return Output(parts={"data": env.write("data", frame.clear(), pieces)})


# --------------------------------------------------------------------------------------------------
# The verbs


class StoredTable:
    """A lazy table: producers, and the stage that commits them when it is known how."""

    def __init__(
        self, runner: StageRunner, step: str, name: str, producers: Sequence[Producer], size: int
    ) -> None:
        self._runner = runner
        self._step = step
        self._name = name
        self._producers = list(producers)
        self._size = size
        """Rows expected, for counting partitions: known before anything runs."""

    def parts(self, layout: Partitioning | None = None) -> tuple[PartRef, ...]:
        """Commit the table in a layout and return its parts, one per producer."""
        key = {
            "producers": [producer.key() for producer in self._producers],
            "layout": None if layout is None else dataclasses.asdict(layout),
        }
        bodies = [_Produce(producer, layout) for producer in self._producers]
        outputs = self._runner.stage(f"{self._step}/{self._name}", key, bodies)
        return tuple(output.parts["data"] for output in outputs)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self.parts())

    def _next(self, name: str, producers: Sequence[Producer], size: int) -> StoredTable:
        return StoredTable(self._runner, self._step, name, producers, size)

    def _layout(self, key: str, order_by: Sequence[str], size: int) -> Partitioning:
        # A quarter of the memory for a partition: several workers sort at once.
        rows = max(1, self._runner.memory // (4 * BYTES_PER_ROW))
        return Partitioning(key, tuple(order_by), max(1, min(MAX_PARTITIONS, -(-size // rows))))

    def group_by(
        self, key: str, reduce: GroupFn, *, order_by: Sequence[str] = (), name: str
    ) -> StoredTable:
        """Bring equal keys together and reduce them; see `steps.base.Table.group_by`."""
        layout = self._layout(key, order_by, self._size)
        parts = self.parts(layout)
        groups = [_Group(parts, p, layout, reduce) for p in range(layout.count)]
        return self._next(name, groups, sum(part.rows for part in parts))

    def reduce(self, reduce: ReduceFn, *, name: str) -> StoredTable:
        """Apply a function to the whole table in one task."""
        return self._next(name, [_Reduce(self.parts(), reduce)], self._size)

    def join(
        self,
        other: Table,
        on: str,
        *,
        how: Literal["inner", "left", "semi", "anti"],
        name: str,
    ) -> StoredTable:
        """Join on an unsigned 64-bit column, partition by partition."""
        assert isinstance(other, StoredTable)
        layout = self._layout(on, (), max(self._size, other._size))
        left, right = self.parts(layout), other.parts(layout)
        joins = [_Join(left, right, p, layout, how) for p in range(layout.count)]
        return self._next(name, joins, sum(part.rows for part in left))

    def lookup(
        self, view: View, fn: LookupFn, on: Sequence[str], columns: Sequence[str], name: str
    ) -> StoredTable:
        """Fetch the records that row-number columns name; see `steps.base.Rows.lookup`."""
        parts = self.parts()
        pieces = [_Lookup(part, view, tuple(on), tuple(columns), fn) for part in parts]
        return self._next(name, pieces, sum(part.rows for part in parts))

    def collect(self) -> pl.DataFrame:
        """Return the table in memory."""
        return pl.concat([read_part(self._runner.root, part) for part in self.parts()])


class StoredRows:
    """A dataset's records, as a Global sees them."""

    def __init__(self, runner: StageRunner, step: str, view: View, context: Context) -> None:
        self._runner = runner
        self._step = step
        self._view = view
        self._context = context

    @property
    def count(self) -> int:
        """Number of records."""
        return self._view.rows

    @property
    def columns(self) -> Sequence[str]:
        """Columns the records have."""
        return [name for name in self._view.schema if name != BYTES]

    @property
    def context(self) -> Context:
        """Seed and label of the Global."""
        return self._context

    def map_shards(self, fn: ShardFn, *, columns: Sequence[str], name: str) -> StoredTable:
        """Apply a function to every batch."""
        producers = [
            _MapShard(self._view, shard, fn, tuple(columns))
            for shard in range(len(self._view.shards))
        ]
        return StoredTable(self._runner, self._step, name, producers, self._view.rows)

    def lookup(
        self,
        table: Table,
        fn: LookupFn,
        *,
        on: Sequence[str],
        columns: Sequence[str],
        name: str,
    ) -> StoredTable:
        """Fetch the records that row-number columns of a table name."""
        assert isinstance(table, StoredTable)
        return table.lookup(self._view, fn, on, columns, name)
