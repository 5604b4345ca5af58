"""The child process that renders the running Python's own documentation; standard library only.

Owns: importing modules and rendering their pydoc, with nothing of the machine in the result. It is
run as a script by `datatools.sample.pydoc_pages`, in an interpreter of its own: the pages then
never depend on what the caller has imported or patched, and the imports leave no trace in the
caller.

Left out of every page: the file's location and module-level data. Data holds the environment,
paths, addresses and sets whose order differs from run to run.
"""

from __future__ import annotations

import html
import importlib
import json
import os
import pydoc
import re
import sys
import sysconfig
from typing import Any

_ADDRESS = re.compile(r"(?: |&nbsp;)at(?: |&nbsp;)0x[0-9A-Fa-f]+")
_EVERYWHERE = frozenset({"", "/", "/usr", "/usr/local"})
# Prefixes that say nothing about a machine and occur in documentation on their own account.


class _Html(pydoc.HTMLDoc):
    """pydoc's own HTML without data and file links."""

    def bigsection(self, title: str, *args: Any) -> str:
        return "" if title == "Data" else super().bigsection(title, *args)

    def filelink(self, url: str, path: str) -> str:
        return "standard library"

    def getdocloc(self, object: Any, basedir: str = "") -> str | None:
        return None


class _Text(pydoc.TextDoc):
    """pydoc's text without data and file location."""

    def section(self, title: str, contents: str) -> str:
        return "" if title in ("DATA", "FILE") else super().section(title, contents)

    def getdocloc(self, object: Any, basedir: str = "") -> str | None:
        return None


def _places() -> list[str]:
    """Return the directories that would name this machine, as pages spell them, longest first."""
    found = {os.getcwd(), os.path.expanduser("~"), sys.executable, sys.prefix, sys.base_prefix}
    found.update(sysconfig.get_paths().values())
    found -= _EVERYWHERE
    found |= {place.replace("\\", "\\\\") for place in found}
    found |= {html.escape(place) for place in found}
    return sorted(found, key=lambda place: (-len(place), place))


def _clean(page: str, places: list[str]) -> str:
    for place in places:
        page = page.replace(place, "/python")
    return _ADDRESS.sub("", page)


def main() -> None:
    """Read a request from standard input, write one JSON row per page to standard output.

    The request is `{"kind": "html" | "text", "modules": [...], "topics": bool}`. A row is
    `{"name", "page"}` for a module, `{"name", "absent"}` for one that this Python lacks, and
    `{"topic", "page"}` for a language topic.
    """
    request = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what a module prints on import is not a page
    places = _places()

    def write(**row: str) -> None:
        out.write(json.dumps(row) + "\n")

    for name in request["modules"]:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            write(name=name, absent=str(error))
            continue
        if request["kind"] == "html":
            renderer = _Html()
            page = renderer.page(pydoc.describe(module), renderer.document(module, name))
        else:
            page = pydoc.plain(_Text().document(module, name))
        write(name=name, page=_clean(page, places))
    if request["topics"]:
        from pydoc_data.topics import topics

        for name in sorted(topics):
            write(topic=name, page=topics[name])


if __name__ == "__main__":
    main()
