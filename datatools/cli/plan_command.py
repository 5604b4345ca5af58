"""`datatools plan`."""

from __future__ import annotations

import click
import orjson

__all__ = ["command"]

_WORDS = {"cached": "cached", "run": "will run", "decide": "will decide anew", "after": "follows"}


@click.command()
@click.argument("pipeline", type=click.Path())
@click.option("--set", "settings", multiple=True, metavar="a.b=c", help="Replace a value.")
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
    """Say what running PIPELINE would do: its stages, what is cached, and what changed."""
    import dataclasses

    from datatools.pipeline import load_pipeline
    from datatools.planning import forecast, plan
    from datatools.running import resolved as resolve

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
        return 0
    for dataset in found.datasets:
        made = f" from {', '.join(dataset.parents)}" if dataset.parents else ""
        click.secho(f"{dataset.name}{made}", bold=True)
        if dataset.units:
            click.echo(f"  {dataset.units} units of input, {dataset.input_bytes:,} bytes")
        for labels, state in dataset.segments:
            click.echo(f"  {_WORDS[state]:<16}  {' + '.join(labels)}")
        if not dataset.segments:
            click.echo("  nothing to do of its own")
        for note in dataset.notes:
            click.echo(f"  note: {note}")
    for change in found.changes:
        click.echo(f"changed since the last run: {change}")
    if expected is not None:
        click.echo(
            f"forecast from {expected.sample_records:,} records: {expected.seconds:,.0f} s, "
            f"{expected.memory_bytes / 1e9:.1f} GB of memory, "
            f"{expected.disk_bytes / 1e9:.2f} GB of disk (within a factor of two or so)"
        )
    click.echo(f"free disk space: {found.free_bytes:,} bytes")
    return 0
