import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.sha1 import SHA1_LANES, sha1_heads


def heads(pieces):
    data = np.frombuffer(b"".join(pieces) + b"\xff" * 64, np.uint8)
    bounds = np.cumsum([0, *map(len, pieces)]).astype(np.int32)
    out = np.zeros(len(pieces), np.uint32)
    sha1_heads(data, bounds[:-1], bounds[1:], len(pieces), out)
    return out.tolist()


def slow_heads(pieces):
    return [int.from_bytes(hashlib.sha1(piece).digest()[:4], "little") for piece in pieces]


@given(st.lists(st.binary(max_size=200), max_size=2 * SHA1_LANES + 2))
def test_heads_are_those_of_hashlib(pieces):
    assert heads(pieces) == slow_heads(pieces)


@pytest.mark.parametrize("count", [1, SHA1_LANES - 1, SHA1_LANES, SHA1_LANES + 1])
def test_every_length_up_to_four_blocks_in_full_and_partial_groups(count):
    pieces = [bytes((k * size + 7) % 256 for k in range(size)) for size in range(260)]
    for first in range(0, len(pieces), count):
        some = pieces[first : first + count]
        assert heads(some) == slow_heads(some)
