r"""English tokens: words, marks and contractions, as spaCy's rule-based tokenizer finds them.

Owns the loop over a text: chunks between whitespace, what is taken off their ends, what splits
their middle, and the special cases found again across the pieces. Refuses: the rules themselves
(`english_rules`) and every other language; a text in another one is cut by the English rules, as
spaCy's does. Tokens of whitespace are left out.

The order in which spaCy does it: a chunk that is a special case is done. Else one prefix and one
suffix at a time leave it, until it is a special case or nothing more leaves; what is left is a
special case, an address, or split at its infixes. Afterwards sequences of tokens that spell a
special case become it (`:` and `)` become `:)`), the longest first, of equals the leftmost.

References:
    Matthew Honnibal et al., spaCy 3.8, `spacy/tokenizer.pyx`; usage/linguistic-features, section
    "How spaCy's tokenizer works".
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.codepoints import SPACE, WORD, codepoint_tables, decode
from datatools.kernels.english_rules import (
    ANY_CASE,
    DECIMAL,
    FACTOR,
    ICON,
    LONGEST_SPECIAL,
    LONGEST_UNIT,
    LOWER,
    MARK,
    PREFIX,
    QUOTE,
    SENTENCE_END,
    STOPPABLE,
    SUFFIX,
    UPPER,
    EnglishRules,
    basic_rules,
    special_cases,
    with_paths,
    without_special_cases,
)
from datatools.kernels.hashing import mix64
from datatools.kernels.jit import I64, U64, arrow_buffers, kernel
from datatools.kernels.words import Tokens

__all__ = [
    "english_rules",
    "english_sentences",
    "english_tokens",
]

_DOT, _ELLIPSIS, _PLUS, _MINUS, _COMMA = 0x2E, 0x2026, 0x2B, 0x2D, 0x2C
_EN_DASH, _EM_DASH, _TILDE, _DEGREE = 0x2013, 0x2014, 0x7E, 0xB0
_APOSTROPHE, _RIGHT_QUOTE, _COLON, _SLASH, _AT = 0x27, 0x2019, 0x3A, 0x2F, 0x40
_DOLLAR, _QUESTION, _HASH, _UNDERSCORE = 0x24, 0x3F, 0x23, 0x5F
_PLAIN, _ONE_SPACE, _WHITESPACE = 0, 1, 2  # what stands before a token


@kernel
def _is_digit(code: I64) -> bool:
    return bool(0x30 <= code <= 0x39)


@kernel
def _hash_codes(codes: npt.NDArray[np.int32], first: I64, last: I64) -> U64:
    state = np.uint64(last - first)
    for k in range(first, last):
        state = state * FACTOR + np.uint64(codes[k])
    return mix64(state)


@kernel
def _look_up(table: npt.NDArray[np.uint64], key: U64) -> I64:
    # The key's value, -1 without one; 0 marks a free slot.
    mask = len(table) - 1
    slot = np.int64(key & np.uint64(mask))
    while table[slot, 0] != 0:
        if table[slot, 0] == key:
            return np.int64(table[slot, 1])
        slot = (slot + 1) & mask
    return np.int64(-1)


@kernel
def _special(
    codes: npt.NDArray[np.int32],
    first: I64,
    last: I64,
    specials: npt.NDArray[np.uint64],
    ends: npt.NDArray[np.bool_],
) -> I64:
    # The number of the special case that `codes[first:last]` is, -1 if it is none.
    size = last - first
    if size > LONGEST_SPECIAL or size <= 0:
        return np.int64(-1)
    if not ends[(211 * codes[first] + 17 * codes[last - 1] + size) & 0xFFFF]:
        return np.int64(-1)
    return _look_up(specials, _hash_codes(codes, first, last))


@kernel
def _dots_from(codes: npt.NDArray[np.int32], first: I64, last: I64) -> I64:
    count = 0
    while first + count < last and codes[first + count] == _DOT:
        count += 1
    return count


@kernel
def _prefix(
    codes: npt.NDArray[np.int32], first: I64, last: I64, classes: npt.NDArray[np.uint16]
) -> I64:
    # Length of the prefix of `codes[first:last]`, 0 without one.
    code = codes[first]
    if classes[code] & PREFIX != 0:
        return 1
    if code == _PLUS:
        return np.int64(first + 1 == last or not _is_digit(codes[first + 1]))
    if code == _DOT:
        dots = _dots_from(codes, first, last)
        return dots if dots > 1 else 0
    if first + 2 < last and codes[first + 2] == _DOLLAR and code == 0x55:  # US$
        return 3 if codes[first + 1] == 0x53 else 0
    if first + 1 < last and codes[first + 1] == _DOLLAR and code in (0x41, 0x43):
        return 2  # C$, A$
    return 0


@kernel
def _unit(
    codes: npt.NDArray[np.int32], first: I64, last: I64, units: npt.NDArray[np.uint64]
) -> I64:
    # Length of the longest unit or currency that ends the text and follows a digit.
    for size in range(min(LONGEST_UNIT, last - first - 1), 0, -1):
        follows = _is_digit(codes[last - size - 1])
        if follows and _look_up(units, _hash_codes(codes, last - size, last)) >= 0:
            return size
    return 0


@kernel
def _suffix(
    codes: npt.NDArray[np.int32],
    first: I64,
    last: I64,
    classes: npt.NDArray[np.uint16],
    units: npt.NDArray[np.uint64],
) -> I64:
    # Length of the longest suffix of `codes[first:last]`, 0 without one.
    if first == last:
        return 0
    code = codes[last - 1]
    before = codes[last - 2] if last - first > 1 else np.int32(-1)
    two_before = codes[last - 3] if last - first > 2 else np.int32(-1)
    size: I64 = np.int64(classes[code] & SUFFIX != 0)
    if code == _ELLIPSIS and before == _ELLIPSIS:
        size = 2
    elif code == _DOT:
        dots = 1
        while last - dots > first and codes[last - dots - 1] == _DOT:
            dots += 1
        if dots > 1:
            return dots
        if before >= 0:
            if classes[before] & STOPPABLE != 0:
                size = 1
            elif two_before >= 0:
                capitals = classes[before] & classes[two_before] & UPPER != 0
                degrees = two_before == _DEGREE and before | 0x20 in (0x63, 0x66, 0x6B)
                size = np.int64(capitals or degrees)
    elif code in (0x73, 0x53) and before in (_APOSTROPHE, _RIGHT_QUOTE):
        size = 2
    elif code == _PLUS and before >= 0 and _is_digit(before):
        size = 1
    return max(size, _unit(codes, first, last, units))


@kernel
def _infix(
    codes: npt.NDArray[np.int32],
    first: I64,
    last: I64,
    at: I64,
    classes: npt.NDArray[np.uint16],
) -> I64:
    # Length of the infix of `codes[first:last]` that starts at `at`, 0 without one.
    code = codes[at]
    if code == _ELLIPSIS or classes[code] & ICON != 0:
        return 1
    if code == _DOT:
        dots = _dots_from(codes, at, last)
        if dots > 1:
            return dots
    if at == first or at + 1 >= last:
        return 0
    before, after = classes[codes[at - 1]], classes[codes[at + 1]]
    if code == _DOT:
        return np.int64(before & (LOWER | QUOTE) != 0 and after & (UPPER | QUOTE) != 0)
    if code == _COMMA:
        return np.int64(before & ANY_CASE != 0 and after & ANY_CASE != 0)
    digit_before = _is_digit(codes[at - 1])
    if (
        code in (_PLUS, _MINUS, 0x2A, 0x5E)
        and digit_before
        and (_is_digit(codes[at + 1]) or codes[at + 1] == _MINUS)
    ):
        return 1
    if not digit_before and before & ANY_CASE == 0:
        return 0
    if code in (_MINUS, _EM_DASH):
        most = 3 if code == _MINUS else 2
        size = 1
        while size < most and at + size < last and codes[at + size] == code:
            size += 1
        found = at + size < last and classes[codes[at + size]] & ANY_CASE != 0
        return size if found else 0
    if code in (_EN_DASH, _TILDE, _COLON, _SLASH) or 0x3C <= code <= 0x3E:
        return np.int64(after & ANY_CASE != 0)
    return 0


# --------------------------------------------------------------------------------------------------
# Addresses


@kernel
def _is_host(code: I64) -> bool:
    return bool(
        _is_digit(code)
        or 0x41 <= code <= 0x5A
        or 0x61 <= code <= 0x7A
        or 0xA1 <= code <= 0xFFFF  # sic: all of it
    )


@kernel
def _ends_address(
    codes: npt.NDArray[np.int32], at: I64, last: I64, classes: npt.NDArray[np.uint16]
) -> bool:
    # Whether an optional port and an optional path are all that follows.
    if at < last and codes[at] == _COLON:
        digits = 0
        while at + 1 + digits < last and classes[codes[at + 1 + digits]] & DECIMAL != 0:
            digits += 1
        if digits < 2 or digits > 5:
            return False
        at += 1 + digits
    if at == last:
        return True
    return bool(codes[at] in (_SLASH, _QUESTION, _HASH))


@kernel
def _is_ip(
    codes: npt.NDArray[np.int32], at: I64, last: I64, classes: npt.NDArray[np.uint16]
) -> bool:
    # A public IPv4 address with what may follow one.
    octets = np.int64(0)  # the first two
    for place in range(4):
        size = 0
        value = 0
        while at + size < last and size < 4 and classes[codes[at + size]] & DECIMAL != 0:
            # sic: the digits of every script, so that some octets are written in none of ours
            value = 10 * value + codes[at + size] - 0x30
            size += 1
        a = codes[at]
        if size < 1 or size > 3:
            return False
        if size < 3:
            if (place == 0 or place == 3) and (a < 0x31 or a > 0x39):
                return False
        elif a != 0x31:
            b, c = codes[at + 1], codes[at + 2]
            most = 0x35
            if place == 0:
                most = 0x32
            most_after = 0x33 if place == 0 else (0x35 if place < 3 else 0x34)
            if a != 0x32 or b < 0x30 or b > most:
                return False
            if b == most and (c < 0x30 or c > most_after):
                return False
        if place < 2:
            octets = 1000 * octets + min(max(value, -1), 999)
        at += size
        if place < 3:
            if at >= last or codes[at] != _DOT:
                return False
            at += 1
    first, second = octets // 1000, octets % 1000
    private = (
        first in (10, 127) or octets in (169254, 192168) or (first == 172 and 16 <= second <= 31)
    )
    return not private and _ends_address(codes, at, last, classes)


@kernel
def _is_host_name(
    codes: npt.NDArray[np.int32], at: I64, last: I64, classes: npt.NDArray[np.uint16]
) -> bool:
    # Labels that end in dots, then a top-level domain, with what may follow it.
    labels = 0
    while True:
        size = 0
        while at + size < last and (
            _is_host(codes[at + size])
            or codes[at + size] == _UNDERSCORE
            or codes[at + size] == _MINUS
        ):
            size += 1
        if at + size >= last or codes[at + size] != _DOT:
            break
        if size < 1 or size > 64 or not (_is_host(codes[at]) and _is_host(codes[at + size - 1])):
            return False
        labels += 1
        at += size + 1
    size = 0
    while at + size < last and classes[codes[at + size]] & LOWER != 0:
        size += 1
    return bool(labels > 0 and 2 <= size <= 63 and _ends_address(codes, at + size, last, classes))


@kernel
def _is_address(
    codes: npt.NDArray[np.int32],
    first: I64,
    last: I64,
    classes: npt.NDArray[np.uint16],
    flags: npt.NDArray[np.uint8],
) -> bool:
    # An URL, with or without its scheme, or an e-mail address.
    dots = 0
    for k in range(first, last):
        dots += codes[k] == _DOT
    if dots == 0:  # every address has one
        return False
    if _is_ip(codes, first, last, classes) or _is_host_name(codes, first, last, classes):
        return True
    scheme = first
    while scheme < last and (
        flags[codes[scheme]] & WORD != 0
        or codes[scheme] == _PLUS
        or codes[scheme] == _MINUS
        or codes[scheme] == _DOT
    ):
        scheme += 1
    if (
        scheme - first >= 2
        and scheme + 2 < last
        and codes[scheme] == _COLON
        and codes[scheme + 1] == _SLASH
        and codes[scheme + 2] == _SLASH
        and (
            _is_ip(codes, scheme + 3, last, classes)
            or _is_host_name(codes, scheme + 3, last, classes)
        )
    ):
        return True
    for k in range(first + 1, last):
        if codes[k] == _AT and (
            _is_ip(codes, k + 1, last, classes) or _is_host_name(codes, k + 1, last, classes)
        ):
            return True
    return False


# --------------------------------------------------------------------------------------------------
# Chunks and rows


class _Scratch(NamedTuple):
    """Room for one row's tokens; made by `_make_scratch`."""

    codes: npt.NDArray[np.int32]  # (characters of a chunk,)
    places: npt.NDArray[np.int32]  # (characters of a chunk + 1,): bytes from the row's first
    suffixes: npt.NDArray[np.int32]  # (characters of a chunk, 2)
    tokens: npt.NDArray[np.int32]  # (tokens, 3): first byte, one past the last, gap before
    keys: npt.NDArray[np.uint64]  # (tokens,)
    taken: npt.NDArray[np.bool_]  # (tokens,)
    matches: npt.NDArray[np.int32]  # (special cases found, 3): first token, past the last, number


