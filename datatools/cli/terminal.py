"""How text reaches the terminal: what would act there is shown instead.

Owns: printing text that a crawl, a file name or another program may have written. Refuses: saying
which characters act (`report.visible` does).
"""

from __future__ import annotations

import sys
from typing import Any

import click

from datatools.report.visible import visible

__all__ = ["echo", "never_fail"]


def echo(text: str, *, nl: bool = True, err: bool = False, **style: Any) -> None:
    r"""Print text with everything that would act on a terminal replaced by U+FFFD.

    Those are control characters but tab and newline, explicit bidirectional controls and lone
    surrogates. Everything else, such as a no-break space or Hangul, comes out as it is.

    Args:
        text: What to print.
        nl: Whether a newline follows.
        err: Whether it goes to stderr.
        **style: What `click.style` takes.

    Example:
        >>> echo("한글 \x1b[2J")
        한글 �[2J
    """
    click.secho(visible(text), nl=nl, err=err, **style)


def never_fail() -> None:
    """Have characters that the terminal's encoding lacks printed as escapes, not as a failure."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
