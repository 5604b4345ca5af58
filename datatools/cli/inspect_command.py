"""`datatools inspect`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datatools.cli.terminal import echo

if TYPE_CHECKING:
    import polars as pl

    from datatools.dataset import Dataset

__all__ = ["command"]


@click.command()
@click.argument("dataset")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Records to show.",
)
@click.option("--split", metavar="NAME", help="Split to show; the first one if left out.")
@click.option("--reason", metavar="REASON", help="Show records that left for this reason instead.")
@click.option(
    "--mask", is_flag=True, help="Show conversations as trained: what the loss covers is green."
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines.")
def command(
    dataset: str, rows: int, split: str | None, reason: str | None, mask: bool, as_json: bool
) -> int:
    """Show what DATASET (a folder of a published dataset, or its URL) holds."""
    import orjson

    from datatools.dataset import open_dataset
    from datatools.errors import ConfigError

    opened = open_dataset(dataset)
    shown = _kept(opened, split) if reason is None else _left(opened.path, reason)
    if mask and "messages" not in shown.columns:
        raise ConfigError("--mask", "shows conversations, and these are none", got=opened.kind)
    records = shown.head(rows).to_dicts()
    if as_json:
        for record in records:
            click.echo(orjson.dumps(record).decode())
        return 0
    if reason is None:
        counts = ", ".join(f"{name} {opened.rows(name):,}" for name in opened.splits)
        echo(f"{opened.name}: {opened.kind} records, {counts}", bold=True)
        echo("columns: " + ", ".join(f"{n} {t}" for n, t in shown.schema.items()))
    for record in records:
        click.echo()
        if mask:
            _show_mask(record["messages"])
        else:
            _show(record)
    return 0


def _kept(opened: Dataset, split: str | None) -> pl.DataFrame:
    with _damage_told(opened.path):
        return opened.frame(split or opened.splits[0])


def _left(dataset: Path, reason: str) -> pl.DataFrame:
    """Return the records that left for a reason, those with a text to look at first."""
    import polars as pl

    from datatools.errors import ConfigError, suggestion

    with _damage_told(dataset):
        fates = pl.read_parquet(dataset / "sidecar" / "fates.parquet", glob=False)
    known = fates["reason"].unique().to_list()
    if reason not in known:
        hint = suggestion(reason, sorted(known)) if known else "All records stayed."
        raise ConfigError("--reason", "no record left for it", got=reason, hint=hint)
    found = fates.filter(pl.col("reason") == reason)
    return found.sort(pl.col("preview").is_null(), maintain_order=True)


@contextlib.contextmanager
def _damage_told(dataset: Path) -> Iterator[None]:
    import polars as pl

    from datatools.errors import IntegrityError

    try:
        yield
    except pl.exceptions.PolarsError as error:
        problem = str(error).partition("\n")[0]
        hint = "`datatools verify` says which file is damaged."
        raise IntegrityError(str(dataset), f"cannot be read: {problem}", hint=hint) from error


def _show(record: dict[str, Any]) -> None:
    for name, value in record.items():
        if value is None:
            continue
        text = value if isinstance(value, str) else str(value)
        if len(text) > 600:
            text = text[:600] + f"... ({len(text):,} characters)"
        echo(f"{name}: ", fg="cyan", nl=False)
        echo(text)


def _show_mask(messages: list[dict[str, Any]]) -> None:
    from datatools.chat.templates import load_template

    rendered = load_template("chatml").render(messages)
    position = 0
    for start, end in rendered.spans:
        echo(rendered.text[position:start], dim=True, nl=False)
        echo(rendered.text[start:end], fg="green", bold=True, nl=False)
        position = end
    echo(rendered.text[position:], dim=True)
