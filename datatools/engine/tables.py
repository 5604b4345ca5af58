"""Global steps on disk: the verbs of `steps.base.Rows` and `Table`, as stages.

A table is lazy until it is known how its rows are wanted: whole, or laid out for the verb that
comes next. So `map_shards(...).group_by(...)` is two passes: every shard writes one file with one
record batch per partition, then every partition reads its batch of each file. There are as many
files as tasks, never tasks x partitions.

Nothing here depends on the number of workers: partitions are counted from rows and bytes, and equal
keys meet in one partition in an order given by the keys alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.engine.joined import JoinedView
from datatools.engine.layouts import ByBlocks, ByKey, Layout, blocks, layout_key, split
from datatools.engine.stages import Bodies
from datatools.engine.store import PartRef, digest, read_batch, read_part
from datatools.engine.tasks import BYTES, Output, TaskEnv
from datatools.engine.view import View, row_numbers
from datatools.kernels.repeats import repeated
from datatools.steps.base import (
    Batch,
    BroadcastFn,
    Context,
    GroupFn,
    LookupFn,
    MakeFn,
    ReduceFn,
    Rows,
    ShardFn,
    Table,
)

__all__ = ["StageRunner", "StoredRows", "StoredTable", "group_starts", "identity"]

BYTES_PER_ROW = 64
"""What a table row takes while it is sorted: a few integers, twice."""
ROWS_PER_PARTITION = 1 << 20
"""A partition is not larger than this even if memory allows: it is a task, and tasks share the
work."""
MAX_PARTITIONS = 1024
LOOKUP_ROWS = 1 << 18
"""Table rows per call of a lookup function."""
SHARE_OF_MEMORY = 16
"""A block of records that are looked up together has at most this fraction of the memory: a lookup
holds two of them, and as much again in what it computes."""
PARALLEL_LOOKUPS = 4
"""Blocks that a large table's records are cut into at least, so that the lookup is several
tasks."""

AnyView = View | JoinedView


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
    view: AnyView
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
        parts = self.view.shard_identity(self.shard)
        return ["map", identity(self.fn), self.columns, parts, self.shard]


@dataclass(frozen=True)
class _MapBeside:
    """A shard, mapped by the function that a whole table was made into."""

    view: AnyView
    shard: int
    fn: BroadcastFn
    columns: tuple[str, ...]
    table: tuple[PartRef, ...]

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        name = digest([identity(self.fn), [part.sha256 for part in self.table]])
        if name not in _made:
            _made.clear()  # one at a time: a table may take a good part of the memory
            parts = [read_part(env.root, part) for part in self.table]
            _made[name] = self.fn(pl.concat(parts))
        return _MapShard(self.view, self.shard, _made[name], self.columns).frame(env)

    def key(self) -> object:
        parts = self.view.shard_identity(self.shard)
        table = [part.sha256 for part in self.table]
        return ["map beside", identity(self.fn), self.columns, parts, self.shard, table]


_made: dict[str, ShardFn] = {}
"""What this process made of the table it last mapped beside, by what it was made of."""


@dataclass(frozen=True)
class _Make:
    fn: MakeFn

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        return self.fn()

    def key(self) -> object:
        return ["make", identity(self.fn)]


@dataclass(frozen=True)
class _Partitions:
    """A table that was committed in a layout."""

    layout: Layout
    parts: tuple[PartRef, ...]

    @classmethod
    def of(cls, layout: Layout, parts: Sequence[PartRef]) -> _Partitions:
        return cls(layout, tuple(parts))

    @cached_property
    def digest(self) -> str:
        return digest([layout_key(self.layout), [part.sha256 for part in self.parts]])

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Rows of each partition."""
        return tuple(sum(part.batches[p] for part in self.parts) for p in range(self.layout.count))

    def read(self, env: TaskEnv, partition: int) -> pl.DataFrame:
        """Return a partition's rows, parts in order."""
        return pl.concat([read_batch(env.root, part, partition) for part in self.parts])


