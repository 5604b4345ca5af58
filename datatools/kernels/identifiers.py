"""Numbers that name one person or account, as groups of digits.

Owns the forms of registration numbers, Social Security numbers, payment cards, bank accounts,
driving licences and IPv4 addresses. Refuses: finding the digits (`number_groups`), the arithmetic
(`checksums`), and the words around a number (`personal`). The functions return the last group of
the number, -1 where there is none, and whether the form is sure or needs words beside it.

References:
    SWIFT, IBAN Registry, release 99, 2024 (lengths). ISO/IEC 7812-1:2017 and the ranges that the
    networks publish (cards). SSA, POMS RM 10201.035 (areas never given out).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.checksums import business_check, is_date, luhn, registration_check
from datatools.kernels.jit import I64, kernel
from datatools.kernels.network import ipv4_is_public
from datatools.kernels.number_groups import (
    DASH,
    DOT,
    SPACE,
    WIDTH,
    group_value,
    is_alnum,
    is_digit,
    is_letter,
)

__all__ = [
    "account_number",
    "card_number",
    "iban_end",
    "ipv4_address",
    "licence_number",
    "registration_number",
    "social_security_number",
    "starts_with_date",
]

_IBANS = (
    *("AD24", "AE23", "AL28", "AT20", "AZ28", "BA20", "BE16", "BG22", "BH22", "BI27", "BR29"),
    *("BY28", "CH21", "CR22", "CY28", "CZ24", "DE22", "DJ27", "DK18", "DO28", "EE20", "EG29"),
    *("ES24", "FI18", "FK18", "FO18", "FR27", "GB22", "GE22", "GI23", "GL18", "GR27", "GT28"),
    *("HR21", "HU28", "IE22", "IL23", "IQ23", "IS26", "IT27", "JO30", "KW30", "KZ20", "LB28"),
    *("LC32", "LI21", "LT20", "LU20", "LV21", "LY25", "MC27", "MD24", "ME22", "MK19", "MN20"),
    *("MR27", "MT31", "MU30", "NI28", "NL18", "NO15", "OM23", "PK24", "PL28", "PS29", "PT25"),
    *("QA29", "RO24", "RS22", "RU33", "SA24", "SC31", "SD18", "SE24", "SI19", "SK24", "SM27"),
    *("SO23", "ST25", "SV28", "TL23", "TN24", "TR26", "UA29", "VA22", "VG24", "XK20"),
)
_IBAN_LENGTHS = np.zeros(26 * 26, np.int64)
for _entry in _IBANS:
    _IBAN_LENGTHS[(ord(_entry[0]) - 65) * 26 + ord(_entry[1]) - 65] = int(_entry[2:])


@kernel
def _flatten(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    last: I64,
    flat: npt.NDArray[np.uint8],
) -> I64:
    # The digits of groups 0 to `last` in a row; their number, or -1 where a group is too long.
    count = 0
    for group in range(last + 1):
        if sizes[group] > WIDTH or count + sizes[group] > len(flat):
            return -1
        for k in range(sizes[group]):
            flat[count + k] = digits[group * WIDTH + k]
        count += sizes[group]
    return count


@kernel
def registration_number(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    flat: npt.NDArray[np.uint8],
) -> tuple[I64, bool]:
    """Judge a number as Korean: a birthday in six digits and seven more; the first of these tells.

    The digits are left in `flat`.
    """
    joint = joints[0]
    if sizes[0] == 13:
        last = 0
    elif sizes[0] == 6 and count > 1 and sizes[1] == 7 and joint in (DASH, SPACE):
        last = 1
    else:
        return -1, False
    _flatten(digits, sizes, last, flat)
    seventh = np.int64(flat[6])
    if seventh == 0 or seventh == 9:  # born before 1900
        return -1, False
    century = 1900 if seventh == 1 or seventh == 2 or seventh == 5 or seventh == 6 else 2000
    year = century + 10 * np.int64(flat[0]) + np.int64(flat[1])
    month = 10 * np.int64(flat[2]) + np.int64(flat[3])
    day = 10 * np.int64(flat[4]) + np.int64(flat[5])
    if year >= 2050 or not is_date(year, month, day):
        return -1, False
    return last, last == 1 and joint == DASH and registration_check(flat)


@kernel
def social_security_number(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    flat: npt.NDArray[np.uint8],
) -> tuple[I64, bool]:
    """Judge a number as 123-45-6789 of an area, a group and a serial that are given out."""
    if sizes[0] == 9:
        last = 0
    elif (
        count > 2
        and sizes[0] == 3
        and sizes[1] == 2
        and sizes[2] == 4
        and joints[0] == joints[1]
        and joints[0] in (DASH, SPACE)
    ):
        last = 2
    else:
        return -1, False
    _flatten(digits, sizes, last, flat)
    area = 100 * np.int64(flat[0]) + 10 * np.int64(flat[1]) + np.int64(flat[2])
    serial = np.int64(flat[5]) + np.int64(flat[6]) + np.int64(flat[7]) + np.int64(flat[8])
    if area == 0 or area == 666 or area >= 900 or flat[3] + flat[4] == 0 or serial == 0:
        return -1, False
    return last, last == 2 and joints[0] == DASH


@kernel
def _is_issued(flat: npt.NDArray[np.uint8], count: I64) -> bool:
    # Whether a network issues cards that begin so, with that many digits.
    four = np.int64(0)
    for k in range(4):
        four = four * 10 + np.int64(flat[k])
    two, three = four // 100, four // 10
    if four // 1000 == 4:  # Visa
        return bool(count == 13 or count == 16 or count == 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # Mastercard
        return bool(count == 16)
    if two == 34 or two == 37:  # American Express
        return bool(count == 15)
    if four == 6011 or 644 <= three <= 659 or two == 62:  # Discover, UnionPay
        return bool(16 <= count <= 19)
    if 3528 <= four <= 3589:  # JCB
        return bool(16 <= count <= 19)
    if 300 <= three <= 305 or two == 36 or two == 38 or two == 39:  # Diners Club
        return bool(count == 14)
    return bool(two == 94 and count == 16)  # cards for use within Korea


@kernel
def card_number(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    flat: npt.NDArray[np.uint8],
) -> tuple[I64, bool]:
    """Judge a number as a card's: 4-4-4-4(-3), 4-6-5 or 4-6-4; or 12 to 19 digits in a row."""
    last = 0
    if 12 <= sizes[0] <= 19:
        last = 0
    elif sizes[0] == 4 and count > 2 and joints[0] in (DASH, SPACE):
        if joints[1] != joints[0]:
            return -1, False
        if sizes[1] == 6 and (sizes[2] == 4 or sizes[2] == 5):
            last = 2
        elif count > 3 and sizes[1] == 4 and sizes[2] == 4 and sizes[3] == 4:
            if joints[2] != joints[0]:
                return -1, False
            last = 3
            if count > 4 and joints[3] == joints[0] and sizes[4] == 3:
                last = 4
        else:
            return -1, False
    else:
        return -1, False
    total = _flatten(digits, sizes, last, flat)
    if last == 4 and not luhn(flat, total):  # what follows is another number
        last, total = 3, 16
    if not luhn(flat, total):
        return -1, False
    issued = _is_issued(flat, total)
    return last, issued and (last > 0 or total == 15 or total == 16)


