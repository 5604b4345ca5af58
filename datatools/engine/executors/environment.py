"""The environment that worker processes start in, on this machine and on others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

__all__ = ["ALLOCATOR", "THREADS", "worker_environment"]

THREADS: Final[Mapping[str, str]] = dict.fromkeys(
    (
        "POLARS_MAX_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)
"""One thread each: there is a worker for every core."""

ALLOCATOR: Final[Mapping[str, str]] = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's own default gives each batch back to the kernel and gets huge pages, zeroed anew, for the
next: a tenth of the processor time of a deduplication (pyarrow 26, 387 MB, Linux 6.18)."""


def worker_environment() -> dict[str, str]:
    """Return this process's environment as its workers get it; its choice of allocator counts."""
    return {**ALLOCATOR, **os.environ, **THREADS}
