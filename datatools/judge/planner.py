"""How many seeds a question needs.

Owns: the smallest number of paired seeds whose t interval is narrow enough, given the spread of the
seeds at hand. Refuses: promising that more seeds help where the reference text is what is short.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["MAX_SEEDS", "half_width", "seeds_needed"]

MAX_SEEDS: Final = 50
"""Above this many seeds, a larger tier is the cheaper answer."""


def half_width(sigma: float, seeds: int, level: float = 0.95) -> float:
    """Return the half width of a t interval on the mean of paired seeds.

    Args:
        sigma: Standard deviation of one paired seed's effect.
        seeds: Number of paired seeds, 2 or more.
        level: Nominal coverage.

    Example:
        >>> round(half_width(1.0, 3), 3)
        2.484
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped, unused-ignore] # no stubs

    return float(stdtrit(seeds - 1, 0.5 + level / 2)) * sigma / math.sqrt(seeds)


def seeds_needed(sigma: float, target: float, level: float = 0.95) -> int | None:
    """Return the least number of paired seeds with a half width below `target`, None above 50.

    Example:
        >>> seeds_needed(1.0, 1.5), seeds_needed(1.0, 0.01)
        (5, None)
    """
    return next(
        (seeds for seeds in range(2, MAX_SEEDS + 1) if half_width(sigma, seeds, level) < target),
        None,
    )
