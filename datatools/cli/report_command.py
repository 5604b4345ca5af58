"""`datatools report`."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command()
@click.argument("output")
def command(output: str) -> int:
    """Write OUTPUT/report.html again from what a run left there."""
    from datatools.outputs.addresses import output_at
    from datatools.report.build import write_report

    there = output_at(output)
    there.bring_datasets()
    there.bring_conclusions()
    page = write_report(there.folder)
    there.send()
    click.echo(there.called(page))
    return 0
