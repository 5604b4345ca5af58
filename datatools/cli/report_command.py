"""`datatools report`."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
def command(output: Path) -> int:
    """Write OUTPUT/report.html again from what a run left there."""
    from datatools.report.build import write_report

    click.echo(str(write_report(output)))
    return 0
