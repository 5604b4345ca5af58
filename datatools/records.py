"""The record kinds, their columns and their ids.

Owns: what a `Document`, a `Thread`, a `Conversation` and a `Preference` are made of, in flight
(polars) and on disk (Arrow), and how an id is made. Refuses: anything about how a record is
produced.

In flight every kind may carry more columns than its schema (measures, provenance); publishing keeps
the schema in the main files and moves the rest to the sidecar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import polars as pl
import xxhash

__all__ = [
    "ANSWER",
    "KINDS",
    "MESSAGE",
    "SCHEMAS",
    "UNPUBLISHED",
    "Kind",
    "conform",
    "id_keys",
    "make_id",
    "make_ids",
    "missing_columns",
]

Kind = Literal["document", "thread", "conversation", "preference"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ANSWER: Final = pl.Struct(
    {
        "id": pl.String,
        "text": pl.String,
        "votes": pl.Int64,
        "accepted": pl.Boolean,
        "date": pl.String,
        "author": pl.String,
    }
)
"""One answer of a thread. `votes`, `date` and `author` are null where the page does not say."""

MESSAGE: Final = pl.Struct(
    {
        "role": pl.String,
        "content": pl.String,
        "name": pl.String,
        "tool_calls": pl.String,
        "train": pl.Boolean,
    }
)
"""One chat message. `tool_calls` is a JSON string, because Arrow would merge the keys of structs;
`train` says whether the loss covers the message."""

Columns = dict[str, pl.DataType | type[pl.DataType]]


def _schema(columns: Columns) -> pl.Schema:
    return pl.Schema(columns)


_PROVENANCE: Final[Columns] = {"origin": pl.String, "offset": pl.Int64}
# `origin` is the input file, relative to its pattern's fixed part; `offset` the record's first byte
# in the file as stored (compressed bytes for .gz), or its row number where a format has no byte
# offsets.

SCHEMAS: Final[Mapping[Kind, pl.Schema]] = {
    "document": _schema(
        {
            "id": pl.String,
            "text": pl.String,
            "html": pl.Binary,
            "url": pl.String,
            "source": pl.String,
            "date": pl.String,
            "language": pl.String,
            "license": pl.String,
            "meta": pl.String,
            **_PROVENANCE,
        }
    ),
    "thread": _schema(
        {
            "id": pl.String,
            "group_id": pl.String,
            "doc_id": pl.String,
            "question": pl.String,
            "answers": pl.List(ANSWER),
            "language": pl.String,
            "url": pl.String,
            "source": pl.String,
            "license": pl.String,
            "meta": pl.String,
            **_PROVENANCE,
        }
    ),
    "conversation": _schema(
        {
            "id": pl.String,
            "group_id": pl.String,
            "doc_id": pl.String,
            "messages": pl.List(MESSAGE),
            "tools": pl.String,
            "language": pl.String,
            "url": pl.String,
            "source": pl.String,
            "license": pl.String,
            "meta": pl.String,
            **_PROVENANCE,
        }
    ),
    "preference": _schema(
        {
            "id": pl.String,
            "group_id": pl.String,
            "doc_id": pl.String,
            "prompt": pl.List(MESSAGE),
            "chosen": pl.List(MESSAGE),
            "rejected": pl.List(MESSAGE),
            "strength": pl.Float64,
            "language": pl.String,
            "url": pl.String,
            "source": pl.String,
            "license": pl.String,
            "meta": pl.String,
            **_PROVENANCE,
        }
    ),
}
"""Columns of each kind, in published order. `meta` is a JSON object as a string; `doc_id` is the id
of the document a derived record came from; `group_id` the near-duplicate cluster of its prompt."""

UNPUBLISHED: Final = frozenset({"html"})
"""Columns that live in intermediate stages only."""


def make_id(*parts: str | int) -> str:
    """Return the id made of `parts`: 32 hexadecimal digits.

    Each part is length-prefixed, so `("ab", "c")` and `("a", "bc")` differ. Lone surrogates, which
    a file name can hold, are encoded as they are.

    References:
        Yann Collet, xxHash, XXH3 128 bits, 2019. Not cryptographic: ids are names, not proofs.

    Example:
        >>> make_id("forum", "a.warc.gz", 0)
        '022c79edf9f400dbcd3209e16396240c'
    """
    digest: str = _hashed(parts).hexdigest()
    return digest


def make_ids(parts: Sequence[str | int], keys: Iterable[str | int]) -> list[str]:
    """Return `make_id(*parts, key)` for each key, in a fraction of the time.

    Example:
        >>> make_ids(("forum", "a.warc.gz"), [0]) == [make_id("forum", "a.warc.gz", 0)]
        True
    """
    start = _hashed(parts)
    ids: list[str] = []
    for key in keys:
        hasher = start.copy()
        hasher.update(_prefixed(key))
        ids.append(hasher.hexdigest())
    return ids


def _hashed(parts: Iterable[str | int]) -> Any:
    hasher = xxhash.xxh3_128()
    for part in parts:
        hasher.update(_prefixed(part))
    return hasher


def _prefixed(part: str | int) -> bytes:
    data = str(part).encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "little") + data


def id_keys(ids: pl.Series) -> pl.Series:
    """Return a 64-bit hash of each id: enough to find two records with one id.

    Example:
        >>> keys = id_keys(pl.Series(["a", "b", "a"]))
        >>> keys.dtype, keys[0] == keys[2], keys[0] == keys[1]
        (UInt64, True, False)
    """
    keys = [xxhash.xxh3_64_intdigest(id_.encode()) for id_ in ids.to_list()]
    return pl.Series("key", keys, dtype=pl.UInt64)


def missing_columns(frame: pl.DataFrame, kind: Kind) -> list[str]:
    """Return the schema columns of `kind` that `frame` lacks, in schema order."""
    return [name for name in SCHEMAS[kind] if name not in frame.columns]


def conform(frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Return `frame` with every column of `kind` present and typed, extra columns after them.

    Missing columns are null. A column of another type is cast strictly.

    Raises:
        polars.exceptions.InvalidOperationError: A value does not fit its column's type.
    """
    schema = SCHEMAS[kind]
    have = set(frame.columns)
    columns = [
        (pl.col(name) if name in have else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    extra = [pl.col(name) for name in frame.columns if name not in schema]
    return frame.select(columns + extra)
