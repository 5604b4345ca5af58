"""Which windows of evaluation texts stand in which documents.

Owns the windows, what texts are called, and the search; common phrases among what was found.
Refuses: when a document is contaminated (`overlaps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.composed import compose, original_place
from datatools.kernels.hashing import normalise_then_hash
from datatools.kernels.overlap import Hits, Index, find, union_lengths
from datatools.kernels.token_windows import windows
from datatools.steps.base import Batch
from datatools.steps.decontamination.evaluation_sets import TEXTS

__all__ = [
    "CommonWindows",
    "DatasetTexts",
    "EvaluationItems",
    "EvaluationWindows",
    "FirstItems",
    "Search",
    "starts_of",
]

WHOLE: Final = 0.9
"""From this share of an evaluation text on, a document counts as holding the whole of it."""
NAMED: Final = 10
"""Evaluation texts that one window names; more share it, but each has windows of its own."""


@dataclass(frozen=True)
class DatasetTexts:
    """The documents of another dataset as evaluation texts."""

    name: str

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        """Return the batch's documents with the columns `TEXTS`."""
        return batch.df.select(
            pl.lit(self.name).alias("benchmark"),
            pl.col("id").alias("item"),
            pl.lit("text").alias("field"),
            pl.col("text").fill_null(""),
        ).select(list(TEXTS))


