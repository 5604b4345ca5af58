"""Telephone numbers as groups of digits: Korean, North American, international, and other national.

Owns the forms. Refuses: finding the digits (`number_groups`) and the words around them. Every
function returns the last group of the number, -1 where there is none, and whether the form is sure
or needs words that say what it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel
from datatools.kernels.number_groups import (
    CLOSE,
    DASH,
    DOT,
    NONE,
    OPEN,
    OTHER,
    SPACE,
    WIDTH,
    fold_at,
    group_value,
    is_alnum,
    is_digit,
)

__all__ = [
    "extension_end",
    "international",
    "korean_telephone",
    "north_american",
    "other_telephone",
]


@kernel
def _korean_prefix(digits: npt.NDArray[np.uint8], size: I64) -> I64:
    # Digits of the area or network code that a number in one piece or group begins with; 0: none.
    if size < 2 or digits[0] != 0:
        return 0
    a = np.int64(digits[1])
    if a == 2:
        return 2
    if size < 3:
        return 0
    b = np.int64(digits[2])
    if a == 1:
        return 3 if b == 0 or b == 1 or 6 <= b <= 9 else 0
    if a == 3 or a == 6:
        return 3 if (1 <= b <= 4 and not (a == 3 and b == 4)) or b == 0 else 0
    if a == 4:
        return 3 if 1 <= b <= 4 else 0
    if a == 5:
        if b == 0 and size >= 4:  # 0502 to 0508: numbers for life
            return 4 if 2 <= digits[3] <= 8 else 0
        return 3 if 1 <= b <= 5 else 0
    return 3 if (a == 7 or a == 8) and b == 0 else 0


@kernel
def korean_telephone(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
) -> tuple[I64, bool]:
    """Judge a number as Korean: 010-1234-5678, 02) 123-4567, 1588-1234, 82-10-1234-5678.

    Mobile numbers are sure in any form; others need a mark between two groups, because three
    numbers with blanks between them are anything.
    """
    size = sizes[0]
    if size == 4 and digits[0] == 1 and count > 1 and sizes[1] == 4:
        kind = np.int64(digits[1])
        if (kind == 5 or kind == 6 or kind == 8) and joints[0] <= DOT:
            first, second = group_value(digits, sizes, 0), group_value(digits, sizes, 1)
            # 1588-1592 is a war.
            return 1, joints[0] == DASH and (second < first or second > 2100)
        return -1, False
    if size == 2 and digits[0] == 8 and digits[1] == 2:  # the plus sign is missing
        mobile = count > 3 and sizes[1] == 2 and digits[WIDTH] == 1 and joints[0] == DASH
        whole = mobile and sizes[2] == 4 and sizes[3] == 4 and joints[2] != OTHER
        return (3, True) if whole else (-1, False)
    prefix = _korean_prefix(digits, size)
    if prefix == 0:
        return -1, False
    mobile = digits[1] == 1
    if size == prefix:
        joint = joints[0]
        if count < 2 or joint in (OTHER, OPEN):
            return -1, False
        if mobile and sizes[1] == 8:
            return 1, True
        if count < 3 or not 3 <= sizes[1] <= 4 or sizes[2] != 4:
            return -1, False
        if joints[1] == OTHER or joints[1] == OPEN or joints[1] == CLOSE:
            return -1, False
        return 2, mobile or joint != SPACE or joints[1] != SPACE
    rest = size - prefix
    if count > 1 and 3 <= rest <= 4 and sizes[1] == 4 and joints[0] == DASH:  # 0101234-5678
        return 1, mobile
    if rest == 8 or (rest == 7 and not (mobile and digits[2] == 0)):
        return 0, mobile
    return -1, False


@kernel
def north_american(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    bracket: bool,
) -> tuple[I64, bool]:
    """Judge a number as one of the North American plan: (212) 555-0100, 1-212-555-0100."""
    area = np.int64(0)
    prefixed = (sizes[0] == 1 and digits[0] == 1) or (
        sizes[0] == 3 and digits[0] == 0 and digits[1] == 0 and digits[2] == 1
    )
    if prefixed:
        if count < 4 or joints[0] == OTHER or joints[0] == CLOSE:
            return -1, False
        area = np.int64(1)
    if sizes[area] == 10 and area == 0:
        k = 0
        return (0, False) if digits[k] >= 2 and digits[k + 3] >= 2 else (-1, False)
    if count < area + 3 or sizes[area] != 3 or sizes[area + 1] != 3 or sizes[area + 2] != 4:
        return -1, False
    if digits[area * WIDTH] < 2 or digits[(area + 1) * WIDTH] < 2:
        return -1, False
    if digits[area * WIDTH + 1] == 1 and digits[area * WIDTH + 2] == 1:  # 911 and its like
        return -1, False
    first, second = joints[area], joints[area + 1]
    if second in (OTHER, OPEN, CLOSE) or first in (OTHER, OPEN):
        return -1, False
    if first == CLOSE:
        return area + 2, bracket or area == 1
    if first == second:
        return area + 2, first != SPACE or area == 1
    return area + 2, first == SPACE and second == DASH


@kernel
def international(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
) -> I64:
    """Return the last group of a number that follows a plus sign, -1 where it is none.

    It has 9 to 15 digits with its country code (ITU-T E.164); where the country is known, no more
    than its numbers have, so that a number after it is not taken for a part of it.
    """
    if digits[0] == 0:
        return -1
    a = np.int64(digits[0])
    b = np.int64(digits[1]) if sizes[0] > 1 else np.int64(-1)
    if a == 7 or (a == 1 and (sizes[0] == 1 or sizes[0] == 11)):
        least, most = 11, 11
    elif a == 8 and b == 2:
        least, most = 10, 13  # with the zero that some write: +82 (0)10
    else:
        least, most = 9, 14
    total: I64 = np.int64(0)
    last: I64 = np.int64(-1)
    for group in range(count):
        total += sizes[group]
        if total > most:
            break
        if total >= least:
            last = group
        if joints[group] == NONE or joints[group] == OTHER:
            break
    return last


@kernel
def other_telephone(
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    bracket: bool,
) -> tuple[I64, bool]:
    """Judge a number as a national one of any other country: 0496 46 46 70, (64) 3591-3246.

    Sure are 10 or 11 digits in two groups or more that begin with one zero and a code of three to
    five digits, or with a code in brackets; 7 to 12 digits of another form need words beside them.
    """
    total: I64 = np.int64(0)
    last: I64 = np.int64(-1)
    for group in range(min(count, 6)):
        if sizes[group] < 2 and group > 0:
            break
        total += sizes[group]
        if total > 12:
            break
        last = group
        if joints[group] == NONE or joints[group] == OTHER or joints[group] == OPEN:
            break
        if (joints[group] == CLOSE and group > 0) or (joints[group] == DOT) != (joints[0] == DOT):
            break
    total = np.int64(0)
    for group in range(last + 1):
        total += sizes[group]
    if last < 0 or total < 7:
        return -1, False
    if last == 1 and sizes[0] == 4 and sizes[1] == 4:
        first, second = group_value(digits, sizes, 0), group_value(digits, sizes, 1)
        if 1000 <= first < second < 2200:  # 1990-2018
            return -1, False
    coded = bracket and joints[0] == CLOSE and last == 2 and sizes[1] >= 3 and sizes[2] == 4
    zero = digits[0] == 0 and 3 <= sizes[0] <= 5 and digits[1] != 0 and sizes[1] <= 7
    return last, bool(last > 0 and 10 <= total <= 11 and (coded or zero))


@kernel
def extension_end(data: npt.NDArray[np.uint8], i: I64, end: I64) -> I64:
    """Return where an extension after a number that ends at `i` stops: x123, ext. 123, 내선 123."""
    at = i
    c, after = fold_at(data, at, end)
    if c == 32:
        at = after
    if at < end and (data[at] | 32) == 120:  # x
        at += 1
    elif at + 3 <= end and (data[at] | 32) == 101 and (data[at + 1] | 32) == 120:  # ext
        if data[at + 2] | 32 != 116:
            return i
        at += 3
        if at < end and data[at] == 46:
            at += 1
    elif (
        at + 6 <= end
        and data[at] == 0xEB
        and data[at + 1] == 0x82
        and data[at + 2] == 0xB4
        and data[at + 3] == 0xEC
        and data[at + 4] == 0x84
        and data[at + 5] == 0xA0
    ):  # 내선
        at += 6
    else:
        return i
    c, after = fold_at(data, at, end)
    if c == 32:
        at = after
    first = at
    while at < end and is_digit(np.int64(data[at])):
        at += 1
    if not 1 <= at - first <= 6 or (at < end and is_alnum(np.int64(data[at]))):
        return i
    return at
