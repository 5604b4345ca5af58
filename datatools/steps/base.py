"""The step contract: what a step is, and the only things a step may know.

A step is a frozen pydantic model whose fields are its whole configuration; each field's docstring
feeds the command line's help, the docs and the JSON Schema. A step has one verb, given by its kind:

    Source   units(), read(unit, log)      where records come from
    Map      map(batch)                    same rows, new or changed columns
    FlatMap  flat_map(batch)               rows replaced by their children
    Filter   measure(batch), rules()       numbers first, then decisions over the numbers
    Global   lower(rows, others)           what must see everything

A step never sees a rank, a worker, an executor or a path that another step wrote. What it may see
is its `Context`: the pipeline's seed and the step's label. Random draws are keyed by
`(seed, label, record id)`, never by position or order.

`bind(context)` returns a `Bound` that owns what cannot be pickled (a model, a compiled pattern);
the engine binds once per worker.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from datatools.records import Kind
from datatools.sizes import Size

__all__ = [
    "TEXT_BYTES",
    "Batch",
    "Bound",
    "BoundFilter",
    "BoundFlatMap",
    "BoundMap",
    "BroadcastFn",
    "Context",
    "Cuts",
    "Decisions",
    "Expanded",
    "Export",
    "Filter",
    "FlatMap",
    "Global",
    "GroupFn",
    "LookupFn",
    "MakeFn",
    "Map",
    "Mapped",
    "Order",
    "ReadLog",
    "ReduceFn",
    "Rows",
    "Rule",
    "ShardFn",
    "Source",
    "Step",
    "Table",
    "Tally",
    "Transform",
    "Unit",
]

T = TypeVar("T")

MAX_BATCH_ROWS = 4096
MAX_BATCH_BYTES = 16 << 20
TEXT_BYTES = "__bytes"
"""Column that every record has inside a run: UTF-8 bytes of its text, so that what weighs records
(`map_shards`) reads no text. It is never published."""


@dataclass(frozen=True)
class Context:
    """All that a step may know of the run it is part of.

    Attributes:
        seed: The pipeline's seed; 0 for a step that does not say that it `draws`.
        label: The step's label in its dataset, its class name unless that name occurs twice.
    """

    seed: int = 0
    label: str = ""


@dataclass(frozen=True)
class Batch:
    """Rows in flight: at most 4,096 rows and 16 MiB of text; a larger record travels alone."""

    df: pl.DataFrame
    _buffers: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return self.df.height

    def buffers(self, column: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return the Arrow buffers of a string or binary column: what the kernels loop over.

        Polars holds strings as views, so the conversion copies; it is done once per batch and
        column.

        Args:
            column: A String or Binary column. A null counts as empty.

        Returns:
            offsets: int64 of shape (rows + 1,); row i is `data[offsets[i]:offsets[i + 1]]`.
            data: uint8 of shape (bytes,), valid UTF-8 when the column is a String.
        """
        if column not in self._buffers:
            series = self.df[column]
            array = series.fill_null("" if series.dtype == pl.String else b"").to_arrow()
            if hasattr(array, "combine_chunks"):
                array = array.combine_chunks()
            _, offsets, data = array.buffers()
            starts = np.frombuffer(offsets, dtype=np.int64)[array.offset :][: len(array) + 1]
            text = (
                np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
            )
            if len(array) == 0:
                starts = np.zeros(1, dtype=np.int64)
            self._buffers[column] = (starts, text)
        return self._buffers[column]

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returns, made once per batch: what adjacent filters share.

        Args:
            key: Names what is made, with everything that it depends on beside the batch.
            make: Makes it.
        """
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made


# --------------------------------------------------------------------------------------------------
# What verbs return


@dataclass(frozen=True)
class Mapped:
    """What `Map.map` returns.

    Attributes:
        df: The same rows in the same order, with new or changed columns.
        dropped: Per row the reason it is dropped, or null. None means no row is.
        quarantined: Per row the reason it is quarantined, or null. None means no row is.
        detail: Per row what to tell the user about its fate, or null.
        removed: Characters removed per reason, summed over the batch (line rules, masked spans).
        notes: Counts worth telling the user beside the ledger, summed over the batch.
    """

    df: pl.DataFrame
    dropped: pl.Series | None = None
    quarantined: pl.Series | None = None
    detail: pl.Series | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Expanded:
    """What `FlatMap.flat_map` returns.

    The engine gives each child the id `H(parent id, step label, key)`; a key repeated under one
    parent quarantines the second child. A parent with children counts as dropped `expanded`.

    Attributes:
        children: The children, with two extra columns: `parent` (u32, row in the batch) and `key`
            (String, stable and unique under the parent). No `id` column.
        dropped: Per parent the reason it leaves without children, or null. A parent that has
            neither children nor a reason is an error of the step.
        quarantined: Per parent the reason it is quarantined, or null. Such a parent has no
            children.
        detail: Per parent what to tell the user about its fate, or null.
    """

    children: pl.DataFrame
    dropped: pl.Series | None = None
    quarantined: pl.Series | None = None
    detail: pl.Series | None = None


Op = Literal["<", "<=", ">", ">=", "==", "in", "not_in"]


@dataclass(frozen=True)
class Rule:
    """A drop rule: the record is dropped with `reason` when `measure op threshold` holds.

    Attributes:
        reason: Reason code shown in the ledger, e.g. `gopher_short_doc`.
        measure: Name of a measure of the same filter.
        op: One of < <= > >= == in not_in.
        field: Name of the step's field that holds the threshold. A field that is None turns the
            rule off. Fields named by rules do not enter the key of the measures.
        only: A measure and the value it must have for the rule to apply, e.g. `("script",
            "hangul")`; None applies it to every record.
    """

    reason: str
    measure: str
    op: Op
    field: str
    only: tuple[str, str] | None = None


# --------------------------------------------------------------------------------------------------
# Bound steps


class Bound(Protocol):
    """A step made ready in one worker process."""


class BoundMap(Protocol):
    """A `Map` made ready."""

    def map(self, batch: Batch) -> Mapped:
        """Return the same rows, changed."""


class BoundFlatMap(Protocol):
    """A `FlatMap` made ready."""

    def flat_map(self, batch: Batch) -> Expanded:
        """Return the rows' children."""


