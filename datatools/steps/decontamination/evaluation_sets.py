"""Evaluation sets: the texts that must not be in what a model learns from.

Owns: the settings that say where the items of a set are and which of their fields are texts, and
reading them. Refuses: what becomes of documents that hold such a text (`decontaminate`).
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import polars as pl
import zstandard
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from datatools.errors import ConfigError, DataError, suggestion
from datatools.steps.ingest.files import InputFile, expand, open_file
from datatools.steps.ingest.zstd_frames import is_zstd

__all__ = ["TEXTS", "Benchmark", "ReadItems"]

TEXTS: Final = pl.Schema(dict.fromkeys(("benchmark", "item", "field", "text"), pl.String()))
"""Columns of evaluation texts, one row per text."""

_MOST_BYTES: Final = 1 << 30
"""An evaluation set is held in memory; one that unpacks to more is something else."""


class Benchmark(BaseModel):
    """An evaluation set in files.

    Example:
        >>> Benchmark.model_validate(
        ...     {"path": "eval/arc.jsonl", "fields": ["question", ["question", "choices.text"]]},
        ...     context={"unchecked": True},
        ... ).labels
        ('question', 'question+choices.text')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: str
    """File, pattern or address of the items: JSON Lines or a JSON array, plain or compressed with
    gzip or zstd; or Parquet."""
    fields: tuple[str | tuple[str, ...], ...] = Field(min_length=1)
    """Fields that are texts, each looked for by itself: `[question, answer]`. A list among them is
    one text, its fields joined by a line feed: `[[question, choices]]`. `a.b` is the field b of the
    object a; of a list every entry belongs to the text."""
    id: str | None = None
    """Field that names an item; by default its number in the file, from 0."""

    @field_validator("fields", mode="before")
    @classmethod
    def _one_field_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_there(self, info: Any) -> Benchmark:
        if not (info.context or {}).get("unchecked"):
            try:
                self._check()
            except (ConfigError, DataError) as error:
                got = "" if error.got is None else f" (got {error.got!r})"
                raise ValueError(f"{error.problem}{got}. {error.hint or ''}".strip()) from error
        return self

    def _check(self) -> None:
        """Check that the files are there and that their first items have the fields."""
        for file in self.files():
            for _, item in _items(file):
                for name in (*self._names(), *([self.id] if self.id else [])):
                    _pick(item, name, f"{file.relpath}, first item")
                break

    def _names(self) -> Iterator[str]:
        for field in self.fields:
            yield from (field,) if isinstance(field, str) else field

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the texts, e.g. `question+choices`."""
        return tuple(field if isinstance(field, str) else "+".join(field) for field in self.fields)

    def files(self) -> list[InputFile]:
        """Return the files, sorted by relative path.

        Raises:
            ConfigError: There are none.
        """
        return expand((self.path,), where="path")

    def digest(self) -> str:
        """Return the SHA-256 of what the files hold."""
        return hashlib.sha256("".join(map(_digest, self.files())).encode()).hexdigest()

    def readers(self, name: str) -> list[ReadItems]:
        """Return what reads the files, one function for each.

        Args:
            name: The name of the set.
        """
        files = self.files()
        fields = tuple((field,) if isinstance(field, str) else field for field in self.fields)
        return [
            ReadItems(name, file, fields, self.labels, self.id, len(files) > 1) for file in files
        ]


@functools.cache
def _digest(file: InputFile) -> str:
    with open_file(file) as stored:
        return hashlib.sha256(stored.raw.read()).hexdigest()


@dataclass(frozen=True)
class ReadItems:
    """Reads the texts of one file.

    Attributes:
        name: The name of the set.
        file: The file.
        fields: Per text the fields it is made of.
        labels: Per text its name.
        id: Field that names an item.
        several: Whether the set has other files, so that numbers need their file's name.
    """

    name: str
    file: InputFile
    fields: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    id: str | None
    several: bool

    def __call__(self) -> pl.DataFrame:
        """Return the texts with the columns `TEXTS`.

        Raises:
            DataError: The file is of another form, or an item lacks a field.
        """
        rows: list[tuple[str, str, str, str]] = []
        for number, item in _items(self.file):
            where = f"{self.file.relpath}, item {number}"
            if self.id is None:
                id_ = f"{self.file.relpath}:{number}" if self.several else str(number)
            else:
                id_ = str(_pick(item, self.id, where))
            for fields, label in zip(self.fields, self.labels, strict=True):
                texts = [_text(_pick(item, name, where), f"{where}.{name}") for name in fields]
                rows.append((self.name, id_, label, "\n".join(text for text in texts if text)))
        return pl.DataFrame(rows, schema=TEXTS, orient="row")


def _pick(item: Mapping[str, Any], name: str, where: str) -> Any:
    """Return the field of an item, by its whole name or by the way `a.b` to it."""
    if name in item:
        return item[name]
    value: Any = item
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = list(value) if isinstance(value, Mapping) else []
            raise DataError(where, f"has no field {name!r}", hint=suggestion(part, known))
        value = value[part]
    return value


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n".join(filter(None, (_text(one, where) for one in value)))
    if isinstance(value, bool | int | float):
        return str(value)
    raise DataError(
        where, "is no text", got=type(value).__name__, hint="Name a field in it, as `a.b`."
    )


def _items(file: InputFile) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the items of a file with their numbers."""
    with open_file(file) as stored:
        head = stored.read_at(0, 16)
        stored.raw.seek(0)
        data = stored.raw.read()
    if head.startswith(b"PAR1"):
        yield from enumerate(pl.read_parquet(io.BytesIO(data)).iter_rows(named=True))
        return
    data = _unpacked(data, head, file.relpath).removeprefix(b"\xef\xbb\xbf")
    if data.lstrip()[:1] == b"[":
        yield from enumerate(_objects([data], file.relpath))
    else:
        yield from enumerate(_objects(data.split(b"\n"), file.relpath))


def _unpacked(data: bytes, head: bytes, where: str) -> bytes:
    try:
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(_MOST_BYTES + 1)
        elif is_zstd(head):
            reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
            data = reader.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise DataError(where, f"cannot be unpacked: {error}", hint="Fetch it again.") from error
    if len(data) > _MOST_BYTES:
        raise DataError(where, f"unpacks to more than {_MOST_BYTES} bytes, and is held in memory")
    return data


def _objects(parts: Sequence[bytes], where: str) -> Iterator[Mapping[str, Any]]:
    for number, part in enumerate(parts, 1):
        if not part.strip():
            continue
        try:
            value = orjson.loads(part)
        except orjson.JSONDecodeError as error:
            place = where if len(parts) == 1 else f"{where}, line {number}"
            raise DataError(
                place,
                f"is not JSON: {error}",
                hint="Evaluation sets are JSON Lines, a JSON array or Parquet; convert others, "
                "e.g. with `polars.read_csv(FILE).write_ndjson(OTHER)`.",
            ) from error
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise DataError(f"{where}, line {number}", "is not an object", got=one)
            yield one
