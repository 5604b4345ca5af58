"""Lines of a byte stream."""

from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.ingest.lines import split_lines

TEXT = st.lists(
    st.sampled_from([b"\n", b"\r", b"a", b"\xea\xb0\x80", b"\xe2\x80\xa8"]), max_size=40
)


@given(TEXT.map(b"".join), st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 99))
def test_lines_equal_a_split_of_the_whole_however_it_is_cut(data, sizes, start):
    chunks, rest, turn = [], data, 0
    while rest:
        size = sizes[turn % len(sizes)]
        chunks.append(rest[:size])
        rest, turn = rest[size:], turn + 1
    lines = list(split_lines(chunks, start, 1000))
    assert b"\n".join(line for *_, line in lines) == data.removesuffix(b"\n")
    assert len(lines) == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    position = start
    for begin, end, line in lines:
        assert begin == position
        assert data[begin - start : end - start].removesuffix(b"\n") == line
        position = end
    assert position == start + len(data)


@given(TEXT.map(b"".join), st.integers(1, 9), st.integers(0, 8))
def test_lines_over_the_limit_keep_their_place_and_lose_their_content(data, size, limit):
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    unlimited = list(split_lines(chunks, 0, 1000))
    assert list(split_lines(chunks, 0, limit)) == [
        (start, end, line if len(line) <= limit else None) for start, end, line in unlimited
    ]


def test_a_line_without_an_end_is_let_go_as_it_comes():
    held = 0

    def chunks():
        for _ in range(1000):
            yield b"x" * 1000

    for start, end, line in split_lines(chunks(), 0, 5000):
        held += 1
        assert (start, end, line) == (0, 1_000_000, None)
    assert held == 1