@dataclass(frozen=True)
class _Group:
    table: _Partitions
    partition: int
    by: str
    order_by: tuple[str, ...]
    at_least: int
    fn: GroupFn

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        frame = self.table.read(env, self.partition)
        if self.at_least > 1:
            # Most keys of a dedup occur once: they are left out before anything is sorted.
            frame = frame.filter(pl.Series(repeated(frame[self.by].to_numpy())))
        frame = frame.sort([self.by, *self.order_by], maintain_order=True)
        if self.at_least > 2:
            frame = frame.filter(pl.len().over(self.by) >= self.at_least)
        return self.fn(frame, group_starts(frame[self.by].to_numpy()))

    def key(self) -> object:
        how = [self.by, self.order_by, self.at_least, self.partition]
        return ["group", identity(self.fn), how, self.table.digest]


@dataclass(frozen=True)
class _Join:
    left: _Partitions
    right: _Partitions
    partition: int
    on: str
    how: Literal["inner", "left", "semi", "anti"]

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        left, right = (
            side.read(env, self.partition).sort(self.on, maintain_order=True)
            for side in (self.left, self.right)
        )
        joined = left.join(right, on=self.on, how=self.how, maintain_order="left_right")
        return joined.sort(self.on, maintain_order=True)

    def key(self) -> object:
        sources = [self.left.digest, self.right.digest]
        return ["join", self.how, self.on, self.partition, sources]


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
    table: _Partitions
    partition: int
    view: AnyView
    on: tuple[str, ...]
    columns: tuple[str, ...]
    fn: LookupFn

    def frame(self, env: TaskEnv) -> pl.DataFrame:
        frame = self.table.read(env, self.partition).sort(self.on, maintain_order=True)
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
        how = [self.on, self.columns, self.partition]
        return ["lookup", identity(self.fn), how, self.table.digest, self.view.digest]


