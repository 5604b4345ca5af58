"""`datatools plan`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import orjson

from datatools.cli.terminal import echo

if TYPE_CHECKING:
    from datatools.job.forecasting import Forecast
    from datatools.job.planning import Plan, PlannedDataset

__all__ = ["command"]

_WORDS = {"cached": "cached", "run": "will run", "decide": "will decide anew", "after": "follows"}
_COLOURS = {"cached": "green", "run": "yellow", "decide": "yellow", "after": "yellow"}
_COLUMN = 18


@click.command()
@click.argument("pipeline", type=click.Path())
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="a.b=c",
    help="Replace a value of the file, e.g. run.workers=4. May be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option(
    "--forecast",
    "with_forecast",
    is_flag=True,
    help="Run a sample and say what the whole would take in time, memory and disk.",
)
@click.option("--resolved", is_flag=True, help="Print the pipeline with every default filled in.")
def command(
    pipeline: str,
    settings: tuple[str, ...],
    as_json: bool,
    with_forecast: bool,
    resolved: bool,
) -> int:
    """Say what running PIPELINE would do: its stages, what is cached, and what changed.

    Nothing is run and nothing is written; `--forecast` works in a temporary folder.
    """
    import dataclasses

    from datatools.job.forecasting import forecast
    from datatools.job.planning import plan
    from datatools.job.running import resolved as resolve
    from datatools.pipeline.definition import load_pipeline

    loaded = load_pipeline(pipeline, settings)
    if resolved:
        click.echo(orjson.dumps(resolve(loaded), option=orjson.OPT_INDENT_2).decode())
        return 0
    found = plan(loaded)
    expected = forecast(loaded) if with_forecast else None
    if as_json:
        value = dataclasses.asdict(found)
        if expected is not None:
            value["forecast"] = dataclasses.asdict(expected)
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    else:
        _say(found)
        if expected is not None:
            _say_forecast(expected)
    if expected is not None:
        _warn_of_disk(expected, found.free_bytes)
    return 0


def _say(found: Plan) -> None:
    from datatools.report.quantities import size

    for dataset in found.datasets:
        made = f" from {', '.join(dataset.parents)}" if dataset.parents else ""
        echo(f"{dataset.name}{made}", bold=True)
        _say_dataset(dataset)
    echo("after the datasets", bold=True)
    for one in found.conclusions:
        details = [*one.why, *_depends(one.waits_for)]
        _row(_WORDS[one.state], one.name, details, colour=_COLOURS[one.state])
    for change in found.changes:
        _row("changed since", change)
    if found.free_bytes is not None:
        _row("free disk space", size(found.free_bytes))


def _say_dataset(dataset: PlannedDataset) -> None:
    from datatools.report.quantities import count, size

    if dataset.units:
        pieces = "1 unit" if dataset.units == 1 else f"{count(dataset.units)} units"
        _row("input", f"{pieces}, {size(dataset.input_bytes)}", dataset.notes)
    waits_for = dataset.waits_for
    for labels, state in dataset.segments:
        details = _depends(waits_for)
        details += [line for label in labels for line in dataset.explained.get(label, ())]
        _row(_WORDS[state], " + ".join(labels), details, colour=_COLOURS[state])
        waits_for = ()
    if dataset.published is not None:
        _row(
            _WORDS[dataset.published],
            "publishing",
            _depends(waits_for),
            colour=_COLOURS[dataset.published],
        )


def _depends(names: Sequence[str]) -> list[str]:
    """Say what must be made before more can be known."""
    return [f"depends on {_listed(names)}"] if names else []


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _say_forecast(expected: Forecast) -> None:
    from datatools.report.quantities import duration, size

    def taken(seconds: float, memory: int | None, disk: int) -> str:
        known = f", {size(memory)} of memory" if memory is not None else ""
        return f"{duration(seconds)}{known}" + (f", {size(disk)} of disk" if disk else "")

    echo("forecast of a run of everything, with nothing cached", bold=True)
    shown = taken(expected.seconds, expected.memory_bytes, expected.disk_bytes)
    _row("datasets", shown, [expected.method])
    for one in expected.conclusions:
        _row(one.name, taken(one.seconds, one.memory_bytes, one.disk_bytes), [one.method])
    total = taken(expected.total_seconds, None, expected.total_disk_bytes)
    present = expected.present_bytes
    _row("total", total, [f"{size(present)} of it is in the cache already"] if present else [])


def _warn_of_disk(expected: Forecast, free: int | None) -> None:
    """Say that the disk does not suffice, if it looks like that."""
    from datatools.report.quantities import size

    needed = expected.total_disk_bytes - expected.present_bytes
    if free is None or needed <= free:
        return
    echo("warning: ", fg="yellow", bold=True, nl=False, err=True)
    echo(
        f"the disk has {size(free)} free and a run needs about {size(needed)} more than it has "
        "stored already. Free some, `datatools gc` this output, or choose another `output:`.",
        err=True,
    )


def _row(word: str, text: str, details: Sequence[str] = (), *, colour: str | None = None) -> None:
    """Print a word and what it is said of, wrapped to the terminal, details below and indented."""
    width = max(40, shutil.get_terminal_size().columns)
    indent = " " * (_COLUMN + 2)
    lead = f"  {word:<{_COLUMN}}"
    if len(word) >= _COLUMN:  # a long name of a verdict has a line of its own
        echo(lead, fg=colour)
        lead = indent
    first, *more = textwrap.wrap(text, width - len(indent), break_on_hyphens=False) or [""]
    echo(lead, fg=colour, nl=False)
    echo(first)
    for line in more:
        echo(indent + line)
    for detail in details:
        for line in textwrap.wrap(detail, width - len(indent) - 2, break_on_hyphens=False):
            echo(f"{indent}  {line}")
