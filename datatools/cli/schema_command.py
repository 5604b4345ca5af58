"""`datatools schema`."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command()
def command() -> int:
    """Print the JSON Schema of a pipeline file, for editors."""
    import orjson

    from datatools.pipeline.schema import pipeline_schema

    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    click.echo(orjson.dumps(pipeline_schema(), option=options).decode())
    return 0
