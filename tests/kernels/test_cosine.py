import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.cosine import (
    SKETCH_BITS,
    band_keys,
    choose_bits,
    close_pairs,
    cosines,
    count_without_direction,
    sketches,
)


def bits(sketch):
    """Return the bits of sketches as an array of 0 and 1, in order."""
    return np.unpackbits(sketch.astype("<u8").view(np.uint8), axis=1, bitorder="little")


def pairs_at(angle, count, dimensions, draw):
    """Return vectors, each two neighbours at exactly this angle."""
    first = draw.normal(size=(count, dimensions))
    other = draw.normal(size=(count, dimensions))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    other -= (other * first).sum(axis=1, keepdims=True) * first
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    second = math.cos(angle) * first + math.sin(angle) * other
    return np.stack([first, second], axis=1).reshape(2 * count, dimensions)


def flat(vectors):
    return np.arange(len(vectors) + 1) * vectors.shape[1], vectors.ravel()


@pytest.mark.parametrize("angle", [0.1, 0.4, math.pi / 2, 2.5])
@pytest.mark.parametrize("dimensions", [8, 300])
def test_bits_differ_as_often_as_the_angle_says(angle, dimensions):
    vectors = pairs_at(angle, 400, dimensions, np.random.default_rng(1))
    sketch, usable = sketches(*flat(vectors), seed=3)
    assert usable.all()
    differ = (bits(sketch[::2]) != bits(sketch[1::2])).mean()
    # The planes are shared by all pairs, so the mean is about as sure as one pair's in few
    # dimensions.
    assert abs(differ - angle / math.pi) < (0.03 if dimensions == 300 else 0.06)


@pytest.mark.parametrize(("threshold", "rows"), [(0.95, 10**6), (0.8, 10**5), (0.99, 10**7)])
def test_pairs_at_the_threshold_are_found(threshold, rows):
    vectors = pairs_at(math.acos(threshold), 3000, 64, np.random.default_rng(2))
    sketch, _ = sketches(*flat(vectors), seed=5)
    bands, width, limit = choose_bits(threshold, rows)
    keys = band_keys(sketch, bands, width)
    meet = (keys[::2] == keys[1::2]).any(axis=1)
    close = (bits(sketch[::2]) != bits(sketch[1::2])).sum(axis=1) <= limit
    assert (meet & close).mean() > 0.97


def test_band_keys_are_equal_exactly_where_the_bits_are():
    draw = np.random.default_rng(0)
    sketch = draw.integers(0, 2**63, size=(300, SKETCH_BITS // 64), dtype=np.uint64)
    sketch &= draw.integers(0, 2**63, size=(1, SKETCH_BITS // 64), dtype=np.uint64)
    for bands, width in [(3, 5), (128, 4), (7, 70)]:
        keys = band_keys(sketch, bands, width)
        cut = bits(sketch)[:, : bands * width].reshape(300, bands, width)
        for band in range(bands):
            forms = [bytes(row) for row in cut[:, band]]
            assert len(set(keys[:, band].tolist())) == len(set(forms))
            assert len(set(zip(keys[:, band].tolist(), forms, strict=True))) == len(set(forms))
    assert len(np.unique(band_keys(sketch[:1] * np.uint64(0), 100, 5))) == 100


@given(st.integers(0, 2**32), st.lists(st.integers(0, 6), max_size=4), st.integers(1, 3))
def test_each_member_meets_the_first_close_ones_before_it(seed, sizes, most):
    draw = np.random.default_rng(seed)
    sketch = np.zeros((sum(sizes), SKETCH_BITS // 64), np.uint64)
    sketch[:, 0] = draw.integers(0, 8, size=sum(sizes))
    starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    left, right, skipped = close_pairs(starts, sketch, limit=1, most=most)
    expected = []
    for start, stop in itertools.pairwise(starts.tolist()):
        for i in range(start, stop):
            close = [
                j
                for j in range(start, i)
                if (int(sketch[i, 0]) ^ int(sketch[j, 0])).bit_count() <= 1
            ]
            left_out = i - close[most] if len(close) > most else 0
            expected += [(j, i, 0) for j in close[:most]]
            if close:
                expected[-1] = (*expected[-1][:2], left_out)
    assert list(zip(left.tolist(), right.tolist(), skipped.tolist(), strict=True)) == expected


def test_cosines_are_those_of_numpy():
    vectors = np.random.default_rng(4).normal(size=(50, 33))
    left, right = np.triu_indices(50)
    expected = np.corrcoef(vectors)[left, right]  # of centred vectors
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    found = cosines(*flat(centred), left, right)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found[left == right] == 1.0).all()


@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_a_vector_and_itself_have_cosine_one_or_no_direction(vector):
    values = np.array(vector, dtype=np.float64)
    offsets = np.array([0, len(values)])
    zero = np.zeros(1, np.int64)
    found = cosines(offsets, values, zero, zero)[0]
    without = count_without_direction(offsets, values)
    _, usable = sketches(offsets, values, seed=0)
    assert usable[0] == (without == 0)
    # The norm of tiny numbers underflows where its square does.
    assert without or found == 1.0 or np.abs(values).max() < 1e-38


def test_vectors_of_several_lengths_are_refused():
    offsets, values = np.array([0, 2, 2, 5]), np.ones(5)
    with pytest.raises(ValueError, match="several lengths"):
        sketches(offsets, values, seed=0)
    with pytest.raises(ValueError, match="two lengths"):
        cosines(offsets, values, np.array([0]), np.array([2]))
