"""`datatools run`."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from datatools.cli.progress import ShownProgress, echo_notes, echo_problems

__all__ = ["command"]


@click.command()
@click.argument("pipeline", type=click.Path())
@click.option("--set", "settings", multiple=True, metavar="a.b=c", help="Replace a value.")
@click.option("--only", multiple=True, metavar="DATASET", help="Make only this dataset.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Read at most this many records of each source's first unit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(
    pipeline: str,
    settings: tuple[str, ...],
    only: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run PIPELINE: make its datasets, train, judge, and write the report.

    What an earlier run finished is kept; the same command goes on from there.
    """
    from datatools.engine.progress import Silent
    from datatools.pipeline import load_pipeline
    from datatools.running import run

    loaded = load_pipeline(pipeline, settings)
    if quiet:
        result = run(loaded, only=only or None, limit=limit, progress=Silent())
    else:
        with ShownProgress() as shown:
            result = run(loaded, only=only or None, limit=limit, progress=shown)
    if as_json:
        click.echo(
            orjson.dumps(
                {
                    "ok": result.ok,
                    "output": str(result.output),
                    "seconds": round(result.seconds, 3),
                    "stages": len(result.events),
                    "stages_run": sum(not event.cached for event in result.events),
                    "datasets": {name: m["rows"] for name, m in result.datasets.items()},
                    "problems": list(result.problems),
                    "report": None if result.report is None else str(result.report),
                }
            ).decode()
        )
    else:
        _say(result)
    echo_notes(list(result.notes))
    echo_problems(list(result.problems))
    return 0 if result.ok else 1


def _say(result: object) -> None:
    from datatools.engine.ledger import EXPANDED, MERGED
    from datatools.running import RunResult

    assert isinstance(result, RunResult)
    width = max((len(name) for name in result.datasets), default=0)
    for name, manifest in result.datasets.items():
        ledger = manifest["ledger"]
        gone = sum(n for reason, n in ledger["dropped"].items() if reason not in (EXPANDED, MERGED))
        lost = sum(ledger["quarantined"].values())
        click.echo(
            f"{name:<{width}}  {manifest['rows']:>9,} {manifest['kind']} records"
            f"  (dropped {gone:,}, quarantined {lost:,})  {result.output / name}"
        )
    if result.train is not None:
        click.echo(f"models  {result.output / 'models'}")
    for name, verdict in result.verdicts.items():
        click.echo(f"verdict {name}: {verdict['headline']}")
    if result.report is not None:
        click.echo(f"report  {Path(result.report)}")
    click.echo(f"{result.seconds:.1f} s")
