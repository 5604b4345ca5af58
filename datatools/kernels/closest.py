"""The most similar of many candidates, by the bytes that two sketches share.

Owns the comparison of one-byte-per-permutation sketches. Refuses: where candidates come from, and
what a number of equal bytes says about two texts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel

__all__ = ["closest"]


@kernel
def _equal_bytes(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> I64:
    equal = 0
    for i in range(len(left)):
        equal += left[i] == right[i]
    return equal


@kernel
def _closest(
    asked: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    docs: npt.NDArray[np.uint32],
    sketches: npt.NDArray[np.uint8],
    limit: I64,
    base: I64,
    quota: npt.NDArray[np.int64],
    equal: npt.NDArray[np.int64],
    best: npt.NDArray[np.int64],
    skipped: npt.NDArray[np.int64],
) -> None:
    for row in range(first.shape[0]):
        for band in range(first.shape[1]):
            start = first[row, band]
            # They increase within a bucket.
            count = np.searchsorted(docs[start : last[row, band]], limit)
            compared = min(count, quota[row, band])
            quota[row, band] -= compared
            skipped[row, band] += count - compared
            for at in range(start, start + compared):
                doc = np.int64(docs[at])
                same = _equal_bytes(asked[row], sketches[doc])
                number = base + doc
                if same > equal[row] or (same == equal[row] and number < best[row]):
                    equal[row] = same
                    best[row] = number


def closest(
    asked: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    docs: npt.NDArray[np.uint32],
    sketches: npt.NDArray[np.uint8],
    *,
    limit: int,
    base: int,
    quota: npt.NDArray[np.int64],
    equal: npt.NDArray[np.int64],
    best: npt.NDArray[np.int64],
    skipped: npt.NDArray[np.int64],
) -> None:
    """Look for better matches in one segment; `quota`, `equal`, `best` and `skipped` are updated.

    Called for one segment after another in the order of their documents, the result is that of one
    segment that holds them all: more equal bytes win, then the lower number.

    Args:
        asked: uint8 of shape (rows, permutations), the sketches to match.
        first: int64 of shape (rows, bands), where in `docs` each band's bucket begins.
        last: int64 of shape (rows, bands), where it ends; `first` for a bucket that is not there.
        docs: uint32, documents of the segment, increasing within a bucket.
        sketches: uint8 of shape (documents, permutations), of the segment.
        limit: Documents of the segment that count.
        base: Number of the segment's first document among all documents.
        quota: int64 of shape (rows, bands), documents of each bucket that may still be compared.
        equal: int64 of shape (rows,), equal bytes of the best match so far.
        best: int64 of shape (rows,), number of the best match so far.
        skipped: int64 of shape (rows, bands), documents of each bucket beyond its quota so far.

    Example:
        >>> sketches = np.array([[1, 2, 3, 4], [1, 2, 3, 9]], np.uint8)
        >>> equal, best = np.zeros(1, np.int64), np.full(1, -1)
        >>> closest(
        ...     np.array([[0, 2, 3, 9]], np.uint8), np.array([[0]]), np.array([[2]]),
        ...     np.array([0, 1], np.uint32), sketches, limit=2, base=100,
        ...     quota=np.array([[8]]), equal=equal, best=best, skipped=np.zeros((1, 1), np.int64),
        ... )
        >>> best.tolist(), equal.tolist()
        ([101], [3])
    """
    # One compiled form serves arrays in memory and read-only ones on disk.
    docs, sketches = np.asarray(docs).view(), np.asarray(sketches).view()
    docs.setflags(write=False)
    sketches.setflags(write=False)
    _closest(
        np.ascontiguousarray(asked),
        first,
        last,
        docs,
        sketches,
        limit,
        base,
        quota,
        equal,
        best,
        skipped,
    )
