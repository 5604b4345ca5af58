"""ReadParquet: documents from Parquet files, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Self

import polars as pl
import pyarrow.parquet as pq
from pydantic import model_validator

from datatools.errors import ConfigError, UnsupportedFormatError
from datatools.records import SCHEMAS
from datatools.steps.base import ReadLog, Unit
from datatools.steps.ingest.arrow_rows import ArrowRows, check_columns, rows_per_batch
from datatools.steps.ingest.columns import ColumnNames
from datatools.steps.ingest.files import FileSource, InputFile, StoredFile, open_file, open_unit
from datatools.steps.ingest.vector_columns import VECTOR, Vectors, check_vectors

__all__ = ["ReadParquet"]

_MAGIC: Final = b"PAR1"


class ReadParquet(ColumnNames, FileSource):
    """Reads documents from Parquet files.

    The text column may hold strings, large strings, dictionaries of them, or bytes that are UTF-8.
    Columns that become no column of the document are kept in `meta`: nested ones as they are,
    dates, times and decimals as strings, bytes as base64 unless they are UTF-8. A row without text,
    or with a string that is not UTF-8, is quarantined.

    Ranges are counted in row groups, and `offset` is the row's number in the file. A row group that
    cannot be read is incomplete input; one that breaks after some of its rows were taken is
    consumed, and the rest of it quarantined as `rows_lost`. A file whose footer cannot be read is
    one incomplete unit.

    Example:
        >>> ReadParquet(paths="dump/*.parquet", text="content").unit_bytes
        33554432
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("pyarrow",)

    vectors: tuple[str, ...] = ()
    """Columns of embeddings, lists of numbers, that stay columns of the documents, as float32, and
    are published in the sidecar. `SemanticDedup` reads one."""

    @model_validator(mode="after")
    def _vectors_are_new(self) -> Self:
        for name in self.vectors:
            if name in SCHEMAS["document"]:
                raise ConfigError("vectors", "a document has another column of this name", got=name)
        return self

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the columns of vectors."""
        return dict.fromkeys(self.vectors, VECTOR)

    def _split(self, file: InputFile) -> list[Unit]:
        with open_file(file) as stored:
            if stored.read_at(0, 4) != _MAGIC:
                raise UnsupportedFormatError(
                    file.path,
                    "is not a Parquet file",
                    got=stored.read_at(0, 4),
                    hint="ReadJsonl reads JSON Lines, ReadWarc web archives.",
                )
            try:
                parquet = _open(stored)
                schema = parquet.schema_arrow
            except Exception:
                return [file.unit(0, 1)]  # reading it will say what is wrong
            check_columns(self, schema, file.path)
            check_vectors(self.vectors, schema, file.path, self.name())
            metadata = parquet.metadata
            # Not the columns' stored sizes: asking for those of an encrypted column ends the
            # process (pyarrow 26.0.1). Each row group has its share of the file instead.
            sizes = [
                metadata.row_group(group).total_byte_size
                for group in range(metadata.num_row_groups)
            ]
        share = file.size / max(sum(sizes), 1)
        starts, size = [0], 0
        for group, group_bytes in enumerate(sizes):
            if size and (size + group_bytes) * share > self.unit_bytes:
                starts.append(group)
                size = 0
            size += group_bytes
        return [
            file.unit(start, end)
            for start, end in zip(starts, [*starts[1:], len(sizes)], strict=True)
        ]

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        """Yield the unit's documents; see `Source.read`."""
        rows = ArrowRows(self, unit.relpath, log, label)
        vectors = Vectors(self.vectors)
        with open_unit(unit) as stored:
            try:
                parquet = _open(stored)
                groups = [
                    parquet.metadata.row_group(group)
                    for group in range(parquet.metadata.num_row_groups)
                ]
            except Exception as error:
                log.incomplete(unit.start, unit.end, f"the footer cannot be read: {_words(error)}")
                return
            for number in range(unit.start, unit.end):
                group = groups[number]
                first = rows.row = sum(before.num_rows for before in groups[:number])
                try:
                    for batch in parquet.iter_batches(
                        rows_per_batch(group.num_rows, group.total_byte_size),
                        row_groups=[number],
                        use_threads=False,
                    ):
                        rest = vectors.take(rows.row, batch)
                        yield from map(vectors.beside, rows.take(rest))
                    problem = ""
                # Damaged pages raise anything from ArrowInvalid to MemoryError.
                except Exception as error:
                    problem = _words(error)
                missing = first + group.num_rows - rows.row
                if rows.row == first and (problem or missing):
                    log.incomplete(number, number + 1, problem or f"{missing} rows are missing")
                    continue
                if problem or missing:
                    rows.lost(missing, problem or "the footer promises another number of rows")
                log.consumed(number, number + 1)
            yield from map(vectors.beside, rows.frames.rest())


def _open(stored: StoredFile) -> pq.ParquetFile:
    parquet = pq.ParquetFile(stored.raw, pre_buffer=False)
    metadata = parquet.metadata
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    counts = [group.num_rows for group in groups]
    if sum(counts) != metadata.num_rows or any(
        group.num_rows < 0 or group.total_byte_size < 0 for group in groups
    ):
        raise ValueError(f"its row groups hold {sum(counts)} rows, it promises {metadata.num_rows}")
    return parquet


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
