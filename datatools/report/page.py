"""The page: one self-contained HTML file that loads nothing and runs nothing.

Owns: the template, the policy and what every value passes on its way into the page: `visible`, then
Jinja's escaping. Refuses: reading the output.

References:
    MLflow GHSA-3v79-q7ph-j75h: a data set's text in a report's table ran as a script. Here no text
    is marked safe but the style sheet and what `charts` makes; addresses are never links.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any, Final

import jinja2
from markupsafe import Markup

from datatools.job.remarks import large_buckets
from datatools.report import drawings, quantities
from datatools.report.languages import UNKNOWN, named_languages
from datatools.report.model.whole import ReportData
from datatools.report.visible import cut, script_language, visible
from datatools.report.words import shown_token

__all__ = ["render"]

_LANGUAGE_TAG: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def render(report: ReportData) -> str:
    """Return the page.

    The same report gives the same page. No text of the report can add an element, an attribute or a
    link to it.
    """
    style = _source("style.css")
    # The hash is of exactly what stands between the style tags.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    page: str = (
        _environment()
        .get_template("template.html.jinja")
        .render(
            report=report,
            draw=drawings,
            # Ours, and part of the policy by its hash.
            style=Markup(style),  # noqa: S704
            policy=policy,
        )
    )
    return page


def _source(name: str) -> str:
    return importlib.resources.files("datatools.report").joinpath(name).read_text("utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": quantities.count,
        "size": quantities.size,
        "decimal": quantities.decimal,
        "signed": quantities.signed,
        "duration": quantities.duration,
        "token": shown_token,
        "cut": cut,
        "quote": shlex.quote,
        "literal": repr,
    }
    environment.globals |= {
        "percent": quantities.percent,
        "language_tag": language_tag,
        "named_languages": named_languages,
        "largest": _largest,
        "large_buckets": large_buckets,
        "shade": _shade,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Return what is written for a value of the template; escaping comes after it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _largest(rows: Sequence[tuple[str, float]]) -> float:
    return max((chance for _, chance in rows), default=1.0)


def _shade(number: int, most: int) -> int:
    """Return in which of five shades a count stands out: 0 for nothing, 4 for the most.

    Each shade is a quarter of the way from 1 to the most, in ratio, so that small counts beside a
    huge one are still told apart.
    """
    if not number:
        return 0
    return 1 + min(3, int(4 * math.log(number) / math.log(most))) if most > 1 else 4


def language_tag(language: str | None, text: str) -> str | None:
    """Return what a browser should take a text for, or None if that is not known.

    Example:
        >>> language_tag("ko", "안녕"), language_tag("und", "안녕"), language_tag('"x', "hello")
        ('ko', 'ko', None)
    """
    if language and language != UNKNOWN and _LANGUAGE_TAG.fullmatch(language):
        return language
    return script_language(text)
