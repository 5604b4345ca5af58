"""Careful work: per-row steps behind the fence, so that a deadly row costs itself and no other.

Owns: running any `Map`, `FlatMap` or `Filter` in a fenced child, whatever its `risky` says, and
putting the answers together as if the step had been run on the whole batch. Rows go in pieces of a
few; the rows of a piece that is lost go one by one, and a row that is lost even alone in a fresh
child is the guilty one. Steps do not depend on where batches are cut, so every other row gets what
it would have got.

Refuses: exceptions. A step outside the fence that raises stops the run, and what becomes of a row
must not depend on whether another row was deadly; so it stops the run here, too.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self, TypeAlias

import orjson
import polars as pl

from datatools.engine.chain import Link, bind, check_children, check_lengths
from datatools.engine.executors.base import ForeignError
from datatools.engine.measuring import bound_filter, measure, measure_schema
from datatools.errors import DataError
from datatools.fence import Fence, Fenced
from datatools.steps.base import Batch, Expanded, Filter, FlatMap, Map, Mapped

__all__ = ["CarefulStep", "CarefulSteps", "RowLimits"]

ROWS_TOGETHER: Final = 64
"""Rows of a piece. More make good batches cheaper, and a lost piece cost more single tries."""
WALL_SHARE: Final = 4.0
"""Wall-clock time a row may take, as a multiple of the CPU time: for steps that wait, and for
machines with more work than cores."""

_HEADER: Final = struct.Struct("<QQ")  # bytes of the frame, bytes of the fates; the rest is JSON
_INDEX: Final = struct.Struct("<I")  # the step's position in its task; the rest is the rows
_FATES: Final = pl.Schema(dict.fromkeys(("dropped", "quarantined", "detail"), pl.String))


@dataclass(frozen=True)
class RowLimits:
    """What one row may take when its task is run carefully.

    Attributes:
        seconds: CPU time; `WALL_SHARE` times as much on the wall clock.
        memory_bytes: Address space it may add to what its process has mapped.
    """

    seconds: float
    memory_bytes: int


class CarefulSteps:
    """The steps of a task behind one fence: a single child holds them all.

    Args:
        links: The steps, in order.
        limits: What one row may take.
    """

    def __init__(self, links: Sequence[Link], limits: RowLimits) -> None:
        self.links = tuple(links)
        self._fence = Fence(
            partial(_build, self.links),
            cpu_seconds=limits.seconds,
            wall_seconds=WALL_SHARE * limits.seconds,
            memory_bytes=limits.memory_bytes,
        )

    def bound(self) -> list[CarefulStep]:
        """Return the steps, made ready."""
        return [CarefulStep(self, index) for index in range(len(self.links))]

    def close(self) -> None:
        """End the child."""
        self._fence.close()

    def run(self, index: int, df: pl.DataFrame) -> list[_Piece]:
        """Run one step over a batch and return its answers, in row order, gapless.

        Raises:
            ForeignError: The step raised.
            DataError: The step cannot do even a batch without rows.
        """
        stops = range(0, max(1, df.height), ROWS_TOGETHER)
        cuts = [(at, min(at + ROWS_TOGETHER, df.height)) for at in stops]
        pieces = self._try(index, df, cuts, again=not df.height)
        if not df.height:
            self._refuse_lost(index, pieces)
        found: list[_Piece] = []
        for piece in pieces:
            if isinstance(piece.answer, _Reply):
                found.append(piece)
            else:
                rows = [(row, row + 1) for row in range(piece.start, piece.stop)]
                found += self._try(index, df, rows, again=True)
        return found

    def _try(
        self, index: int, df: pl.DataFrame, cuts: Sequence[tuple[int, int]], *, again: bool = False
    ) -> list[_Piece]:
        head = _INDEX.pack(index)
        items = [head + _stream(df[start:stop]) for start, stop in cuts]
        pieces = []
        for (start, stop), answer in zip(cuts, self._fence.run(items, again=again), strict=True):
            if isinstance(answer, Fenced):
                _refuse_raised(answer)
                pieces.append(_Piece(start, stop, answer))
            else:
                pieces.append(_Piece(start, stop, _Reply.unpack(answer)))
        return pieces

    def _refuse_lost(self, index: int, pieces: Sequence[_Piece]) -> None:
        for piece in pieces:
            if isinstance(piece.answer, Fenced):
                raise DataError(
                    self.links[index].context.label,
                    f"cannot do even a batch without records: {piece.answer.detail}",
                    hint="The step is at fault, not a record: mend it or leave it out.",
                )


class CarefulStep:
    """One step behind the fence; looks like the bound step it stands for."""

    def __init__(self, steps: CarefulSteps, index: int) -> None:
        self._steps = steps
        self._index = index
        self._shape: pl.DataFrame | None = None

    def close(self) -> None:
        """End the child, which is that of the other steps, too."""
        self._steps.close()

    def map(self, batch: Batch) -> Mapped:
        """Return what `BoundMap.map` returns; guilty rows are quarantined."""
        df = batch.df
        pieces = self._steps.run(self._index, df)
        frames, fates = [], []
        removed, notes = Counter[str](), Counter[str]()
        for piece in pieces:
            if isinstance(piece.answer, _Reply):
                frames.append(piece.answer.frame)
                removed.update(piece.answer.removed)
                notes.update(piece.answer.notes)
            else:
                # A place holder: it leaves with its reason at once.
                empty = self._answer_to_nothing(df).clear(1)
                frames.append(empty.with_columns(df["id"][piece.start : piece.stop]))
            fates.append(piece.fates)
        gone = pl.concat(fates)
        return Mapped(
            pl.concat(frames), gone["dropped"], gone["quarantined"], gone["detail"], removed, notes
        )

    def flat_map(self, batch: Batch) -> Expanded:
        """Return what `BoundFlatMap.flat_map` returns; guilty rows are quarantined."""
        pieces = self._steps.run(self._index, batch.df)
        children = [self._answer_to_nothing(batch.df)]
        for piece in pieces:
            if isinstance(piece.answer, _Reply):
                parent = pl.col("parent").cast(pl.UInt32) + piece.start
                children.append(piece.answer.frame.with_columns(parent.cast(pl.UInt32)))
        gone = pl.concat([piece.fates for piece in pieces])
        return Expanded(pl.concat(children), gone["dropped"], gone["quarantined"], gone["detail"])

    def measure(self, df: pl.DataFrame) -> tuple[pl.DataFrame, list[Fenced | None]]:
        """Return what `measuring.measure` returns, and per row why it is lost, or None.

        The measures of a lost row are null.
        """
        schema = measure_schema([self._steps.links[self._index]])
        frames, lost = [schema.to_frame()], list[Fenced | None]()
        for piece in self._steps.run(self._index, df) if df.height else ():
            if isinstance(piece.answer, _Reply):
                frames.append(piece.answer.frame)
                lost += [None] * (piece.stop - piece.start)
            else:
                frames.append(schema.to_frame().clear(1))
                lost.append(piece.answer)
        return pl.concat(frames), lost

    def _answer_to_nothing(self, df: pl.DataFrame) -> pl.DataFrame:
        """Return the step's answer to a batch without rows: the columns that it gives."""
        if self._shape is None:
            (piece,) = self._steps.run(self._index, df.clear())
            assert isinstance(piece.answer, _Reply)
            frame = piece.answer.frame
            is_flat_map = isinstance(self._steps.links[self._index].step, FlatMap)
            parent = [pl.col("parent").cast(pl.UInt32)] if is_flat_map else []
            self._shape = frame.with_columns(parent)
        return self._shape


