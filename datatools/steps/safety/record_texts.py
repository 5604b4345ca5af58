"""The texts of a record, whatever its kind: taken out of a batch, and put back changed.

Owns where each kind keeps its texts. Refuses: names, tool calls and `meta`, which are no running
text.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.records import Kind

__all__ = ["COLUMNS", "Texts", "take_texts"]

COLUMNS: Final[dict[Kind, dict[str, str]]] = {
    "document": {"text": ""},
    "thread": {"question": "", "answers": "text"},
    "conversation": {"messages": "content"},
    "preference": {"prompt": "content", "chosen": "content", "rejected": "content"},
}
"""Columns with texts of each kind; of a column of structs the field, else nothing."""


class Texts(NamedTuple):
    """Texts of a batch.

    Attributes:
        text: The texts, column by column, in a row; null where there is none.
        owner: int64 of shape (texts,): the record each belongs to.
    """

    text: pl.Series
    owner: npt.NDArray[np.int64]

    def put_back(self, df: pl.DataFrame, kind: Kind) -> pl.DataFrame:
        """Return the batch that they were taken out of with these texts in their places."""
        at = 0
        for column, field in COLUMNS[kind].items():
            items = _items(df[column]) if field else df.select(column)
            new = self.text.slice(at, items.height)
            at += items.height
            if field:
                df = df.with_columns(_changed(df[column], items, field, new))
            else:
                df = df.with_columns(new.alias(column))
        return df


def take_texts(df: pl.DataFrame, kind: Kind) -> Texts:
    """Return the texts of a batch.

    Example:
        >>> frame = pl.DataFrame({"question": ["q"], "answers": [[{"text": "a"}, {"text": "b"}]]})
        >>> texts = take_texts(frame, "thread")
        >>> texts.text.to_list(), texts.owner.tolist()
        (['q', 'a', 'b'], [0, 0, 0])
    """
    texts, owners = [], []
    for column, field in COLUMNS[kind].items():
        if field:
            items = _items(df[column])
            texts.append(items[column].struct.field(field).rename("text"))
            owners.append(items["owner"].to_numpy())
        else:
            texts.append(df[column].rename("text"))
            owners.append(np.arange(df.height))
    text = pl.concat([one.cast(pl.String) for one in texts], rechunk=True)
    return Texts(text, np.concatenate(owners).astype(np.int64))


def _items(lists: pl.Series) -> pl.DataFrame:
    """Return the items of a column of lists with the row each is in; of empty lists nothing."""
    frame = lists.to_frame().with_row_index("owner")
    return frame.filter(pl.col(lists.name).list.len() > 0).explode(lists.name)


def _changed(lists: pl.Series, items: pl.DataFrame, field: str, new: pl.Series) -> pl.Series:
    """Return a column of lists with other texts in its items; null items stay null."""
    item = pl.col(lists.name)
    fields = lists.dtype.inner.fields  # type: ignore[attr-defined]
    whole = pl.struct(
        pl.lit(new).alias(field) if one.name == field else item.struct.field(one.name)
        for one in fields
    )
    again = (
        items.with_columns(pl.when(item.is_not_null()).then(whole).alias(lists.name))
        .group_by("owner", maintain_order=True)
        .agg(item)
    )
    rows = lists.to_frame("old").with_row_index("owner")
    joined = rows.join(again, on="owner", how="left", maintain_order="left")
    return joined.select(
        pl.coalesce(lists.name, "old").cast(lists.dtype).alias(lists.name)
    ).to_series()
