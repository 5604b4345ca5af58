"""`datatools explain`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datatools.cli.terminal import echo

if TYPE_CHECKING:
    from datatools.explaining import Station

__all__ = ["command"]


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("record")
@click.option("--json", "as_json", is_flag=True, help="Print the record's life as JSON.")
def command(output: Path, record: str, as_json: bool) -> int:
    """Tell what became of RECORD (an id, 8 digits of one, or a page's URL) in OUTPUT."""
    import orjson

    from datatools.explaining import explain

    life = explain(output, record)
    if as_json:
        click.echo(orjson.dumps(dataclasses.asdict(life), option=orjson.OPT_INDENT_2).decode())
        return 0
    for station in life.stations:
        _show(station)
    return 0


def _show(station: Station) -> None:
    colours = {"published": "green", "dropped": "yellow", "quarantined": "red"}
    # What was made of the record goes on in its place: no loss.
    replaced = station.reason in ("expanded", "merged")
    echo(f"{station.dataset}  ", bold=True, nl=False)
    echo("replaced" if replaced else station.outcome, fg=colours[station.outcome], nl=False)
    echo(f"  {station.id}")
    if station.url:
        echo(f"  url      {station.url}")
    if station.origin:
        echo(f"  from     {station.origin}")
    if station.parent:
        echo(f"  made of  {station.parent}")
    if station.where:
        echo(f"  stands   {station.where}")
    if station.step:
        echo(f"  by       {station.step}: {station.reason}")
    if station.rule:
        echo(f"  because  {station.rule}")
    if station.survivor:
        similarity = station.detail.get("similarity")
        shown = f" (similarity {similarity})" if similarity is not None else ""
        echo(f"  stayed   {station.survivor}{shown}")
    elif station.detail:
        echo(f"  detail   {station.detail}")
    for name, value in (station.signals or {}).items():
        echo(f"  {name} = {value}")
