"""The child process that renders the running Python's own documentation; standard library only.

Owns: importing modules and rendering their pydoc, with nothing of the machine in the result. It is run
as a script by `datatools.sample.pydoc_pages`, in an interpreter of its own: documentation then never
depends on what the caller has imported or patched, and the imports leave no trace in the caller.

Left out of every page: the file's location and module-level data. Data holds the environment, paths,
addresses and sets whose order differs from run to run.
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

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


class _Html(pydoc.HTMLDoc):
    """pydoc's own HTML without data and file links."""

    def bigsection(self, title: str, *args: Any) -> str:
        return "" if title == "Data" else super().bigsection(title, *args)

    def filelink(self, url: str, path: str) -> str:
        return "standard library"

    def getdocloc(self, object: Any, basedir: str = "") -> str | None:
        return None


class _Text(pydoc._PlainTextDoc):  # type: ignore[misc,name-defined]
    """pydoc's plain text without data and file location."""

    def section(self, title: str, contents: str) -> str:
        return "" if title in ("DATA", "FILE") else str(super().section(title, contents))

    def getdocloc(self, object: Any, basedir: str = "") -> str | None:
        return None


def _places() -> list[str]:
    """Return the directories that would name this machine, longest first."""
    found = {os.getcwd(), os.path.expanduser("~"), sys.executable, sys.prefix, sys.base_prefix}
    found.update(sysconfig.get_paths().values())
    # A prefix such as /usr is the same everywhere and occurs in documentation on its own account.
    return sorted((p for p in found if p.count(os.sep) >= 2 or len(p) > 10), key=len, reverse=True)


def _clean(page: str, places: list[str]) -> str:
    for place in places:
        page = page.replace(place, "/python").replace(html.escape(place), "/python")
    return _ADDRESS.sub("", page)


def main() -> None:
    """Read a request from standard input, write one JSON row per page to standard output.

    The request is `{"kind": "html" | "text", "modules": [...], "topics": bool}`. A row is
    `{"name", "page"}` for a module, `{"name", "absent"}` for one that this Python lacks and
    `{"topic", "page"}` for a language topic.
    """
    request = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what a module prints on import is not a page
    places = _places()

    def write(row: dict[str, Any]) -> None:
        out.write(json.dumps(row) + "\n")

    for name in request["modules"]:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            write({"name": name, "absent": type(error).__name__})
            continue
        if request["kind"] == "html":
            renderer = _Html()
            page = renderer.page(pydoc.describe(module), renderer.document(module, name))
        else:
            page = _Text().document(module, name)
        write({"name": name, "page": _clean(page, places)})
    if request["topics"]:
        from pydoc_data.topics import topics

        for name in sorted(topics):
            write({"topic": name, "page": topics[name]})


if __name__ == "__main__":
    main()
