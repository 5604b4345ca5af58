"""`datatools train`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from datatools.cli.progress import ShownProgress

__all__ = ["command"]


@click.command()
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
@click.option("--pretrain", default="pretrain", show_default=True, help="Dataset of documents.")
@click.option("--instruct", help="Dataset of conversations, for masked fine-tuning.")
@click.option("--preference", help="Dataset of pairs, for a reward model.")
@click.option(
    "--size",
    type=click.Choice(["smoke", "nano", "micro", "small", "base"]),
    default="smoke",
    show_default=True,
    help="Model size.",
)
@click.option("--tokens", default=400_000, show_default=True, help="Tokens of pretraining.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights and orders.")
@click.option(
    "--probe",
    "probes",
    multiple=True,
    metavar="PROMPT",
    help="Show the next-token distribution of this prompt before and after training.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def command(
    output: Path,
    pretrain: str,
    instruct: str | None,
    preference: str | None,
    size: str,
    tokens: int,
    seed: int,
    probes: tuple[str, ...],
    as_json: bool,
) -> int:
    """Train on the datasets published in OUTPUT; models go to OUTPUT/models."""
    from datatools.train.api import DEFAULT_PROBES, train_all
    from datatools.train.results import as_json as to_json

    with ShownProgress() as shown:
        shown.stage_started("train", 1, 0)
        report = train_all(
            output,
            pretrain=pretrain,
            instruct=instruct,
            preference=preference,
            size=size,
            tokens=tokens,
            seed=seed,
            probes=probes or DEFAULT_PROBES,
            progress=lambda name, done, total: shown.advanced("train", done, total, name),
        )
        shown.stage_ended("train", cached=False)
    value = to_json(report)
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return 0
    _say(value)
    click.echo(f"models  {output / 'models'}")
    return 0


def _say(value: dict[str, object]) -> None:
    from datatools.report.words import training_lines

    for line in training_lines(value):
        click.echo(line)
