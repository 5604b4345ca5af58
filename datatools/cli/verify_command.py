"""`datatools verify`."""

from __future__ import annotations

import click

from datatools.cli.fenced import echo_fenced
from datatools.cli.terminal import echo

__all__ = ["command"]


@click.command()
@click.argument("output")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was measured as JSON.")
def command(output: str, as_json: bool) -> int:
    """Hash every published file of OUTPUT again and add every ledger again."""
    import orjson

    from datatools.inquiry.verifying import verify

    found = verify(output)
    if as_json:
        click.echo(orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2).decode())
        return 0 if found.ok else 1
    for name, check in found.datasets.items():
        good = not check.problems
        echo("ok    " if good else "WRONG ", fg="green" if good else "red", nl=False)
        trial = "" if check.limited is None else f", a trial (--limit {check.limited})"
        old = ", left over: the pipeline does not publish it any more" if check.left_over else ""
        echo(f"{name}: {check.rows:,} records in {len(check.shards)} shards{trial}{old}")
        for problem in check.problems:
            echo(f"      {problem}")
        for label, words in check.cut.items():
            echo(f"      {label}: {words}")
        echo_fenced(check.fence, f"{output}/{name}/manifest.json")
    if not found.ok:
        echo("To mend it: `datatools gc --all` on this output, then the run again.", err=True)
    return 0 if found.ok else 1
