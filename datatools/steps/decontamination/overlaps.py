"""How much of evaluation texts documents hold, and what is told of those that hold too much.

Owns the rule, its evidence, the passages that are cut and the counts by evaluation set. Refuses:
the search (`evaluation_windows`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.overlap import union_lengths
from datatools.steps.base import Batch
from datatools.steps.decontamination.evaluation_windows import starts_of

__all__ = [
    "BestItems",
    "CountFound",
    "CountItems",
    "Evidence",
    "MostFound",
    "Overlaps",
    "Rule",
    "Spans",
    "Widened",
]

MATCHED: Final = 200
"""Characters of matched text that are shown."""
TOP: Final = 20
"""Items that are shown: those in most documents."""


@dataclass(frozen=True)
class Rule:
    """When a document is contaminated.

    Attributes:
        min_found: Share of a text that it holds.
        min_share: Share of it that texts are; None switches this off.
    """

    min_found: float
    min_share: float | None

    def overlaps(self, hits: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return what documents share with texts: one row per run of a text's windows.

        Args:
            hits: Rows of `_HITS`, by row, text and place in the text.
            starts: The bounds of the documents.

        Returns:
            `row`, `text`, `found` (the text's share), `share` (the document's), `gone` (whether it
            is contaminated by this text), and the run's bytes `first` and `last`, by row, text and
            place in the document.
        """
        pairs = starts_of(hits["row"], hits["text"])
        column = {name: hits[name].to_numpy().astype(np.int64) for name in hits.columns[3:-1]}
        covered = union_lengths(pairs, column["start"], column["stop"])
        found = covered / column["length"][pairs[:-1]]
        document = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        place = np.lexsort((column["at"], document))
        told = union_lengths(starts, column["at"][place], column["to"][place])
        share = (told / column["whole_length"][starts[:-1]])[document[pairs[:-1]]]
        gone = found >= self.min_found
        if self.min_share is not None:
            gone |= share >= self.min_share
        pair = np.repeat(np.arange(len(pairs) - 1), np.diff(pairs))
        order = np.lexsort((column["to"], column["at"], pair))
        at, last = column["at"][order], column["last"][order]
        # A pair's number in front, so that the highest place so far is one of its own.
        reached = np.maximum.accumulate((pair << 32) + column["to"][order])
        new = np.ones(len(pair), np.bool_)
        new[1:] = (pair[1:] << 32) + at[1:] > reached[:-1]
        run = np.flatnonzero(new)
        own = pair[run]
        return pl.DataFrame(
            {
                "row": hits["row"].to_numpy()[pairs[:-1]][own],
                "text": hits["text"].to_numpy()[pairs[:-1]][own],
                "found": found[own],
                "share": share[own],
                "gone": gone[own],
                "first": column["first"][order][run],
                "last": np.maximum.reduceat(last, run) if len(run) else last,
            },
            schema=_OVERLAPS,
        )


_OVERLAPS = pl.Schema(
    {
        **dict.fromkeys(("row", "text"), pl.UInt64),
        **dict.fromkeys(("found", "share"), pl.Float64),
        "gone": pl.Boolean,
        **dict.fromkeys(("first", "last"), pl.Int64),
    }
)


@dataclass(frozen=True)
class Overlaps:
    """Per document and text what they share, with the longest run of it."""

    rule: Rule

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return one row per document and text."""
        runs = self.rule.overlaps(frame, starts)
        longest = (pl.col("last") - pl.col("first")).arg_max()
        return runs.group_by("row", "text", maintain_order=True).agg(
            pl.col("found", "share", "gone").first(), pl.col("first", "last").get(longest)
        )


@dataclass(frozen=True)
class Spans:
    """The runs of contaminated documents."""

    rule: Rule

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return `row`, `text` and the bytes `first` and `last`."""
        runs = self.rule.overlaps(frame, starts)
        return runs.filter("gone").select("row", "text", "first", "last")


@dataclass(frozen=True)
class BestItems:
    """Per contaminated document the item of which most was found, the first of several."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return one row per document, with the number of its `items`."""
        items = pl.struct("benchmark", "item").n_unique().alias("items")
        return (
            frame.filter("gone")
            .sort("row", "found", "number", descending=[False, True, False])
            .group_by("row", maintain_order=True)
            .agg(pl.col(_BEST).first(), items)
        )


_BEST = ("found", "share", "benchmark", "item", "field", "first", "last")


