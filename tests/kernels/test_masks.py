"""Masking against slices of bytes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.masks import mask_spans


def spans(*found):
    return np.array(found, np.int64).reshape(-1, 4)


def texts_of(offsets, data):
    return [bytes(data[a:b]).decode() for a, b in itertools.pairwise(offsets)]


@given(st.data())
def test_masking_is_slicing(data):
    import polars as pl

    from datatools.steps.base import Batch

    texts = data.draw(st.lists(st.text("a가😀é ", max_size=12), max_size=5))
    masks = ["[A]", "", "〈가림〉"]
    chosen, expected, sizes = [], [], []
    for row, text in enumerate(texts):
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
        pieces, at = [], 0
        for start, stop in zip(cuts[::2], cuts[1::2], strict=False):
            kind = data.draw(st.integers(0, 2))
            a, b = len(text[:start].encode()), len(text[:stop].encode())
            chosen.append((row, a, b, kind))
            sizes.append(stop - start)
            pieces += [text[at:start], masks[kind]]
            at = stop
        expected.append("".join([*pieces, text[at:]]))
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    offsets, found, removed = mask_spans(*Batch(frame).buffers("text"), spans(*chosen), masks)
    assert texts_of(offsets, found) == expected
    assert removed.tolist() == sizes


@pytest.mark.parametrize(
    "bad",
    [
        spans((2, 0, 1, 0)),
        spans((-1, 0, 1, 0)),
        spans((0, 0, 4, 0)),
        spans((0, -1, 1, 0)),
        spans((0, 2, 1, 0)),
        spans((0, 0, 2, 0), (0, 1, 3, 0)),
        spans((1, 0, 1, 0), (0, 0, 1, 0)),
        spans((0, 0, 1, -1)),
    ],
)
def test_spans_outside_their_row_or_out_of_order_are_refused(buffers, bad):
    with pytest.raises(IndexError, match="a span is not in its row"):
        mask_spans(*buffers(["abc", "def"]), bad, ["[X]"])