@dataclass(frozen=True)
class _Reply:
    """A step's answer to one piece, as the child sends it.

    Attributes:
        frame: The rows, the children or the measures.
        fates: Per row `dropped`, `quarantined` and `detail`, or null.
        removed: Characters removed per reason.
        notes: What the step counts beside.
    """

    frame: pl.DataFrame
    fates: pl.DataFrame
    removed: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    def pack(self) -> bytes:
        frame, fates = _stream(self.frame), _stream(self.fates)
        counted = [
            {name: int(count) for name, count in counts.items()}
            for counts in (self.removed, self.notes)
        ]
        return _HEADER.pack(len(frame), len(fates)) + frame + fates + orjson.dumps(counted)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        first, second = _HEADER.unpack_from(data)
        middle = _HEADER.size + first
        end = middle + second
        frame, fates = data[_HEADER.size : middle], data[middle:end]
        counted = orjson.loads(data[end:])
        return cls(pl.read_ipc_stream(frame), pl.read_ipc_stream(fates), *counted)


@dataclass(frozen=True)
class _Piece:
    """Rows `[start, stop)` of a batch and what became of them together."""

    start: int
    stop: int
    answer: _Reply | Fenced

    @property
    def fates(self) -> pl.DataFrame:
        if isinstance(self.answer, _Reply):
            return self.answer.fates
        lost = {"quarantined": self.answer.reason, "detail": self.answer.detail}
        return pl.DataFrame([lost], schema=_FATES)


def _stream(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.rechunk().write_ipc_stream(sink)
    return sink.getvalue()


# --------------------------------------------------------------------------------------------------
# In the child

_Work: TypeAlias = Callable[[pl.DataFrame], _Reply]


class _RaisedError(Exception):
    """What a step raised: it is the step's error, not the row's."""


def _refuse_raised(answer: Fenced) -> None:
    prefix = f"{_RaisedError.__name__}: "
    if answer.reason == "fence_error" and answer.detail.startswith(prefix):
        raise ForeignError(answer.detail.removeprefix(prefix))


def _build(links: Sequence[Link]) -> Callable[[bytes], bytes]:
    """Make the steps ready, in the fenced child; return the function over requests."""
    works = [_work(link) for link in links]

    def run(item: bytes) -> bytes:
        index: int = _INDEX.unpack_from(item)[0]
        df = pl.read_ipc_stream(item[_INDEX.size :])
        try:
            reply = works[index](df)
            return reply.pack()
        except MemoryError:
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise _RaisedError(f"{type(error).__name__}: {error}") from error

    return run


def _work(link: Link) -> _Work:
    if isinstance(link.step, Filter):
        bound_filter(link)
        return lambda df: _Reply(measure([link], df), _FATES.to_frame())
    bound: Any = bind(link)
    label = link.context.label

    def mapped(df: pl.DataFrame) -> _Reply:
        result: Mapped = bound.map(Batch(df))
        if result.df.height != df.height:
            raise TypeError(f"{label} is a Map and must return the same rows")
        return _Reply(result.df, _fates(label, df.height, result), result.removed, result.notes)

    def expanded(df: pl.DataFrame) -> _Reply:
        result: Expanded = bound.flat_map(Batch(df))
        check_children(label, df.height, result.children)
        return _Reply(result.children, _fates(label, df.height, result))

    return mapped if isinstance(link.step, Map) else expanded


def _fates(label: str, height: int, result: Mapped | Expanded) -> pl.DataFrame:
    check_lengths(label, height, result)
    given = {name: getattr(result, name) for name in _FATES}
    empty = pl.Series([None] * height, dtype=pl.String)
    return pl.DataFrame(
        {name: empty if one is None else one.cast(pl.String) for name, one in given.items()}
    )
