import unicodedata

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.composed import compose, original_place

PIECES = ["가", "\u1112\u1161\u11ab", "\u1100", "\u1161", "e\u0301", "é", "\u0301", "a", " ", "が",
          "か\u3099", "\u0958", "क\u093c", "\u212b", "漢", "😀", "\u0344", "\u0f73"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20)


@given(rows=st.lists(texts | st.none(), max_size=6))
def test_texts_become_what_unicodedata_makes_of_them(buffers, rows):
    composed, changed = compose(pl.Series(rows, dtype=pl.String), *buffers(rows))
    expected = [None if row is None else unicodedata.normalize("NFC", row) for row in rows]
    assert composed.to_list() == expected
    assert list(changed) == [at for at, row in enumerate(rows) if expected[at] != row]


def test_every_character_that_can_change_is_known(buffers):
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    alone = [chr(code) for code in codes]
    after = [f"a{character}" for character in alone]
    for rows in (alone, after):
        expected = [at for at, row in enumerate(rows) if unicodedata.normalize("NFC", row) != row]
        assert list(compose(pl.Series(rows), *buffers(rows))[1]) == expected


@given(texts)
def test_places_lead_back_to_what_was_composed(text):
    composed = unicodedata.normalize("NFC", text)
    sizes = [len(letter.encode()) for letter in composed]
    places = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    first, last = original_place(text, places), original_place(text, places, ends=True)
    whole = text.encode()
    assert first[0] == 0
    assert last[-1] == len(whole)
    for at in range(len(composed)):
        span = whole[first[at] : last[at + 1]].decode()
        assert composed[at] in unicodedata.normalize("NFC", span)
        before = whole[: first[at]].decode()
        assert composed.startswith(unicodedata.normalize("NFC", before))
