"""Writing OUT/report.html.

Owns: that the page is whole or absent. Refuses: what is in it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from datatools.errors import DataError, IntegrityError
from datatools.inquiry.verifying import left_over, published
from datatools.report.fates import FATES
from datatools.report.load import load_report
from datatools.report.page import render

__all__ = ["write_report"]

_NAME: Final = "report.html"
_TEMPORARY: Final = ".tmp-"
"""What a run takes for left over, and removes."""


def write_report(output: Path, *, title: str | None = None) -> Path:
    """Write `report.html` from what a run left in `output`.

    The page is one file without scripts or links to elsewhere. An older page is replaced at once.

    Args:
        output: A pipeline's output folder.
        title: Title of the page; the pipeline's name by default.

    Returns:
        The page's path.

    Raises:
        DataError: The folder holds no published dataset, or cannot be written.
        IntegrityError: A published file is damaged or gone.
    """
    _check_fates(output)
    try:
        page = render(load_report(output, title=title)).encode("utf-8")
    except (pl.exceptions.PolarsError, pa.ArrowException, FileNotFoundError) as error:
        raise IntegrityError(
            str(output),
            f"holds a published file that cannot be read ({str(error).splitlines()[0]})",
            hint="`datatools verify` names it; running the pipeline again mends it.",
        ) from error
    path = output / _NAME
    temporary = output / f"{_TEMPORARY}{os.getpid()}-{_NAME}"
    try:
        try:
            with temporary.open("wb") as file:
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            str(path), f"cannot be written: {error.strerror}", hint="Make room, or check rights."
        ) from error
    return path


def _check_fates(output: Path) -> None:
    """Refuse a dataset whose fates are damaged or gone: the page would show a part as the whole."""
    old = left_over(output)
    for name, folder in published(output).items():
        fates = folder / FATES
        if name in old or FATES.encode() not in (folder / "manifest.json").read_bytes():
            continue
        try:
            pq.read_metadata(fates)
        except (OSError, pa.ArrowException) as error:
            raise IntegrityError(
                str(fates),
                f"cannot be read: {str(error).splitlines()[0]}",
                hint="Run the pipeline again: it writes the file anew.",
            ) from error
