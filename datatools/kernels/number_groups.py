"""Numbers as people write them: groups of digits, and what joins one group to the next.

Owns reading `+82 (0)10-1234-5678` as groups of digits with their places, in half-width and
full-width form, with any dash and any blank. Refuses: what a number means (`personal`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel

__all__ = [
    "CLOSE",
    "DASH",
    "DOT",
    "GROUPS",
    "NONE",
    "OPEN",
    "OTHER",
    "SPACE",
    "WIDTH",
    "digits_end",
    "fold_at",
    "fold_before",
    "group_value",
    "is_alnum",
    "is_digit",
    "is_letter",
    "is_tight_after",
    "is_tight_before",
    "plain_end",
    "read_groups",
]

GROUPS: Final = 8
"""Most groups that are read at once: no number of ours has more."""
WIDTH: Final = 20
"""Most digits of a group that are kept. A longer group has a size above it."""

NONE, SPACE, DASH, DOT, CLOSE, OPEN, OTHER = range(7)
"""What follows a group: nothing that leads to another group; one blank; a dash, with a blank on
each side or none; a full stop; a closing or an opening bracket; a mark that makes one expression
of two numbers, as in `1,000`, `12:30` or `3/4`."""

_ZERO, _NINE = 48, 57
_IS_JOINING = np.zeros(128, np.bool_)
_IS_JOINING[list(b"/,:_~*+=")] = True
_JOINS_DIGITS = np.zeros(128, np.bool_)
_JOINS_DIGITS[list(b"-./,:~*+")] = True


@kernel
def is_digit(c: I64) -> bool:
    """Say whether a byte or folded character is a digit."""
    return bool(_ZERO <= c <= _NINE)


@kernel
def is_letter(c: I64) -> bool:
    """Say whether a byte is an ASCII letter."""
    return bool(97 <= (c | 32) <= 122)


@kernel
def is_alnum(c: I64) -> bool:
    """Say whether a byte is an ASCII letter or digit."""
    return bool(_ZERO <= c <= _NINE or 97 <= (c | 32) <= 122)


@kernel
def fold_at(data: npt.NDArray[np.uint8], i: I64, end: I64) -> tuple[I64, I64]:
    """Return the character at byte `i` in half-width form, 0 where it has none, and its end.

    Every kind of dash is `-` and every blank on a line is a space. At `end` the character is 0.
    """
    if i >= end:
        return 0, i
    c = np.int64(data[i])
    if c < 0x80:
        return c, i + 1
    if c < 0xE0:
        if c == 0xC2 and data[i + 1] == 0xA0:  # no-break space
            return 32, i + 2
        return 0, i + 2
    if c >= 0xF0:
        return 0, i + 4
    b, d = np.int64(data[i + 1]), np.int64(data[i + 2])
    if c == 0xEF:
        if b == 0xBC and d >= 0x81:  # full-width `!` to `_`
            return d - 0x60, i + 3
    elif c == 0xE2:
        if (b == 0x80 and 0x90 <= d <= 0x95) or (b == 0x88 and d == 0x92):  # dashes, minus
            return 45, i + 3
    elif c == 0xE3 and b == 0x80 and d == 0x80:  # ideographic space
        return 32, i + 3
    return 0, i + 3


@kernel
def fold_before(data: npt.NDArray[np.uint8], i: I64, begin: I64) -> tuple[I64, I64]:
    """Return the character that ends before byte `i` as `fold_at` does, and where it starts."""
    if i <= begin:
        return 0, i
    start = i - 1
    while data[start] & 0xC0 == 0x80:
        start -= 1
    return fold_at(data, start, i)[0], start


@kernel
def _joint(data: npt.NDArray[np.uint8], i: I64, end: I64) -> tuple[I64, I64]:
    # What joins the group that ends at `i` to another one, and where that starts.
    c, one = fold_at(data, i, end)
    if c == 0:
        return NONE, i
    second, two = fold_at(data, one, end)
    if is_digit(second):
        if c == 32:
            return SPACE, one
        if c == 45:
            return DASH, one
        if c == 46:
            return DOT, one
        if c == 41:
            return CLOSE, one
        if c == 40:
            return OPEN, one
        if _IS_JOINING[c]:
            return OTHER, one
        return NONE, i
    third, three = fold_at(data, two, end)
    if c == 41 and (second == 32 or second == 45 or second == 46) and is_digit(third):  # 02) 1
        return CLOSE, two
    if c == 32 and second == 40 and is_digit(third):  # +1 (5
        return OPEN, two
    if c == 32 and second == 45 and third == 32 and is_digit(fold_at(data, three, end)[0]):
        return DASH, three
    return NONE, i


@kernel
def read_groups(
    data: npt.NDArray[np.uint8],
    at: I64,
    end: I64,
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
) -> I64:
    """Read the groups of digits from byte `at` on, where one starts, and return how many there are.

    Reading ends with the group that makes it `WIDTH` digits, which is more than a number has.

    Args:
        data: UTF-8.
        at: Where the first group starts.
        end: End of the row.
        digits: Written: digit d of group g at `g * WIDTH + d`, as a number. `GROUPS * WIDTH` long.
        sizes: Written: digits of each group, also of those that are longer than `WIDTH`.
        starts: Written: first byte of each group.
        stops: Written: one past the last byte of each group.
        joints: Written: what follows each group, up to the next one.
    """
    count = 0
    total: I64 = 0
    i = at
    while count < GROUPS and total < WIDTH:
        size = 0
        starts[count] = i
        while i < end:
            c, after = np.int64(data[i]), i + 1
            if c >= 0x80:
                c, after = fold_at(data, i, end)
            if not is_digit(c):
                break
            if size < WIDTH:
                digits[count * WIDTH + size] = c - _ZERO
            size += 1
            i = after
        total += size
        sizes[count] = size
        stops[count] = i
        joint, i = _joint(data, i, end)
        joints[count] = joint
        count += 1
        if joint == NONE:
            break
    return count


@kernel
def digits_end(data: npt.NDArray[np.uint8], i: I64, end: I64) -> I64:
    """Return where the digits from byte `i` on end."""
    while i < end:
        c, after = np.int64(data[i]), i + 1
        if c >= 0x80:
            c, after = fold_at(data, i, end)
        if not is_digit(c):
            break
        i = after
    return i


@kernel
def plain_end(data: npt.NDArray[np.uint8], i: I64, end: I64) -> I64:
    """Return where the digits from byte `i` on end if they are a short number or a fraction.

    Most numbers are: fewer than six digits that no dash, bracket or blank joins to others, or two
    groups with a full stop between them. Of any other number -1.
    """
    stop = i
    while stop < end and is_digit(np.int64(data[stop])):
        stop += 1
    size = stop - i
    if stop + 1 >= end:
        return stop if size < 6 and (stop == end or data[stop] < 0x80) else -1
    mark, after = data[stop], data[stop + 1]
    if mark >= 0x80 or after >= 0x80:
        return -1
    if mark == 46 and is_digit(np.int64(after)):
        k = stop + 1
        while k < end and is_digit(np.int64(data[k])):
            k += 1
        whole = k >= end or (data[k] < 0x80 and data[k] != 46)
        return stop if whole else -1
    if size >= 6 or mark == 45 or mark == 40 or mark == 41:
        return -1
    if mark == 32 and (is_digit(np.int64(after)) or after == 45 or after == 40):
        return -1
    return stop


@kernel
def group_value(digits: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64], group: I64) -> I64:
    """Return a group's number; of a group of more than 18 digits -1."""
    if sizes[group] > 18:
        return -1
    value = np.int64(0)
    for k in range(sizes[group]):
        value = value * 10 + np.int64(digits[group * WIDTH + k])
    return value


@kernel
def is_tight_before(data: npt.NDArray[np.uint8], i: I64, begin: I64) -> bool:
    """Say whether a number that starts at `i` goes on with what is before it.

    It does after an ASCII letter, a digit or one of `_%$`; after a mark such as `-` or `.` that
    follows a digit; and after a dash that follows an ASCII letter (`AB-1234`).
    """
    c, at = fold_before(data, i, begin)
    if is_alnum(c) or c == 95 or c == 37 or c == 36:
        return True
    if c == 0 or not _JOINS_DIGITS[c]:
        return False
    before = fold_before(data, at, begin)[0]
    return is_digit(before) or (c == 45 and is_letter(before))


@kernel
def is_tight_after(data: npt.NDArray[np.uint8], i: I64, end: I64, joint: I64) -> bool:
    """Say whether a number that ends at `i` goes on: with a letter, `_`, `%`, `@`, or digits.

    Args:
        data: UTF-8.
        i: One past the number's last byte.
        end: End of the row.
        joint: What follows its last group. A blank or a bracket parts two numbers.
    """
    c = fold_at(data, i, end)[0]
    if is_alnum(c) or c == 95 or c == 37 or c == 64:
        return True
    return joint in (DASH, DOT, OTHER)
