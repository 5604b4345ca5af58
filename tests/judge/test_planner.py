from __future__ import annotations

import pytest
from scipy import stats

from datatools.judge.planner import MAX_SEEDS, half_width, seeds_needed


def test_half_widths_are_those_of_scipy() -> None:
    for seeds in (2, 3, 10):
        low, high = stats.t.interval(0.9, seeds - 1, loc=1.0, scale=0.5 / seeds**0.5)
        assert half_width(0.5, seeds, 0.9) == pytest.approx((high - low) / 2)


def test_the_seeds_needed_are_the_fewest_that_are_enough() -> None:
    for target in (0.2, 0.5, 1.0, 4.0):
        needed = seeds_needed(0.5, target)
        assert needed is not None
        assert half_width(0.5, needed) < target
        assert needed == 2 or half_width(0.5, needed - 1) >= target


def test_no_number_of_seeds_reaches_a_target_of_zero() -> None:
    assert seeds_needed(0.5, 0.0) is None
    assert seeds_needed(0.5, half_width(0.5, MAX_SEEDS)) is None
    assert seeds_needed(0.0, 0.1) == 2
