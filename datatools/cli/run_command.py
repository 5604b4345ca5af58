"""`datatools run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import orjson

from datatools.cli.fenced import echo_fenced
from datatools.cli.interrupts import work_begins
from datatools.cli.progress import ShownProgress, echo_notes, echo_problems
from datatools.cli.terminal import echo

if TYPE_CHECKING:
    from datatools.job.running import RunResult

__all__ = ["command"]


@click.command()
@click.argument("pipeline", type=click.Path())
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="a.b=c",
    help="Replace a value of the file, e.g. run.workers=4. May be given again.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="DATASET",
    help="Make only this dataset and what it needs. May be given again.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="A trial: read at most this many records of each source's first unit, and write to the "
    "folder `trial` in the output.",
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
    from datatools.job.running import run
    from datatools.pipeline.definition import load_pipeline

    loaded = load_pipeline(pipeline, settings)
    if quiet:
        work_begins()
        result = run(loaded, only=only or None, limit=limit, progress=Silent())
    else:
        with ShownProgress() as shown:
            result = run(loaded, only=only or None, limit=limit, progress=shown)
    if as_json:
        click.echo(
            orjson.dumps(
                {
                    "ok": result.ok,
                    "output": result.address,
                    "seconds": round(result.seconds, 3),
                    "stages": len(result.events),
                    "stages_run": sum(not event.cached for event in result.events),
                    "datasets": {name: m["rows"] for name, m in result.datasets.items()},
                    "problems": list(result.problems),
                    "notes": list(result.notes),
                    "report": None
                    if result.report is None
                    else f"{result.address}/{result.report.name}",
                }
            ).decode()
        )
    else:
        _say(result)
    echo_notes(list(result.notes))
    echo_problems(list(result.problems))
    if result.problems:
        echo(
            "To let such losses pass, up to a share of the input: --set "
            "run.on_input_error=quarantine --set run.max_quarantine_fraction=0.05",
            err=True,
        )
        _say_where_to_look(result)
    return 0 if result.ok else 1


def _say_where_to_look(result: RunResult) -> None:
    """Name the command that shows the records which most of the problems are about."""
    lost = {
        (name, reason): count
        for name, manifest in result.datasets.items()
        for reason, count in manifest["ledger"]["quarantined"].items()
    }
    if lost:
        name, reason = max(lost, key=lost.__getitem__)
        echo(
            f"To see some of them: datatools inspect {result.address}/{name} --reason {reason}",
            err=True,
        )


def _say(result: RunResult) -> None:
    from datatools.engine.ledger import EXPANDED, MERGED

    width = max((len(name) for name in result.datasets), default=0)
    kinds = max((len(manifest["kind"]) for manifest in result.datasets.values()), default=0)
    for name, manifest in result.datasets.items():
        ledger = manifest["ledger"]
        gone = sum(n for reason, n in ledger["dropped"].items() if reason not in (EXPANDED, MERGED))
        lost = sum(ledger["quarantined"].values())
        click.echo(
            f"{name:<{width}}  {manifest['rows']:>9,} {manifest['kind'] + ' records':<{kinds + 8}}"
            f"  (dropped {gone:,}, quarantined {lost:,})"
        )
        echo_fenced(manifest["fence"], f"{result.address}/{name}/manifest.json")
    click.echo(f"output  {result.address}")
    if result.train is not None:
        click.echo(f"models  {result.address}/models")
    for name, verdict in result.verdicts.items():
        click.echo(f"verdict {name}: {verdict['headline']}")
    if result.report is not None:
        click.echo(f"report  {result.address}/{result.report.name}")
    click.echo(f"{result.seconds:.1f} s")