@dataclass(frozen=True)
class _Produce:
    """A task that commits one piece of a table, whole or partitioned."""

    producer: Producer
    layout: Layout | None

    def run(self, env: TaskEnv) -> Output:
        frame = self.producer.frame(env)
        pieces = [frame] if self.layout is None else split(self.layout, frame)
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
        self._committed: dict[Layout | None, tuple[PartRef, ...]] = {}

    def parts(self, layout: Layout | None = None) -> tuple[PartRef, ...]:
        """Commit the table in a layout and return its parts, one per producer.

        Without a layout any that is committed will do: the rows are the same.
        """
        if layout is None and self._committed:
            return next(iter(self._committed.values()))
        if layout not in self._committed:
            self._committed[layout] = self._commit(layout)
        return self._committed[layout]

    def _commit(self, layout: Layout | None) -> tuple[PartRef, ...]:
        key = {
            "producers": [producer.key() for producer in self._producers],
            "layout": layout_key(layout),
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

    def _by_key(self, key: str, size: int) -> ByKey:
        # A quarter of the memory for a partition: several workers sort at once.
        rows = max(1, self._runner.memory // (4 * BYTES_PER_ROW))
        count = -(-size // min(rows, ROWS_PER_PARTITION))
        return ByKey(key, max(1, min(MAX_PARTITIONS, count)))

    def group_by(
        self,
        key: str,
        reduce: GroupFn,
        *,
        order_by: Sequence[str] = (),
        at_least: int = 1,
        name: str,
    ) -> StoredTable:
        """Bring equal keys together and reduce them; see `steps.base.Table.group_by`."""
        layout = self._by_key(key, self._size)
        table = _Partitions.of(layout, self.parts(layout))
        groups = [
            _Group(table, p, key, tuple(order_by), at_least, reduce) for p in range(layout.count)
        ]
        return self._next(name, groups, sum(table.rows))

    def reduce(self, reduce: ReduceFn, *, name: str) -> StoredTable:
        """Apply a function to the whole table in one task."""
        return self._next(name, [_Reduce(self.parts(), reduce)], self._size)

    def followed_by(self, other: Table) -> StoredTable:
        """Return the rows of this table, then those of another."""
        assert isinstance(other, StoredTable)
        both = [*self._producers, *other._producers]
        return self._next(f"{self._name}, {other._name}", both, self._size + other._size)

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
        layout = self._by_key(on, max(self._size, other._size))
        left, right = (_Partitions.of(layout, side.parts(layout)) for side in (self, other))
        joins = [_Join(left, right, p, on, how) for p in range(layout.count)]
        return self._next(name, joins, sum(left.rows))

    def lookup(
        self,
        view: AnyView,
        fn: LookupFn,
        on: Sequence[str],
        columns: Sequence[str],
        fanout: int,
        name: str,
    ) -> StoredTable:
        """Fetch the records that row-number columns name; see `steps.base.Rows.lookup`."""
        several = PARALLEL_LOOKUPS if self._size > LOOKUP_ROWS // 8 else 1
        budget = max(1, self._runner.memory // SHARE_OF_MEMORY)
        layout = ByBlocks(tuple(on), blocks(view.shard_bytes, budget, several))
        table = _Partitions.of(layout, self.parts(layout))
        # An empty partition needs no task; one of them tells the schema of a table without rows.
        filled = [p for p, rows in enumerate(table.rows) if rows] or [0]
        pieces = [_Lookup(table, p, view, tuple(on), tuple(columns), fn) for p in filled]
        return self._next(name, pieces, sum(table.rows) * fanout)

    def collect(self) -> pl.DataFrame:
        """Return the table in memory."""
        return pl.concat([read_part(self._runner.root, part) for part in self.parts()])


class StoredRows:
    """A dataset's records, as a Global sees them."""

    def __init__(self, runner: StageRunner, step: str, view: AnyView, context: Context) -> None:
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

    def map_shards(
        self, fn: ShardFn, *, columns: Sequence[str], fanout: int = 1, name: str
    ) -> StoredTable:
        """Apply a function to every batch; see `steps.base.Rows.map_shards`."""
        producers = [
            _MapShard(self._view, shard, fn, tuple(columns))
            for shard in range(len(self._view.shard_bytes))
        ]
        return StoredTable(self._runner, self._step, name, producers, self._view.rows * fanout)

    def map_beside(
        self, table: Table, fn: BroadcastFn, *, columns: Sequence[str], fanout: int = 1, name: str
    ) -> StoredTable:
        """Apply to every batch the function made of a table; see `steps.base.Rows.map_beside`."""
        assert isinstance(table, StoredTable)
        parts = table.parts()
        producers = [
            _MapBeside(self._view, shard, fn, tuple(columns), parts)
            for shard in range(len(self._view.shard_bytes))
        ]
        return StoredTable(self._runner, self._step, name, producers, self._view.rows * fanout)

    def make(self, fn: MakeFn, *, name: str) -> StoredTable:
        """Return rows that come from no records; see `steps.base.Rows.make`."""
        return StoredTable(self._runner, self._step, name, [_Make(fn)], 1)

    def lookup(
        self,
        table: Table,
        fn: LookupFn,
        *,
        on: Sequence[str],
        columns: Sequence[str],
        fanout: int = 1,
        name: str,
    ) -> StoredTable:
        """Fetch the records that row-number columns of a table name; see `steps.base.Rows`."""
        assert isinstance(table, StoredTable)
        return table.lookup(self._view, fn, on, columns, fanout, name)

    def followed_by(self, other: Rows) -> tuple[StoredRows, int]:
        """Return these records and another dataset's after them; see `steps.base.Rows`."""
        assert isinstance(other, StoredRows)
        assert isinstance(self._view, View)
        assert isinstance(other._view, View)
        joined = JoinedView((self._view, other._view))
        boundary = int(row_numbers(len(self._view.shards), 1)[0])
        return StoredRows(self._runner, self._step, joined, self._context), boundary
