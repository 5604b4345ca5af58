import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels import vectors
from datatools.kernels.jit import kernel

SCALARS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
ascii_block = st.text(st.characters(max_codepoint=127), min_size=64, max_size=64)


@kernel
def lower_block(data, i, out, o):
    return vectors.lower_block(data, i, out, o)


@kernel
def word_block(data, i):
    return vectors.word_block(data, i)


@kernel
def space_block(data, i):
    return vectors.space_block(data, i)


@kernel
def unsure(data, starts):
    # Per character at `starts`, read as the first of a block: bits of the masks' byte 0.
    found = np.zeros((len(starts), 4), np.bool_)
    one = np.uint64(1)
    for k in range(len(starts)):
        words, maybe_word = vectors.unsure_words(data, starts[k])
        found[k, 0] = words & one != 0
        found[k, 1] = maybe_word & one != 0
        found[k, 2] = vectors.unsure_spaces(data, starts[k]) & one != 0
        found[k, 3] = vectors.unsure_case(data, starts[k]) & one != 0
    return found


@kernel
def unsure_at_the_end(data, i):
    words, maybe_word = vectors.unsure_words(data, i)
    return words, maybe_word, vectors.unsure_case(data, i)


def positions(mask):
    return {k for k in range(64) if int(mask) >> k & 1}


@given(ascii_block, st.integers(0, 9))
def test_sixty_four_ascii_bytes_are_classified_and_lowered_as_python_does(text, before):
    data = np.frombuffer(bytearray(b"#" * before + text.encode()), np.uint8)
    out = np.zeros(70, np.uint8)
    assert lower_block(data, before, out, 3) == 0
    assert bytes(out[3:67]).decode() == text.lower()
    assert not out[:3].any()
    assert not out[67:].any()
    words, high = word_block(data, before)
    assert positions(words) == {k for k in range(64) if re.match(r"\w", text[k])}
    spaces, also_high = space_block(data, before)
    assert positions(spaces) == {k for k in range(64) if text[k].isspace()}
    assert high == also_high == 0


def test_what_a_block_is_sure_of_is_what_python_says_of_every_code_point():
    pieces = [char.encode() for char in SCALARS if ord(char) > 127]
    data = np.frombuffer(b"".join(pieces) + bytes(64), np.uint8)
    starts = np.cumsum([0, *map(len, pieces)])[:-1]
    found = unsure(data, starts)
    for char, (word, maybe_word, maybe_space, maybe_case) in zip(
        (char for char in SCALARS if ord(char) > 127), found.tolist(), strict=True
    ):
        if not maybe_word:
            assert word == char.isalnum(), hex(ord(char))
        assert not (word and maybe_word), hex(ord(char))
        assert maybe_space or not char.isspace(), hex(ord(char))
        assert maybe_case or char.lower() == char, hex(ord(char))


def test_common_korean_chinese_and_english_need_no_second_look():
    text = "나는 학교에 갔다 漢字 “quoted” — it’s…"
    data = np.frombuffer(text.encode().ljust(192, b" "), np.uint8)
    starts = np.array([len(text[:k].encode()) for k in range(len(text))])
    assert not unsure(data, starts)[:, [1, 3]].any()


@pytest.mark.parametrize("char", ["가", "힘", "一", "“"])
def test_a_character_whose_second_byte_is_out_of_sight_is_unsure(char):
    data = np.frombuffer(b" " * 63 + char.encode() + b" " * 64, np.uint8)
    words, maybe_word, maybe_case = unsure_at_the_end(data, 0)
    assert positions(words) == set()
    assert positions(maybe_word) == {63}
    assert positions(maybe_case) <= {63}
