"""`datatools index`: an index of kept documents, from the command line."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from datatools.cli.choices import Choice

if TYPE_CHECKING:
    from datatools.dedup_index import Description

__all__ = ["command"]

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def command() -> None:
    """Keep an index of published documents, to dedup later crawls against.

    INDEX is a folder, or redis://host:port/db?name=NAME.
    """


@command.command()
@click.argument("index")
@click.option(
    "--threshold",
    type=float,
    default=0.8,
    show_default=True,
    metavar="X",
    help="Estimated similarity from which a document is matched.",
)
@click.option(
    "--ngram", type=int, default=5, show_default=True, metavar="N", help="Tokens per shingle."
)
@click.option(
    "--unit",
    type=Choice(["word", "char", "auto"]),
    metavar="UNIT",
    default="word",
    show_default=True,
    help="What a token is: word, char or auto.",
)
@click.option(
    "--num-perm",
    type=int,
    default=128,
    show_default=True,
    metavar="N",
    help="Permutations, bytes of a sketch.",
)
def create(index: str, threshold: float, ngram: int, unit: Any, num_perm: int) -> int:
    """Make an empty index; its parameters are fixed from then on."""
    from datatools.dedup_index import DedupIndex

    made = DedupIndex.create(index, threshold=threshold, ngram=ngram, unit=unit, num_perm=num_perm)
    click.echo(f"{index}: made, 0 documents")
    _say_parameters(made.describe())
    return 0


@command.command()
@click.argument("dataset")
@click.option("--to", "index", required=True, metavar="INDEX", help="The index.")
@click.option(
    "--day",
    type=_DAY,
    metavar="YYYY-MM-DD",
    help="The day it counts for; today in UTC if left out.",
)
def add(dataset: str, index: str, day: datetime | None) -> int:
    """Add the documents of DATASET, a published one; a second time adds nothing."""
    from datatools.dedup_index import DedupIndex

    opened = DedupIndex.open(index)
    done = opened.add_dataset(dataset, added=_date(day))
    if done.again:
        click.echo(f"{index}: this dataset was added before, {len(opened):,} documents")
    else:
        click.echo(
            f"{index}: added {done.documents:,} documents, knew {done.known:,} ids, "
            f"{len(opened):,} documents"
        )
    return 0


@command.command()
@click.argument("dataset")
@click.option("--against", "index", required=True, metavar="INDEX", help="The index.")
@click.option(
    "--before", type=_DAY, metavar="YYYY-MM-DD", help="Only what was added before this day counts."
)
@click.option("--json", "as_json", is_flag=True, help="Print the matches as JSON lines.")
def match(dataset: str, index: str, before: datetime | None, as_json: bool) -> int:
    """Print which documents of DATASET, a published one, the index has already."""
    import orjson

    from datatools.dedup_index import DedupIndex

    opened = DedupIndex.open(index)
    rows = matched = 0
    for found in opened.match_dataset(dataset, at=opened.state(_date(before))):
        rows += found.height
        for one in found.drop_nulls("match").iter_rows(named=True):
            matched += 1
            if as_json:
                click.echo(orjson.dumps(one).decode())
            else:
                url = one["url"] or ""
                click.echo(f"{one['id']}\t{one['match']}\t{one['similarity']:.3f}\t{url}")
    click.echo(f"{matched:,} of {rows:,} documents are in {index}", err=True)
    return 0


@command.command()
@click.argument("index")
@click.option("--verify", is_flag=True, help="Hash everything that is stored.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def info(index: str, verify: bool, as_json: bool) -> int:
    """Say what INDEX holds."""
    import dataclasses

    import orjson

    from datatools.dedup_index import DedupIndex

    opened = DedupIndex.open(index)
    if verify:
        opened.verify()
    told = opened.describe()
    if as_json:
        value = {**dataclasses.asdict(told), "parameters": told.parameters.model_dump()}
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
        return 0
    click.echo(f"{told.address}: {told.documents:,} documents in {told.additions:,} additions")
    if told.first is not None:
        click.echo(f"added      {told.first} to {told.last}")
    _say_parameters(told)
    if told.bytes is not None:
        click.echo(f"on disk    {told.bytes:,} bytes in {told.segments} segments")
    click.echo(f"content    {told.content}")
    return 0


@command.command()
@click.argument("index")
def compact(index: str) -> int:
    """Store INDEX in one piece, which is searched faster."""
    from datatools.dedup_index import DedupIndex

    opened = DedupIndex.open(index)
    before = opened.describe().segments
    opened.compact()
    click.echo(f"{index}: {before} segments before, {opened.describe().segments} now")
    return 0


def _date(day: datetime | None) -> date | None:
    return None if day is None else day.date()


def _say_parameters(told: Description) -> None:
    parameters = told.parameters
    click.echo(
        f"threshold  {parameters.threshold:g} ± {told.standard_error:.3f} (standard error), "
        f"{parameters.ngram} {parameters.unit}s a shingle"
    )
    click.echo(
        f"search     {told.bands} bands x {told.rows} rows of {parameters.num_perm} permutations"
    )
