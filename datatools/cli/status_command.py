"""`datatools status`."""

from __future__ import annotations

import os
import time

import click

__all__ = ["command"]


@click.command()
@click.argument("output")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def command(output: str, as_json: bool) -> int:
    """Say how far the run that writes to OUTPUT is, or how the last one ended."""
    import orjson

    from datatools.errors import DataError, IntegrityError
    from datatools.outputs.addresses import output_at

    store = output_at(output).store
    try:
        status = store.read("status.json")
    except FileNotFoundError:
        hint = "Give a pipeline's `output:`."
        raise DataError(output, "no run has written here", hint=hint) from None
    if not (isinstance(status, dict) and status.keys() >= {"state", "started", "updated"}):
        path = f"{store.address}/status.json"
        raise IntegrityError(path, "is not a status", hint="Delete it and run again.")
    if status["state"] == "running" and not _alive(status):
        status["state"] = "stopped"
    if as_json:
        click.echo(orjson.dumps(status).decode())
        return 0
    click.echo(f"{status['pipeline']}: {status['state']}")
    if status["state"] in ("running", "stopped") and status["stage"]:
        click.echo(f"  {status['stage']}: {status['done']} of {status['tasks']} tasks")
    ran = status["stages_ended"] - status["stages_cached"]
    click.echo(f"  {ran} stages run, {status['stages_cached']} found in the cache")
    ago = time.time() - status["updated"]
    click.echo(f"  last written {ago:.0f} s ago by process {status['pid']} on {status['host']}")
    return 0


def _alive(status: dict[str, object]) -> bool:
    import socket

    if status["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(str(status["pid"])), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
