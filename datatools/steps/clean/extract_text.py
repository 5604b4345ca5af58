"""From a page's HTML to its main text.

Owns: the limits that keep hostile pages out of the extractor, and what becomes of a page that one
of them stops. Refuses: charsets (a reader hands over UTF-8), rules about what is boilerplate, and
any change to the words: no Unicode normalisation, so Hangul jamo stay as they were written.

A page passes three doors. Limits that any machine measures alike (size, depth, attributes, open
formatting elements) send it to a tag stripper that nothing can hurt, so its visible text is kept.
Behind them a fenced child runs the extractor under CPU and memory limits; a page that breaks the
child twice is quarantined. What comes out empty is dropped as `no_text`. The learned extractor is
linear in the page as the stripper is, and runs where we are.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from datatools.fence import Fence, Fenced
from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.clean.extractors import ALL_TEXT, MAIN_TEXT, Engine, build_extractor
from datatools.steps.clean.html_limits import measure_html
from datatools.steps.clean.html_text import find_title, strip_tags
from datatools.steps.clean.learned import LearnedExtractor
from datatools.steps.ingest.charset import decode_page

__all__ = ["ExtractText"]

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class ExtractText(Map):
    """Finds the main text in a page's HTML and puts the page's title into `meta`.

    Rows without `html` pass as they are, so text that a reader found already (WET files, plain
    text) needs no second pipeline; without text either, they are dropped as `no_text`. `html` stays
    for later steps and is never published.

    Line breaks become line feeds; other control characters than tab are removed and counted as
    `control_characters`. When a page has no main text, all its text is taken. `meta` gets `title`,
    unless it has one, and `extractor` if the text is not the main text that the engine found: `all
    text`, or `tag stripper` with the limit that the page is over.

    Quarantined are pages that the extractor cannot do even alone in a fresh child (`fence_timeout`,
    `fence_memory`, `fence_crash`, `fence_error`) and rows whose `meta` is no JSON object
    (`bad_meta`).

    References:
        Janek Bevendorff et al., "An Empirical Comparison of Web Content Extraction Algorithms",
        SIGIR 2023: resiliparse against 13 others.
        Adrien Barbaresi, "Trafilatura: A Web Scraping Library and Command-Line Tool for Text
        Discovery and Extraction", ACL 2021.
        Murrough Foley, Web Content Extraction Benchmark, 2026: 2,008 pages of seven types. Word F1
        on its test part, measured: resiliparse .802 at 328 pages/s, trafilatura .861 at 25, cascade
        .866 at 29.

    Example:
        >>> import polars as pl
        >>> page = "<title>인사</title><nav>Home</nav><article><p>안녕하세요, world.</p></article>"
        >>> kept, _ = ExtractText().apply(pl.DataFrame({"html": [page.encode()]}))
        >>> kept["text"].item(), kept["meta"].item()
        ('안녕하세요, world.', '{"title":"인사"}')
    """

    checkpoint: ClassVar[bool] = True
    risky: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("lxml", "resiliparse", "trafilatura")

    engine: Engine = "resiliparse"
    """`resiliparse` is ten times faster. `cascade` is better, on articles most: trafilatura without
    comments, but resiliparse where that finds less than half as much text (forums, listings).
    `trafilatura` is trafilatura with its own fallbacks. `learned` is ours: a classifier of blocks,
    faster than any of them, and better than `resiliparse` and `cascade` on every type of page of
    the benchmark below but products, where it equals `cascade`; on news of other collections
    `cascade` is better. See docs/extraction.md."""
    max_html_bytes: int = Field(default=8 << 20, gt=0)
    """Largest page, in bytes of UTF-8. Larger ones are stripped of tags instead of extracted."""
    max_depth: int = Field(default=512, ge=2)
    """Most elements inside one another. Pages with more are stripped of tags."""
    max_attributes: int = Field(default=1024, gt=0)
    """Most attributes of one tag. Pages with more are stripped of tags. What an attribute costs a
    parser costs `learned` nothing: it has no such limit."""
    max_open_formatting: int = Field(default=256, gt=0)
    """Most formatting elements (`b`, `font`, `a` ...) open at once: what they cost a parser grows
    with the square of their number. Pages with more are stripped of tags; `learned` has no such
    limit."""
    cpu_seconds: float = Field(default=5.0, gt=0)
    """CPU time for one page of a fenced extractor: all but `learned`. Raising it keeps slower pages
    and lets hostile ones cost more."""
    memory_bytes: int = Field(default=1 << 30, ge=64 << 20)
    """Memory that one page may add to a fenced extractor's process."""

    def reads(self) -> frozenset[str]:
        """Return `html`; `text` and `meta` are columns of every document."""
        return frozenset({"html"})

    def bind(self, context: Context) -> _BoundExtractText:
        """Return the step with a fence of its own; its child starts with the first page."""
        return _BoundExtractText(self)