class BoundFilter(Protocol):
    """A `Filter` made ready."""

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one column per measure, one row per record."""


# --------------------------------------------------------------------------------------------------
# Steps


class Step(BaseModel, abc.ABC):
    """One operation of a pipeline, configured by its fields and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: ClassVar[int] = 1
    """Bumped when the output for the same input changes."""
    takes: ClassVar[Kind | None] = "document"
    """Record kind that comes in; None accepts any."""
    gives: ClassVar[Kind | None] = None
    """Record kind that goes out; None leaves it as it was."""
    checkpoint: ClassVar[bool] = False
    """Whether a stage ends after this step, because it is expensive to repeat."""
    risky: ClassVar[bool] = False
    """Whether the verb runs in a fenced child process (parsers of hostile input, user code)."""
    draws: ClassVar[bool] = False
    """Whether the step uses the pipeline's seed. A step that does not is given the seed 0, so that
    another seed recomputes only what draws."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions are part of the result's key."""
    conceals: ClassVar[bool] = False
    """Whether the texts that come in hold what nobody should see. Of records that a `Map` drops the
    previews are then of the texts that it returns, not of those that it was given."""

    @classmethod
    def name(cls) -> str:
        """Return the step's one name: class, YAML key, docs heading and report label."""
        return cls.__name__

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs; a plan that lacks one is refused."""
        return frozenset()

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the columns this step adds beyond the schema of its record kind."""
        return {}

    def references(self) -> Sequence[str]:
        """Return the names of other datasets this step reads (`against:`, `hold_with:`)."""
        return ()

    def reads_of(self, reference: str) -> frozenset[str]:
        """Return the columns this step needs of a dataset it refers to; a plan without is refused.

        Args:
            reference: One of `references()`.
        """
        return frozenset()

    def digests(self) -> Mapping[str, str]:
        """Return digests of what the fields only point at (a module's code, a model file)."""
        return {}

    def explains(self) -> Sequence[str]:
        """Return what the fields come to, in lines that `plan` shows; they change nothing."""
        return ()


