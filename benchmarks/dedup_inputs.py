"""Inputs that test deduplication by their size or shape, written as Parquet from a seed.

`write_documents` writes as many composed documents as asked, a tenth of them edited copies, in
pieces, so that ten million need little memory. `STRESS` names inputs of hard shapes; each writer
says which answers are right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from texts import Language, Words, bundled_words, compose, document_lengths, edited

__all__ = ["STRESS", "Expected", "write_documents"]

PIECE = 20_000  # documents composed at a time, and rows of a row group
COPIES = 0.1


def write_documents(
    path: Path,
    count: int,
    *,
    mean_words: float = 250,
    language: Language = "en",
    seed: int = 0,
) -> int:
    """Write composed documents (id, text) and return the bytes of their text.

    A tenth are copies of documents of the piece before with 1 % of their words edited; near and
    exact duplicates then lie in different parts of the file.
    """
    size = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for first, texts in _pieces(count, mean_words, language, seed):
            size += pc.sum(pc.binary_length(texts)).as_py()
            writer.write_table(_table(first, texts))
    return size


_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string())])


def _pieces(
    count: int, mean_words: float, language: Language, seed: int
) -> Iterator[tuple[int, pa.LargeStringArray]]:
    rng = np.random.default_rng([seed, count])
    source = bundled_words(language)
    before: Words | None = None
    for first in range(0, count, PIECE):
        rows = min(PIECE, count - first)
        lengths = document_lengths(rows, mean_words, rng)
        fresh = compose(source, lengths, rng)
        place = np.sort(rng.permutation(rows)[: round(rows * COPIES)])
        # The first piece copies itself, but nothing that a copy takes the place of.
        there = np.setdiff1d(np.arange(rows), place) if before is None else np.arange(len(before))
        copies = edited((before or fresh).taken(rng.choice(there, len(place))), 0.01, rng)
        documents = [fresh.document(number) for number in range(rows)]
        for number, at in enumerate(place):
            documents[at] = copies.document(number)
        before = fresh.of(documents)
        yield first, before.texts()


def _table(first: int, texts: pa.Array | pa.ChunkedArray) -> pa.Table:
    ids = pl.Series(range(first, first + len(texts))).cast(pl.String).str.zfill(9)
    return pa.table({"id": ids.to_arrow().cast(pa.string()), "text": texts}, schema=_SCHEMA)


@dataclass(frozen=True)
class Expected:
    """What deduplication at a threshold of 0.8 must leave.

    Attributes:
        documents: Rows written.
        fewest: Fewest survivors that are right.
        most: Most survivors that are right.
        why: The reason, for the reader of the result.
    """

    documents: int
    fewest: int
    most: int
    why: str


def column_of_2_gb(path: Path, scale: float) -> Expected:
    """Write one row group whose text column is larger than 2^31 bytes."""
    rng = np.random.default_rng(1)
    source = bundled_words("en")
    count = max(20, round(120_000 * scale) // 10 * 10)
    pieces = []
    for first in range(0, count, 2_000):
        rows = min(2_000, count - first)
        texts = compose(source, document_lengths(rows, 3_600, rng), rng).texts()
        places = np.arange(rows)
        pieces.append(texts.take(pa.array(places - (places % 10 == 9))))
    table = _table(0, pa.chunked_array(pieces))
    pq.write_table(table, path, row_group_size=count, compression="zstd")
    left = count - count // 10
    return Expected(count, left, left, "every tenth document is the one before it, word for word")


def document_of_200_mb(path: Path, scale: float) -> Expected:
    """Write a document of 200 MB, its copy with 1 word in 10,000 edited, and ordinary ones."""
    rng = np.random.default_rng(2)
    source = bundled_words("en")
    lengths = document_lengths(202, 250, rng)
    lengths[100] = max(1_000, round(36_000_000 * scale))
    documents = compose(source, lengths, rng)
    large = edited(documents.of([documents.document(100)]), 0.0001, rng)
    parts = [documents.document(number) for number in range(201)] + [large.document(0)]
    pq.write_table(_table(0, documents.of(parts).texts()), path, compression="zstd")
    return Expected(202, 201, 201, "the large document has one near copy")


def identical(path: Path, scale: float) -> Expected:
    """Write a million identical documents."""
    rng = np.random.default_rng(3)
    text = compose(bundled_words("ko"), np.array([120]), rng).texts()
    count = max(100, round(1_000_000 * scale))
    repeated = text.take(pa.array(np.zeros(count, np.int64)))
    pq.write_table(_table(0, repeated), path, row_group_size=PIECE, compression="zstd")
    return Expected(count, 1, 1, "all documents are one")


def template(path: Path, scale: float) -> Expected:
    """Write a million documents that differ in one word of a hundred."""
    count = _write_template(path, scale, slots=1)
    # 91 of 101 shingles are shared, which bands find with a probability of 0.99998; a document that
    # shares no bucket with the first may stay.
    return Expected(count, 1, max(1, count // 1000), "any two documents are 0.90 alike")


def template_below(path: Path, scale: float) -> Expected:
    """Write a million documents, any two of them 0.73 alike: candidates, but no duplicates."""
    count = _write_template(path, scale, slots=3)
    return Expected(count, count, count, "any two documents are 0.73 alike, below the threshold")


def _write_template(path: Path, scale: float, slots: int) -> int:
    rng = np.random.default_rng(4)
    (text,) = compose(bundled_words("en"), np.array([400]), rng).texts().to_pylist()
    words = re.findall(r"\w+", text)[:100]
    count = max(100, round(1_000_000 * scale))
    number = pl.int_range(count, dtype=pl.Int64, eager=True).cast(pl.String)
    columns, at = [], 0
    for stop in (20, 45, 70)[:slots]:  # the word there gives its place to the number
        columns += [pl.lit(" ".join(words[at:stop])), number.alias(f"slot_{stop}")]
        at = stop + 1
    columns.append(pl.lit(" ".join(words[at:])).alias("end"))
    texts = pl.select(pl.concat_str(columns, separator=" ")).to_series().to_arrow()
    table = _table(0, texts.cast(pa.large_string()))
    pq.write_table(table, path, row_group_size=PIECE, compression="zstd")
    return count


def blank_and_short(path: Path, scale: float) -> Expected:
    """Write empty texts, white space, punctuation and texts of one to four words, many times."""
    kinds = ["", " ", "\n\t\n", " ", "!!!", "— … —", "one", "One!", "하나", "하나.", "two words"]
    kinds += ["두 낱말", "a b c d", "A, b; c d?", "a b c e", "가 나 다 라", "가 나 다 마", "\u200b"]
    count = max(len(kinds), round(100_000 * scale))
    texts = pa.array([kinds[number % len(kinds)] for number in range(count)], pa.large_string())
    pq.write_table(_table(0, texts), path, row_group_size=PIECE, compression="zstd")
    distinct = len({_reduced(kind) for kind in kinds})
    return Expected(
        count, distinct, distinct, "too short to be near: duplicates are those of words"
    )


def _reduced(text: str) -> str:
    # A text without words is told by its characters: "!!!" and an emoji are not one text.
    return " ".join(re.findall(r"\w+", text.lower()) or text.lower().split())


STRESS: dict[str, Callable[[Path, float], Expected]] = {
    "column_of_2_gb": column_of_2_gb,
    "document_of_200_mb": document_of_200_mb,
    "identical": identical,
    "template": template,
    "template_below": template_below,
    "blank_and_short": blank_and_short,
}
"""Writers by name: `write(path, scale)`, where a scale of 1 is the size the name says."""
