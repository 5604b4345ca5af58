"""Numbers and addresses that belong to a person: where they stand in a text.

Owns the pass over the bytes, and which of the forms that a number may have it has where it stands.
Refuses: the forms (`identifiers`, `telephone`, `network`), what is done about them
(`steps.safety.pii`), and which words make a context.

The pass stops at `@`, `:` and digits only. A number is read once, as groups of digits, and every
form is a question about the groups. A form that other numbers share (`sure` is False below) counts
only beside words that say what the number is; words that say that it is something else (an order, a
serial number) win where they stand nearer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.kernels.context import (
    BITS,
    Phrases,
    nearest_after,
    nearest_noted,
    note_phrases,
)
from datatools.kernels.identifiers import (
    account_number,
    card_number,
    iban_end,
    ipv4_address,
    licence_number,
    registration_number,
    social_security_number,
    starts_with_date,
)
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.network import email_bounds, ipv6_end
from datatools.kernels.number_groups import (
    CLOSE,
    DASH,
    DOT,
    GROUPS,
    NONE,
    OTHER,
    WIDTH,
    digits_end,
    fold_at,
    fold_before,
    is_alnum,
    is_digit,
    is_letter,
    is_tight_after,
    is_tight_before,
    plain_end,
    read_groups,
)
from datatools.kernels.telephone import (
    extension_end,
    international,
    korean_telephone,
    north_american,
    other_telephone,
)

__all__ = [
    "BANK_ACCOUNT",
    "CARD",
    "DRIVING_LICENCE",
    "EMAIL",
    "FRN",
    "IP",
    "KINDS",
    "PASSPORT",
    "PHONE",
    "RRN",
    "SSN",
    "find_personal",
]

KINDS: Final = (
    *("email", "phone", "rrn", "frn", "ssn"),
    *("card", "bank_account", "ip", "passport", "driving_licence"),
)
"""Names of the kinds, by number."""
EMAIL, PHONE, RRN, FRN, SSN, CARD, BANK_ACCOUNT, IP, PASSPORT, DRIVING_LICENCE = range(10)

# What a phrase of the context says, as bits. The first ten are the kinds.
SAYS_ACCOUNT: Final = 1 << 10
"""An English phrase for an account, beside which any 6 to 17 digits are one."""
SAYS_OTHER: Final = 1 << 11
"""Something else: an order, a serial number, a document."""
SAYS_VERSION: Final = 1 << 12
"""A version or a section, beside which four small numbers are no address."""
SAYS_YEARS: Final = 1 << 13
"""What follows years."""
SAYS_PHONE_AFTER: Final = 1 << 14
"""What may follow a telephone number."""

_BEFORE, _AFTER, _VERSION, _SOON = 48, 16, 16, 8  # bytes in which a phrase is looked for

# Forms of a number, in the order in which they are tried.
_FORMS = 9
(
    _REGISTRATION,
    _SOCIAL_SECURITY,
    _CARD,
    _LICENCE,
    _PASSPORT,
    _KOREAN_TELEPHONE,
    _ACCOUNT,
    _ANY_ACCOUNT,
    _OTHER_TELEPHONE,
) = range(_FORMS)
# What the words before a number must say where its form is not sure, what they must not, and what
# the words after it may say instead.
_WORDS_FOR = np.array(
    [
        1 << RRN | 1 << FRN,
        1 << SSN,
        1 << CARD,
        1 << DRIVING_LICENCE,
        1 << PASSPORT,
        1 << PHONE,
        1 << BANK_ACCOUNT | SAYS_ACCOUNT,
        SAYS_ACCOUNT,
        1 << PHONE,
    ],
    np.int64,
)
_WORDS_AGAINST = np.full(_FORMS, SAYS_OTHER, np.int64)
_WORDS_AGAINST[[_ACCOUNT, _ANY_ACCOUNT]] |= 1 << PHONE
_WORDS_AFTER = np.zeros(_FORMS, np.int64)
_WORDS_AFTER[_ACCOUNT] = 1 << BANK_ACCOUNT
_WORDS_AFTER[_OTHER_TELEPHONE] = SAYS_PHONE_AFTER
_IS_NEVER_SURE = np.zeros(_FORMS, np.bool_)
_IS_NEVER_SURE[[_LICENCE, _PASSPORT, _ANY_ACCOUNT]] = True
_NO_KIND = np.int64(-1)
_AT, _COLON, _PLUS, _OPENS = 64, 58, 43, 40

_STOPS = np.zeros(256, np.uint8)
"""1: a digit, 2: `@`, 3: `:`, 4: the first byte of full-width forms."""
_STOPS[48:58] = 1
_STOPS[_AT] = 2
_STOPS[_COLON] = 3
_STOPS[0xEF] = 4


@kernel
def _note(
    data: npt.NDArray[np.uint8],
    at: I64,
    begin: I64,
    phrases: Phrases,
    noted: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> None:
    # Notes the phrases before `at`. The last place of `ends` tells how far the row has been read: a
    # window for each number would be read again and again where numbers stand close together.
    first = max(ends[BITS], at - _BEFORE)
    if first < at:
        note_phrases(data, first, at, begin, phrases, noted, ends)
        ends[BITS] = at


@kernel
def _is_in_address(
    data: npt.NDArray[np.uint8], start: I64, stop: I64, begin: I64, end: I64
) -> bool:
    # Whether digits without a break are a part of a URL or of a path.
    before = fold_before(data, start, begin)[0]
    after = fold_at(data, stop, end)[0]
    return bool(before in (47, 61, 35, 38) or after == 47)  # / = # &


@kernel
def _may_be(form: I64, first: I64, size: I64, joint: I64) -> bool:
    # Whether a number may have a form, from its first digit, its first group and what follows that.
    if form == _REGISTRATION:
        return bool(size == 6 or size == 13)
    if form == _SOCIAL_SECURITY:
        return bool(size == 3 or size == 9)
    if form == _CARD:
        return bool(size == 4 or size >= 12)
    if form == _PASSPORT:
        return bool(size == 9)
    if form == _KOREAN_TELEPHONE:
        return bool(first == 0 or size == 4 or size == 2)
    if form == _ACCOUNT:
        return bool(size >= 10 or joint == DASH)
    if form == _ANY_ACCOUNT:
        return bool(size >= 6)
    return True


@kernel
def _judged(
    form: I64,
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    count: I64,
    flat: npt.NDArray[np.uint8],
    bracket: bool,
    dated: bool,
) -> tuple[I64, I64, bool]:
    # What the groups are in the form with this number: the kind, the last group, and whether sure.
    if form == _REGISTRATION:
        last, sure = registration_number(digits, sizes, joints, count, flat)
        return RRN if last < 0 or flat[6] <= 4 else FRN, last, sure
    if form == _SOCIAL_SECURITY:
        last, sure = social_security_number(digits, sizes, joints, count, flat)
        return SSN, last, sure
    if form == _CARD:
        last, sure = card_number(digits, sizes, joints, count, flat)
        return CARD, last, sure
    if form == _LICENCE:
        return DRIVING_LICENCE, licence_number(sizes, joints, count), False
    if form == _PASSPORT:
        return PASSPORT, 0 if sizes[0] == 9 else -1, False
    if form == _KOREAN_TELEPHONE:
        last, sure = korean_telephone(digits, sizes, joints, count)
        return PHONE, last, sure
    if form == _ACCOUNT:
        return BANK_ACCOUNT, account_number(digits, sizes, joints, count, dated), False
    if form == _ANY_ACCOUNT:
        return BANK_ACCOUNT, 0 if 6 <= sizes[0] <= 17 and not dated else -1, False
    last, sure = north_american(digits, sizes, joints, count, bracket)
    if last < 0 and not dated:
        last, sure = other_telephone(digits, sizes, joints, count, bracket)
    return PHONE, last, sure


@kernel
def _number_at(
    data: npt.NDArray[np.uint8],
    at: I64,
    begin: I64,
    end: I64,
    floor: I64,
    phrases: Phrases,
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    flat: npt.NDArray[np.uint8],
    noted: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> tuple[I64, I64, I64]:
    # The kind of the number whose first group of digits starts at `at`, where it starts and stops;
    # the kind is -1 where there is none, and the stop then where to go on.
    before, mark = fold_before(data, at, floor)
    lettered = is_letter(before) and data[at - 1] == before
    count = read_groups(data, at, end, digits, sizes, starts, stops, joints)
    nothing = (_NO_KIND, at, stops[0])
    if lettered:
        return _after_letter(
            data, at, begin, end, floor, phrases, sizes, stops, joints, noted, ends
        )
    # Nearly all numbers are short, a fraction, or a part of an expression.
    if joints[0] == OTHER or (joints[0] == NONE and sizes[0] < 6):
        return nothing
    if joints[0] == DOT and (count < 2 or joints[1] != DOT):
        return nothing

    if before == _PLUS:
        first, opened = fold_before(data, mark, floor)
        last = international(digits, sizes, joints, count)
        if last < 0 or is_alnum(first):
            return nothing
        stop = extension_end(data, stops[last], end)
        if stop == stops[last] and is_tight_after(data, stop, end, joints[last]):
            return nothing
        in_brackets = first == _OPENS and joints[0] == CLOSE  # (+82) 10-1234-5678
        return np.int64(PHONE), opened if in_brackets else mark, stop

    last, sure = ipv4_address(digits, sizes, joints, count)
    if last >= 0:
        after = fold_at(data, stops[3], end)[0]
        has_port = joints[3] == OTHER and (after == 47 or after == _COLON)
        if is_tight_after(data, stops[3], end, joints[3]) and not has_port:
            return _NO_KIND, at, stops[3]
        _note(data, at, begin, phrases, noted, ends)
        version = nearest_noted(noted, ends, at - _VERSION, SAYS_VERSION)
        version |= nearest_after(data, stops[3], end, _SOON, SAYS_VERSION, phrases)
        if not sure:
            sure = nearest_noted(noted, ends, at - _BEFORE, 1 << IP) != 0
        return np.int64(IP) if sure and version == 0 else _NO_KIND, at, stops[3]

    bracket = before == _OPENS
    address = _is_in_address(data, at, stops[0], begin, end)
    dated = starts_with_date(digits, sizes, count)
    _note(data, at, begin, phrases, noted, ends)
    for form in range(_FORMS):
        if not _may_be(form, np.int64(digits[0]), sizes[0], joints[0]):
            continue
        wanted, against = _WORDS_FOR[form], _WORDS_AGAINST[form]
        says = nearest_noted(noted, ends, at - _BEFORE, wanted | against)
        if _IS_NEVER_SURE[form] and says & wanted == 0:
            continue
        kind, last, sure = _judged(form, digits, sizes, joints, count, flat, bracket, dated)
        if last < 0:
            continue
        stop = stops[last]
        if kind == PHONE:
            stop = extension_end(data, stop, end)
        if stop == stops[last] and is_tight_after(data, stop, end, joints[last]):
            continue
        if sure:
            # A run of digits in a URL or path needs words, and no other words may say otherwise;
            # of a telephone number in groups they need not tell: `주문번호 12 010-1234-5678`.
            sure = not (last == 0 and address) and (
                says == 0 or says & wanted != 0 or (kind == PHONE and last > 0)
            )
        sure |= says & wanted != 0
        if not sure and _WORDS_AFTER[form] != 0:
            sure = nearest_after(data, stop, end, _AFTER, _WORDS_AFTER[form], phrases) != 0
        if form == _KOREAN_TELEPHONE and last == 1 and sizes[0] == 4:  # 1588-1592년
            sure &= nearest_after(data, stop, end, _SOON, SAYS_YEARS, phrases) == 0
        if sure:
            return np.int64(kind), mark if bracket and joints[0] == CLOSE else at, stop
    return nothing


@kernel
def _after_letter(
    data: npt.NDArray[np.uint8],
    at: I64,
    begin: I64,
    end: I64,
    floor: I64,
    phrases: Phrases,
    sizes: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    noted: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> tuple[I64, I64, I64]:
    # What starts with one letter or two before the digits: IBAN, passport, licence.
    nothing = (_NO_KIND, at, stops[0])
    start = at - 1
    if start > floor and is_letter(np.int64(data[start - 1])):
        start -= 1
    if is_tight_before(data, start, floor):
        return nothing
    if at - start == 2 and sizes[0] >= 2:
        stop = iban_end(data, start, end)
        if stop >= 0:
            return np.int64(BANK_ACCOUNT), start, stop
    stop = stops[0]
    size = sizes[0]
    if size == 3 and stop < end and is_letter(np.int64(data[stop])):  # M123A4567
        k = stop + 1
        while k < end and is_digit(np.int64(data[k])):
            k += 1
        if k - stop == 5:
            size, stop = 8, k
    if stop < end and (is_alnum(np.int64(data[stop])) or data[stop] == 95):
        return nothing
    if joints[0] == DASH or joints[0] == DOT or joints[0] == OTHER:
        return nothing
    if not 5 <= size <= 14:
        return nothing
    _note(data, start, begin, phrases, noted, ends)
    for form in range(_LICENCE, _PASSPORT + 1):
        fits = form == _LICENCE or 7 <= size <= 8
        wanted = _WORDS_FOR[form] | _WORDS_AGAINST[form]
        says = nearest_noted(noted, ends, start - _BEFORE, wanted)
        if fits and says & _WORDS_FOR[form] != 0:
            return np.int64(PASSPORT if form == _PASSPORT else DRIVING_LICENCE), start, stop
    return nothing


@kernel
def _find(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    phrases: Phrases,
    digits: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    joints: npt.NDArray[np.int64],
    flat: npt.NDArray[np.uint8],
    noted: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> I64:
    # Fills the rows of `found` with (row, start, stop, kind); returns how many there are, also of
    # those that no longer fit.
    count = 0
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        noted[:] = -1
        ends[:] = -1
        ends[BITS] = begin
        floor = begin  # end of the last one found: no two overlap
        i = begin
        while i < end:
            what = _STOPS[data[i]]
            if what == 0:
                i += 1
                continue
            kind, start, stop = _NO_KIND, i, i + 1
            if what == 4:
                c, after = fold_at(data, i, end)
                if is_digit(c):
                    what = 1
                elif c == _AT:
                    what = 2
                else:
                    i = after
                    continue
            if what == 1 and not (i > floor and is_letter(np.int64(data[i - 1]))):
                after = plain_end(data, i, end)
                if after < 0 and is_tight_before(data, i, floor):
                    after = digits_end(data, i, end)
                if after > i:
                    i = after
                    continue
            if what == 1:
                kind, start, stop = _number_at(
                    data,
                    i,
                    begin,
                    end,
                    floor,
                    phrases,
                    digits,
                    sizes,
                    starts,
                    stops,
                    joints,
                    flat,
                    noted,
                    ends,
                )
            elif what == 2:
                start, stop = email_bounds(data, i, floor, end)
                kind = np.int64(EMAIL if start >= 0 else -1)
                if kind < 0:
                    stop = fold_at(data, i, end)[1]
            else:
                start, stop = ipv6_end(data, i, floor, end)
                kind = np.int64(IP if start >= 0 else -1)
                if kind < 0:
                    stop = i + 1
            i = stop
            if kind >= 0:
                if count < len(found):
                    found[count, 0] = row
                    found[count, 1] = start - begin
                    found[count, 2] = stop - begin
                    found[count, 3] = kind
                count += 1
                floor = stop
    return count


def find_personal(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], phrases: Phrases
) -> npt.NDArray[np.int64]:
    """Return where personal numbers and addresses stand, in order; no two overlap.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        phrases: What the words around a number say, as bits: `1 << kind`, and `SAYS_ACCOUNT` ...

    Returns:
        int64 of shape (spans, 4): row, first byte and one past the last, both from the row's start,
        and the kind, an index into `KINDS`.

    Complexity:
        O(bytes): a number looks at most 48 bytes back and 16 on.

    Example:
        >>> import polars as pl
        >>> from datatools.kernels.context import phrase_table
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["전화010-1234-5678로", "10-12, 2024"]}))
        >>> find_personal(*batch.buffers("text"), phrase_table({1 << PHONE: "전화"})).tolist()
        [[0, 6, 19, 1]]
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    digits, flat = np.zeros(GROUPS * WIDTH, np.uint8), np.zeros(4 * WIDTH, np.uint8)
    sizes, starts, stops, joints = np.zeros((4, GROUPS), np.int64)
    noted, ends = np.zeros((2, BITS + 1), np.int64)
    found = np.empty((64 + 2 * len(offsets), 4), np.int64)
    while True:
        count = _find(
            offsets,
            data,
            phrases,
            digits,
            sizes,
            starts,
            stops,
            joints,
            flat,
            noted,
            ends,
            found,
        )
        if count <= len(found):
            return found[:count]
        found = np.empty((count, 4), np.int64)