@kernel
def account_number(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    dated: bool,
) -> I64:
    """Return the last group of 10 to 14 digits with up to three dashes, -1 where there is none.

    A company's registration number (123-45-67891) is public, and a day (`dated`) no account.
    """
    if dated:
        return -1
    total = sizes[0]
    last = 0
    while last + 1 < count and last < 3 and joints[last] == DASH:
        last += 1
        total += sizes[last]
    if total < 10 or total > 14 or sizes[0] < 2:
        return -1
    if last == 2 and sizes[0] == 3 and sizes[1] == 2 and business_check(digits, WIDTH):
        return -1
    return last


@kernel
def starts_with_date(
    digits: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64], count: I64
) -> bool:
    """Say whether the groups begin with a day: 20241025 or 2024-10-25."""
    if sizes[0] != 8 and not (sizes[0] == 4 and count > 2 and sizes[1] <= 2 and sizes[2] <= 2):
        return False
    first = group_value(digits, sizes, 0)
    if sizes[0] == 8:
        year, month, day = first // 10000, first // 100 % 100, first % 100
    else:
        year = first
        month, day = group_value(digits, sizes, 1), group_value(digits, sizes, 2)
    return 1800 <= year < 2200 and is_date(year, month, day)


@kernel
def licence_number(sizes: npt.NDArray[np.int64], joints: npt.NDArray[np.int64], count: I64) -> I64:
    """Return the last group of 7 to 14 digits with up to three dashes, as 11-12-345678-90."""
    total = sizes[0]
    last = 0
    while last + 1 < count and last < 3 and joints[last] == DASH:
        last += 1
        total += sizes[last]
    return last if 7 <= total <= 14 else -1


@kernel
def ipv4_address(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
) -> tuple[I64, bool]:
    """Judge a number as a public address, sure where a part is 32 or more.

    Sections of documents, and versions, have four small numbers.
    """
    if count < 4 or joints[0] != DOT or joints[1] != DOT or joints[2] != DOT:
        return -1, False
    largest = np.int64(0)
    address = np.int64(0)
    for group in range(4):
        if sizes[group] > 3 or (sizes[group] > 1 and digits[group * WIDTH] == 0):
            return -1, False
        part = group_value(digits, sizes, group)
        if part > 255:
            return -1, False
        largest = max(largest, part)
        address = address << 8 | part
    return (3, bool(largest >= 32)) if ipv4_is_public(address) else (-1, False)


@kernel
def iban_end(data: npt.NDArray[np.uint8], start: I64, end: I64) -> I64:
    """Return where the IBAN that starts with two letters at `start` ends, else -1."""
    a, b = (np.int64(data[start]) | 32) - 97, (np.int64(data[start + 1]) | 32) - 97
    size = _IBAN_LENGTHS[a * 26 + b]
    if size == 0:
        return -1
    tail = a + 10  # the country and the check digits count last
    tail = tail * 100 + b + 10
    remainder = np.int64(0)
    i = start + 2
    for k in range(2, size):
        if i < end and data[i] == 32 and k % 4 == 0:
            i += 1
        if i >= end:
            return -1
        c = np.int64(data[i])
        if is_digit(c):
            digit = c - 48
        elif is_letter(c) and k >= 4:
            digit = (c | 32) - 87
        else:
            return -1
        if k < 4:
            tail = tail * 10 + digit
        elif digit < 10:
            remainder = (remainder * 10 + digit) % 97
        else:
            remainder = (remainder * 100 + digit) % 97
        i += 1
    if i < end and is_alnum(np.int64(data[i])):
        return -1
    return i if (remainder * 1000000 + tail) % 97 == 1 else -1
