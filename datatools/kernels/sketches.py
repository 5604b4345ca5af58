"""One byte per permutation: what is kept of a signature, and the similarity it tells.

Owns the lowest byte of each minimum (b-bit minwise hashing with b = 8) and the estimators of
Jaccard similarity. Refuses: making signatures (`minhash`).

A byte costs a quarter of the room and hardly any precision: two sets that differ agree in a byte
by chance once in 256 times, which the estimator takes off again.

References:
    Ping Li, Arnd Christian König, b-Bit Minwise Hashing, 2010: the estimator is equation 5 for sets
    that are small against 2^32, its variance equation 11.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import kernel

__all__ = ["agreement", "compress", "estimate"]

_BYTE_VALUES = 256


def compress(signature: npt.NDArray[np.unsignedinteger[Any]]) -> npt.NDArray[np.uint8]:
    """Return the lowest byte of each position of signatures.

    Args:
        signature: uint32 or uint64 of shape (rows, num_perm).

    Returns:
        uint8 of shape (rows, num_perm).

    Example:
        >>> import numpy as np
        >>> compress(np.array([[0x12345678, 0xFFFFFFFF]], np.uint32)).tolist()
        [[120, 255]]
    """
    return signature.astype(np.uint8)


@kernel
def _agreement(
    left: npt.NDArray[np.unsignedinteger[Any]],
    right: npt.NDArray[np.unsignedinteger[Any]],
    left_rows: npt.NDArray[np.int64],
    right_rows: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
) -> None:
    for p in range(len(out)):
        one, other = left[left_rows[p]], right[right_rows[p]]
        equal = np.int32(0)
        for k in range(len(one)):
            equal += one[k] == other[k]
        out[p] = equal


def _rows_of(
    signatures: npt.NDArray[np.unsignedinteger[Any]], rows: npt.NDArray[np.integer[Any]] | None
) -> npt.NDArray[np.int64]:
    if rows is None:
        return np.arange(len(signatures), dtype=np.int64)
    chosen = np.ascontiguousarray(rows, np.int64)
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(signatures)):
        raise IndexError(f"a pair names a row outside 0..{len(signatures) - 1}")
    return chosen


def agreement(
    left: npt.NDArray[np.unsignedinteger[Any]],
    right: npt.NDArray[np.unsignedinteger[Any]],
    left_rows: npt.NDArray[np.integer[Any]] | None = None,
    right_rows: npt.NDArray[np.integer[Any]] | None = None,
) -> npt.NDArray[np.int64]:
    """Return in how many positions pairs of signatures are equal.

    Divided by their length, for whole signatures, this estimates the Jaccard similarity; for
    compressed ones see `estimate`.

    Args:
        left: Unsigned integers of shape (rows, num_perm), whole or compressed.
        right: The same type and number of positions; it may be the same array.
        left_rows: Row of `left` in each pair; all in order by default.
        right_rows: Row of `right` in each pair; all in order by default.

    Returns:
        int64 of shape (pairs,), from 0 to num_perm.

    Raises:
        ValueError: The signatures or the numbers of rows do not match.
        IndexError: A row number is out of range.

    Example:
        >>> import numpy as np
        >>> signature = np.array([[1, 2, 3, 4], [1, 2, 3, 5], [6, 7, 8, 9]], np.uint32)
        >>> agreement(signature, signature, np.array([0, 1]), np.array([1, 2])).tolist()
        [3, 0]
    """
    if left.dtype != right.dtype or left.shape[1] != right.shape[1]:
        raise ValueError(
            f"signatures of {left.shape[1]} {left.dtype} do not compare with signatures of "
            f"{right.shape[1]} {right.dtype}"
        )
    left_rows, right_rows = _rows_of(left, left_rows), _rows_of(right, right_rows)
    if len(left_rows) != len(right_rows):
        raise ValueError(f"{len(left_rows)} rows on the left, {len(right_rows)} on the right")
    out = np.empty(len(left_rows), np.int64)
    _agreement(np.ascontiguousarray(left), np.ascontiguousarray(right), left_rows, right_rows, out)
    return out


def estimate(
    left: npt.NDArray[np.uint8],
    right: npt.NDArray[np.uint8],
    left_rows: npt.NDArray[np.integer[Any]] | None = None,
    right_rows: npt.NDArray[np.integer[Any]] | None = None,
) -> npt.NDArray[np.float64]:
    """Return the Jaccard similarity of pairs, estimated without bias from compressed signatures.

    With E the share of equal bytes, `(E - 1/256) / (1 - 1/256)`. It is not cut off at 0, which
    would bias it: sets that have nothing in common give -0.004 to 0.02. The standard error at
    similarity J is about `sqrt((J + (1 - J) / 256) * (1 - J) / num_perm)`: 0.035 at J = 0.8 with
    128 positions, as for whole signatures.

    Args:
        left: uint8 of shape (rows, num_perm), from `compress`.
        right: The same; it may be the same array.
        left_rows: Row of `left` in each pair; all in order by default.
        right_rows: Row of `right` in each pair; all in order by default.

    Returns:
        float64 of shape (pairs,), at most 1. Each is one division of integers.

    Raises:
        ValueError: The signatures or the numbers of rows do not match.
        IndexError: A row number is out of range.

    References:
        Li, König, b-Bit Minwise Hashing, 2010, equations 5 and 11 with b = 8.

    Example:
        >>> import numpy as np
        >>> one, other = np.array([[1, 2, 3, 4]], np.uint8), np.array([[1, 2, 3, 9]], np.uint8)
        >>> estimate(one, other).round(4).tolist()
        [0.749]
    """
    if left.dtype != np.uint8:
        raise ValueError(f"compressed signatures are uint8 (got {left.dtype})")
    positions = left.shape[1]
    equal = agreement(left, right, left_rows, right_rows)
    similarity: npt.NDArray[np.float64] = (_BYTE_VALUES * equal - positions) / (
        (_BYTE_VALUES - 1) * positions
    )
    return similarity
