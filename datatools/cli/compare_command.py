"""`datatools compare`."""

from __future__ import annotations

from pathlib import Path

import click

from datatools.cli.choices import Choice
from datatools.cli.progress import ShownProgress

__all__ = ["command"]


@click.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--tier",
    type=Choice(["smoke", "cpu"]),
    default="smoke",
    show_default=True,
    help="How much is run: smoke about a minute, cpu about ten.",
)
@click.option("--seed", default=0, show_default=True, metavar="N", help="Seed of every draw.")
@click.option(
    "--receipts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep every run's losses in this Parquet file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(
    before: str, after: str, tier: str, seed: int, receipts: Path | None, as_json: bool
) -> int:
    """Say whether the dataset AFTER is better to learn from than BEFORE.

    Both are folders of published datasets, or their URLs. Exits 0 whatever the verdict is.
    """
    from datatools.errors import ConfigError
    from datatools.judge.compare import measure
    from datatools.judge.decision import recompute
    from datatools.outputs.addresses import dataset_at_hand

    one, other = dataset_at_hand(before), dataset_at_hand(after)
    if one.resolve() == other.resolve():
        raise ConfigError(
            "BEFORE and AFTER",
            "are one dataset",
            got=before,
            hint="A comparison of a dataset with itself is part of every verdict.",
        )
    names = (one.name, other.name)
    if names[0] == names[1]:
        names = (before, after)
    with ShownProgress() as shown:
        shown.stage_started("compare", 1, 0)
        measured = measure(
            one,
            other,
            tier=tier,
            seed=seed,
            names=names,
            progress=lambda done, total, what: shown.advanced("compare", done, total, what),
        )
        shown.stage_ended("compare", cached=False)
    verdict = recompute(measured)
    if receipts is not None:
        measured.save(receipts)
    if as_json:
        click.echo(verdict.model_dump_json(indent=2))
    else:
        click.echo("\n".join(verdict.sentences))
    return 0
