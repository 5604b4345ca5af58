"""Rows gathered into document frames of bounded size."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import polars as pl

from datatools.records import SCHEMAS
from datatools.steps.base import MAX_BATCH_BYTES, MAX_BATCH_ROWS

__all__ = ["DocumentFrames", "Row", "to_json"]


class Row(NamedTuple):
    """One document as a reader makes it, without the columns that are one for the file."""

    id: str
    offset: int
    text: str | None = None
    html: bytes | None = None
    url: str | None = None
    source: str | None = None
    """Null stands for the source's label."""
    date: str | None = None
    language: str | None = None
    license: str | None = None
    meta: str | None = None


class DocumentFrames:
    """Gathers rows of one file and hands them out as frames in the schema of `document`.

    A frame has at most 4,096 rows and 16 MiB; a larger row is a frame of its own.
    """

    def __init__(self, origin: str, label: str) -> None:
        self._origin = origin
        self._label = label
        self._rows: list[Row] = []
        self._bytes = 0

    def add(self, row: Row, size: int) -> Sequence[pl.DataFrame]:
        """Take a row of `size` bytes and return the frames that are now complete."""
        frames: Sequence[pl.DataFrame] = ()
        if self._rows and self._bytes + size > MAX_BATCH_BYTES:
            frames = self.rest()
        self._rows.append(row)
        self._bytes += size
        if len(self._rows) == MAX_BATCH_ROWS or self._bytes > MAX_BATCH_BYTES:
            frames = [*frames, *self.rest()]
        return frames

    def rest(self) -> Sequence[pl.DataFrame]:
        """Return what was not handed out yet, as one frame or none."""
        if not self._rows:
            return ()
        columns = dict(zip(Row._fields, zip(*self._rows, strict=True), strict=True))
        self._rows.clear()
        self._bytes = 0
        series = {
            name: pl.Series(name, columns[name], dtype) if name in columns else None
            for name, dtype in SCHEMAS["document"].items()
        }
        frame = pl.DataFrame(
            {name: column for name, column in series.items() if column is not None}
        )
        return [
            frame.with_columns(
                pl.col("source").fill_null(self._label), origin=pl.lit(self._origin)
            ).select(SCHEMAS["document"].names())
        ]


def to_json(value: Any) -> str:
    r"""Return a JSON object as `meta` holds it, keys in the order given.

    Bytes become text if they are UTF-8, else base64; NaN and infinities become null, as JSON has
    none; what else JSON cannot say (decimals, durations) becomes its string.

    Raises:
        TypeError: The value is nested deeper than 254 levels.

    Example:
        >>> to_json({"name": "가", "key": b"\xff"})
        '{"name":"가","key":"/w=="}'
    """
    return orjson.dumps(value, default=_in_words).decode()


def _in_words(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return str(value)
