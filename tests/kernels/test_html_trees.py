import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.html_trees import (
    LEAF_UNIT,
    PROBABILITY_STEP,
    PROBABILITY_UNIT,
    Trees,
    keep_best,
    score,
)


def random_trees(seed: int, count: int, features: int) -> Trees:
    """Trees of up to five levels, with thresholds among the values that the tests ask for."""
    draw = np.random.default_rng(seed)
    nodes, roots, depths = [], [], []

    def add(level: int) -> tuple[int, int]:
        at = len(nodes)
        if level == 5 or draw.random() < 0.3:
            nodes.append((0, np.inf, (at, at), int(draw.integers(-LEAF_UNIT, LEAF_UNIT))))
            return at, 0
        nodes.append(None)
        left, right = add(level + 1), add(level + 1)
        feature = int(draw.integers(features))
        nodes[at] = (feature, float(draw.integers(5)), (left[0], right[0]), 0)
        return at, 1 + max(left[1], right[1])

    for _ in range(count):
        root, depth = add(0)
        roots.append(root)
        depths.append(depth)
    odds = np.arange(-16 * LEAF_UNIT, 16 * LEAF_UNIT, PROBABILITY_STEP) / LEAF_UNIT
    return Trees(
        features=np.array([node[0] for node in nodes], dtype=np.int16),
        thresholds=np.array([node[1] for node in nodes], dtype=np.float32),
        children=np.array([node[2] for node in nodes], dtype=np.int32),
        leaves=np.array([node[3] for node in nodes], dtype=np.int32),
        roots=np.array(roots, dtype=np.int32),
        depths=np.array(depths, dtype=np.int32),
        probabilities=np.round(PROBABILITY_UNIT / (1 + np.exp(-odds))).astype(np.int32),
        lowest=np.array([-16 * LEAF_UNIT], dtype=np.int64),
    )


@pytest.mark.parametrize(
    ("seed", "rows", "count"), [(0, 1, 1), (1, 7, 40), (2, 200, 9), (3, 3, 400)]
)
def test_the_sum_of_leaves_is_that_of_a_walk_down_each_tree(seed, rows, count):
    trees = random_trees(seed, count, 4)
    values = np.random.default_rng(seed).integers(6, size=(rows, 4)).astype(np.float32)
    chances = np.empty(rows, dtype=np.int64)
    score(trees, values, rows, np.empty(rows, dtype=np.int32), chances)
    for row, chance in zip(values, chances, strict=True):
        total = 0
        for node in trees.roots:
            while trees.children[node, 0] != node:
                side = 0 if row[trees.features[node]] <= trees.thresholds[node] else 1
                node = trees.children[node, side]
            total += int(trees.leaves[node])
        expected = PROBABILITY_UNIT / (1 + np.exp(-total / LEAF_UNIT))
        # The table's step is 1/32 of log-odds, which is at most 1/128 of a chance.
        assert chance == pytest.approx(expected, abs=PROBABILITY_UNIT / 128 + 1)


def kept(chances, sizes) -> list[bool]:
    keep = np.empty(len(chances), dtype=np.bool_)
    keep_best(np.array(chances, dtype=np.int64), np.array(sizes, dtype=np.int32), keep)
    return keep.tolist()


@given(
    st.lists(st.tuples(st.integers(0, PROBABILITY_UNIT), st.integers(0, 500)), max_size=9),
)
def test_no_other_cut_has_a_greater_expected_f1(rows):
    chances, sizes = [row[0] for row in rows], [row[1] for row in rows]
    keep = kept(chances, sizes)
    everything = sum(c * s for c, s in rows)

    def expected(chosen) -> float:
        right = sum(c * s for (c, s), k in zip(rows, chosen, strict=True) if k)
        taken = sum(s for s, k in zip(sizes, chosen, strict=True) if k) * PROBABILITY_UNIT
        return right / (taken + everything) if taken else 0.0

    order = sorted(range(len(rows)), key=lambda row: (-chances[row], row))
    cuts = [[row in order[:count] for row in range(len(rows))] for count in range(len(rows) + 1)]
    assert expected(keep) == max(map(expected, cuts))


def test_the_likeliest_are_kept_and_of_equals_the_earlier():
    half = PROBABILITY_UNIT // 2
    assert kept([PROBABILITY_UNIT, 0, PROBABILITY_UNIT], [10, 10, 10]) == [True, False, True]
    assert kept([0, 0], [5, 5]) == [False, False]
    assert kept([half, half // 20], [10, 10]) == [True, False]
    assert kept([], []) == []
