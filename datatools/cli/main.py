"""`datatools`: the commands, and the one place that turns errors into exits.

stdout is data, stderr is progress and messages. Exit codes: 0 ok, 1 a failed check or a data error,
2 usage or configuration, 3 another run holds the output, 130 interrupted, 141 the reader of the
results went away.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from datatools import __version__
from datatools.cli.interrupts import EXIT_CODE, STOPPED, leaving_at_once
from datatools.cli.terminal import echo, never_fail
from datatools.errors import DataError, DatatoolsError, nearest

__all__ = ["cli", "main"]

COMMANDS = {
    "run": "Run a pipeline: datasets, training, verdicts and the report.",
    "plan": "Say what a run would do, and what is cached.",
    "status": "Say how far the current or last run is.",
    "explain": "Tell one document's life, step by step, and what became of it.",
    "verify": "Hash and add up a pipeline's output again.",
    "inspect": "Show a dataset's records, columns and counts.",
    "index": "Keep an index of documents to dedup later crawls against.",
    "sample": "Make a small real crawl to try pipelines on.",
    "train": "Train a small language model on a pipeline's published datasets.",
    "compare": "Say which of two datasets is better to learn from.",
    "report": "Write the report page of an output again.",
    "schema": "Print the JSON Schema of a pipeline file.",
    "gc": "Clean the cache of an output.",
}


CLOSED_PIPE = 141
"""Exit code where the reader of the results went away, as `head` does: 128 and SIGPIPE's number."""


class _Commands(click.Group):
    """Loads a command's file when it is named, so that `--help` imports nothing heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"datatools.cli.{name}_command")
        command: click.Command = module.command
        command.name = name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            close = nearest(args[0], COMMANDS)
            hint = f" Did you mean {close!r}?" if close else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


_EPILOG = (
    "To begin: `datatools sample samples` makes a small crawl, `datatools plan FILE` says what a "
    "pipeline file would do, `datatools run FILE` does it. Results go to stdout, progress to "
    "stderr. Exit codes: 0 ok, 1 a check failed or the data cannot be used, 2 the command line or "
    "the file is wrong, 3 another run holds the output."
)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG
)
@click.version_option(__version__, prog_name="datatools")
def cli() -> None:
    """Build the data language models learn from, and say whether it got better."""


def main(args: list[str] | None = None) -> Any:
    """Run the command line and exit."""
    never_fail()
    # A console script cannot import what lies beside the pipeline, as `python -m` can. Last, so
    # that nothing there takes the place of an installed module.
    sys.path.append(os.getcwd())
    try:
        with leaving_at_once():
            code = cli.main(args, prog_name="datatools", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(STOPPED, err=True)
        sys.exit(EXIT_CODE)
    except SystemExit as error:  # no command of ours ends so
        last = traceback.extract_tb(error.__traceback__)[-1]
        if last.filename == click.core.__file__:  # what click itself ends so: a closed pipe
            sys.exit(CLOSED_PIPE)
        _refuse(_ended_by(error, last))
    except DatatoolsError as error:
        _refuse(error)
    except OSError as error:
        _refuse(
            DataError(
                str(error.filename or "a file"),
                "cannot be read or written",
                got=error.strerror or str(error),
                hint="Check the path, its permissions and the free space.",
            )
        )
    sys.exit(code if isinstance(code, int) else 0)


def _ended_by(error: SystemExit, last: traceback.FrameSummary) -> DataError:
    """Return what to tell the user about code that tried to end the program, by an own step say."""
    return DataError(
        f"{last.filename} line {last.lineno} in {last.name}",
        "tried to end the program",
        got=error,
        hint="Have it raise an exception instead.",
    )


def _refuse(error: DatatoolsError) -> NoReturn:
    echo("error: ", fg="red", bold=True, nl=False, err=True)
    echo(str(error), err=True)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
