"""Clusters and survivors from verified pairs of duplicates.

Owns the two readings of a graph of duplicates: components, where similarity is taken as transitive
(groups), and survivors, where it is not (removal). Refuses: finding or verifying the pairs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel

__all__ = ["choose_survivors", "components"]


@kernel
def _find(parent: npt.NDArray[np.int64], vertex: I64) -> I64:
    while parent[vertex] != vertex:
        parent[vertex] = parent[parent[vertex]]  # path halving
        vertex = parent[vertex]
    return vertex


@kernel
def _components(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], parent: npt.NDArray[np.int64]
) -> None:
    for e in range(len(left)):
        a, b = _find(parent, left[e]), _find(parent, right[e])
        # The smaller index is the root, whatever the order of the edges.
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for v in range(len(parent)):
        parent[v] = _find(parent, v)


@kernel
def _choose_survivors(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], survivor: npt.NDArray[np.int64]
) -> None:
    # Neighbours of each vertex that come earlier, by counting sort: (n + 1,) and (edges,).
    n = len(survivor)
    starts = np.zeros(n + 1, np.int64)
    for e in range(len(left)):
        starts[max(left[e], right[e]) + 1] += 1
    for v in range(n):
        starts[v + 1] += starts[v]
    slots = starts[:n].copy()
    earlier = np.empty(len(left), np.int64)
    for e in range(len(left)):
        later = max(left[e], right[e])
        earlier[slots[later]] = min(left[e], right[e])
        slots[later] += 1
    for v in range(n):
        best = np.int64(-1)
        for k in range(starts[v], starts[v + 1]):
            u = earlier[k]
            if u != v and survivor[u] == -1 and (best == -1 or u < best):
                best = u
        survivor[v] = best


def _edges(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    left, right = (np.ascontiguousarray(side, np.int64) for side in (left, right))
    if len(left) != len(right):
        raise ValueError(f"edges need two ends each (got {len(left)} and {len(right)})")
    for side in (left, right):
        if len(side) and not (side.min() >= 0 and side.max() < n):
            raise IndexError(f"an edge names a vertex outside 0..{n - 1}")
    return left, right


def components(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """Return for each vertex the smallest vertex of its connected component.

    Does not depend on the order or direction of the edges, nor on repeats and self-loops.

    Args:
        left: int64 of shape (edges,), vertices from 0 to n - 1.
        right: int64 of shape (edges,), the other ends.
        n: Number of vertices.

    Returns:
        int64 of shape (n,).

    Raises:
        IndexError: An edge names a vertex out of range.
        ValueError: The two sides differ in length.

    Complexity:
        O((n + edges) log n): path halving, without union by rank because the root is the smallest.

    References:
        Robert Tarjan, Jan van Leeuwen, Worst-case Analysis of Set Union Algorithms, 1984.

    Example:
        >>> import numpy as np
        >>> components(np.array([3, 1]), np.array([1, 4]), n=5).tolist()
        [0, 1, 2, 1, 1]
    """
    left, right = _edges(left, right, n)
    parent = np.arange(n, dtype=np.int64)
    _components(left, right, parent)
    return parent


def choose_survivors(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """Return for each vertex -1 when it stays, else the vertex it is removed in favour of.

    Vertices are in priority order, 0 the best, and are walked in it: a vertex stays unless it has
    an edge to an earlier vertex that stays. So a document is removed only if it was verified
    against one that stays: of a chain a-b-c without the pair a-c, c stays. Does not depend on the
    order or direction of the edges, nor on repeats and self-loops.

    Args:
        left: int64 of shape (edges,), vertices from 0 to n - 1.
        right: int64 of shape (edges,), the other ends.
        n: Number of vertices.

    Returns:
        int64 of shape (n,): -1, or the best vertex among the neighbours that stay.

    Raises:
        IndexError: An edge names a vertex out of range.
        ValueError: The two sides differ in length.

    Complexity:
        O(n + edges).

    Example:
        >>> import numpy as np
        >>> choose_survivors(np.array([0, 1]), np.array([1, 2]), n=3).tolist()
        [-1, 0, -1]
    """
    left, right = _edges(left, right, n)
    survivor = np.empty(n, np.int64)
    _choose_survivors(left, right, survivor)
    return survivor
