import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.cuts import cut_spans
from datatools.steps.base import Batch

texts = st.lists(st.text("aé가😀\n", max_size=8), min_size=1, max_size=4)


@given(texts=texts, data=st.data())
def test_spans_are_taken_out_once_and_counted_for_the_first(texts, data):
    spans = []
    for row, text in enumerate(texts):
        places = st.integers(0, len(text))
        pairs = st.lists(st.tuples(places, places).map(sorted), max_size=4)
        spans += [(row, start, stop) for start, stop in sorted(data.draw(pairs))]
    expected, counts, gone = [], [], {row: set() for row in range(len(texts))}
    for row, start, stop in spans:
        new = set(range(start, stop)) - gone[row]
        counts.append(len(new))
        gone[row] |= new
    for row, text in enumerate(texts):
        expected.append("".join(c for at, c in enumerate(text) if at not in gone[row]))

    def as_bytes(row, place):
        return len(texts[row][:place].encode())

    rows = np.array([row for row, _, _ in spans], dtype=np.int64)
    starts = np.array([as_bytes(row, start) for row, start, _ in spans], dtype=np.int64)
    stops = np.array([as_bytes(row, stop) for row, _, stop in spans], dtype=np.int64)
    buffers = Batch(pl.DataFrame({"text": texts})).buffers("text")
    offsets, out, removed = cut_spans(*buffers, rows, starts, stops)
    found = [bytes(out[a:b]).decode() for a, b in itertools.pairwise(offsets)]
    assert found == expected
    assert removed.tolist() == counts


@pytest.mark.parametrize(
    "spans",
    [[(0, 0, 4)], [(2, 0, 1)], [(1, 0, 1), (0, 0, 1)], [(0, 2, 3), (0, 1, 3)], [(0, -1, 2)]],
)
def test_a_span_that_is_not_in_its_row_is_refused(spans):
    buffers = Batch(pl.DataFrame({"text": ["abc", "def"]})).buffers("text")
    with pytest.raises(IndexError, match="a span is not in its row"):
        cut_spans(*buffers, *np.array(spans).T)
