"""Inputs, found before anything is made: what is missing is told with its line in the file.

Owns: when inputs are looked for, and the place of what is wrong with them. Refuses: looking, which
sources do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from datatools.engine.plan import Job
from datatools.engine.store import disk_error
from datatools.errors import DatatoolsError

if TYPE_CHECKING:
    from datatools.pipeline.definition import Pipeline

__all__ = ["find_inputs"]


def find_inputs(pipeline: Pipeline, job: Job, only: Iterable[str] | None = None) -> None:
    """Find the units of every source, so that a mistake in the last one costs no run of the first.

    Called before the output is touched: an output that was just made is no input one may have
    meant.

    Args:
        pipeline: The pipeline, for its places.
        job: What it resolves to; keeps the units.
        only: Datasets that are wanted, with what they need; None stands for all.

    Raises:
        ConfigError: An input is not there.
        DataError: An input cannot be read as asked.
    """
    wanted = None if only is None else job.closure(only)
    for dataset in job.datasets:
        if wanted is not None and dataset.name not in wanted:
            continue
        try:
            _ = dataset.units
        except DatatoolsError as error:
            step = dataset.links[0].step
            name, _, field = error.where.partition(".")
            if name != step.name() or field not in type(step).model_fields:
                raise  # it is about a file, and names it
            where = pipeline.places.at(("datasets", dataset.name, "steps", 0, name, field))
            raise error.at(where) from error
        except OSError as error:
            raise disk_error(str(error.filename or f"dataset {dataset.name}"), error) from error
