import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.xxh import xxh32, xxh64


@given(st.binary(max_size=100), st.integers(0, 9), st.binary(min_size=8, max_size=20))
def test_pieces_hash_as_the_xxhash_library_hashes_them(raw, before, after):
    data = np.frombuffer(b"#" * before + raw + after, np.uint8)
    assert int(xxh32(data, before, before + len(raw))) == xxhash.xxh32_intdigest(raw)
    assert int(xxh64(data, before, before + len(raw))) == xxhash.xxh64_intdigest(raw)


@pytest.mark.parametrize("size", range(100))
def test_every_length_up_to_three_stripes(size):
    raw = bytes((37 * k + 201) % 256 for k in range(size))
    data = np.frombuffer(raw + b"\xff" * 8, np.uint8)
    assert int(xxh32(data, 0, size)) == xxhash.xxh32_intdigest(raw)
    assert int(xxh64(data, 0, size)) == xxhash.xxh64_intdigest(raw)
