"""Putting placeholders where spans of bytes were.

Owns the replacement and the count of what it took. Refuses: which spans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import count_codepoints
from datatools.kernels.jit import I64, arrow_buffers, kernel

__all__ = ["mask_spans"]


@kernel
def _mask(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    spans: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    masks: npt.NDArray[np.uint8],
    out_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    removed: npt.NDArray[np.int64],
) -> None:
    span: I64 = 0
    o: I64 = 0
    for row in range(len(offsets) - 1):
        at = offsets[row]
        while span < len(spans) and spans[span, 0] == row:
            start = offsets[row] + spans[span, 1]
            stop = offsets[row] + spans[span, 2]
            kind = spans[span, 3]
            out[o : o + start - at] = data[at:start]
            o += start - at
            mask = masks[bounds[kind] : bounds[kind + 1]]
            out[o : o + len(mask)] = mask
            o += len(mask)
            removed[span] = count_codepoints(data, start, stop)
            at = stop
            span += 1
        end = offsets[row + 1]
        out[o : o + end - at] = data[at:end]
        o += end - at
        out_offsets[row + 1] = o


def mask_spans(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    spans: npt.NDArray[np.int64],
    masks: Sequence[str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the rows with a placeholder in each span's place, and what each span took.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        spans: int64 of shape (spans, 4): row, first byte and one past the last, from the row's
            start, and the mask to use. In order, without overlaps, on character boundaries.
        masks: The placeholders.

    Returns:
        offsets: int64 of shape (rows + 1,).
        data: uint8, UTF-8.
        removed: int64 of shape (spans,), code points of each span.

    Raises:
        IndexError: A span is not in its row, or the spans overlap or are out of order.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> buffers = Batch(pl.DataFrame({"text": ["전화 010", "none"]})).buffers("text")
        >>> offsets, data, removed = mask_spans(*buffers, np.array([[0, 7, 10, 0]]), ["[PHONE]"])
        >>> bytes(data).decode(), offsets.tolist(), removed.tolist()
        ('전화 [PHONE]none', [0, 14, 18], [3])
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    spans = np.ascontiguousarray(spans, np.int64).reshape(-1, 4)
    rows, starts, stops, kinds = spans.T
    if len(spans):
        inside = rows.min() >= 0 and rows.max() < len(offsets) - 1
        follows = (rows[1:] > rows[:-1]) | (rows[1:] == rows[:-1]) & (starts[1:] >= stops[:-1])
        if not inside or not follows.all() or (starts < 0).any() or (stops < starts).any():
            raise IndexError("a span is not in its row, or the spans overlap or are out of order")
        if (stops > np.diff(offsets)[rows]).any() or (kinds < 0).any():
            raise IndexError("a span is not in its row")
    encoded = [mask.encode() for mask in masks]
    bounds = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    size = int(offsets[-1] - offsets[0] - (stops - starts).sum() + np.diff(bounds)[kinds].sum())
    out_offsets = np.zeros(len(offsets), np.int64)
    out = np.empty(size, np.uint8)
    removed = np.zeros(len(spans), np.int64)
    table = np.frombuffer(b"".join(encoded), np.uint8)
    _mask(offsets, data, spans, bounds, table, out_offsets, out, removed)
    return out_offsets, out, removed
