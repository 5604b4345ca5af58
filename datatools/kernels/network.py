"""E-mail and network addresses in a text.

Owns where an address around a mark ends, and which network addresses name a machine of the public
Internet. Refuses: addresses in letters outside ASCII (RFC 6531): in running Hangul nothing tells
where one begins.

References:
    Peter Resnick, RFC 5322, 2008, section 3.4.1, and John Klensin, RFC 5321, 2008, section 4.5.3.1
    (sizes). Robert Hinden, Stephen Deering, RFC 4291, 2006, section 2.2. IANA, IPv4 and IPv6
    Special-Purpose Address Registries (RFC 6890).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel
from datatools.kernels.number_groups import fold_at, is_alnum, is_digit, is_letter

__all__ = ["email_bounds", "ipv4_is_public", "ipv6_end"]

_LOCAL = np.zeros(256, np.bool_)
_LOCAL[list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'")] = True
_LOCAL_BYTES, _DOMAIN_BYTES, _URL_BYTES = 64, 253, 200

# Endings of file and unit names that no registry sells, packed as `_packed` does.
_NO_DOMAINS = np.array(
    sorted(
        int.from_bytes(name.encode(), "big")
        for name in (
            *("bmp", "conf", "css", "gif", "html", "ico", "jpeg", "jpg", "js", "json", "local"),
            *("png", "service", "socket", "svg", "target", "timer", "tmp", "txt", "webp", "xml"),
        )
    ),
    np.int64,
)

_PRIVATE = np.array(
    [
        (0x00000000, 8),  # this network
        (0x0A000000, 8),  # private
        (0x64400000, 10),  # carrier-grade address translation
        (0x7F000000, 8),  # loopback
        (0xA9FE0000, 16),  # link-local
        (0xAC100000, 12),  # private
        (0xC0000000, 24),  # protocol assignments
        (0xC0000200, 24),  # documentation
        (0xC0586300, 24),  # 6to4 relays
        (0xC0A80000, 16),  # private
        (0xC6120000, 15),  # benchmarks
        (0xC6336400, 24),  # documentation
        (0xCB007100, 24),  # documentation
        (0xE0000000, 4),  # multicast
        (0xF0000000, 4),  # reserved
    ],
    np.int64,
)


@kernel
def ipv4_is_public(address: I64) -> bool:
    """Say whether an address, as a number of 32 bits, may be a machine on the public Internet."""
    for k in range(len(_PRIVATE)):
        if address >> (32 - _PRIVATE[k, 1]) == _PRIVATE[k, 0] >> (32 - _PRIVATE[k, 1]):
            return False
    return True


@kernel
def _packed(data: npt.NDArray[np.uint8], start: I64, stop: I64) -> I64:
    # Up to 7 bytes as a number, in lower case.
    value = np.int64(0)
    if stop - start > 7:
        return value
    for k in range(start, stop):
        value = value << 8 | (np.int64(data[k]) | 32)
    return value


@kernel
def _domain_end(data: npt.NDArray[np.uint8], start: I64, end: I64) -> I64:
    # Where the domain that starts at `start` ends, with its last label of letters; -1: none.
    limit = min(end, start + _DOMAIN_BYTES)
    best = np.int64(-1)
    label = start
    first = True
    i = start
    while i < limit:
        while i < limit and (is_alnum(np.int64(data[i])) or (data[i] == 45 and i > label)):
            i += 1
        if i == label:
            break
        if not first:
            stop = label
            while stop < i and is_letter(np.int64(data[stop])):
                stop += 1
            puny = _packed(data, label, label + 4) == 0x786E2D2D if label + 4 <= i else False
            if puny:  # xn--
                stop = i
            whole = stop == i or data[stop] == 45
            if stop - label >= 2 and whole:
                kind = _packed(data, label, stop)
                at = np.searchsorted(_NO_DOMAINS, kind)
                if at == len(_NO_DOMAINS) or _NO_DOMAINS[at] != kind:
                    best = stop
            if stop < i:
                break
        first = False
        if i + 1 >= limit or data[i] != 46 or not is_alnum(np.int64(data[i + 1])):
            break
        i += 1
        label = i
    while best > start and data[best - 1] == 45:
        best -= 1
    return best


@kernel
def _is_in_authority(data: npt.NDArray[np.uint8], start: I64, floor: I64) -> bool:
    # Whether what is before an `@` is the user of a URL: `://` before it, with no path between.
    i = start
    while i > floor and start - i < _URL_BYTES:
        c = data[i - 1]
        if c <= 32 or c == 63 or c == 61:  # blank ? =
            return False
        if c == 47:
            return bool(i - 2 > floor and data[i - 2] == 47 and data[i - 3] == 58)
        i -= 1
    return False


@kernel
def email_bounds(data: npt.NDArray[np.uint8], at: I64, floor: I64, end: I64) -> tuple[I64, I64]:
    """Return where the e-mail address around the `@` at byte `at` starts and stops; (-1, -1): none.

    No address are users of URLs (`ftp://me@host.org`), of Git over SSH (`git@host.org:a/b`), and
    file names such as `icon@2x.png`.

    Args:
        data: UTF-8.
        at: Where the `@` is, half-width or full-width.
        floor: First byte that may belong to it.
        end: End of the row.
    """
    start = at
    while start > floor and at - start <= _LOCAL_BYTES and _LOCAL[data[start - 1]]:
        start -= 1
    if at - start > _LOCAL_BYTES:
        return -1, -1
    for i in range(start, at - 1):  # two dots end what is before them
        if data[i] == 46 and data[i + 1] == 46:
            start = i + 1
    while start < at and not (is_alnum(np.int64(data[start])) or data[start] == 95):
        start += 1
    if start == at or data[at - 1] == 46:
        return -1, -1
    stop = _domain_end(data, fold_at(data, at, end)[1], end)
    if stop < 0 or _is_in_authority(data, start, floor):
        return -1, -1
    is_git = at - start == 3 and _packed(data, start, at) == 0x676974
    if is_git and stop < end and data[stop] == 58:
        return -1, -1
    return start, stop


@kernel
def _is_hex(c: I64) -> bool:
    return bool(is_digit(c) or 97 <= (c | 32) <= 102)


@kernel
def _hex_value(c: I64) -> I64:
    return c - 48 if c <= 57 else (c | 32) - 87


@kernel
def ipv6_end(data: npt.NDArray[np.uint8], colon: I64, floor: I64, end: I64) -> tuple[I64, I64]:
    """Return where the IPv6 address whose first colon is at byte `colon` starts and stops.

    (-1, -1) where there is none: eight groups of hexadecimal digits; or `::` for some of them, and
    then at least three others, of which the first is one of the public Internet (2000::/3).
    Private, local and documentation ranges do not count.
    """
    nothing = (np.int64(-1), np.int64(-1))
    start = colon
    while start > floor and colon - start <= 4 and _is_hex(np.int64(data[start - 1])):
        start -= 1
    if colon == start or colon - start > 4:
        return nothing
    if start > floor:
        c = np.int64(data[start - 1])
        if is_alnum(c) or c == 95 or c == 58 or c == 46 or c == 45:
            return nothing
    groups = np.int64(0)
    gap = False
    first, second = np.int64(0), np.int64(0)
    i = start
    stop = start
    while i < end and groups < 8:
        value, size = np.int64(0), np.int64(0)
        while i < end and size < 5 and _is_hex(np.int64(data[i])):
            value = value << 4 | _hex_value(np.int64(data[i]))
            size += 1
            i += 1
        if size == 0 or size > 4:
            break
        if groups == 0:
            first = value
        if groups == 1 and not gap:
            second = value
        groups += 1
        stop = i
        if i >= end or data[i] != 58:
            break
        i += 1
        if i < end and data[i] == 58:
            if gap:
                return nothing
            gap = True
            i += 1
            stop = i
    if stop < end:
        c = np.int64(data[stop])
        if (
            is_alnum(c)
            or c == 95
            or (c == 58 and stop + 1 < end and _is_hex(np.int64(data[stop + 1])))
        ):
            return nothing
    if not ((groups == 8 and not gap) or (gap and 3 <= groups <= 7 and first >> 13 == 1)):
        return nothing
    documentation = (first == 0x2001 and second == 0xDB8) or (first == 0x3FFF and second < 0x1000)
    reserved = first == 0x2001 and second < 0x200
    local = first >> 9 == 0x7E or first >> 6 == 0x3FA or first >> 8 == 0xFF or first == 0
    if documentation or reserved or local:
        return nothing
    return start, stop
