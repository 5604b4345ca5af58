"""`datatools inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from datatools.cli.terminal import echo

__all__ = ["command"]


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@click.option("--rows", default=3, show_default=True, help="Records to show.")
@click.option("--split", help="Split to show; the first one if left out.")
@click.option("--reason", help="Show records that left for this reason instead.")
@click.option(
    "--mask", is_flag=True, help="Show conversations as trained: what the loss covers is green."
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines.")
def command(
    dataset: Path, rows: int, split: str | None, reason: str | None, mask: bool, as_json: bool
) -> int:
    """Show what DATASET (a folder of a published dataset) holds."""
    import orjson
    import polars as pl

    from datatools.dataset import open_dataset
    from datatools.errors import ConfigError, nearest

    opened = open_dataset(dataset)
    if reason is not None:
        fates = pl.read_parquet(dataset / "sidecar" / "fates.parquet")
        known = fates["reason"].unique().to_list()
        if reason not in known:
            close = nearest(reason, known)
            hint = f"Did you mean {close!r}?" if close else f"Known: {', '.join(sorted(known))}."
            raise ConfigError("--reason", "no record left for it", got=reason, hint=hint)
        shown = fates.filter(pl.col("reason") == reason).sort(
            pl.col("preview").is_null(), maintain_order=True
        )
    else:
        shown = opened.frame(split or opened.splits[0])
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
        if mask and "messages" in record:
            _show_mask(record["messages"])
        else:
            _show(record)
    return 0


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
    from datatools.templates import load_template

    rendered = load_template("chatml").render(messages)
    position = 0
    for start, end in rendered.spans:
        echo(rendered.text[position:start], dim=True, nl=False)
        echo(rendered.text[start:end], fg="green", bold=True, nl=False)
        position = end
    echo(rendered.text[position:], dim=True)
