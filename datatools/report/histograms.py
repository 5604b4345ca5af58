"""Counting numbers into bins that people can read.

Owns: which edges, and how series share them. Refuses: drawing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.report.model.distributions import Histogram

__all__ = ["histogram_of"]

_BINS: Final = 28
_RATIO: Final = 40.0
"""Spread of positive values from which on bins are spaced by ratio."""


def histogram_of(
    series: Mapping[str, npt.NDArray[np.float64]], *, include: tuple[float, ...] = ()
) -> Histogram | None:
    """Return the series counted into common bins, or None without a finite value.

    Bins are equally wide, or equally wide in ratio where all values are above 0 and the largest is
    over 40 times the smallest. Values that are not finite are left out.

    Args:
        series: Values by series name; an empty series counts 0 everywhere.
        include: Values that the edges must cover too, e.g. a limit.

    Example:
        >>> found = histogram_of({"kept": np.array([1.0, 2.0, 2.5]), "dropped": np.array([5.0])})
        >>> found.edges[0], found.edges[-1], sum(found.series["kept"]), sum(found.series["dropped"])
        (1.0, 5.0, 3, 1)
    """
    finite = {name: values[np.isfinite(values)] for name, values in series.items()}
    together = np.concatenate([*finite.values(), np.empty(0)])
    if not together.size:
        return None
    covered = np.concatenate([together, np.array(include, dtype=np.float64)])
    low, high = float(covered.min()), float(covered.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    logarithmic = low > 0 and high / low > _RATIO
    space = np.geomspace if logarithmic else np.linspace
    edges = space(low, high, _BINS + 1)
    edges[0], edges[-1] = low, high  # geomspace may miss its ends by a rounding
    return Histogram(
        edges=tuple(edges.tolist()),
        series={
            name: tuple(np.histogram(values, edges)[0].tolist()) for name, values in finite.items()
        },
        logarithmic=logarithmic,
    )
