"""`datatools explain`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import click

from datatools.cli.terminal import echo

if TYPE_CHECKING:
    from datatools.inquiry.explaining import Station
    from datatools.inquiry.replacing import Difference, Replaced, Survivor

__all__ = ["command"]

COLUMNS: Final = 80
_INDENT: Final = " " * 11


@click.command()
@click.argument("output")
@click.argument("record")
@click.option("--json", "as_json", is_flag=True, help="Print the record's life as JSON.")
def command(output: str, record: str, as_json: bool) -> int:
    """Tell what became of RECORD (an id, 8 digits of one, or a page's URL) in OUTPUT.

    Of a duplicate: which record stayed, where that one is now, how similar the two are and in which
    words they differ. Of a record that stayed: what it replaced.
    """
    import orjson

    from datatools.inquiry.explaining import explain

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
    _row("url", station.url)
    _row("from", station.origin)
    _row("made of", station.parent)
    _row("stands", station.where)
    if station.step:
        _row("by", f"{station.step}: {station.reason}")
    _row("because", station.rule)
    if station.survivor:
        _show_survivor(station.survivor, "stayed")
    elif station.detail:
        _row("detail", str(station.detail))
    if station.replaced:
        _show_replaced(station.replaced)
    for name, value in (station.signals or {}).items():
        echo(f"  {name} = {value}")


def _row(name: str, text: str | None) -> None:
    if text is not None:
        echo(f"  {name:<9}{text}")


def _similarity(value: float | None) -> str:
    return "" if value is None else f"similarity {value:g}"


def _show_survivor(survivor: Survivor, name: str) -> None:
    similarity = _similarity(survivor.similarity)
    _row(name, survivor.id + (f" ({similarity})" if similarity else ""))
    for text in (survivor.url, _whereabouts(survivor)):
        if text is not None:
            echo(f"{_INDENT}{text}")
    if survivor.survivor is not None:
        _show_survivor(survivor.survivor, "then")
    elif survivor.difference is not None:
        _show_difference(survivor.difference)
    elif survivor.outcome == "published":
        _row("words", "no text of the removed record was kept to compare")


def _whereabouts(survivor: Survivor) -> str:
    if survivor.outcome == "indexed":
        return f"is in the index {survivor.index}, added {survivor.added}"
    if survivor.where is not None:
        return f"stands in {survivor.dataset}/{survivor.where}"
    if survivor.step is not None:
        return f"left {survivor.dataset} later, by {survivor.step}: {survivor.reason}"
    return f"is not among the published records of {survivor.dataset}"


def _show_difference(difference: Difference) -> None:
    from datatools.cli.word_diff import diff_lines

    found = difference.text_of
    whose = "" if found == "preview" else f", as it is in {found}"
    cut = "; only the beginnings are compared" if difference.cut else ""
    if all(piece.side == "both" for piece in difference.pieces):
        _row("words", f"none differs{whose}{cut}")
        return
    _row("words", f"[-removed only-] {{+stayed only+}}{whose}{cut}")
    for line in diff_lines(difference.pieces, COLUMNS - len(_INDENT)):
        click.echo(f"{_INDENT}{line}" if line else "")


def _show_replaced(replaced: Replaced) -> None:
    _row("replaced", f"{replaced.total:,}")
    for one in replaced.records:
        told = [one.id, f"{one.dataset}.{one.step}", _similarity(one.similarity)]
        echo(_INDENT + "  ".join(text for text in told if text))
        if one.url:
            echo(f"{_INDENT}  {one.url}")
    if replaced.total > len(replaced.records):
        echo(f"{_INDENT}and {replaced.total - len(replaced.records):,} more")