def _make_scratch(longest: int, rules: EnglishRules) -> _Scratch:
    room = longest + 1
    return _Scratch(
        np.empty(room, np.int32),
        np.empty(room + 1, np.int32),
        np.empty((room, 2), np.int32),
        np.empty((room, 3), np.int32),
        np.empty(room, np.uint64),
        np.empty(room, np.bool_),
        np.empty((room * rules.most_nested, 3), np.int32),
    )


@kernel
def _has_letters_only(codes: npt.NDArray[np.int32], first: I64, last: I64) -> bool:
    # Whether all are ASCII letters, which nothing splits.
    for k in range(first, last):
        letter = codes[k] | 0x20
        if letter < 0x61 or letter > 0x7A:
            return False
    return True


@kernel
def _put(
    tokens: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    count: I64,
    codes: npt.NDArray[np.int32],
    places: npt.NDArray[np.int32],
    first: I64,
    last: I64,
) -> I64:
    tokens[count, 0] = places[first]
    tokens[count, 1] = places[last]
    tokens[count, 2] = _PLAIN
    keys[count] = _hash_codes(codes, first, last)
    return count + 1


@kernel
def _split_chunk(
    codes: npt.NDArray[np.int32],
    places: npt.NDArray[np.int32],
    size: I64,
    suffixes: npt.NDArray[np.int32],
    classes: npt.NDArray[np.uint16],
    specials: npt.NDArray[np.uint64],
    ends: npt.NDArray[np.bool_],
    piece_rows: npt.NDArray[np.int32],
    pieces: npt.NDArray[np.int32],
    units: npt.NDArray[np.uint64],
    flags: npt.NDArray[np.uint8],
    tokens: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    count: I64,
) -> I64:
    # Adds the tokens of the chunk in `codes[:size]` to the `count` tokens before it.
    first, last, before = np.int64(0), size, np.int64(0)
    stacked = 0
    while first < last and last - first != before:
        if _special(codes, first, last, specials, ends) >= 0:
            break
        before = last - first
        prefix = _prefix(codes, first, last, classes)
        if prefix > 0 and _special(codes, first + prefix, last, specials, ends) >= 0:
            count = _put(tokens, keys, count, codes, places, first, first + prefix)
            first += prefix
            break
        suffix = _suffix(codes, first + prefix, last, classes, units)
        if suffix > 0:
            suffixes[stacked, 0], suffixes[stacked, 1] = last - suffix, last
            stacked += 1
            last -= suffix
            if _special(codes, first, last, specials, ends) >= 0:
                break
        if prefix > 0:
            count = _put(tokens, keys, count, codes, places, first, first + prefix)
            first += prefix
    if first < last:
        special = _special(codes, first, last, specials, ends)
        if special >= 0:
            at = first
            for piece in range(piece_rows[special], piece_rows[special + 1]):
                past = at + pieces[piece, 0]
                count = _put(tokens, keys, count, codes, places, at, past)
                at = past
        elif _has_letters_only(codes, first, last) or _is_address(
            codes, first, last, classes, flags
        ):
            count = _put(tokens, keys, count, codes, places, first, last)
        else:
            start = at = first
            while at < last:
                infix = _infix(codes, first, last, at, classes)
                if infix == 0:
                    at += 1
                elif at == first:
                    at += infix
                else:
                    if at != start:
                        count = _put(tokens, keys, count, codes, places, start, at)
                    count = _put(tokens, keys, count, codes, places, at, at + infix)
                    at += infix
                    start = at
            if start < last:
                count = _put(tokens, keys, count, codes, places, start, last)
    for k in range(stacked - 1, -1, -1):
        count = _put(tokens, keys, count, codes, places, suffixes[k, 0], suffixes[k, 1])
    return count


