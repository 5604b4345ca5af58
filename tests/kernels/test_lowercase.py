import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.codepoints import codepoint_tables
from datatools.kernels.lowercase import lower_row, lowered_bytes


def lower(text):
    data = np.frombuffer(bytearray(text.encode()), np.uint8)
    out = np.zeros(lowered_bytes(len(data)), np.uint8)
    size = lower_row(data, 0, len(data), out, *codepoint_tables())
    return bytes(out[:size]).decode()


@given(st.data())
def test_lowering_equals_str_lower(any_text, data):
    text = data.draw(any_text)
    assert lower(text) == text.lower()


@given(st.text(alphabet="ΣσaΑ1 .'\u00ad\u0301ʰ:", max_size=14))
def test_a_sigma_is_final_exactly_where_python_says(text):
    assert lower(text) == text.lower()


@given(st.text(alphabet="İȺȾẞ", max_size=20))
def test_scratch_holds_the_letters_that_grow(text):
    assert lower(text) == text.lower()
    assert len(text.lower().encode()) <= lowered_bytes(len(text.encode()))
