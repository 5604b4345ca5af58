import itertools

import numpy as np
import slow_overlap
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.kernels.overlap import Index, find, union_lengths
from datatools.kernels.token_windows import windows

WORDS = [
    "the",
    "Cat",
    "sat,",
    "on",
    "나는",
    "집에",
    "갔다.",
    "漢字",
    "GPU로",
    "x_1",
    "—",
    "Ⱥb",
    "İst",
]
texts = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


def index_of(buffers, rows, size, least):
    found = windows(*buffers(rows), size=size, least=least)
    return found, Index.of(found.hash, found.head, found.tokens, size=size, least=least)


@settings(max_examples=60)
@given(data=st.data(), size=st.integers(1, 9))
def test_windows_and_their_places_are_those_of_plain_python(buffers, any_text, data, size):
    least = data.draw(st.integers(1, size))
    wanted = data.draw(st.lists(texts | any_text, max_size=4))
    searched = [*data.draw(st.lists(texts | any_text, max_size=4)), *wanted[:1]]
    made, index = index_of(buffers, wanted, size, least)
    expected = [
        (row, start, stop, len(run))
        for row, text in enumerate(wanted)
        for run, start, stop in slow_overlap.windows(text, size, least)
    ]
    columns = (made.row, made.start, made.stop, made.tokens)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
    every = {run for text in wanted for run, *_ in slow_overlap.windows(text, size, least)}
    assert len(index.keys) == len(every)
    hits = find(*buffers(searched), index)
    places = sorted(
        (row, *place)
        for row, text in enumerate(searched)
        for run in every
        for place in slow_overlap.places(text, run)
    )
    found = zip(hits.row.tolist(), hits.start.tolist(), hits.stop.tolist(), strict=True)
    assert sorted(found) == places
    for row, first, last, start, stop in zip(
        hits.row, hits.first, hits.last, hits.start, hits.stop, strict=True
    ):
        span = searched[row].encode()[first:last].decode()
        whole = slow_overlap.tokens(searched[row])
        before = [sum(n for _, n in whole[:at]) for at in range(len(whole) + 1)]
        run = whole[before.index(start) : before.index(stop)]
        assert slow_overlap.tokens(span) == run or "İ" in searched[row]


def test_bytes_are_those_of_the_text_and_not_of_its_lower_case(buffers):
    _, index = index_of(buffers, ["집에 갔다"], 4, 4)
    for before in ("", "İstanbul İ ", "ȺȺȺ K ", "ΑΣ 😀 "):
        text = f"{before}집에, 갔다!"
        hits = find(*buffers([text]), index)
        assert [
            text.encode()[a:b].decode() for a, b in zip(hits.first, hits.last, strict=True)
        ] == ["집에, 갔다"]


def test_words_between_others_are_not_a_window(buffers):
    _, index = index_of(buffers, ["one two three"], 6, 6)
    rows = ["one two, Three", "one and two three", "onetwo three", "three two one one two three"]
    assert find(*buffers(rows), index).row.tolist() == [0, 3]


def test_nothing_is_found_in_nothing_and_with_nothing(buffers):
    _, index = index_of(buffers, ["", "a"], 6, 6)
    hits = find(*buffers(["a b c d", ""]), index)
    assert hits.row.tolist() == []
    assert hits.length.tolist() == [0, 0]
    assert find(*buffers([]), index).length.tolist() == []


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=6), max_size=5))
def test_unions_count_what_lies_in_several_intervals_once(groups):
    ordered = [sorted((start, start + size) for start, size in group) for group in groups]
    bounds = list(itertools.accumulate(map(len, ordered), initial=0))
    flat = np.array([one for group in ordered for one in group], np.int64).reshape(-1, 2)
    found = union_lengths(np.array(bounds), flat[:, 0], flat[:, 1])
    assert found.tolist() == [slow_overlap.covered(group) for group in ordered]
