"""datatools builds the data language models learn from, and says whether it got better.

The public Python API. Names load when they are first used, so that importing the package is cheap:

    Pipeline, Dataset, load_pipeline, run      the whole job
    steps                                      its parts, also on a frame in memory
    open_dataset                               reads what a run published
    DedupIndex                                 what was kept so far, to dedup against
    plan, explain, verify                      questions about a run
    compare                                    a verdict on two datasets
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datatools import steps
    from datatools.dataset import open_dataset
    from datatools.dedup_index import DedupIndex
    from datatools.errors import DatatoolsError
    from datatools.inquiry.explaining import explain
    from datatools.inquiry.verifying import verify
    from datatools.job.planning import plan
    from datatools.job.running import run
    from datatools.judge.compare import compare
    from datatools.pipeline.definition import (
        Dataset,
        Pipeline,
        RunSettings,
        TrainSettings,
        ValidateSettings,
        load_pipeline,
    )

__version__ = "0.1.0"

_WHERE = {
    "Dataset": "pipeline.definition",
    "DatatoolsError": "errors",
    "DedupIndex": "dedup_index",
    "Pipeline": "pipeline.definition",
    "RunSettings": "pipeline.definition",
    "TrainSettings": "pipeline.definition",
    "ValidateSettings": "pipeline.definition",
    "compare": "judge.compare",
    "explain": "inquiry.explaining",
    "load_pipeline": "pipeline.definition",
    "open_dataset": "dataset",
    "plan": "job.planning",
    "run": "job.running",
    "verify": "inquiry.verifying",
}

__all__ = [
    "Dataset",
    "DatatoolsError",
    "DedupIndex",
    "Pipeline",
    "RunSettings",
    "TrainSettings",
    "ValidateSettings",
    "__version__",
    "compare",
    "explain",
    "load_pipeline",
    "open_dataset",
    "plan",
    "run",
    "steps",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "steps":
        return importlib.import_module("datatools.steps")
    if name in _WHERE:
        return getattr(importlib.import_module(f"datatools.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'datatools' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
