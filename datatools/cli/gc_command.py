"""`datatools gc`."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command()
@click.argument("output")
@click.option("--all", "everything", is_flag=True, help="Remove the whole cache.")
@click.option(
    "--limit", metavar="SIZE", help="Also remove the oldest until SIZE is left, e.g. 2GB."
)
def command(output: str, everything: bool, limit: str | None) -> int:
    """Remove stages from OUTPUT's cache that the last run did not use."""
    from datatools.errors import ConfigError
    from datatools.job.cache import collect
    from datatools.sizes import parse_size

    try:
        size = None if limit is None else parse_size(limit)
    except ValueError as error:
        raise ConfigError("--limit", str(error), got=limit) from None
    gone = collect(output, everything=everything, limit=size)
    click.echo(f"removed {gone.stages} stages, {gone.bytes:,} bytes; {gone.left:,} bytes left")
    return 0
