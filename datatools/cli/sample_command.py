"""`datatools sample`."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--seed", default=0, show_default=True, metavar="N", help="Seed of the planted defects."
)
def command(directory: Path, seed: int) -> int:
    """Make a small real crawl in DIRECTORY: Python's own documentation and a bilingual forum.

    Known defects are planted in it; `truth.jsonl` beside it says which.
    """
    from datatools.sample import make_sample

    summary = make_sample(directory, seed=seed)
    click.echo(
        f"{summary.records:,} records, {summary.bytes:,} bytes in {len(summary.files)} files "
        f"in {directory}"
    )
    return 0
