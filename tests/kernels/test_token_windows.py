import pytest
import slow_overlap
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.kernels.token_windows import windows


@settings(max_examples=40)
@given(data=st.data(), size=st.integers(1, 9))
def test_windows_are_those_of_plain_python(buffers, any_text, data, size):
    least = data.draw(st.integers(1, size))
    rows = data.draw(st.lists(any_text, max_size=4))
    made = windows(*buffers(rows), size=size, least=least)
    expected = [
        (row, start, stop, len(run))
        for row, text in enumerate(rows)
        for run, start, stop in slow_overlap.windows(text, size, least)
    ]
    columns = (made.row, made.start, made.stop, made.tokens)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
    lengths = [sum(length for _, length in slow_overlap.tokens(text)) for text in rows]
    assert made.length.tolist() == lengths


def test_a_text_of_two_scripts_is_as_long_as_its_parts_together(buffers):
    found = windows(*buffers(["GPU로 돌린다", "two words", "두 글자", ""]), size=40, least=1)
    assert found.length.tolist() == [6, 4, 3, 0]
    assert found.row.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("size", "least"), [(0, 0), (4, 5), (4, 0)])
def test_impossible_lengths_are_refused(buffers, size, least):
    with pytest.raises(ValueError, match="least must be"):
        windows(*buffers(["a"]), size=size, least=least)
