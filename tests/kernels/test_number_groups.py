"""Groups of digits against a split by regular expressions."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.number_groups import (
    GROUPS,
    WIDTH,
    digits_end,
    fold_at,
    fold_before,
    is_digit,
    plain_end,
    read_groups,
)


def encoded(text):
    return np.frombuffer(text.encode(), np.uint8)


def groups(text):
    """Return the groups of a text that starts with a digit, as strings."""
    data = encoded(text)
    digits, places = np.zeros(GROUPS * WIDTH, np.uint8), np.zeros((4, GROUPS), np.int64)
    count = read_groups(data, 0, len(data), digits, *places)
    told = []
    for group in range(count):
        size = places[0, group]
        told.append("".join(map(str, digits[group * WIDTH : group * WIDTH + min(size, WIDTH)])))
        piece = text.encode()[places[1, group] : places[2, group]].decode()
        assert unicodedata.normalize("NFKC", piece)[:WIDTH] == told[-1]
    return told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("010-1234-5678", ["010", "1234", "5678"]),
        ("０１０－１２３４", ["010", "1234"]),
        ("010 - 1234", ["010", "1234"]),
        ("02) 123-4567", ["02", "123", "4567"]),
        ("82 (0)10", ["82", "0", "10"]),
        ("1\u00a02\u30003–4", ["1", "2", "3", "4"]),
        ("1  2", ["1"]),
        ("1- 2", ["1"]),
        ("1 -2", ["1"]),
        ("1. 2", ["1"]),
        ("12:30/45,6~7", ["12", "30", "45", "6", "7"]),
        ("1\n2", ["1"]),
        ("12가34", ["12"]),
        ("1" * 30 + "-2", ["1" * 20]),
        ("12345678901-1234567890-5", ["12345678901", "1234567890"]),
    ],
)
def test_what_joins_groups_and_what_parts_them(text, expected):
    assert groups(text) == expected


@given(st.text("0１5-－– .가（(é😀a@＠", min_size=1, max_size=12))
def test_characters_are_folded_alike_from_both_sides(text):
    data, at = encoded(text), 0
    for char in text:
        folded, after = fold_at(data, at, len(data))
        assert after - at == len(char.encode())
        assert fold_before(data, after, 0) == (folded, at)
        plain = unicodedata.normalize("NFKC", char).replace("–", "-")
        assert folded == (ord(plain) if plain.isascii() else 0)
        at = after
    assert fold_at(data, at, len(data)) == (0, at)


@given(st.from_regex(r"[0-9０]{1,7}[-. ,(a가]?[0-9]{0,3}[-. 가]?[0-9]{0,2}", fullmatch=True))
def test_a_plain_number_is_short_and_joined_to_nothing_or_a_fraction(text):
    data = encoded(text)
    stop = digits_end(data, 0, len(data))
    size = len(re.match(r"[0-9０]+", text)[0])
    assert stop == len(text[:size].encode())
    end = plain_end(data, 0, len(data))
    if end < 0 or not is_digit(int(data[0])):
        return
    assert end == stop
    found = groups(text)
    joint = text[size : size + 1]
    assert (len(found) == 1 and size < 6) or joint in ".,"
    assert not re.match(r"[0-9]+\.[0-9]+\.[0-9]", text)