@kernel
def _find_specials(
    tokens: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    count: I64,
    paths: npt.NDArray[np.uint64],
    matches: npt.NDArray[np.int32],
) -> I64:
    # Sequences of tokens that spell a special case, also across one space.
    found = 0
    for first in range(count):
        state = np.uint64(0)
        at = first
        while at < count and (at == first or tokens[at, 2] != _WHITESPACE):
            state = mix64(state * FACTOR + keys[at])
            case = _look_up(paths, state)
            if case < 0:
                break
            at += 1
            if case > 0:
                matches[found, 0], matches[found, 1], matches[found, 2] = first, at, case - 1
                found += 1
    return found


@kernel
def _take_specials(
    tokens: npt.NDArray[np.int32],
    count: I64,
    taken: npt.NDArray[np.bool_],
    matches: npt.NDArray[np.int32],
    found: I64,
) -> I64:
    # Keeps of overlapping ones the longest, of equals the leftmost; those across a space are only
    # in the way of others.
    for token in range(count):
        taken[token] = False
    accepted = np.zeros(found, np.bool_)
    longest = 0
    for k in range(found):
        longest = max(longest, matches[k, 1] - matches[k, 0])
    for size in range(longest, 0, -1):
        for k in range(found):
            first, past = matches[k, 0], matches[k, 1]
            if past - first != size:
                continue
            free = not taken[first] and not taken[past - 1]
            joined = True
            for token in range(first, past):
                taken[token] = True
                joined &= token == first or tokens[token, 2] == _PLAIN
            accepted[k] = free and joined
    kept = 0
    for k in range(found):
        if accepted[k]:
            for column in range(3):
                matches[kept, column] = matches[k, column]
            kept += 1
    return kept


