"""Profiles: whose reading of a filter's rules its fields follow.

Owns: how a profile gives the fields their defaults, what of it was changed by hand, and refusing a
definition that no rule uses. Refuses: the profiles themselves, which their filters hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, model_validator

from datatools.errors import ConfigError

__all__ = ["Profile", "Profiled"]


@dataclass(frozen=True)
class Profile:
    """A named reading of a filter's rules.

    Attributes:
        source: Where its definitions and thresholds are from: authors, year, section or file.
        fields: What it sets. Fields that it leaves out have their own defaults.
    """

    source: str
    fields: Mapping[str, Any]


class Profiled(BaseModel):
    """A step with the field `profile`, which gives the other fields their defaults.

    A field given by hand overrides the profile's; null switches a rule off. The step then holds the
    resolved values: they are what is written, keyed and shown.
    """

    profiles: ClassVar[Mapping[str, Profile]] = {}
    """The profiles by name; the names are those that the field `profile` takes."""
    definitions: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Fields that say what is counted, each with the fields of the rules that use it."""

    @model_validator(mode="before")
    @classmethod
    def _take_profile(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        name = given.get("profile", cls.model_fields["profile"].default)
        profile = cls.profiles.get(name) if isinstance(name, str) else None
        # An unknown name is refused by the field's own type, with those that are known.
        return {**profile.fields, **given} if profile else given

    @model_validator(mode="after")
    def _definitions_are_used(self) -> Self:
        for name, rules in self.definitions.items():
            changed = getattr(self, name) != self._default(name)
            if changed and all(getattr(self, rule) is None for rule in rules):
                raise ConfigError(
                    name,
                    f"changes nothing: {' and '.join(rules)} "
                    f"{'is' if len(rules) == 1 else 'are'} off",
                    hint=f"Give {rules[0]} a threshold, or leave {name} out.",
                )
        return self

    def _default(self, name: str) -> Any:
        """Return what a field has under this profile when it is not given."""
        fields = self.profiles[getattr(self, "profile")].fields  # noqa: B009 - of the subclass
        return fields[name] if name in fields else type(self).model_fields[name].default

    def explains(self) -> Sequence[str]:
        """Return the profile, its source and every resolved field, changed ones with the old."""
        name = getattr(self, "profile")  # noqa: B009 - of the subclass
        shown = []
        for field in type(self).model_fields:
            if field == "profile":
                continue
            value, default = getattr(self, field), self._default(field)
            changed = "" if value == default else f" (profile: {_shown(default)})"
            shown.append(f"{field} {_shown(value)}{changed}")
        return (f"profile {name}: {self.profiles[name].source}", *_wrapped(shown))


def _shown(value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"[{' '.join(map(str, value))}]" if len(value) <= 12 else f"[{len(value)} of them]"
    return str(value)


def _wrapped(pieces: Sequence[str], width: int = 96) -> list[str]:
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + len(piece) + 2 <= width:
            lines[-1] += f", {piece}"
        else:
            lines.append(piece)
    return lines
