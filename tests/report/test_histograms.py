import bisect

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datatools.report.histograms import histogram_of

numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False), max_size=40)


def slow_counts(values, edges):
    """Count one value at a time; the last bin holds its upper edge."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(bisect.bisect_right(edges, value) - 1, len(counts) - 1)] += 1
    return tuple(counts)


@given(numbers, numbers)
def test_counts_are_those_made_one_by_one(kept, dropped):
    found = histogram_of({"kept": np.array(kept), "dropped": np.array(dropped)})
    if not kept and not dropped:
        assert found is None
        return
    assert found.series["kept"] == slow_counts(kept, found.edges)
    assert found.series["dropped"] == slow_counts(dropped, found.edges)
    assert list(found.edges) == sorted(set(found.edges))


def test_values_that_are_not_finite_are_left_out():
    found = histogram_of({"kept": np.array([1.0, np.nan, np.inf, 2.0])})
    assert sum(found.series["kept"]) == 2
    assert histogram_of({"kept": np.array([np.nan])}) is None


def test_wide_positive_values_are_spaced_by_ratio():
    assert histogram_of({"kept": np.array([1.0, 1000.0])}).logarithmic
    assert not histogram_of({"kept": np.array([0.0, 1000.0])}).logarithmic
    assert not histogram_of({"kept": np.array([10.0, 20.0])}).logarithmic


def test_the_edges_cover_a_limit_that_no_value_reaches():
    found = histogram_of({"kept": np.array([3.0, 4.0])}, include=(10.0,))
    assert found.edges[0] == 3.0
    assert found.edges[-1] == 10.0


def test_equal_values_have_a_bin():
    found = histogram_of({"kept": np.array([5.0, 5.0])})
    assert sum(found.series["kept"]) == 2
    assert found.edges[0] < 5.0 < found.edges[-1]