class _BoundExtractText:
    def __init__(self, step: ExtractText) -> None:
        self._step = step
        self._learned: LearnedExtractor | None = None
        self._fence: Fence | None = None
        if step.engine == "learned":
            self._learned = LearnedExtractor(step.max_depth)
        else:
            self._fence = Fence(
                functools.partial(build_extractor, step.engine),
                cpu_seconds=step.cpu_seconds,
                wall_seconds=max(20.0, 4 * step.cpu_seconds),
                memory_bytes=step.memory_bytes,
            )

    def close(self) -> None:
        """End the child, if there is one."""
        if self._fence is not None:
            self._fence.close()

    def map(self, batch: Batch) -> Mapped:
        """Extract the rows' text; see `ExtractText`."""
        pages = [None if html is None else _as_utf8(html) for html in batch.df["html"]]
        extracted, excesses = self._extract(pages)

        texts: list[str | None] = batch.df["text"].to_list()
        metas: list[str | None] = batch.df["meta"].to_list()
        dropped: list[str | None] = [None] * len(pages)
        quarantined: list[str | None] = [None] * len(pages)
        details: list[str | None] = [None] * len(pages)
        controls = 0
        for row, page in enumerate(pages):
            if page is not None:
                facts = {"title": find_title(page)}
                result = extracted.get(row, b"")
                excess = excesses.get(row)
                if isinstance(result, Fenced):
                    texts[row], quarantined[row], details[row] = None, result.reason, result.detail
                    continue
                if excess is not None:
                    facts["extractor"] = f"tag stripper ({excess})"
                    text = strip_tags(page)
                else:
                    facts["extractor"] = "all text" if result.startswith(ALL_TEXT) else None
                    text = result[1:].decode()
                texts[row], removed = _clean(text)
                controls += removed
                if facts["extractor"] is not None:
                    details[row] = f"extractor: {facts['extractor']}"
                try:
                    metas[row] = _with_facts(metas[row], facts)
                except ValueError:
                    quarantined[row] = "bad_meta"
                    continue
            if not (texts[row] or "").strip():
                dropped[row] = "no_text"
        frame = batch.df.with_columns(
            pl.Series("text", texts, dtype=pl.String), pl.Series("meta", metas, dtype=pl.String)
        )
        return Mapped(
            frame,
            dropped=pl.Series(dropped, dtype=pl.String),
            quarantined=pl.Series(quarantined, dtype=pl.String),
            detail=pl.Series(details, dtype=pl.String),
            removed={"control_characters": controls} if controls else {},
        )

    def _extract(
        self, pages: Sequence[bytes | None]
    ) -> tuple[dict[int, bytes | Fenced], dict[int, str]]:
        """Return what an extractor gave for the rows it took, and the limits others are over."""
        extracted: dict[int, bytes | Fenced] = {}
        excesses: dict[int, str] = {}
        fenced: list[tuple[int, bytes]] = []
        for row, page in enumerate(pages):
            if not page:
                continue
            if len(page) > self._step.max_html_bytes:
                excesses[row] = f"more than {self._step.max_html_bytes} bytes"
            elif self._learned is not None:
                found = self._learned.extract(page)
                if found.excess is not None:
                    excesses[row] = found.excess
                else:
                    extracted[row] = (MAIN_TEXT if found.is_main else ALL_TEXT) + found.text.encode(
                        "utf-8", "replace"
                    )
            elif (excess := self._excess(page)) is not None:
                excesses[row] = excess
            else:
                fenced.append((row, page))
        if self._fence is not None:
            results = self._fence.run([page for _, page in fenced])
            extracted |= zip((row for row, _ in fenced), results, strict=True)
        return extracted, excesses

    def _excess(self, page: bytes) -> str | None:
        """Say which limit keeps the page out of a parser, if one does."""
        step = self._step
        shape = measure_html(
            page,
            max_depth=step.max_depth,
            max_attributes=step.max_attributes,
            max_formatting=step.max_open_formatting,
        )
        match shape.excess:
            case "depth":
                return f"more than {step.max_depth} elements inside one another"
            case "attributes":
                return f"more than {step.max_attributes} attributes in a tag"
            case "formatting":
                return f"more than {step.max_open_formatting} open formatting elements"
        return None


def _as_utf8(html: bytes) -> bytes:
    """Return the page in UTF-8, as readers hand it over; another reader's page is decoded."""
    try:
        html.decode()
    except UnicodeDecodeError:
        return decode_page(html).text.encode("utf-8", "replace")
    return html


def _clean(text: str) -> tuple[str, int]:
    """Return the text with line feeds, without control characters, and how many of them went."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).strip(), len(_CONTROLS.findall(text))


def _with_facts(meta: str | None, facts: Mapping[str, str | None]) -> str | None:
    """Return a JSON object with what it lacks added at its end, its other bytes unchanged.

    Raises:
        ValueError: `meta` is no JSON object.
    """
    try:
        known = {} if meta is None else json.loads(meta)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(known, dict):
        raise ValueError("no object")
    new = {name: fact for name, fact in facts.items() if fact is not None and name not in known}
    if not new:
        return meta
    tail = json.dumps(new, ensure_ascii=False, separators=(",", ":"))
    if meta is None or not known:
        return tail
    return meta.rstrip().removesuffix("}").rstrip() + "," + tail[1:]
