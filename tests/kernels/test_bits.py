import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.bits import (
    load_u64,
    lower_ascii,
    multiply_mix,
    space_mask,
    store_u64,
    trailing_zeros,
    word_mask,
)
from datatools.kernels.jit import kernel

ascii_eight = st.text(st.characters(max_codepoint=127), min_size=8, max_size=8)


@kernel
def load(data, i):
    return load_u64(data, i)


@kernel
def store(data, i, value):
    store_u64(data, i, value)


@kernel
def multiply(a, b):
    return multiply_mix(a, b)


@kernel
def count_zeros(value):
    return trailing_zeros(value)


def packed(text):
    return np.uint64(int.from_bytes(text.encode(), "little"))


@pytest.mark.parametrize("i", range(9))
def test_loads_and_stores_may_be_unaligned(i):
    data = np.arange(17, dtype=np.uint8)
    assert load(data, i) == int.from_bytes(bytes(data[i : i + 8]), "little")
    store(data, i, np.uint64(2**64 - 1))
    assert bytes(data) == bytes(range(i)) + b"\xff" * 8 + bytes(range(i + 8, 17))


@given(ascii_eight)
def test_eight_bytes_are_lowered_and_classified_as_python_does(text):
    lowered = int(lower_ascii(packed(text))).to_bytes(8, "little").decode()
    assert lowered == text.lower()
    words = int(word_mask(packed(lowered)))
    spaces = int(space_mask(packed(text)))
    for k in range(8):
        assert bool(words >> k & 1) == bool(re.fullmatch(r"\w", lowered[k]))
        assert bool(spaces >> k & 1) == text[k].isspace()
    assert max(words, spaces) < 256


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_multiply_mix_folds_the_128_bit_product(a, b):
    product = a * b
    assert multiply(np.uint64(a), np.uint64(b)) == (product >> 64) ^ (product % 2**64)


@given(st.integers(0, 63), st.integers(0, 2**64 - 1))
def test_trailing_zeros_counts_below_the_lowest_bit(k, above):
    assert count_zeros(np.uint64((above << k | 1 << k) % 2**64)) == k
