"""An option with a few allowed values: a wrong one is told the nearest."""

from __future__ import annotations

from typing import Any

import click

from datatools.errors import nearest

__all__ = ["Choice"]


class Choice(click.Choice[str]):
    """Like `click.Choice`, with a guess at what was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value, if it is one of the allowed ones."""
        try:
            return str(super().convert(value, param, ctx))
        except click.BadParameter as error:
            close = nearest(str(value), self.choices)
            hint = f" Did you mean {close!r}?" if close else ""
            self.fail(f"{error.message}{hint}", param, ctx)
