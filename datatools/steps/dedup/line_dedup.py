"""`LineDedup`: takes lines, paragraphs or sentences out of texts that other texts have, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from datatools.errors import ConfigError
from datatools.kernels.text_pieces import Unit, pieces
from datatools.steps.base import Batch, Cuts, Global, Rows
from datatools.steps.dedup.named import CUTS, with_survivors

__all__ = ["LineDedup"]

USUAL_PIECES = {"line": 30, "paragraph": 10, "sentence": 30}
"""Pieces of a usual document."""


class LineDedup(Global):
    r"""Take out of each text the lines that stand earlier in the dataset.

    Menus, notices and footers are what many pages share. The first occurrence, by input path,
    offset and place in the text, stays; later ones leave, in the same document as in others, with
    the line feed after them. Lines are compared in lower case, without punctuation and accents, and
    with every digit as 0; lines without a letter or digit are never compared and stay. A document
    of which nothing is left is dropped as `nothing_left`. The result does not depend on the order
    of anything but the input: every piece stays once, where it stood first (a span of several
    sentences may stay in pieces, where those stood first in different documents).

    With `unit: sentence` three sentences in a row are compared, as C4 did; with `keep: all` and
    `max_documents` only boilerplate leaves. FineWeb's ablations found global deduplication of lines
    no better than none, so compare before you use it: texts lose their refrains and their thanks.

    Each document that loses something has `LineDedup.removed`, in characters, and
    `LineDedup.survivor`, the document in which its longest piece stood first.

    Example:
        >>> texts = ["Home / Login\n첫 글입니다.", "HOME, LOGIN\n다른 글입니다.", "Home Login"]
        >>> kept, dropped = LineDedup().apply(pl.DataFrame({"text": texts}))
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['Home / Login\n첫 글입니다.', '다른 글입니다.'], ['nothing_left'])

    References:
        Guillaume Wenzek et al., CCNet, 2020, section 3.1 (lines, normalised, the first stays).
        Colin Raffel et al., Exploring the Limits of Transfer Learning, 2020, section 2.2 (three
        sentences). Guilherme Penedo et al., The FineWeb Datasets, 2024 (ablations of dedup).
    """

    version: ClassVar[int] = 1

    unit: Unit = "line"
    """What is compared: a line; a paragraph, which is a run of lines without a blank one between
    them; or a sentence, which ends at `.!?…。！？` before whitespace and at the end of a line."""
    span: int | None = Field(None, ge=1, le=64)
    """Units in a row that are compared together, 1 to 64; by default 3 sentences, 1 line or
    paragraph. Raising it removes less."""
    min_length: int = Field(1, ge=1)
    """Fewest characters in the form compared. Raising it spares short lines, such as thanks and
    the answers of a dialogue."""
    keep: Literal["first", "all"] = "first"
    """What stays of lines that occur more than once: the first occurrence, or all of them, so that
    only `max_documents` removes anything."""
    max_documents: int | None = Field(None, ge=1)
    """Most documents a line may be in. One that is in more is boilerplate and leaves everywhere,
    the first occurrence too. Raising it removes less; null switches the rule off."""
    compare: Literal["folded", "text"] = "folded"
    """What must be equal: the form without case, accents, punctuation and values of digits; or
    every byte, whitespace around the unit left out."""

    @model_validator(mode="after")
    def _removes_something(self) -> Self:
        if self.keep == "all" and self.max_documents is None:
            raise ConfigError(
                "keep", "`all` removes nothing by itself", hint="Add `max_documents:`."
            )
        return self

    def reads(self) -> frozenset[str]:
        """Return the text column."""
        return frozenset({"id", "text"})

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Cuts:
        """Bring equal lines together; the later ones, or all, are cut."""
        span = self.span or (3 if self.unit == "sentence" else 1)
        found = _Pieces(self.unit, span, self.min_length, self.compare == "text")
        rule = _Repeats(self.unit, self.keep == "first", self.max_documents)
        cuts = rows.map_shards(
            found, columns=("text",), fanout=USUAL_PIECES[self.unit], name=f"{self.unit}s"
        ).group_by(
            "key",
            rule,
            order_by=("low", "row", "start"),
            at_least=2 if rule.keep_first else (self.max_documents or 1) + 1,
            name="repeats",
        )
        return Cuts(with_survivors(rows, cuts), empty="nothing_left")


@dataclass(frozen=True)
class _Pieces:
    unit: Unit
    span: int
    min_length: int
    as_written: bool

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        found = pieces(
            *batch.buffers("text"), self.unit, span=self.span, as_written=self.as_written
        )
        long = found.length >= self.min_length
        columns = {
            "key": found.high[long],
            "low": found.low[long],
            "row": rows[found.row[long]],
            "start": found.start[long],
            "stop": found.stop[long],
        }
        schema = dict.fromkeys(("key", "low", "row"), pl.UInt64)
        return pl.DataFrame(columns, schema={**schema, "start": pl.UInt32, "stop": pl.UInt32})


@dataclass(frozen=True)
class _Repeats:
    """The occurrences that leave, of pieces sorted by hash and place.

    Attributes:
        unit: For the reasons.
        keep_first: Whether all but the first leave.
        max_documents: From how many documents on all leave; None never.
    """

    unit: Unit
    keep_first: bool
    max_documents: int | None

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        row = frame["row"].to_numpy()
        first = _firsts(frame["key"].to_numpy(), frame["low"].to_numpy())
        place = np.arange(len(row))
        gone = (place != first) & self.keep_first
        frequent = np.zeros(len(row), np.bool_)
        if self.max_documents is not None:
            # Occurrences are sorted by row, so a document begins where the row changes.
            new = np.concatenate(([1], row[1:] != row[:-1]))[: len(row)]
            new[first[place == first]] = 1
            group = np.cumsum(place == first) - 1
            documents = np.bincount(group, new).astype(np.int64)[group]
            frequent = documents > self.max_documents
            gone |= frequent
        reason = pl.when(pl.Series(frequent)).then(pl.lit(f"frequent_{self.unit}"))
        return frame.select(
            "row",
            pl.col("start").cast(pl.Int64),
            pl.col("stop").cast(pl.Int64),
            reason.otherwise(pl.lit(f"repeated_{self.unit}")).alias("reason"),
            pl.Series("source", row[first], dtype=pl.UInt64),
            pl.Series("stays", ~frequent, dtype=pl.Boolean),
        ).filter(pl.Series(gone, dtype=pl.Boolean)).cast(CUTS)  # fmt: skip


def _firsts(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return per place the first place with the same two halves of a hash, where equals meet."""
    new = np.ones(len(high), np.bool_)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    heads = np.flatnonzero(new)
    return heads[np.cumsum(new) - 1] if len(high) else heads
