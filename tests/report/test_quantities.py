import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.report import quantities

UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15, "EB": 1e18}


@given(st.integers(0, 10**19))
def test_a_size_reads_back_within_its_last_digit(number):
    value, unit = quantities.size(number).replace(",", "").split(" ")
    digits = len(value.partition(".")[2])
    assert abs(float(value) * UNITS[unit] - number) <= 0.5001 * UNITS[unit] / 10**digits
    assert unit == "EB" or float(value) < 1000


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_never_claims_nothing_or_all_falsely(part, whole):
    part = min(part, whole)
    shown = quantities.percent(part, whole)
    assert (shown == "0%") == (part == 0)
    assert (shown == "100%") == (part == whole)
    if re.fullmatch(r"[\d.]+%", shown):
        assert abs(float(shown[:-1]) - 100 * part / whole) <= 0.0501


@pytest.mark.parametrize("number", [None, math.nan, math.inf])
def test_what_is_not_a_number_is_a_dash(number):
    assert quantities.decimal(number) == quantities.signed(number) == "–"


def test_signs_are_typographic_and_always_there():
    assert quantities.signed(-0.5, 1) == "−0.5"
    assert quantities.signed(0.5, 1) == "+0.5"
    assert quantities.count(-1234) == "−1,234"


def test_what_rounds_to_nothing_has_no_sign():
    assert quantities.decimal(-0.0001, 3) == "0.000"
    assert quantities.signed(0.0001, 3) == quantities.signed(-0.0001, 3) == "0.000"


def test_times_carry_over():
    assert quantities.duration(59.96) == "1 min 0 s"
    assert quantities.duration(3599.6) == "1 h 0 min"
    assert quantities.duration(0.04) == "0.0 s"
