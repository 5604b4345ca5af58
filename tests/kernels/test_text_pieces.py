import sys
import unicodedata

import numpy as np
import polars as pl
import pytest
import slow_pieces
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.text_pieces import fold_table, pieces
from datatools.steps.base import Batch

ALPHABET = 'aA1é가힣.!?…。！"”)」 \n\n\t\u3000-=\u0301\u115f٣Σς\u0000İ'
texts = st.lists(st.text(ALPHABET, max_size=25), max_size=4)


def found(texts, unit, **how):
    batch = Batch(pl.DataFrame({"text": texts}, schema={"text": pl.String}))
    return pieces(*batch.buffers("text"), unit, **how)


def slow(texts, unit):
    """Return (row, start, stop, piece) of the pieces that say something, in bytes."""
    expected = []
    for row, text in enumerate(texts):
        at = 0
        for piece in slow_pieces.UNITS[unit](text):
            stop = at + len(piece.encode())
            if slow_pieces.says_something(piece):
                expected.append((row, at, stop, piece))
            at = stop
        assert at == len(text.encode())
    return expected


def classes(keys):
    """Return for each key the first place with an equal one."""
    return [keys.index(key) for key in keys]


@pytest.mark.parametrize("unit", ["line", "paragraph", "sentence"])
@given(texts=texts)
def test_pieces_are_those_of_regular_expressions(texts, unit):
    result, expected = found(texts, unit), slow(texts, unit)
    places = zip(result.row.tolist(), result.start.tolist(), result.stop.tolist(), strict=True)
    assert list(places) == [one[:3] for one in expected]
    forms = [slow_pieces.folded(piece) for *_, piece in expected]
    assert result.length.tolist() == [len(form) for form in forms]
    assert classes(result.high.tolist()) == classes(forms)
    assert classes(result.low.tolist()) == classes(forms)


@given(texts=texts)
def test_as_written_every_byte_counts_but_whitespace_around(texts):
    result, expected = found(texts, "line", as_written=True), slow(texts, "line")
    forms = [piece.strip() for *_, piece in expected]
    assert classes(result.high.tolist()) == classes(forms)


@given(texts=texts, span=st.integers(2, 3))
def test_runs_are_of_pieces_that_follow_each_other_in_a_row(texts, span):
    result, one = found(texts, "line", span=span), slow(texts, "line")
    runs = [one[at : at + span] for at in range(len(one) - span + 1)]
    runs = [run for run in runs if run[0][0] == run[-1][0]]
    places = zip(result.row.tolist(), result.start.tolist(), result.stop.tolist(), strict=True)
    assert list(places) == [(run[0][0], run[0][1], run[-1][2]) for run in runs]
    forms = [tuple(slow_pieces.folded(piece) for *_, piece in run) for run in runs]
    assert result.length.tolist() == [sum(map(len, form)) for form in forms]
    assert classes(result.high.tolist()) == classes(forms)
    assert classes(result.low.tolist()) == classes(forms)


def test_the_two_hashes_have_nothing_in_common():
    result = found(["\n".join(f"line {chr(97 + i % 26)}{i:b}" for i in range(2000))], "line")
    assert not (result.high == result.low).any()
    both = np.concatenate([result.high, result.low])
    assert len(np.unique(both)) == 2 * len(np.unique(result.high))


def test_every_code_point_is_folded_as_python_says():
    table = fold_table()
    for code in [*range(0x30000), *range(0xE0000, 0xE0200)]:
        char = chr(code)
        if unicodedata.category(char) == "Cs":
            continue
        expected = " " if char.isspace() else slow_pieces.folded(char)
        assert (chr(table[code]) if table[code] else "") == expected, f"U+{code:04X}"
    assert len(table) == sys.maxunicode + 1