@dataclass(frozen=True)
class Evidence:
    """Decisions about contaminated documents: what was found, with the words.

    Attributes:
        drop: Whether they are dropped.
        label: The step's label.
    """

    drop: bool
    label: str

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        """Columns that tell of documents that stay."""
        kinds = {
            "found": pl.Float64(),
            "share": pl.Float64(),
            "item": pl.String(),
            "matched": pl.String(),
        }
        return {f"{self.label}.{name}": kind for name, kind in kinds.items()}

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        """Return the decisions, with what `MostFound` reads beside them."""
        offsets, data = records.buffers("text")
        begin = offsets[positions["row"]]
        spans = zip(
            begin + frame["first"].to_numpy(), begin + frame["last"].to_numpy(), strict=True
        )
        matched = [bytes(data[start:stop]).decode()[:MATCHED] for start, stop in spans]
        told = frame.with_columns(
            pl.Series("matched", matched, dtype=pl.String), pl.col("found", "share").round(4)
        )
        evidence = pl.struct("benchmark", "item", "field", "found", "share", "items", "matched")
        return told.select(
            "row",
            pl.lit("contaminated" if self.drop else None, pl.String).alias("reason"),
            evidence.struct.json_encode().alias("evidence"),
            *(pl.col(name).alias(f"{self.label}.{name}") for name in ("found", "share", "matched")),
            pl.format("{}:{} {}", "benchmark", "item", "field").alias(f"{self.label}.item"),
            "benchmark",
            "item",
            "field",
            "found",
            "matched",
        )


_CLOSING: Final = re.compile(r"[^\w\s]*")
_CLOSING_BYTES: Final = 32


@dataclass(frozen=True)
class Widened:
    """Spans with what closes them and a margin on both sides, as `Cuts` takes them.

    Attributes:
        margin: Characters.
    """

    margin: int

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        """Return the table of `Cuts`."""
        start, stop = frame["first"].to_list(), frame["last"].to_list()
        offsets, data = records.buffers("text")
        for at, record in enumerate(positions["row"].tolist()):
            text = data[offsets[record] : offsets[record + 1]]
            after = bytes(text[stop[at] : stop[at] + _CLOSING_BYTES]).decode(errors="ignore")
            closing = _CLOSING.match(after)
            stop[at] += len(closing[0].encode()) if closing else 0
            if self.margin:
                letters = np.flatnonzero((text & 0xC0) != 0x80)
                low, high = np.searchsorted(letters, (start[at], stop[at]))
                start[at] = int(letters[max(0, low - self.margin)])
                high += self.margin
                stop[at] = int(letters[high]) if high < len(letters) else len(text)
        return frame.select(
            "row",
            pl.Series("start", start, dtype=pl.Int64),
            pl.Series("stop", stop, dtype=pl.Int64),
            pl.lit("contaminated").alias("reason"),
            "survivor",
        )


# --------------------------------------------------------------------------------------------------
# What is told


@dataclass(frozen=True)
class CountItems:
    """Per evaluation set its items, and those of which no text is long enough to be checked."""

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return one row per set."""
        items = frame.group_by("benchmark", "item").agg(pl.col("checked").any())
        return items.group_by("benchmark").agg(
            pl.len().cast(pl.Int64).alias("items"),
            (~pl.col("checked")).sum().cast(pl.Int64).alias("too short"),
        )


@dataclass(frozen=True)
class CountFound:
    """Per evaluation set the items found, the documents that hold them, and what comes close.

    Attributes:
        min_found: The limit; from half of it on a document is close.
    """

    min_found: float

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return one row per set of which anything was found."""
        gone = pl.col("gone")
        close = ~gone & (pl.col("found") >= self.min_found / 2)
        counts = {
            "items found": pl.col("item").filter(gone).n_unique(),
            "documents": pl.col("row").filter(gone).n_unique(),
            "documents close to it": pl.col("row").filter(close).n_unique(),
        }
        return frame.group_by("benchmark").agg(
            count.cast(pl.Int64).alias(name) for name, count in counts.items()
        )


@dataclass(frozen=True)
class MostFound:
    """The items that are the best of most documents, with the words found first."""

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the first `TOP` of them."""
        return (
            frame.sort("row")
            .group_by("benchmark", "item", "field", maintain_order=True)
            .agg(
                pl.len().cast(pl.Int64).alias("documents"),
                pl.col("found").max().alias("most found"),
                pl.col("matched").first().alias("matched text"),
            )
            .sort("documents", "most found", descending=True, maintain_order=True)
            .head(TOP)
        )