def _numbered(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return texts, composed, with their `number`, and per text the first that reads the same."""
    texts = texts.with_columns(
        compose(texts["text"], *Batch(texts).buffers("text"))[0].alias("text"),
        pl.int_range(pl.len(), dtype=pl.UInt64).alias("number"),
    )
    hashes = normalise_then_hash(*Batch(texts).buffers("text"))
    same = texts.select("number", pl.Series("high", hashes[:, 0]), pl.Series("low", hashes[:, 1]))
    return texts, same.select(pl.col("number").first().over("high", "low")).to_series()


@dataclass(frozen=True)
class EvaluationWindows:
    """The windows of the texts, each text once, as `Search` looks them up.

    A window that stands in many texts names the first `NAMED` of them.
    """

    size: int
    least: int

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the windows of rows of `TEXTS`, by hash, text and place."""
        texts, first = _numbered(frame)
        texts = texts.filter(texts["number"] == first)
        found = windows(*Batch(texts).buffers("text"), size=self.size, least=self.least)
        columns = {
            "window": found.hash,
            "text": texts["number"].to_numpy()[found.row],
            "head": found.head,
            "start": found.start,
            "stop": found.stop,
            "tokens": found.tokens,
            "length": found.length[found.row],
        }
        every = pl.DataFrame(columns, schema=_WINDOWS).sort("window", "text", "start")
        return every.filter(pl.int_range(pl.len()).over("window") < NAMED)


_WINDOWS = pl.Schema(
    {
        **dict.fromkeys(("window", "text", "head"), pl.UInt64),
        **dict.fromkeys(("start", "stop", "tokens", "length"), pl.UInt32),
    }
)


@dataclass(frozen=True)
class EvaluationItems:
    """What every text is called: one row per text, `text` being the first that reads the same."""

    size: int
    least: int

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the names of rows of `TEXTS`, and whether they are long enough to be `checked`."""
        texts, first = _numbered(frame)
        found = windows(*Batch(texts).buffers("text"), size=self.size, least=self.least)
        return texts.select(
            first.alias("text"),
            "number",
            "benchmark",
            "item",
            "field",
            pl.Series("checked", found.length >= self.least, dtype=pl.Boolean),
        )


@dataclass(frozen=True)
class FirstItems:
    """Per text the first item that has it, in words."""

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `text` and the name, as `survivor`."""
        told = pl.format("{}:{} {}", "benchmark", "item", "field").alias("survivor")
        return frame.filter(pl.col("text") == pl.col("number")).select("text", told)


# --------------------------------------------------------------------------------------------------
# Search


_HITS = pl.Schema(
    {
        **dict.fromkeys(("row", "window", "text"), pl.UInt64),
        **dict.fromkeys(
            ("start", "stop", "length", "at", "to", "whole_length", "first", "last"), pl.UInt32
        ),
        "whole": pl.Boolean,
    }
)
"""A window of a text found in a document: where it is in the text (`start`, `stop`) and in the
document (`at`, `to`), in half words, with the lengths of both; its bytes in the document (`first`,
`last`); and whether the document holds the whole text."""


@dataclass(frozen=True)
class Search:
    """Makes the index of the windows, and with it the function that finds them."""

    size: int
    least: int

    def __call__(self, frame: pl.DataFrame) -> Searching:
        """Return what finds the windows that `EvaluationWindows` made."""
        hashes, heads, tokens = (frame[name].to_numpy() for name in ("window", "head", "tokens"))
        index = Index.of(hashes, heads, tokens, size=self.size, least=self.least)
        starts = np.searchsorted(hashes, index.keys)
        return Searching(index, frame, np.append(starts, frame.height))


@dataclass(frozen=True)
class Searching:
    """Finds windows in documents.

    Attributes:
        index: The windows.
        texts: Where they are in the texts, by hash.
        starts: int64 of shape (windows + 1,): window k is `texts[starts[k]:starts[k + 1]]`.
    """

    index: Index
    texts: pl.DataFrame
    starts: npt.NDArray[np.int64]

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        """Return the hits of a batch, rows of `_HITS`, by row, text and place in the text."""
        composed, changed = compose(batch.df["text"], *batch.buffers("text"))
        searched = Batch(composed.to_frame("text")) if changed else batch
        hits = find(*searched.buffers("text"), self.index)
        first, last = _in_original(batch.df["text"], changed, hits)
        each = np.diff(self.starts)[hits.key]
        hit = np.repeat(np.arange(len(hits.key)), each)
        place = np.arange(len(hit)) - np.repeat(np.cumsum(each) - each, each)
        of = self.texts[self.starts[hits.key][hit] + place]
        frame = pl.DataFrame(
            {
                "row": rows[hits.row][hit],
                "window": of["window"],
                "text": of["text"],
                "start": of["start"],
                "stop": of["stop"],
                "length": of["length"],
                "at": hits.start[hit],
                "to": hits.stop[hit],
                "whole_length": hits.length[hits.row][hit],
                "first": first[hit],
                "last": last[hit],
            },
            schema={name: dtype for name, dtype in _HITS.items() if name != "whole"},
        ).sort("row", "text", "start", "at")
        pairs = starts_of(frame["row"], frame["text"])
        found = union_lengths(pairs, frame["start"].to_numpy(), frame["stop"].to_numpy())
        share = found / frame["length"].to_numpy()[pairs[:-1]]
        whole = np.repeat(share >= WHOLE, np.diff(pairs))
        return frame.with_columns(pl.Series("whole", whole, dtype=pl.Boolean))


def _in_original(
    texts: pl.Series, changed: Sequence[int], hits: Hits
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the bytes of hits in the texts as they are, not as they were composed."""
    first, last = hits.first.copy(), hits.last.copy()
    low = np.searchsorted(hits.row, changed)
    high = np.searchsorted(hits.row, changed, side="right")
    for row, start, stop in zip(changed, low, high, strict=True):
        if start < stop:
            first[start:stop] = original_place(texts[row], first[start:stop])
            last[start:stop] = original_place(texts[row], last[start:stop], ends=True)
    return first, last


def starts_of(*columns: pl.Series) -> npt.NDArray[np.int64]:
    """Return where runs of rows with equal values start, and the end."""
    height = len(columns[0])
    new = np.ones(height, np.bool_)
    if height:
        arrays = [column.to_numpy() for column in columns]
        new[1:] = np.logical_or.reduce([one[1:] != one[:-1] for one in arrays])
    return np.append(np.flatnonzero(new), height).astype(np.int64)


@dataclass(frozen=True)
class CommonWindows:
    """The windows that stand in more than `limit` documents which do not hold the whole text."""

    limit: int

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return the column `window`."""
        documents = frame.group_by("window", "row", maintain_order=True).agg(pl.col("whole").any())
        counted = documents.filter(~pl.col("whole")).group_by("window", maintain_order=True).len()
        return counted.filter(pl.col("len") > self.limit).select("window")
