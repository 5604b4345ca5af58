import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.minima import LANES, minima, padded


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 1000])
@pytest.mark.parametrize("permutations", [LANES, 3 * LANES])
def test_each_permutation_gives_its_smallest_value(count, permutations):
    rng = np.random.default_rng(count)
    hashes, factors, shifts = (
        rng.integers(0, 2**32, size, np.uint32) for size in (count + 5, permutations, permutations)
    )
    out = np.zeros(permutations, np.uint32)
    minima(hashes, count, factors, shifts, out)
    for k in range(permutations):
        values = [(int(h) * int(factors[k]) + int(shifts[k])) % 2**32 for h in hashes[:count]]
        assert out[k] == min(values, default=2**32 - 1)


@given(st.integers(1, 10_000))
def test_padding_is_the_least_multiple_that_is_enough(count):
    assert padded(count) % LANES == 0
    assert 0 <= padded(count) - count < LANES
