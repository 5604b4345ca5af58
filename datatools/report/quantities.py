"""Numbers as people read them: counts, sizes, shares, signed differences.

Owns: rounding and units. Every function takes a number and returns text; None becomes an en dash.
"""

from __future__ import annotations

import math

__all__ = ["count", "decimal", "duration", "percent", "signed", "size"]

NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def count(number: int | None) -> str:
    """Return a whole number with thousands apart.

    Example:
        >>> count(1234567), count(None)
        ('1,234,567', '–')
    """
    return NOTHING if number is None else f"{number:,}".replace("-", _MINUS)


def size(number: int | None) -> str:
    """Return bytes in decimal units, three digits at most after rounding.

    Example:
        >>> size(999), size(1234), size(12_345_678), size(999_999_999)
        ('999 B', '1.23 kB', '12.3 MB', '1.00 GB')
    """
    if number is None:
        return NOTHING
    value = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if unit == "B" and abs(value) < 1000:
            return f"{number} B"
        digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
        if abs(round(value, digits)) < 1000:
            return f"{value:.{digits}f} {unit}"
        value /= 1000
    return f"{value:,.0f} EB"


def percent(part: float, whole: float) -> str:
    """Return a share in per cent; what is not nothing never reads 0 %, what is not all never 100 %.

    Example:
        >>> percent(1, 3), percent(1, 100_000), percent(99_999, 100_000), percent(0, 0)
        ('33.3%', '<0.1%', '>99.9%', '–')
    """
    if not whole:
        return NOTHING
    share = 100 * part / whole
    if 0 < share < 0.05:
        return "<0.1%"
    if 99.95 <= share < 100:
        return ">99.9%"
    return f"{share:.0f}%" if share in (0, 100) else f"{share:.1f}%"


def decimal(number: float | None, digits: int = 3) -> str:
    """Return a number with `digits` decimals.

    Example:
        >>> decimal(1.23456), decimal(-0.5, 1), decimal(float("nan"))
        ('1.235', '−0.5', '–')
    """
    if number is None or not math.isfinite(number):
        return NOTHING
    return f"{number:z.{digits}f}".replace("-", _MINUS)


def signed(number: float | None, digits: int = 4) -> str:
    """Return a difference with its sign; one that rounds to nothing has none.

    Example:
        >>> signed(0.0123), signed(-0.0123), signed(-0.00001), signed(None)
        ('+0.0123', '−0.0123', '0.0000', '–')
    """
    if number is None or not math.isfinite(number):
        return NOTHING
    if round(number, digits) == 0:
        return decimal(0.0, digits)
    return f"{number:+.{digits}f}".replace("-", _MINUS)


def duration(seconds: float) -> str:
    """Return a time in the largest unit that fits, with two figures or more.

    Example:
        >>> duration(4.26), duration(75), duration(7300)
        ('4.3 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
