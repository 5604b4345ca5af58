"""Columns of vectors, passed from a table to the documents beside what documents have.

Owns their way around the rows: vectors are never Python objects. Refuses: what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from datatools.errors import ConfigError, nearest

__all__ = ["VECTOR", "Vectors", "check_vectors"]

VECTOR: Final = pl.List(pl.Float32)
"""Type of a column of vectors in flight."""


def check_vectors(names: Sequence[str], schema: pa.Schema, path: str, step: str) -> None:
    """Check that a table has the columns, and that they hold lists of numbers.

    Raises:
        ConfigError: One is missing or holds something else.
    """
    for name in names:
        if name not in schema.names:
            close = nearest(name, schema.names)
            raise ConfigError(
                f"{step}.vectors",
                f"{path} has no such column",
                got=name,
                hint=f"Did you mean {close!r}?" if close else "Name a column of the file.",
            )
        kind = schema.field(schema.get_field_index(name)).type
        lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        numbers = (pa.types.is_floating, pa.types.is_integer)
        if not any(is_list(kind) for is_list in lists) or not any(
            is_number(kind.value_type) for is_number in numbers
        ):
            raise ConfigError(
                f"{step}.vectors",
                f"in {path} this column does not hold lists of numbers but {kind}",
                got=name,
                hint="Name columns of embeddings.",
            )


class Vectors:
    """Holds the vectors of rows that are read until their documents come out.

    Args:
        names: Columns of vectors.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._held: list[pl.DataFrame] = []

    def take(self, first: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Keep the vectors of a batch whose first row has this number; return the rest of it."""
        if not self._names:
            return batch
        # Of columns with one name the last counts, as for every other column of a table.
        last = {name: batch.schema.get_all_field_indices(name)[-1] for name in self._names}
        columns = [
            pl.Series(name, batch.column(index)).cast(VECTOR) for name, index in last.items()
        ]
        numbers = pl.Series("offset", np.arange(first, first + batch.num_rows), dtype=pl.Int64)
        self._held.append(pl.DataFrame([numbers, *columns]))
        return batch.drop_columns(self._names)

    def beside(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return documents, named by their `offset` and in its order, with their vectors."""
        if not self._names or frame.height == 0:
            return frame
        held = pl.concat(self._held)
        last = int(frame["offset"][-1])
        self._held = [held.filter(pl.col("offset") > last)]
        return frame.join(held, on="offset", how="left", maintain_order="left")
