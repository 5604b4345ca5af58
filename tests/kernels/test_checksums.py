"""Check digits against arithmetic written in another way."""

import datetime
import random

import numpy as np
import pytest

from datatools.kernels.checksums import business_check, is_date, luhn, registration_check


def digits(text):
    return np.array([int(c) for c in text if c.isdigit()], np.uint8)


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("4111111111111111", True),
        ("378282246310005", True),
        ("79927398713", True),  # the example of ISO/IEC 7812-1
        ("79927398710", False),
        ("4111111111111112", False),
        ("0", True),
    ],
)
def test_luhn_of_published_numbers(number, valid):
    assert luhn(digits(number), len(number)) == valid


def test_luhn_finds_every_single_wrong_digit():
    number = "4539578763621486"
    assert luhn(digits(number), 16)
    for place in range(16):
        for digit in "0123456789":
            other = number[:place] + digit + number[place + 1 :]
            assert luhn(digits(other), 16) == (other == number)


@pytest.mark.parametrize("seventh", "12345678")
def test_exactly_one_last_digit_completes_a_registration_number(seventh):
    draw = random.Random(seventh)
    for _ in range(50):
        start = f"{draw.randrange(10**6):06d}{seventh}{draw.randrange(10**5):05d}"
        weighted = sum(int(a) * int(b) for a, b in zip(start, "234567892345", strict=True))
        base = 13 if seventh in "5678" else 11
        expected = str(base - weighted % 11)[-1]
        valid = [d for d in "0123456789" if registration_check(digits(start + d))]
        assert valid == [expected]


@pytest.mark.parametrize(
    ("number", "valid"),
    # Samsung Electronics and NAVER, from their own pages; the same with one digit changed.
    [("124-81-00998", True), ("220-81-62517", True), ("220-81-62518", False)],
)
def test_company_numbers(number, valid):
    grouped = np.zeros(60, np.uint8)
    for group, part in enumerate(number.split("-")):
        grouped[group * 20 : group * 20 + len(part)] = digits(part)
    assert business_check(grouped, 20) == valid


def test_days_are_those_of_the_calendar():
    def exists(year, month, day):
        try:
            datetime.date(year, month, day)
        except ValueError:
            return False
        return True

    for year in (1900, 1999, 2000, 2024):
        for month in range(15):
            for day in range(34):
                assert is_date(year, month, day) == exists(year, month, day)
