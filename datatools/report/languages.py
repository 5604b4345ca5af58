"""Languages as people read them: `und`, the code of none that is known, is never shown to them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

__all__ = ["UNKNOWN", "named_languages"]

UNKNOWN: Final = "und"
"""What stands for a record's language where nothing tells it (ISO 639-2)."""


def named_languages(tags: Collection[str]) -> dict[str, str]:
    """Return what each language is called beside the others.

    Where no record tells its language there is nothing to tell apart: the name is empty.

    Example:
        >>> named_languages(["en", "und"]), named_languages(["und"])
        ({'en': 'en', 'und': 'not told'}, {'und': ''})
    """
    unknown = "" if len(tags) == 1 else "not told"
    return {tag: unknown if tag == UNKNOWN else tag for tag in tags}
