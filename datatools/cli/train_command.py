"""`datatools train`."""

from __future__ import annotations

import json

import click

from datatools.cli.choices import Choice
from datatools.cli.progress import ShownProgress

__all__ = ["command"]


@click.command()
@click.argument("output")
@click.option(
    "--pretrain",
    default="pretrain",
    show_default=True,
    metavar="DATASET",
    help="Dataset of documents.",
)
@click.option(
    "--instruct", metavar="DATASET", help="Dataset of conversations, for masked fine-tuning."
)
@click.option("--preference", metavar="DATASET", help="Dataset of pairs, for a reward model.")
@click.option(
    "--size",
    type=Choice(["smoke", "nano", "micro", "small", "base"]),
    metavar="SIZE",
    default="smoke",
    show_default=True,
    help="Model size: smoke, nano, micro, small or base; 0.2 to 110 M parameters.",
)
@click.option(
    "--tokens", default=400_000, show_default=True, metavar="N", help="Tokens of pretraining."
)
@click.option(
    "--seed", default=0, show_default=True, metavar="N", help="Seed of weights and orders."
)
@click.option(
    "--probe",
    "probes",
    multiple=True,
    metavar="PROMPT",
    help="Show the next-token distribution of this prompt before and after training.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def command(
    output: str,
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
    from datatools.outputs.addresses import output_at
    from datatools.train.api import DEFAULT_PROBES, train_all
    from datatools.train.results import as_json as to_json

    there = output_at(output)
    there.bring_datasets([name for name in (pretrain, instruct, preference) if name])
    there.bring_conclusions()
    with ShownProgress() as shown:
        shown.stage_started("train", 1, 0)
        report = train_all(
            there.folder,
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
    there.send()
    value = to_json(report)
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return 0
    _say(value)
    click.echo(f"models  {there.called(there.folder / 'models')}")
    return 0


def _say(value: dict[str, object]) -> None:
    from datatools.report.words import training_lines

    for line in training_lines(value):
        click.echo(line)
