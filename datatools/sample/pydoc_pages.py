"""The running Python's own documentation: real prose and real HTML that every installation carries.

Owns: which modules are rendered, the call of the child that renders them, and the language topics
as HTML. Two fixed lists that share nothing: `MODULES` for the crawl, `HELDOUT_MODULES` for
held-out text. No module in either does anything visible when it is imported. A module that a
platform or a Python version lacks is named in `PydocPages.absent`.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from datatools.errors import DataError

__all__ = ["HELDOUT_MODULES", "MODULES", "PydocPages", "render", "topic_html"]

MODULES: Final[tuple[str, ...]] = tuple(
    """
    abc argparse array ast asyncio asyncio.base_events asyncio.events asyncio.futures asyncio.locks
    asyncio.protocols asyncio.queues asyncio.runners asyncio.streams asyncio.subprocess
    asyncio.tasks asyncio.transports atexit base64 bdb binascii bisect builtins bz2 cProfile cmath
    cmd code codecs codeop collections collections.abc compileall concurrent.futures
    concurrent.futures.process concurrent.futures.thread configparser contextlib copy copyreg csv
    ctypes ctypes.util curses curses.ascii dataclasses datetime dbm dbm.dumb decimal dis doctest
    email email.charset email.contentmanager email.feedparser email.generator email.header
    email.headerregistry email.message email.mime.application email.mime.multipart email.mime.text
    email.parser email.policy email.utils encodings encodings.idna encodings.utf_8 enum errno
    faulthandler fcntl filecmp fnmatch ftplib functools gc getpass glob gzip hashlib hmac html
    html.parser http http.client http.cookiejar http.cookies http.server importlib importlib.abc
    importlib.machinery importlib.metadata importlib.resources importlib.util inspect io ipaddress
    itertools json json.decoder json.encoder keyword linecache locale logging logging.config
    logging.handlers lzma mailbox marshal math mimetypes mmap modulefinder multiprocessing
    multiprocessing.connection multiprocessing.context multiprocessing.managers
    multiprocessing.pool multiprocessing.process multiprocessing.queues
    multiprocessing.shared_memory multiprocessing.synchronize numbers operator os os.path pathlib
    pdb pickle pickletools pkgutil poplib pprint profile pstats pty pwd py_compile pyclbr pydoc
    queue quopri random re reprlib resource runpy select selectors shelve shutil signal site
    smtplib socket socketserver sqlite3 ssl stat string stringprep struct subprocess symtable sys
    sysconfig tabnanny tempfile termios threading time timeit token tokenize trace traceback
    tracemalloc types typing unicodedata unittest unittest.case unittest.loader unittest.mock
    unittest.result unittest.runner unittest.suite urllib.error urllib.parse urllib.request
    urllib.response urllib.robotparser uuid venv warnings wave weakref webbrowser wsgiref.handlers
    wsgiref.headers wsgiref.simple_server wsgiref.util xml.dom xml.dom.minidom xml.dom.pulldom
    xml.etree.ElementTree xml.sax xml.sax.handler xml.sax.saxutils xml.sax.xmlreader xmlrpc.client
    xmlrpc.server zipapp zipimport zlib zoneinfo
    """.split()  # noqa: SIM905 - two hundred quotes and commas would hide the names
)
"""Modules of the crawl: about 10 MB of HTML."""

HELDOUT_MODULES: Final[tuple[str, ...]] = tuple(
    """
    calendar colorsys contextvars difflib fileinput fractions getopt gettext graphlib heapq imaplib
    netrc optparse plistlib sched secrets shlex statistics tarfile textwrap tomllib zipfile
    """.split()  # noqa: SIM905 - as above
)
"""Modules of the held-out text; none is in `MODULES`."""

_CHILD_TIMEOUT_S = 300.0
_KEEP_ENV = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class PydocPages:
    """Rendered documentation.

    Attributes:
        modules: Page by module name, in the order asked for.
        topics: Plain text by topic name, sorted; empty unless asked for.
        absent: Modules that this Python lacks, in the order asked for.
    """

    modules: Mapping[str, str]
    topics: Mapping[str, str]
    absent: tuple[str, ...]


def render(
    kind: Literal["html", "text"], modules: Sequence[str], *, topics: bool = False
) -> PydocPages:
    """Render the documentation of `modules` in a fresh interpreter.

    The same Python gives the same pages: the child sees no site packages, no `PYTHON*` variable
    and a fixed hash seed. No page names a directory of the machine.

    Args:
        kind: `html` as `pydoc -w` writes it, or plain `text`.
        modules: Importable names. A missing one is reported, not an error.
        topics: Whether to add the language topics (`pydoc_data.topics`).

    Raises:
        DataError: The child cannot be started, fails or hangs.

    Example:
        >>> pages = render("text", ["bisect", "no_such_module"])
        >>> pages.modules["bisect"].splitlines()[1], pages.absent
        ('    bisect - Bisection algorithms.', ('no_such_module',))
    """
    if not sys.executable:
        raise DataError(
            "sample",
            "this Python does not know its own executable, which renders the documentation",
            hint="Run from an ordinary interpreter.",
        )
    environment = {name: os.environ[name] for name in _KEEP_ENV if name in os.environ}
    environment["PYTHONHASHSEED"] = "0"
    # -P keeps this folder off sys.path, where its files would hide modules of the same name.
    flags = ["-P", "-S", "-s", "-B", "-X", "utf8", "-W", "ignore"]
    try:
        done = subprocess.run(  # noqa: S603 - our own script, run by our own interpreter
            [sys.executable, *flags, str(Path(__file__).with_name("pydoc_child.py"))],
            input=json.dumps({"kind": kind, "modules": list(modules), "topics": topics}).encode(),
            capture_output=True,
            env=environment,
            timeout=_CHILD_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        stderr = getattr(error, "stderr", None) or b""
        raise DataError(
            "sample",
            "the documentation of this Python cannot be rendered",
            got=(stderr.decode("utf-8", "replace").strip().splitlines() or [str(error)])[-1],
            hint="Check that `python -m pydoc os` works.",
        ) from error
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return PydocPages(
        modules={row["name"]: row["page"] for row in rows if "name" in row and "page" in row},
        topics={row["topic"]: row["page"] for row in rows if "topic" in row},
        absent=tuple(row["name"] for row in rows if "absent" in row),
    )


def topic_html(name: str, text: str) -> str:
    """Return a language topic as a simple page: headings, paragraphs, lists and code blocks.

    Args:
        name: The topic, e.g. `assignment`.
        text: Its text in the light markup of `pydoc_data.topics`: underlined headings, `*` bullets,
            indented code.
    """
    blocks = [_topic_block(block) for block in re.split(r"\n[ \t]*\n", text.strip("\n")) if block]
    body = "\n".join(blocks)
    title = html.escape(name)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Python: topic {title}</title>\n</head>\n<body>\n"
        f'<p class="nav"><a href=".">topics</a> &raquo; {title}</p>\n'
        f"{body}\n</body>\n</html>\n"
    )


def _topic_block(block: str) -> str:
    lines = block.split("\n")
    if len(lines) == 2 and re.fullmatch(r"([*=\-~^\"])\1+", lines[1].strip()):
        return f"<h2>{html.escape(lines[0].strip())}</h2>"
    if re.match(r"\* ", lines[0]):
        items = re.split(r"\n\* ", block[2:])
        return "<ul>" + "".join(f"<li>{_flow(item)}</li>" for item in items) + "</ul>"
    if all(line.startswith("   ") for line in lines):
        return f"<pre>{html.escape(block)}</pre>"
    return f"<p>{_flow(block)}</p>"


def _flow(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False)