@kernel
def _find_tokens(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    rules: EnglishRules,
    flags: npt.NDArray[np.uint8],
    scratch: _Scratch,
    out: npt.NDArray[np.int32],
    written: I64,
) -> I64:
    # Writes the tokens of `data[start:end]` to `out` and returns where the next ones go.
    # A call hands over the arrays it needs, one by one: handing over all costs more than it does.
    classes, specials, ends, piece_rows, pieces, units, paths, _ = rules
    codes, places, suffixes, tokens, keys, taken, matches = scratch
    count = none = np.int64(0)  # a literal would be compiled for anew
    i = start
    gap = np.int64(_PLAIN)
    while i < end:
        space = i
        while i < end:
            code, after = decode(data, i)
            if flags[code] & SPACE == 0:
                break
            i = after
        if i > space:
            single = i == space + 1 and data[space] == 0x20 and space > start
            gap = np.int64(_ONE_SPACE if single else _WHITESPACE)
        if i == end:
            break
        size = np.int64(0)
        while i < end:
            code, after = decode(data, i)
            if flags[code] & SPACE != 0:
                break
            codes[size] = code
            places[size] = i - start
            size += 1
            i = after
        places[size] = i - start
        begin = count
        if _has_letters_only(codes, none, size) and _special(codes, none, size, specials, ends) < 0:
            count = _put(tokens, keys, count, codes, places, none, size)
        else:
            count = _split_chunk(
                codes,
                places,
                size,
                suffixes,
                classes,
                specials,
                ends,
                piece_rows,
                pieces,
                units,
                flags,
                tokens,
                keys,
                count,
            )
        tokens[begin, 2] = gap
        gap = np.int64(_PLAIN)
    found = _find_specials(tokens, keys, count, paths, matches)
    if found > 0:
        found = _take_specials(tokens, count, taken, matches, found)
    token = np.int64(0)
    match = 0
    while token < count:
        if match < found and matches[match, 0] == token:
            case = matches[match, 2]
            place = tokens[token, 0]
            before = tokens[token, 2]
            for piece in range(piece_rows[case], piece_rows[case + 1]):
                out[written, 0] = place
                place += pieces[piece, 1]
                out[written, 1] = place
                out[written, 2] = before
                before = np.int32(_PLAIN)
                written += 1
            token = np.int64(matches[match, 1])
            match += 1
        else:
            for column in range(3):
                out[written, column] = tokens[token, column]
            written += 1
            token += 1
    return written


