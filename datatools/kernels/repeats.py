"""Which keys occur more than once, without sorting them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.hashing import mix64
from datatools.kernels.jit import kernel

__all__ = ["repeated"]

_EMPTY = np.int64(-1)


@kernel
def _mark(
    keys: npt.NDArray[np.uint64], slots: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]
) -> None:
    # Open addressing: a slot holds the position of the first key that hashed to it.
    wrap = np.uint64(len(slots) - 1)
    for i in range(len(keys)):
        at = mix64(keys[i]) & wrap
        while slots[at] != _EMPTY and keys[slots[at]] != keys[i]:
            at = (at + np.uint64(1)) & wrap
        if slots[at] == _EMPTY:
            slots[at] = i
        else:
            mask[slots[at]] = True
            mask[i] = True


def repeated(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return for each key whether another key equals it.

    Args:
        keys: uint64 of shape (rows,).

    Returns:
        bool of shape (rows,).

    Complexity:
        O(rows), with a table of at most 32 bytes per row.

    Example:
        >>> import numpy as np
        >>> repeated(np.array([7, 1, 7, 2], dtype=np.uint64)).tolist()
        [True, False, True, False]
    """
    keys = np.ascontiguousarray(keys, np.uint64)
    mask = np.zeros(len(keys), np.bool_)
    slots = np.full(1 << max(4, int(2 * len(keys)).bit_length()), _EMPTY, np.int64)
    _mark(keys, slots, mask)
    return mask
