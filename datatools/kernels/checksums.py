"""Check digits of numbers that name people and accounts.

Owns the arithmetic, over digits as numbers. Refuses: where a number begins, and what else must be
true of it.

References:
    ISO/IEC 7812-1:2017, annex B (Luhn). ISO 13616-1:2020 (IBAN) with ISO/IEC 7064 (modulus 97).
    Korean resident registration numbers: 주민등록법 시행규칙 (check digit until October 2020; since
    then the last six digits are drawn at random).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel

__all__ = ["business_check", "is_date", "luhn", "registration_check"]


@kernel
def luhn(digits: npt.NDArray[np.uint8], count: I64) -> bool:
    """Say whether the first `count` digits end in their Luhn check digit."""
    total: I64 = 0
    for k in range(count):
        digit: I64 = np.int64(digits[count - 1 - k])
        if k % 2 == 1:
            digit = 2 * digit - (9 if digit > 4 else 0)
        total += digit
    return bool(total % 10 == 0)


@kernel
def registration_check(digits: npt.NDArray[np.uint8]) -> bool:
    """Say whether a Korean registration number of 13 digits ends in its check digit.

    The seventh digit tells a resident (1 to 4) from a foreigner (5 to 8), whose check differs by
    two.
    """
    total: I64 = 0
    for k in range(12):
        total += np.int64(digits[k]) * (k % 8 + 2)
    base = 13 if 5 <= digits[6] <= 8 else 11
    return bool((base - total % 11) % 10 == digits[12])


@kernel
def business_check(digits: npt.NDArray[np.uint8], width: I64) -> bool:
    """Say whether groups of 3, 2 and 5 digits are a Korean company's number (사업자등록번호).

    Args:
        digits: Digit d of group g at `g * width + d`.
        width: Places of a group.
    """
    total: I64 = 0
    for k in range(9):
        group = 0 if k < 3 else (1 if k < 5 else 2)
        digit: I64 = np.int64(digits[group * width + k - (0, 3, 5)[group]])
        weight = (1, 3, 7)[k % 3] if k < 8 else 5
        total += digit * weight
        if k == 8:
            total += digit * 5 // 10
    return bool((10 - total % 10) % 10 == digits[2 * width + 4])


@kernel
def is_date(year: I64, month: I64, day: I64) -> bool:
    """Say whether there is such a day in the Gregorian calendar."""
    if month < 1 or month > 12 or day < 1:
        return False
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return bool(day <= (29 if leap else 28))
    return bool(day <= (30 if month in (4, 6, 9, 11) else 31))
