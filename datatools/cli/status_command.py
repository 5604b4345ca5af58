"""`datatools status`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

__all__ = ["command"]


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def command(output: Path, as_json: bool) -> int:
    """Say how far the run that writes to OUTPUT is, or how the last one ended."""
    import orjson

    from datatools.engine.store import read_json
    from datatools.errors import DataError, IntegrityError
    from datatools.running import cache_of

    path = cache_of(output) / "status.json"
    if not path.exists():
        raise DataError(str(output), "no run has written here", hint="Give a pipeline's `output:`.")
    status = read_json(path)
    if not (isinstance(status, dict) and status.keys() >= {"state", "started", "updated"}):
        raise IntegrityError(str(path), "is not a status", hint="Delete it and run again.")
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
