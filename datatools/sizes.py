"""Sizes in bytes, as people write them: `4GB`, `512MiB`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

__all__ = ["Size", "parse_size"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)", re.IGNORECASE)


def parse_size(value: object) -> int:
    """Return a size in bytes from `4GB`, `512 MiB` or a number.

    Units with an `i` count by 1,024, others by 1,000.

    Raises:
        ValueError: It is not a size.

    Example:
        >>> parse_size("1.5GB"), parse_size("512MiB"), parse_size(10)
        (1500000000, 536870912, 10)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a size such as 4GB or 512MiB")
    unit = match[2].lower().rstrip("b")
    base = 1024 if unit.endswith("i") else 1000
    power = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}[unit.rstrip("i")]
    size = float(match[1]) * base**power
    if size >= 2**63:  # no disk holds it, and infinity is no integer
        raise ValueError("must be a size such as 4GB or 512MiB")
    return int(size)


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[KMGTkmgt]?i?[Bb]?$"},
            ]
        }
    ),
]
"""Bytes, at least 1: a number, or text such as `4GB` or `512MiB`."""
