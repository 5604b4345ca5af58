"""Reads files with readers and says, one JSON line each, what came of it.

A program of its own, because what it is given may hang it or kill it: `python trying.py` reads
`READER<TAB>PATH<TAB>FOLDER` lines and answers each with a line.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from jobs import dataset, job

from datatools import steps, verify
from datatools.errors import DatatoolsError
from datatools.job.running import run


def attempt(reader: str, path: str, folder: Path) -> dict[str, object]:
    """Run a pipeline over one file and return what came of it."""
    settings = {"path": path} if reader == "ReadDataset" else {"paths": (path,)}
    try:
        chain = [getattr(steps, reader)(**settings)]
        if reader == "ReadWarc":
            chain.append(steps.ExtractText())
        result = run(job(folder, {"pages": dataset(*chain)}), only=["pages"])
        checked = verify(folder)
        ledger = result.datasets["pages"]["ledger"]
        (inputs,) = result.datasets["pages"]["inputs"].values()
        return {
            "outcome": "read" if checked.ok else "wrong",
            "problems": [p for one in checked.datasets.values() for p in one.problems],
            "read": ledger["read"],
            "kept": ledger["kept"],
            "quarantined": ledger["quarantined"],
            "incomplete": len(inputs["incomplete"]),
        }
    except DatatoolsError as error:
        return {"outcome": "refused", "kind": type(error).__name__, "told": str(error)}
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"outcome": "raised", "kind": type(error).__name__, "told": str(error)[:500]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    # What a library writes to stdout is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        reader, path, folder = line.rstrip("\n").split("\t")
        answers.write(json.dumps(attempt(reader, path, Path(folder))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
