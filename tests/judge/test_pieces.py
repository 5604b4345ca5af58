from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from datatools.judge.pieces import split_text


def size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@given(st.text(alphabet="ab 가나\n😀", max_size=300), st.integers(4, 80))
def test_pieces_join_to_the_text_and_keep_to_their_size(text: str, chunk_bytes: int) -> None:
    pieces = split_text(text, chunk_bytes)
    assert "".join(pieces) == text
    assert all(size(piece) <= chunk_bytes for piece in pieces[:-1])
    assert not pieces or size(pieces[-1]) <= chunk_bytes * 3 // 2
    assert all(pieces)


def test_cuts_prefer_lines_then_spaces_in_both_languages() -> None:
    assert split_text("one two\nthree four five", 12) == ["one two\n", "three four five"]
    assert split_text("하나 둘 셋 넷 다섯 여섯", 18) == ["하나 둘 셋 ", "넷 다섯 여섯"]
    assert split_text("x" * 25, 10) == ["x" * 10, "x" * 15]
