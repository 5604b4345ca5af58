import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.windows import equal_spans, segments, window_grams, windows
from datatools.steps.base import Batch

texts = st.lists(st.text("ab가😀", max_size=40), min_size=1, max_size=4)


def buffers(texts):
    return Batch(pl.DataFrame({"text": texts}, schema={"text": pl.String})).buffers("text")


def spans(texts, found):
    """Return (row, text, anchor, content) of each segment."""
    data = [text.encode() for text in texts]
    return [
        (row, data[row][start:stop].decode(), start, anchor, content)
        for row, start, stop, anchor, content in zip(*(c.tolist() for c in found), strict=True)
    ]


@given(texts=texts, length=st.integers(1, 9))
def test_every_window_is_in_exactly_one_segment(texts, length):
    found = spans(texts, segments(*buffers(texts), length=length))
    for row, text in enumerate(texts):
        own = [one for one in found if one[0] == row]
        places = []
        for _, segment, start, _, _ in own:
            first = len(text.encode()[:start].decode())
            places += range(first, first + len(segment) - length + 1)
        assert places == list(range(len(text) - length + 1))


@given(texts=texts, length=st.integers(1, 9))
def test_equal_windows_are_in_segments_with_one_anchor(texts, length):
    anchors = {}
    for _, segment, _, anchor, _ in spans(texts, segments(*buffers(texts), length=length)):
        for place in range(len(segment) - length + 1):
            window = segment[place : place + length]
            assert anchors.setdefault(window, anchor) == anchor


@given(texts=texts, length=st.integers(1, 9))
def test_segments_of_one_content_are_equal(texts, length):
    contents = {}
    for _, segment, _, anchor, content in spans(texts, segments(*buffers(texts), length=length)):
        assert contents.setdefault(content, (segment, anchor)) == (segment, anchor)


def test_anchors_are_few():
    draw = np.random.default_rng(0)
    text = "".join(draw.choice(list("abcdefghij "), size=200_000))
    found = segments(*buffers([text]), length=200)
    # Schleimer et al.: one of two in a window of k-grams.
    expected = 2 * len(text) / (window_grams(200) + 1)
    assert len(found.row) == pytest.approx(expected, rel=0.05)


@given(texts=texts, length=st.integers(1, 5), data=st.data())
def test_windows_of_segments_have_their_places_and_one_hash_for_one_text(texts, length, data):
    rows, starts, stops, expected = [], [], [], []
    for segment in range(data.draw(st.integers(0, 5))):
        row = data.draw(st.integers(0, len(texts) - 1))
        first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(texts[row]))] * 2)))
        places = [len(texts[row][:place].encode()) for place in range(len(texts[row]) + 1)]
        rows.append(row)
        starts.append(places[first])
        stops.append(places[last])
        expected += [
            (segment, places[at], places[at + length], texts[row][at : at + length])
            for at in range(first, last - length + 1)
        ]
    asked = [np.array(one, dtype=np.int64) for one in (rows, starts, stops)]
    found = windows(*buffers(texts), *asked, length=length)
    where = zip(found.segment.tolist(), found.start.tolist(), found.stop.tolist(), strict=True)
    assert list(where) == [one[:3] for one in expected]
    hashes = {}
    for content, (*_, window) in zip(found.content.tolist(), expected, strict=True):
        assert hashes.setdefault(content, window) == window
    assert len(hashes) == len({window for *_, window in expected})


@given(texts=texts, data=st.data())
def test_spans_are_equal_exactly_where_their_bytes_are(texts, data):
    raw = [text.encode() for text in texts]
    spans, expected = [], []
    for _ in range(data.draw(st.integers(0, 6))):
        row, other = data.draw(st.tuples(*[st.integers(0, len(raw) - 1)] * 2))
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(raw[row]))] * 2)))
        other_start = data.draw(st.integers(0, len(raw[other])))
        spans.append((row, start, stop, other, other_start))
        expected.append(
            raw[row][start:stop] == raw[other][other_start : other_start + stop - start]
        )
    columns = np.array(spans, dtype=np.int64).reshape(-1, 5).T
    assert equal_spans(*buffers(texts), *columns).tolist() == expected
