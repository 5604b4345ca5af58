"""Which blocks of a page to keep: boosted trees, and the cut with the best expected F1.

Owns: the arithmetic. Refuses: the features and the training. Leaves hold integers, their sum is
looked up in a table of probabilities, and expected F1 is compared as a fraction of integers: every
machine keeps the same blocks.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import kernel

__all__ = ["LEAF_UNIT", "PROBABILITY_STEP", "PROBABILITY_UNIT", "Trees", "keep_best", "score"]

LEAF_UNIT: Final = 1 << 16
"""What a leaf's log-odds are multiplied by."""
PROBABILITY_UNIT: Final = 1 << 16
"""What a probability is multiplied by."""
PROBABILITY_STEP: Final = 1 << 11
"""Log-odds, times `LEAF_UNIT`, from one entry of the table of probabilities to the next."""


class Trees(NamedTuple):
    """A sum of decision trees. A leaf is a node that is its own child.

    Attributes:
        features: i16[nodes], the feature a node asks for; 0 for a leaf.
        thresholds: f32[nodes]; a value up to the threshold goes left.
        children: i32[nodes, 2], left and right.
        leaves: i32[nodes], a leaf's log-odds in `LEAF_UNIT`.
        roots: i32[trees].
        depths: i32[trees], steps from the root to the deepest leaf.
        probabilities: i32[entries], in `PROBABILITY_UNIT`, of log-odds from `lowest` in steps.
        lowest: i64[1], the log-odds of the first entry in `LEAF_UNIT`.
    """

    features: npt.NDArray[np.int16]
    thresholds: npt.NDArray[np.float32]
    children: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.int32]
    roots: npt.NDArray[np.int32]
    depths: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.int32]
    lowest: npt.NDArray[np.int64]


@kernel
def score(
    trees: Trees,
    values: npt.NDArray[np.float32],
    count: int,
    nodes: npt.NDArray[np.int32],
    chances: npt.NDArray[np.int64],
) -> None:
    """Write the probability of each row in `PROBABILITY_UNIT`.

    All rows go down a tree together, to the depth of its deepest leaf: without a branch to guess,
    the processor has many rows in hand at once.

    Args:
        trees: The trees.
        values: f32[at least count, features].
        count: Rows to score.
        nodes: i32[at least count], overwritten.
        chances: i64[at least count], written.
    """
    for row in range(count):
        chances[row] = 0
    for tree in range(trees.roots.size):
        for row in range(count):
            nodes[row] = trees.roots[tree]
        for _ in range(trees.depths[tree]):
            for row in range(count):
                node = nodes[row]
                right = values[row, trees.features[node]] > trees.thresholds[node]
                nodes[row] = trees.children[node, np.int64(right)]
        for row in range(count):
            chances[row] += trees.leaves[nodes[row]]
    last = trees.probabilities.size - 1
    for row in range(count):
        entry = (chances[row] - trees.lowest[0]) // PROBABILITY_STEP
        chances[row] = trees.probabilities[min(max(entry, 0), last)]


@kernel
def keep_best(
    chances: npt.NDArray[np.int64], sizes: npt.NDArray[np.int32], keep: npt.NDArray[np.bool_]
) -> None:
    """Mark the likeliest rows, as many as make the expected F1 greatest.

    With `n` rows kept, expected F1 is about `2 sum(size x chance of the kept) / (sum(size of the
    kept) + sum(size x chance of all))`. Of equal likely rows the earlier one comes first; of equal
    cuts the shorter.

    Args:
        chances: i64[rows], in `PROBABILITY_UNIT`.
        sizes: i32[rows], at least 0.
        keep: bool[rows], written.

    Complexity:
        O(rows x log rows).
    """
    rows = chances.size
    order = np.argsort((PROBABILITY_UNIT - chances) * np.int64(1 << 32) + np.arange(rows))
    everything = 0
    for row in range(rows):
        everything += sizes[row] * chances[row]
    right = taken = 0
    greatest, best = 0.0, 0
    for place in range(rows):
        row = order[place]
        right += sizes[row] * chances[row]
        taken += sizes[row] * PROBABILITY_UNIT
        if taken and right / (taken + everything) > greatest:
            greatest, best = right / (taken + everything), place + 1
    for row in range(rows):
        keep[row] = False
    for place in range(best):
        keep[order[place]] = True