class Transform(Step):
    """A step that has input rows: everything but a `Source`."""

    def apply(self, df: pl.DataFrame, *, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Run the step on a frame in memory, as an ETL job would.

        No `id` column is needed; a missing one is numbered for the call and left out of the result.

        Returns:
            kept: The rows that stay, with new columns and measures.
            dropped: The rows that leave, with `reason`, `value` and `detail`.

        Raises:
            ConfigError: The frame lacks a column the step reads.
        """
        # Running is the engine's work; the import is late so that steps do not depend on it.
        from datatools.engine.inline import apply

        return apply(self, df, seed=seed)


class Map(Transform):
    """Same rows, new or changed columns; may drop or quarantine a row with a reason."""

    @abc.abstractmethod
    def bind(self, context: Context) -> BoundMap:
        """Return the step made ready for one worker."""


class FlatMap(Transform):
    """Rows replaced by their children."""

    @abc.abstractmethod
    def bind(self, context: Context) -> BoundFlatMap:
        """Return the step made ready for one worker."""


class Filter(Transform):
    """Numbers first, then decisions over the numbers.

    `measure` returns one column per name in `measures`; `rules` are tried in order, the first that
    fires is the reason. If none fires, a null or NaN in a measure that an active rule reads
    quarantines the record as `undefined:<measure>`.
    """

    measures: ClassVar[Mapping[str, Any]] = {}
    """Names of the measures and their polars types (integers, Float64 or String)."""

    @abc.abstractmethod
    def bind(self, context: Context) -> BoundFilter:
        """Return the step made ready for one worker."""

    @abc.abstractmethod
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in the order in which they are tried."""

    def threshold_fields(self) -> frozenset[str]:
        """Return the fields that only rules read, so that changing one re-measures nothing."""
        return frozenset(rule.field for rule in self.rules())


# --------------------------------------------------------------------------------------------------
# Sources


@dataclass(frozen=True)
class Unit:
    """An independent piece of one input file.

    Units of a file tile it: the first starts at 0, each starts where the one before it ends, the
    last ends at the file's size.

    Attributes:
        path: Where to open the file.
        relpath: The path relative to its pattern's fixed part; ids are made from it.
        start: First byte as stored, or first row group for Parquet.
        end: One past the last byte or row group.
        size: Size of the file in bytes.
        fingerprint: What tells that the file is still the same: size, mtime and inode, or an ETag.
    """

    path: str
    relpath: str
    start: int
    end: int
    size: int
    fingerprint: str


class ReadLog(Protocol):
    """Where a source says what became of every byte of its unit.

    Ranges are in the unit's own coordinates and must tile `[unit.start, unit.end)`; the engine
    checks. Each record yielded or quarantined lies in a consumed range.
    """

    def consumed(self, start: int, end: int) -> None:
        """Say that `[start, end)` was turned into records (kept or quarantined)."""

    def skipped(self, start: int, end: int, reason: str) -> None:
        """Say that `[start, end)` holds nothing this reader reads (a request, a blank line)."""

    def incomplete(self, start: int, end: int, detail: str) -> None:
        """Say that `[start, end)` could not be read: truncated or damaged input."""

    def quarantined(self, id: str, reason: str, *, offset: int, detail: str = "") -> None:
        """Say that the record at `offset` was read but cannot be used."""


class Source(Step):
    """Where records come from. Makes `Document`s unless `gives` says otherwise."""

    takes: ClassVar[Kind | None] = None
    gives: ClassVar[Kind | None] = "document"

    unit_bytes: Size = 32 << 20
    """Bytes of input per unit of work (as stored). Larger units mean fewer, larger shards."""
    label: str | None = None
    """Source label, part of every id and the `source` column. Default: the dataset's name."""

    @abc.abstractmethod
    def units(self) -> list[Unit]:
        """Return the units in canonical order: by relative path, then by start.

        Raises:
            ConfigError: No file matches, or two files have one relative path.
            UnsupportedFormatError: A file is of a kind this reader does not read.
        """

    @abc.abstractmethod
    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        """Yield the unit's records as frames that `records.conform` accepts.

        Args:
            unit: One of `units()`.
            log: Told about every byte; see `ReadLog`.
            label: The source label to make ids with.
        """


# --------------------------------------------------------------------------------------------------
# Global steps: five verbs over rows that are numbers


class ShardFn(Protocol):
    """A picklable function over one batch: `fn(batch, rows) -> frame`.

    `rows` is u64 of shape (len(batch),): the row numbers, increasing in canonical order. The frame
    may have any number of rows and must have the same columns for every batch, also for an empty
    one.
    """

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        """Return the function's rows."""


class BroadcastFn(Protocol):
    """A picklable function over a whole table that gives one over batches: `fn(table) -> ShardFn`.

    Called once per process and table, so it may build what batches are looked up in.
    """

    def __call__(self, frame: pl.DataFrame) -> ShardFn:
        """Return the function over batches."""


class MakeFn(Protocol):
    """A picklable function that makes rows out of nothing but its fields: `fn() -> frame`."""

    def __call__(self) -> pl.DataFrame:
        """Return the rows."""


class GroupFn(Protocol):
    """A picklable function over complete groups: `fn(frame, starts) -> frame`.

    `frame` is sorted by (key, order_by); `starts` is int64 of shape (groups + 1,): group g is rows
    `starts[g]:starts[g + 1]`. Called with many groups at a time.
    """

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return the function's rows."""


class ReduceFn(Protocol):
    """A picklable function over a whole table: `fn(frame) -> frame`."""

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the function's rows."""


class LookupFn(Protocol):
    """A picklable function over a piece of a table and the records it names.

    `fn(frame, records, positions) -> frame`: `records` holds the wanted columns of the distinct
    rows named by the piece; `positions[column]` is int64 of shape (len(frame),) into `records`.
    """

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        """Return the function's rows."""


class Table(Protocol):
    """Intermediate rows of a Global, held on disk and cached by content."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def group_by(
        self,
        key: str,
        reduce: GroupFn,
        *,
        order_by: Sequence[str] = (),
        at_least: int = 1,
        name: str,
    ) -> Table:
        """Bring equal keys together and reduce them.

        Args:
            key: An unsigned 64-bit column. Partitioned by key range.
            reduce: Called with complete, sorted groups.
            order_by: Columns that order the rows of a group, after the key. Together with the key
                they must order rows totally, or equal rows must be interchangeable.
            at_least: Rows a group must have; smaller groups are left out. With 2, keys that occur
                once cost next to nothing.
            name: Label in `plan`, part of the key.
        """

    def reduce(self, reduce: ReduceFn, *, name: str) -> Table:
        """Apply a function to the whole table in one task (integer arrays: bounded by its rows)."""

    def followed_by(self, other: Table) -> Table:
        """Return the rows of this table, then those of another, which has the same columns."""

    def join(
        self, other: Table, on: str, *, how: Literal["inner", "left", "semi", "anti"], name: str
    ) -> Table:
        """Join on an unsigned 64-bit column, partition by partition, sorted by that column."""

    def collect(self) -> pl.DataFrame:
        """Return the table in memory. For small results and tests."""


class Rows(Protocol):
    """The records a Global sees, as numbers: row r is a u64 that increases in canonical order."""

    @property
    def count(self) -> int:
        """Number of records."""

    @property
    def columns(self) -> Sequence[str]:
        """Columns the records have."""

    @property
    def context(self) -> Context:
        """Seed and label of the Global."""

    def map_shards(
        self, fn: ShardFn, *, columns: Sequence[str], fanout: int = 1, name: str
    ) -> Table:
        """Apply a function to every batch.

        Args:
            fn: The function.
            columns: Columns the function reads, `TEXT_BYTES` among them if it likes.
            fanout: Rows to expect per record, so that a shuffle is cut into enough partitions.
            name: Label in `plan`, part of the key.
        """

    def map_beside(
        self, table: Table, fn: BroadcastFn, *, columns: Sequence[str], fanout: int = 1, name: str
    ) -> Table:
        """Apply to every batch the function that `fn` makes of a whole table.

        Args:
            table: A table that fits into the memory of every worker.
            fn: The function, called with the table.
            columns: Columns of the records that the function over batches reads.
            fanout: Rows to expect per record.
            name: Label in `plan`, part of the key.
        """

    def make(self, fn: MakeFn, *, name: str) -> Table:
        """Return the rows that a function makes without records, in one task.

        Args:
            fn: The function. What it reads from elsewhere, its fields must name by digest.
            name: Label in `plan`, part of the key.
        """

    def lookup(
        self,
        table: Table,
        fn: LookupFn,
        *,
        on: Sequence[str],
        columns: Sequence[str],
        fanout: int = 1,
        name: str,
    ) -> Table:
        """Fetch records named by row-number columns of a table and apply a function to both.

        Args:
            table: Rows whose columns `on` are row numbers. They come in no particular order.
            fn: The function.
            on: One or two row-number columns.
            columns: Columns of the records that the function reads.
            fanout: Rows to expect per row of the table.
            name: Label in `plan`, part of the key.
        """

    def followed_by(self, other: Rows) -> tuple[Rows, int]:
        """Return these records and another dataset's after them, as one.

        Returns:
            rows: Both, in these records' columns; what the other does not have is null there.
                These records keep their numbers.
            boundary: Row numbers from here on are the other's.
        """


@dataclass(frozen=True)
class Tally:
    """A small table about a Global's work that the manifest, the card and the report show.

    Attributes:
        title: What its rows are, e.g. `Sources of the mix`.
        rows: One per thing counted, all with the same names in the same order; shares are floats
            from 0 to 1.
    """

    title: str
    rows: Sequence[Mapping[str, str | int | float | None]]


@dataclass(frozen=True)
class Decisions:
    """A Global's result that keeps the shards' order: fates and new columns, by row.

    Attributes:
        table: Columns `row` (u64, unique) and optionally `reason` (String, null keeps), `evidence`
            (String, JSON) and new columns. Rows the table does not name are kept, new columns null.
        columns: Names and types of the new columns.
        notes: Counts worth telling the user beside the ledger.
        tallies: Tables worth showing.
    """

    table: Table
    columns: Mapping[str, pl.DataType] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    tallies: Sequence[Tally] = ()


@dataclass(frozen=True)
class Order:
    """A Global's result that changes the order of the records.

    Attributes:
        table: The column `row` (u64) in output order. A row that comes again is a copy of the
            record: it counts as created, and its id is made from the record's, as a child's is.
        left_out: Reason with which the rows that the table does not name are dropped. Without one
            the table must name every row.
        notes: Counts worth telling the user beside the ledger.
        tallies: Tables worth showing.
    """

    table: Table
    left_out: str | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    tallies: Sequence[Tally] = ()


@dataclass(frozen=True)
class Cuts:
    """A Global's result that takes spans out of documents' texts; order and other columns stay.

    The ledger tells how many characters each reason took from the records that stay. These have two
    more columns: `<label>.removed` (Int64, characters; null where nothing was taken) and
    `<label>.<told>`.

    Attributes:
        table: Columns `row` (u64), `start` and `stop` (integers: bytes of the text as UTF-8, on
            character boundaries), `reason` (String), and optionally `survivor` (String): the id of
            a record in which the span stands too, told for one span of each row or more. What lies
            in several spans is taken once, for the reason of the one that starts first.
        empty: Reason with which a record is dropped of which nothing but whitespace is left.
        notes: Counts worth telling the user beside the ledger.
        told: What `survivor` is called in the records and in evidence: `survivor`, or another word
            where the span stands in what is no record of the dataset.
        tallies: Tables worth showing.
    """

    table: Table
    empty: str
    notes: Mapping[str, int] = field(default_factory=dict)
    told: str = "survivor"
    tallies: Sequence[Tally] = ()


class Global(Transform):
    """What must see everything: dedup, grouping, splitting, shuffling, mixing."""

    @abc.abstractmethod
    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions | Order | Cuts:
        """Say the step in verbs over `rows`; `others` holds what `references()` names."""


# --------------------------------------------------------------------------------------------------
# Exports


class Export(BaseModel, abc.ABC):
    """A file format some trainer expects: exactly its columns, nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: ClassVar[int] = 1
    folder: ClassVar[str] = ""
    """Folder under the dataset, e.g. `trl`."""
    suffix: ClassVar[Literal["parquet", "jsonl"]] = "parquet"

    @abc.abstractmethod
    def accepts(self) -> frozenset[Kind]:
        """Return the record kinds this format can carry."""

    @abc.abstractmethod
    def convert(self, frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
        """Return one row per record, in order, in the format's columns."""
