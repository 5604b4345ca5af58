import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.closest import closest


def slowly(asked, buckets, sketches, quota):
    """Return best, equal and skipped by comparing rows with the first of each of their buckets."""
    best, equal, skipped = [], [], []
    for row, of_row in enumerate(buckets):
        compared = sorted({doc for bucket in of_row for doc in bucket[:quota]})
        same = [int((asked[row] == sketches[doc]).sum()) for doc in compared]
        top = max(same, default=0)
        best.append(compared[same.index(top)] if top else -1)
        equal.append(top)
        skipped.append([max(0, len(bucket) - quota) for bucket in of_row])
    return best, equal, skipped


@given(
    buckets=st.lists(
        st.lists(st.sets(st.integers(0, 19), max_size=12), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    ),
    cut_at=st.integers(0, 20),
    limit=st.integers(0, 20),
    quota=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_two_segments_give_what_one_comparison_of_everything_gives(
    buckets, cut_at, limit, quota, seed
):
    draw = np.random.default_rng(seed)
    sketches = draw.integers(0, 3, (20, 16)).astype(np.uint8)
    asked = draw.integers(0, 3, (len(buckets), 16)).astype(np.uint8)
    rows = len(buckets)
    state = {
        "quota": np.full((rows, 3), quota),
        "equal": np.zeros(rows, np.int64),
        "best": np.full(rows, -1),
        "skipped": np.zeros((rows, 3), np.int64),
    }
    for base, end in ((0, cut_at), (cut_at, 20)):
        docs, first, last = [], np.zeros((rows, 3), np.int64), np.zeros((rows, 3), np.int64)
        for row in range(rows):
            for band in range(3):
                first[row, band] = len(docs)
                docs += [doc - base for doc in sorted(buckets[row][band]) if base <= doc < end]
                last[row, band] = len(docs)
        closest(
            asked,
            first,
            last,
            np.array(docs, np.uint32),
            sketches[base:end],
            limit=limit - base,
            base=base,
            **state,
        )
    counted = [[sorted(doc for doc in one if doc < limit) for one in row] for row in buckets]
    best, equal, skipped = slowly(asked, counted, sketches, quota)
    assert state["best"].tolist() == best
    assert state["equal"].tolist() == equal
    assert state["skipped"].tolist() == skipped


@pytest.mark.parametrize("permutations", [1, 16, 128, 200])
def test_every_byte_counts(permutations):
    sketches = np.arange(permutations, dtype=np.uint8)[None, :]
    for changed in range(permutations):
        asked = sketches.copy()
        asked[0, changed] ^= 1
        equal, best = np.zeros(1, np.int64), np.full(1, -1)
        closest(
            asked,
            np.array([[0]]),
            np.array([[1]]),
            np.array([0], np.uint32),
            sketches,
            limit=1,
            base=0,
            quota=np.array([[1]]),
            equal=equal,
            best=best,
            skipped=np.zeros((1, 1), np.int64),
        )
        assert equal[0] == permutations - 1
