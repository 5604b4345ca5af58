import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.bits import count_ones, load_u64, multiply_mix, trailing_zeros
from datatools.kernels.jit import kernel


@kernel
def load(data, i):
    return load_u64(data, i)


@kernel
def multiply(a, b):
    return multiply_mix(a, b)


@kernel
def count_zeros(value):
    return trailing_zeros(value)


@kernel
def ones(value):
    return count_ones(value)


@pytest.mark.parametrize("i", range(9))
def test_loads_may_be_unaligned(i):
    data = np.arange(17, dtype=np.uint8)
    assert load(data, i) == int.from_bytes(bytes(data[i : i + 8]), "little")


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_multiply_mix_folds_the_128_bit_product(a, b):
    product = a * b
    assert multiply(np.uint64(a), np.uint64(b)) == (product >> 64) ^ (product % 2**64)


@given(st.integers(0, 63), st.integers(0, 2**64 - 1))
def test_trailing_zeros_counts_below_the_lowest_bit(k, above):
    assert count_zeros(np.uint64((above << k | 1 << k) % 2**64)) == k


@given(st.integers(0, 2**64 - 1))
def test_count_ones_counts_the_set_bits(value):
    assert ones(np.uint64(value)) == value.bit_count()
