"""Where two JSON values differ, told as `path: old -> new`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["differences"]


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return where two values differ, in the order of their keys.

    Lists of one length are compared item by item; of others only the names of what they hold are
    told, because a step's fields fill pages.

    Args:
        old: A JSON value.
        new: Another.
        path: Where both stand.

    Example:
        >>> differences({"seed": 0, "steps": [{"A": {"n": 1}}]}, {"seed": 0, "steps": []})
        ['steps: [A] -> []']
        >>> differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}, "한국어": True})
        ['a.b[1]: 2 -> 3', '한국어: None -> True']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            line
            for key in {**old, **new}
            for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line
            for index, (left, right) in enumerate(zip(old, new, strict=True))
            for line in differences(left, right, f"{path}[{index}]")
        ]
    return [] if old == new else [f"{path}: {_brief(old)} -> {_brief(new)}"]


def _brief(value: Any) -> str:
    """Return a value in words; of steps and datasets only names."""
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return "[" + ", ".join(", ".join(item) for item in value) + "]"
    return "{" + ", ".join(value) + "}" if isinstance(value, Mapping) else repr(value)
