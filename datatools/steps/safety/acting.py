"""What is done about spans of a text that nobody should learn: masked, dropped or reported.

Owns counting, masking and dropping. Refuses: finding the spans. Nothing that leaves here holds
what stood in a span: reasons and details tell kinds and counts, and the text of a row that is
dropped has every span masked, so that its preview shows none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from datatools.errors import ConfigError
from datatools.kernels.masks import mask_spans
from datatools.records import Kind
from datatools.steps.base import Batch, Mapped
from datatools.steps.safety.record_texts import Texts, take_texts

__all__ = ["Action", "Actions", "Find", "act", "check_placeholder", "placeholders", "strings"]

Action = Literal["mask", "drop", "report", "off"]
"""What to do about a kind: put a placeholder in its place, drop the document, count only, or not
even look."""

Find = Callable[[npt.NDArray[np.int64], npt.NDArray[np.uint8]], npt.NDArray[np.int64]]
"""Spans of the rows of a batch, from its offsets and bytes: int64 of shape (spans, 4), as
`kernels.masks.mask_spans` takes them."""

PASSES = 8
"""Most times that a masked text is looked at again. What a mask leaves can be found only then: a
number beside words that stood inside an address. One more pass is nearly always enough."""


@dataclass(frozen=True)
class Actions:
    """What to do about each kind of span.

    Attributes:
        prefix: Of columns and reasons, e.g. `pii`.
        names: Names of the kinds, by number.
        actions: Action of each.
        masks: Placeholder of each.
        records: Kind of the records.
    """

    prefix: str
    names: tuple[str, ...]
    actions: tuple[Action, ...]
    masks: tuple[str, ...]
    records: Kind = "document"

    def having(self, *actions: Action) -> list[int]:
        """Return the kinds with one of the actions."""
        return [kind for kind, action in enumerate(self.actions) if action in actions]


def placeholders(template: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the placeholder of each kind: the template with the kind's name in capitals."""
    return tuple(template.replace("{type}", name.upper()) for name in names)


def check_placeholder(
    template: str, names: Sequence[str], find: Find, places: Sequence[str] = ("{}", " {} ")
) -> None:
    """Refuse placeholders in which something would be found.

    Args:
        template: The template of the placeholders.
        names: Names of the kinds.
        find: Finds spans.
        places: Where a placeholder may stand.

    Raises:
        ConfigError: A masked text would be masked again.
    """
    for mask in placeholders(template, names):
        frame = pl.DataFrame({"text": [place.format(mask) for place in places]})
        if len(find(*Batch(frame).buffers("text"))):
            raise ConfigError(
                "placeholder", "would be found itself", got=mask, hint="Use words, as in [{type}]."
            )


def act(batch: Batch, find: Find, how: Actions) -> Mapped:
    """Return the batch with a count of each kind, its texts masked and its rows dropped.

    Returns:
        The column `<prefix>_<name>` (Int64) of each kind that is not off counts what was found;
        `removed` tells the characters that masks took from rows that stay.
    """
    df = batch.df
    text, owner = take_texts(df, how.records)
    source = batch if how.records == "document" else Batch(text.to_frame())
    spans = find(*source.buffers("text"))
    spans = spans[np.isin(spans[:, 3], how.having("mask", "drop", "report"))]
    counts = np.zeros((df.height, len(how.names)), np.int64)
    np.add.at(counts, (owner[spans[:, 0]], spans[:, 3]), 1)
    drop = how.having("drop")
    gone: npt.NDArray[np.bool_] = counts[:, drop].sum(axis=1) > 0
    masked: npt.NDArray[np.bool_] = np.isin(spans[:, 3], how.having("mask"))
    touched = np.unique(spans[masked | gone[owner[spans[:, 0]]], 0])
    removed: Counter[str] = Counter()
    if len(touched):
        text = _masked(text, owner, touched, gone, find, how, counts, removed)
        df = Texts(text, owner).put_back(df, how.records)
    columns = [
        pl.Series(f"{how.prefix}_{how.names[kind]}", counts[:, kind])
        for kind in how.having("mask", "drop", "report")
    ]
    reasons = [
        next((f"{how.prefix}_{how.names[kind]}" for kind in drop if row[kind]), None)
        for row in counts.tolist()
    ]
    return Mapped(
        df.with_columns(columns),
        dropped=pl.Series("reason", reasons, dtype=pl.String),
        detail=pl.Series(
            "detail",
            [
                _told(row, how) if reason else None
                for row, reason in zip(counts.tolist(), reasons, strict=True)
            ],
            dtype=pl.String,
        ),
        removed=removed,
    )


def _told(row: Sequence[int], how: Actions) -> str:
    found = {name: count for name, count in zip(how.names, row, strict=True) if count}
    return json.dumps({"found": found}, separators=(",", ":"))


def _masked(
    text: pl.Series,
    owner: npt.NDArray[np.int64],
    touched: npt.NDArray[np.int64],
    dropped: npt.NDArray[np.bool_],
    find: Find,
    how: Actions,
    counts: npt.NDArray[np.int64],
    removed: Counter[str],
) -> pl.Series:
    """Return the texts masked until nothing is left to mask; more finds are added to `counts`."""
    kept = np.array(how.having("mask"))
    every = np.array(how.having("mask", "drop", "report"))
    for again in range(PASSES):
        some = Batch(pl.DataFrame({"text": text.gather(touched)}))
        offsets, data = some.buffers("text")
        spans = find(offsets, data)
        gone = dropped[owner[touched[spans[:, 0]]]]
        spans = spans[np.where(gone, np.isin(spans[:, 3], every), np.isin(spans[:, 3], kept))]
        if len(spans) == 0:
            break
        offsets, data, characters = mask_spans(offsets, data, spans, how.masks)
        rows = touched[spans[:, 0]]
        if again:
            np.add.at(counts, (owner[rows], spans[:, 3]), 1)
        for kind, count, row in zip(spans[:, 3].tolist(), characters.tolist(), rows, strict=True):
            if not dropped[owner[row]]:
                removed[f"{how.prefix}_{how.names[kind]}"] += count
        text = text.scatter(touched, strings(offsets, data))
        touched = np.unique(rows)
    return text


def strings(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> pl.Series:
    """Return the rows of a pair of buffers as a String series named `text`."""
    array = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )
    return pl.Series("text", array, dtype=pl.String)
