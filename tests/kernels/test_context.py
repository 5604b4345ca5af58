"""Phrases beside a place: hand-made examples."""

import numpy as np
import pytest

from datatools.kernels.context import (
    BITS,
    nearest_after,
    nearest_noted,
    note_phrases,
    phrase_table,
)

PHRASES = phrase_table(
    {1: "전화, tel, tel no.", 2: "order, order number", 4: "계좌번호, tel", 8: "☎"}
)


def before(text, wanted=15, reach=48, step=1000):
    """Return what the nearest phrase before the text's end says, noted `step` bytes at a time."""
    data = np.frombuffer(text.encode(), np.uint8)
    starts, ends = np.full(BITS, -1), np.full(BITS, -1)
    for first in range(0, len(data), step):
        note_phrases(data, first, min(first + step, len(data)), 0, PHRASES, starts, ends)
    return nearest_noted(starts, ends, len(data) - reach, wanted)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("TEL: ", 5),
        ("전화는 ", 1),
        ("대표전화", 1),
        ("hotel ", 0),
        ("tell ", 0),
        ("[TEL] ", 0),
        ("old_tel ", 0),
        ("한국tel", 5),
        ("tel order ", 2),
        ("order tel ", 5),
        ("order number ", 2),
        ("tel no. ", 1),
        ("☎", 8),
        ("", 0),
        ("☎" + " " * 48, 0),
        ("☎" + " " * 45, 8),
    ],
)
def test_the_last_whole_phrase_speaks(text, says):
    assert before(text) == says


def test_only_wanted_phrases_count():
    assert before("전화 order ", wanted=1) == 1
    assert before("order ", wanted=4) == 0


@pytest.mark.parametrize(
    ("text", "says"), [(" (전화)", 1), ("-tel", 5), (" 12345678 tel", 0), ("office", 0), ("", 0)]
)
def test_phrases_after_a_place(text, says):
    data = np.frombuffer(text.encode(), np.uint8)
    assert nearest_after(data, 0, len(data), 8, 15, PHRASES) == says
