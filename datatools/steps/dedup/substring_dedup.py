"""`SubstringDedup`: takes out of texts what stands, word for word, earlier in the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from datatools.kernels.windows import equal_spans, segments, windows
from datatools.steps.base import Batch, Cuts, Global, Rows
from datatools.steps.dedup.named import CUTS, with_survivors

__all__ = ["SubstringDedup"]

USUAL_CHARACTERS = 3000
"""Characters of a usual document. There are about four segments in `length` characters."""


class SubstringDedup(Global):
    """Take out of each text the passages that stand earlier in the dataset, to the character.

    A passage is a run of at least `length` characters. A character leaves if it lies in a run of
    `length` characters that begins earlier, too: in an earlier document by input path and offset,
    or further left in the same one. So every run of that length stays once, where it stood first; a
    longer passage stays too, but in pieces where those stood first in different documents. Of a
    text that repeats itself with a short period, one period stays. The rule speaks of places only,
    so the result depends on no order. A document of which nothing is left is dropped as
    `nothing_left`.

    What leaves was compared byte by byte with the earlier place. A passage that repeats is missed
    only where two runs of `length` characters share a 64-bit hash. Case and spacing count; cuts can
    begin and end within a word.

    Each document that loses something has `SubstringDedup.removed`, in characters, and
    `SubstringDedup.survivor`, a document in which its longest passage stands earlier.

    Example:
        >>> notice = "이 글은 누구나 자유롭게 옮겨 쓸 수 있습니다."
        >>> frame = pl.DataFrame({"text": [f"첫 글. {notice}", f"{notice} Another text."]})
        >>> kept, dropped = SubstringDedup(length=20).apply(frame)
        >>> kept["text"].to_list()[1]
        ' Another text.'

    References:
        Katherine Lee et al., Deduplicating Training Data Makes Language Models Better, 2022,
        section 4.1 (exact substrings of 50 tokens). Saul Schleimer, Daniel Wilkerson, Alex Aiken,
        Winnowing, 2003 (the search).
    """

    version: ClassVar[int] = 1

    length: int = Field(200, ge=8, le=100_000)
    """Fewest characters (code points) of a passage. 200 characters of English are about 50 tokens,
    the paper's setting; of Korean, 100 or more. Raising it removes less."""

    def reads(self) -> frozenset[str]:
        """Return the text column."""
        return frozenset({"id", "text"})

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Cuts:
        """Find windows that begin earlier, join them to passages, compare these with the texts."""
        repeated = rows.map_shards(
            _Segments(self.length),
            columns=("text",),
            fanout=max(1, USUAL_CHARACTERS * 4 // self.length),
            name="segments",
        ).group_by(
            "anchor",
            _RepeatedSegments(),
            order_by=("content", "row", "start"),
            at_least=2,
            name="repeated segments",
        )
        later = (
            rows.lookup(
                repeated,
                _Windows(self.length),
                on=("row",),
                columns=("text",),
                fanout=max(1, self.length // 4),
                name="windows",
            )
            .group_by("content", _LaterWindows(), order_by=("row", "start"), name="later windows")
            .group_by("row", _Passages(), order_by=_PLACES, name="passages")
        )
        cuts = rows.lookup(
            later, _Compare(), on=("row", "source"), columns=("text",), name="compare"
        )
        return Cuts(with_survivors(rows, cuts), empty="nothing_left")


_PLACES = ("start", "stop", "source", "source_start")
_U32 = dict.fromkeys(("start", "stop", "source_start"), pl.UInt32)
_FOUND = {"row": pl.UInt64, "source": pl.UInt64, **_U32}
"""A span that stands earlier, too: in the row `source` from the byte `source_start` on."""


@dataclass(frozen=True)
class _Segments:
    length: int

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        found = segments(*batch.buffers("text"), length=self.length)
        return pl.DataFrame(
            {
                "anchor": found.anchor,
                "content": found.content,
                "row": rows[found.row],
                "start": found.start,
                "stop": found.stop,
            },
            schema={
                **dict.fromkeys(("anchor", "content", "row"), pl.UInt64),
                "start": pl.UInt32,
                "stop": pl.UInt32,
            },
        )


@dataclass(frozen=True)
class _RepeatedSegments:
    """Segments that stand earlier, and those whose windows must be looked at one by one.

    Of equal segments all but the first stand earlier. The first ones must be looked at where
    segments with one anchor differ; there `known` is false.
    """

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        content = frame["content"].to_numpy()
        new = np.ones(len(content), np.bool_)
        new[1:] = content[1:] != content[:-1]
        new[starts[:-1]] = True
        heads = np.flatnonzero(new)
        first = heads[np.cumsum(new) - 1] if len(heads) else heads
        group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        contents = np.bincount(group[new], minlength=len(starts) - 1)
        wanted = ~new | (contents[group] > 1)
        row, start = frame["row"].to_numpy(), frame["start"].to_numpy()
        return pl.DataFrame(
            {
                "row": row[wanted],
                "source": row[first][wanted],
                "start": start[wanted],
                "stop": frame["stop"].to_numpy()[wanted],
                "source_start": start[first][wanted],
                "known": ~new[wanted],
            },
            schema={**_FOUND, "known": pl.Boolean},
        )


@dataclass(frozen=True)
class _Windows:
    """Windows of the segments that must be looked at; the others as they are."""

    length: int

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        known = frame["known"].to_numpy()
        asked = frame.filter(~pl.col("known"))
        found = windows(
            *records.buffers("text"),
            positions["row"][~known],
            asked["start"].to_numpy(),
            asked["stop"].to_numpy(),
            length=self.length,
        )
        row = asked["row"].to_numpy()[found.segment]
        looked = pl.DataFrame(
            {
                "row": row,
                "source": row,
                "start": found.start,
                "stop": found.stop,
                "source_start": found.start,
                "known": np.zeros(len(row), np.bool_),
                "content": found.content,
            },
            schema={**_FOUND, "known": pl.Boolean, "content": pl.UInt64},
        )
        # A segment that is known needs no partner: any key will do, and rows spread the load.
        passed = frame.filter("known").with_columns(pl.col("row").alias("content"))
        return pl.concat([looked, passed.select(looked.columns)])


@dataclass(frozen=True)
class _LaterWindows:
    """All but the first of equal windows, with the place of that; known segments as they are."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        looked = frame.filter(~pl.col("known"))
        first = _heads(looked["content"].to_numpy())
        later = first != np.arange(len(first))
        places = looked.select(
            pl.col("row").gather(first).alias("source"),
            pl.col("start").gather(first).alias("source_start"),
        )
        moved = looked.with_columns(places).filter(pl.Series(later, dtype=pl.Boolean))
        return pl.concat([frame.filter("known"), moved]).select(list(_FOUND))


def _heads(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return per place the first place of its run of equal keys."""
    new = np.ones(len(keys), np.bool_)
    new[1:] = keys[1:] != keys[:-1]
    heads = np.flatnonzero(new)
    return heads[np.cumsum(new) - 1] if len(keys) else heads


@dataclass(frozen=True)
class _Passages:
    """Spans of a row that overlap and have one shift against one source, joined."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        row, source = frame["row"].to_numpy(), frame["source"].to_numpy()
        start = frame["start"].to_numpy().astype(np.int64)
        stop = frame["stop"].to_numpy().astype(np.int64)
        shift = frame["source_start"].to_numpy().astype(np.int64) - start
        new = np.ones(len(row), np.bool_)
        new[1:] = (
            (row[1:] != row[:-1])
            | (source[1:] != source[:-1])
            | (shift[1:] != shift[:-1])
            | (start[1:] > stop[:-1])
        )
        heads = np.flatnonzero(new)
        ends = np.maximum.reduceat(stop, heads) if len(heads) else stop
        return frame[heads].with_columns(pl.Series("stop", ends, dtype=pl.UInt32))


@dataclass(frozen=True)
class _Compare:
    """Passages whose bytes are those of the earlier place."""

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        same = equal_spans(
            *records.buffers("text"),
            positions["row"],
            frame["start"].to_numpy(),
            frame["stop"].to_numpy(),
            positions["source"],
            frame["source_start"].to_numpy(),
        )
        return (
            frame.filter(pl.Series(same, dtype=pl.Boolean))
            .with_columns(reason=pl.lit("repeated_passage"), stays=pl.lit(True))
            .select(pl.col(name).cast(dtype) for name, dtype in CUTS.items())
        )
