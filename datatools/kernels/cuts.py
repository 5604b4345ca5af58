"""Taking spans of bytes out of texts.

Owns the removal and the count of what it took. Refuses: which spans.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import count_codepoints
from datatools.kernels.jit import arrow_buffers, kernel

__all__ = ["cut_spans"]


@kernel
def _cut(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    out_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    removed: npt.NDArray[np.int64],
) -> None:
    span = 0
    o = 0
    for row in range(len(offsets) - 1):
        at = offsets[row]
        while span < len(rows) and rows[span] == row:
            start = max(at, offsets[row] + starts[span])
            stop = offsets[row] + stops[span]
            if stop > start:
                out[o : o + start - at] = data[at:start]
                o += start - at
                removed[span] = count_codepoints(data, start, stop)
                at = stop
            span += 1
        end = offsets[row + 1]
        out[o : o + end - at] = data[at:end]
        o += end - at
        out_offsets[row + 1] = o


def cut_spans(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the rows without the spans, and how many characters each span took.

    What lies in several spans is taken once and counts for the first of them.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        rows: int64 of shape (spans,), increasing.
        starts: int64 of shape (spans,), bytes from the row's start, increasing in a row.
        stops: int64 of shape (spans,), bytes from the row's start.

    Returns:
        offsets: int64 of shape (rows + 1,).
        data: uint8, UTF-8.
        removed: int64 of shape (spans,), code points.

    Raises:
        IndexError: A span is not in its row, or the spans are out of order.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["한 글자", "whole"]}))
        >>> row, start, stop = np.array([[0, 0], [3, 4], [7, 10]])
        >>> offsets, data, removed = cut_spans(*batch.buffers("text"), row, start, stop)
        >>> bytes(data).decode(), offsets.tolist(), removed.tolist()
        ('한whole', [0, 3, 8], [2, 1])
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    rows, starts, stops = (np.ascontiguousarray(one, np.int64) for one in (rows, starts, stops))
    if len(rows):
        inside = rows[0] >= 0 and rows[-1] < len(offsets) - 1
        sizes = np.diff(offsets)[rows] if inside else None
        step = np.diff(rows)
        if (
            sizes is None
            or (step < 0).any()
            or (np.diff(starts)[step == 0] < 0).any()
            or (starts < 0).any()
            or (stops > sizes).any()
        ):
            raise IndexError("a span is not in its row, or out of order")
    out_offsets = np.zeros(len(offsets), np.int64)
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    removed = np.zeros(len(rows), np.int64)
    _cut(offsets, data, rows, starts, stops, out_offsets, out, removed)
    return out_offsets, out[: out_offsets[-1]], removed
