"""`datatools compare`."""

from __future__ import annotations

from pathlib import Path

import click

from datatools.cli.progress import ShownProgress

__all__ = ["command"]


@click.command()
@click.argument("before", type=click.Path(path_type=Path, file_okay=False))
@click.argument("after", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--tier",
    type=click.Choice(["smoke", "cpu"]),
    default="smoke",
    show_default=True,
    help="How much is run: smoke about a minute, cpu about ten.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of every draw.")
@click.option("--receipts", type=click.Path(path_type=Path), help="Keep losses here (.parquet).")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(
    before: Path, after: Path, tier: str, seed: int, receipts: Path | None, as_json: bool
) -> int:
    """Say whether the dataset AFTER is better to learn from than BEFORE.

    Both are folders of published datasets. Exits 0 whatever the verdict is.
    """
    from datatools.errors import ConfigError
    from datatools.judge.compare import measure
    from datatools.judge.decision import recompute

    if before.resolve() == after.resolve():
        raise ConfigError(
            "BEFORE and AFTER",
            "are one dataset",
            got=str(before),
            hint="A comparison of a dataset with itself is part of every verdict.",
        )
    names = (before.name, after.name)
    if names[0] == names[1]:
        names = (str(before), str(after))
    with ShownProgress() as shown:
        shown.stage_started("compare", 1, 0)
        measured = measure(
            before,
            after,
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