@kernel
def _find_all(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rules: EnglishRules,
    flags: npt.NDArray[np.uint8],
    scratch: _Scratch,
    rows: npt.NDArray[np.int64],
    out: npt.NDArray[np.int32],
) -> None:
    at = np.int64(0)
    for row in range(len(offsets) - 1):
        at = _find_tokens(data, offsets[row], offsets[row + 1], rules, flags, scratch, out, at)
        rows[row + 1] = at


def _tokens(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8], rules: EnglishRules
) -> Tokens:
    offsets, data, longest = arrow_buffers(offsets, data)
    size = int(offsets[-1] - offsets[0])
    rows = np.zeros(len(offsets), np.int64)
    # A token has a byte at least, and so has each piece of a special case.
    out = np.empty((size, 3), np.int32)
    scratch = _make_scratch(longest, rules)
    _find_all(offsets, data, rules, codepoint_tables().flags, scratch, rows, out)
    return Tokens(rows, out[: rows[-1]].copy())


@functools.cache
def english_rules() -> EnglishRules:
    """Return the rules, whole and read-only.

    What the affixes would cut a special case into, were it none, is put together again where it
    occurs; so the special cases are cut first.
    """
    basic = basic_rules()
    cases = list(special_cases())
    encoded = [case.encode() for case in cases]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    cut = _tokens(offsets, data, without_special_cases(basic))
    paths = {}
    for number, case in enumerate(cases):
        bounds = cut.bounds[cut.rows[number] : cut.rows[number + 1]].tolist()
        tokens = tuple(encoded[number][start:end].decode() for start, end, _ in bounds)
        if tokens != (case,):
            paths[tokens] = case
    return with_paths(basic, paths)


