import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.minhash import signatures
from datatools.kernels.shingles import jaccard
from datatools.kernels.sketches import agreement, compress, estimate

small = st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=1, max_size=6)


@given(small, st.data(), st.sampled_from([np.uint8, np.uint32, np.uint64]))
def test_agreement_counts_equal_positions(rows, data, kind):
    row = st.integers(0, len(rows) - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=6))
    signature = np.array(rows, kind)
    left, right = (
        np.array(side, np.int64) for side in ([a for a, _ in pairs], [b for _, b in pairs])
    )
    expected = [sum(x == y for x, y in zip(rows[a], rows[b], strict=True)) for a, b in pairs]
    assert agreement(signature, signature, left, right).tolist() == expected


def test_rows_pair_in_order_by_default():
    one, other = np.eye(3, 4, dtype=np.uint32), np.zeros((3, 4), np.uint32)
    assert agreement(one, other).tolist() == [3, 3, 3]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9))
def test_compressing_keeps_the_lowest_byte(values):
    signature = np.array([values], np.uint64)
    assert compress(signature).tolist() == [[value % 256 for value in values]]
    narrow = (signature % 2**32).astype(np.uint32)
    assert compress(narrow).tolist() == [[value % 256 for value in values]]


@pytest.mark.parametrize("unit", ["word", "auto"])
@pytest.mark.parametrize("compatible", [None, "datasketch", "datatrove"])
def test_the_estimate_has_no_bias_and_the_error_of_theory(buffers, edited_pairs, unit, compatible):
    if compatible and unit == "auto":
        unit = "word"
    texts, left, right = edited_pairs([0, 0.01, 0.03, 0.1, 0.3, 1] * 40, seed=1)
    both, either = jaccard(*buffers(texts), left, right, unit=unit)
    truth = both / either
    kept = compress(signatures(*buffers(texts), unit=unit, compatible=compatible)[0])
    errors = estimate(kept, kept, left, right) - truth
    chance = truth + (1 - truth) / 256
    theory = np.sqrt((chance * (1 - chance)).mean() / 128) * 256 / 255
    assert abs(errors.mean()) < 4 * theory / np.sqrt(len(errors))
    assert np.sqrt((errors**2).mean()) < 1.25 * theory
    apart = truth == 0
    assert apart.any()
    assert abs(errors[apart].mean()) < 0.003  # the whole point of taking off the chance of 1/256


def test_estimates_are_one_division():
    one = np.arange(128, dtype=np.uint8)[None]
    other = one.copy()
    other[0, :28] += 1
    assert estimate(one, other).tolist() == [(256 * 100 - 128) / (255 * 128)]
    assert estimate(one, one).tolist() == [1.0]
    assert estimate(one, one + np.uint8(1)).tolist() == [-1 / 255]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((1, 4), np.uint8), np.zeros((1, 4), np.uint32)), ValueError, "do not compare"),
        ((np.zeros((1, 4), np.uint8), np.zeros((1, 5), np.uint8)), ValueError, "do not compare"),
        (
            (np.zeros((1, 4), np.uint8), np.zeros((2, 4), np.uint8)),
            ValueError,
            "1 rows on the left",
        ),
        (
            (np.zeros((1, 4), np.uint8), np.zeros((1, 4), np.uint8), [0], [1]),
            IndexError,
            r"outside 0\.\.0",
        ),
        ((np.zeros((1, 4), np.uint32), np.zeros((1, 4), np.uint32)), ValueError, "are uint8"),
    ],
)
def test_signatures_that_do_not_match_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        estimate(*arguments)
