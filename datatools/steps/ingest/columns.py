"""Which fields of a foreign record become which columns of a document.

Shared by the readers of records that have named fields: JSON Lines, Parquet and datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datatools.steps.base import Source
from datatools.steps.ingest.frames import to_json

__all__ = ["ColumnNames", "Columns", "UnusableRecordError"]


class UnusableRecordError(Exception):
    """A record that cannot become a document.

    Args:
        reason: Code for the quarantine.
        detail: What was found.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Columns:
    """The columns taken from one record."""

    text: str
    native_id: str | None
    url: str | None
    date: str | None
    language: str | None
    license: str | None
    source: str | None
    meta: str | None


class ColumnNames(Source):
    """A source of records with named fields."""

    text: str = "text"
    """Field that holds the text. A record without it, or with anything but a string in it, is
    quarantined; an empty string is a text."""
    id: str | None = None
    """Field that holds the record's own id, a string or an integer, unique under the source's
    label. Ids are then made from it and not from the position, so that reordering the file changes
    no id."""
    url: str | None = "url"
    """Field that holds the address. Of this and the following fields a string is taken; anything
    else stays in `meta`."""
    date: str | None = "date"
    """Field that holds the date, in any form."""
    language: str | None = "language"
    """Field that holds the language code."""
    license: str | None = "license"
    """Field that holds the licence."""
    source: str | None = None
    """Field that holds where the record comes from; records without it have the source's label."""

    def take(self, record: dict[str, Any], notes: dict[str, int]) -> Columns:
        """Return a record's columns; the fields that are taken are removed from it.

        Args:
            record: Field values by name; what is not taken becomes `meta`, the id included.
            notes: What the reader adds to `meta`; names begin with an underscore.

        Raises:
            UnusableRecordError: The text or the id is missing or of another type, or the rest
                cannot be said in JSON.
        """
        text = record.pop(self.text, None)
        if type(text) is not str:
            if text is None:
                raise UnusableRecordError("text_missing", f"no text in field {self.text!r}")
            raise UnusableRecordError(
                "text_type", f"{self.text!r} holds {type(text).__name__}, not text"
            )
        native_id = None
        if self.id is not None:
            native_id = _native_id(record.get(self.id), self.id)
        return Columns(
            text,
            native_id,
            _string(record, self.url),
            _string(record, self.date),
            _string(record, self.language),
            _string(record, self.license),
            _string(record, self.source),
            _meta(record, notes),
        )


def _native_id(value: Any, field: str) -> str:
    if type(value) is int or (type(value) is str and value):
        return str(value)
    raise UnusableRecordError("id_missing", f"no id in field {field!r}")


def _string(record: dict[str, Any], field: str | None) -> str | None:
    if field is None:
        return None
    value = record.pop(field, None)
    if value is None or type(value) is str:
        return value
    record[field] = value
    return None


def _meta(record: dict[str, Any], notes: dict[str, int]) -> str | None:
    if notes:
        record |= notes
    if not record:
        return None
    try:
        return to_json(record)
    except TypeError as error:
        raise UnusableRecordError(
            "meta_json", f"its other fields cannot be said in JSON: {error}"
        ) from None