def english_tokens(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> Tokens:
    """Return the tokens of each row.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        The tokens. A row of whitespace has none.

    Complexity:
        O(bytes).

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> text = "Don't panic (it's $5.00), e.g. at 3pm :)"
        >>> found = english_tokens(*Batch(pl.DataFrame({"text": [text]})).buffers("text"))
        >>> " ".join(text[start:end] for start, end, _ in found.bounds.tolist())
        "Do n't panic ( it 's $ 5.00 ) , e.g. at 3 pm :)"
    """
    return _tokens(offsets, data, english_rules())


@kernel
def _count_sentences(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int32],
    classes: npt.NDArray[np.uint16],
    counts: npt.NDArray[np.int64],
) -> None:
    for row in range(len(offsets) - 1):
        start = offsets[row]
        stop = start
        sentences = 1
        ended = False
        for token in range(rows[row], rows[row + 1]):
            if ended and bounds[token, 2] == _WHITESPACE:  # a token, too, and no mark
                sentences += 1
                ended = False
            i, stop = start + bounds[token, 0], start + bounds[token, 1]
            code, after = decode(data, i)
            is_end = after == stop and classes[code] & SENTENCE_END != 0
            is_mark = True
            while i < stop and is_mark:
                code, i = decode(data, i)
                is_mark = classes[code] & MARK != 0
            if is_end:
                ended = True
            elif ended and not is_mark:
                sentences += 1
                ended = False
        left = offsets[row + 1] - stop
        counts[row] = sentences + (ended and (left > 1 or (left == 1 and data[stop] != 0x20)))


def english_sentences(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Return the number of sentences of each row, as spaCy's sentencizer finds them.

    A sentence begins with the first token, one of whitespace included, that follows a sentence end
    and is neither one itself nor punctuation.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        int64 of shape (rows,), 1 for a row without tokens.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> texts = ['Stop! "Why?" Mr. Kim asked.', "나는 갔다. 비가 왔다.", ""]
        >>> english_sentences(*Batch(pl.DataFrame({"text": texts})).buffers("text")).tolist()
        [3, 2, 1]
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    counts = np.empty(len(offsets) - 1, np.int64)
    tokens = english_tokens(offsets, data)
    _count_sentences(offsets, data, *tokens, english_rules().classes, counts)
    return counts
