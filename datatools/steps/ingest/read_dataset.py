"""ReadDataset: documents from a Hugging Face dataset, on disk or on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from datatools.errors import ConfigError, DataError, nearest
from datatools.steps.base import ReadLog, Unit
from datatools.steps.ingest.arrow_rows import ArrowRows, check_columns, rows_per_batch
from datatools.steps.ingest.columns import ColumnNames

__all__ = ["ReadDataset"]


class ReadDataset(ColumnNames):
    """Reads documents from a dataset of the library `datasets`.

    `path` is a folder that `save_to_disk` made, a folder of data files that `load_dataset` reads,
    or a name on the hub. Columns become `meta` as in ReadParquet. Ranges and `offset` are row
    numbers. A hub dataset is downloaded to the library's own cache; no code from it is run.

    Example:
        >>> ReadDataset(path="corpus/on/disk", split="validation").split
        'validation'
    """

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("datasets", "pyarrow")

    path: str
    """Folder or hub name."""
    split: str = "train"
    """Split to read. A folder saved from a single split has only that one."""
    subset: str | None = None
    """Subset of a hub dataset or data folder, which `datasets` calls its configuration or name."""
    revision: str | None = None
    """Commit, tag or branch of a hub dataset. Name a commit to read the same data tomorrow."""

    def units(self) -> list[Unit]:
        """Return row ranges of about `unit_bytes`.

        Raises:
            ConfigError: The split or a column does not exist.
            DataError: The dataset cannot be loaded.
        """
        dataset = self._load()
        check_columns(self, dataset.data.schema, self.path)
        count, size = len(dataset), dataset.data.nbytes
        rows = max(1, self.unit_bytes * count // size if size else count)
        relpath = f"{Path(self.path).name}/{self.split}"
        return [
            Unit(self.path, relpath, start, min(start + rows, count), size, _fingerprint(dataset))
            for start in range(0, max(count, 1), rows)
        ]

    def read(self, unit: Unit, log: ReadLog, label: str) -> Iterator[pl.DataFrame]:
        """Yield the unit's documents; see `Source.read`."""
        dataset = self._load()
        if _fingerprint(dataset) != unit.fingerprint:
            raise DataError(self.path, "changed after the run was planned", hint="Run again.")
        rows = ArrowRows(self, unit.relpath, log, label)
        rows.row = unit.start
        arrow = dataset.with_format("arrow")
        step = rows_per_batch(len(dataset), dataset.data.nbytes)
        try:
            for start in range(unit.start, unit.end, step):
                table = arrow[start : min(start + step, unit.end)]
                for batch in table.combine_chunks().to_batches():
                    yield from rows.take(batch)
        # A damaged Arrow file raises anything from ArrowInvalid to UnicodeDecodeError.
        except Exception as error:
            if unit.start < rows.row:
                log.consumed(unit.start, rows.row)
            log.incomplete(rows.row, unit.end, f"{type(error).__name__}: {error}"[:200])
        else:
            log.consumed(unit.start, unit.end)
        yield from rows.frames.rest()

    def _load(self) -> Any:
        """Return the split as a `datasets.Dataset`."""
        import datasets

        folder = Path(self.path)
        saved = any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))
        datasets.disable_progress_bars()
        try:
            loaded: Any = (
                datasets.load_from_disk(self.path)
                if saved
                else datasets.load_dataset(self.path, self.subset, revision=self.revision)
            )
        # The library raises its own, the hub's, the network's and the builders' errors.
        except Exception as error:
            raise DataError(
                f"{self.name()}.path",
                f"cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
                got=self.path,
                hint="Give a folder that exists, or a hub name while the hub can be reached.",
            ) from error
        if isinstance(loaded, datasets.Dataset):
            loaded = {str(loaded.split or "train"): loaded}
        if self.split not in loaded:
            close = nearest(self.split, loaded)
            raise ConfigError(
                f"{self.name()}.split",
                f"{self.path} has no such split",
                got=self.split,
                hint=f"Did you mean {close!r}?" if close else f"It has {', '.join(loaded)}.",
            )
        return loaded[self.split]


def _fingerprint(dataset: Any) -> str:
    return f"{dataset._fingerprint}-{len(dataset)}-{dataset.data.nbytes}"
