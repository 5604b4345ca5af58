"""Pages -> threads: the questions and answers that a page marks up with schema.org.

Owns: what becomes of a page, and the columns and keys of the threads. Refuses: reading the markup
(see `qa_markup`) and choosing among the answers (see `AcceptedAnswer` and `PairByVotes`). Pages
without markup are left alone: guessing questions from headings makes rows nobody can trust.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Final

import orjson
import polars as pl
from pydantic import Field

from datatools.fence import Fence, Fenced
from datatools.records import SCHEMAS, Kind, make_id
from datatools.steps.base import Batch, Context, Expanded, FlatMap
from datatools.steps.clean.html_limits import measure_html
from datatools.steps.instruct.qa_markup import (
    MarkedAnswer,
    MarkedQuestion,
    QaMarkup,
    looks_marked,
    qa_parser,
)

__all__ = ["ExtractQuestions"]

_SHAPE_LIMITS: Final = {"max_depth": 512, "max_attributes": 1024, "max_formatting": 256}
_COPIED: Final = ("language", "url", "source", "license", "origin", "offset")
_CHILDREN: Final = pl.Schema(
    [("parent", pl.UInt32()), ("key", pl.String())]
    + [(name, dtype) for name, dtype in SCHEMAS["thread"].items() if name != "id"]
)


class ExtractQuestions(FlatMap):
    """Turn pages that mark up questions and answers into threads, one per question.

    Reads schema.org `QAPage` and `FAQPage`, as JSON-LD or microdata, out of the `html` column
    (UTF-8). The question is title, blank line, body; the title is left out where the body contains
    it. Texts are Markdown. A page that shows no sign of markup costs a byte search.

    Pages leave with a reason: `no_qa_markup`, `no_answers` (questions, but none with an answer), or
    quarantined: `qa_markup_broken` (it looks like a question and cannot be read), `html_over_limit`
    (too large, too deep, or with more attributes or open formatting than pages have) and the
    fence's reasons for what stalls a parser all the same. A page that gives threads although a part
    of it was unusable says so in its detail.

    The key of a thread is the question's own id where the page gives one to it alone, else a hash
    of its text, so that it does not depend on what else stands on the page.

    References:
        schema.org, QAPage and FAQPage; Google Search Central, Q&A (QAPage) structured data. Huber
        et al., CCQA, 2022, read microdata with `https` types only; most pages now use JSON-LD.

    Example:
        >>> page = b'''<script type="application/ld+json">{"@context": "https://schema.org",
        ... "@type": "FAQPage", "mainEntity": {"@type": "Question", "name": "Open on Monday?",
        ... "acceptedAnswer": {"@type": "Answer", "text": "<p>From <b>nine</b>.</p>"}}}</script>'''
        >>> threads, _ = ExtractQuestions().apply(pl.DataFrame({"html": [page]}))
        >>> threads["question"][0], threads["answers"][0][0]["text"]
        ('Open on Monday?', 'From **nine**.')
    """

    takes: ClassVar[Kind | None] = "document"
    gives: ClassVar[Kind | None] = "thread"
    risky: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("resiliparse",)

    max_html_bytes: int = Field(default=8 << 20, ge=1)
    """Largest page that is parsed, in bytes of UTF-8; a larger one is quarantined. Raising it reads
    longer pages and lets one page take more time and memory."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"html"})

    def bind(self, context: Context) -> _BoundExtractQuestions:
        """Return the step with its fenced parser."""
        return _BoundExtractQuestions(self.max_html_bytes)


class _BoundExtractQuestions:
    def __init__(self, max_html_bytes: int) -> None:
        self._max_html_bytes = max_html_bytes
        # Pages take milliseconds and a few MiB; what is left to stop are bombs inside an answer.
        self._fence = Fence(qa_parser, cpu_seconds=5.0, memory_bytes=512 << 20)

    def close(self) -> None:
        self._fence.close()

    def flat_map(self, batch: Batch) -> Expanded:
        height = len(batch)
        dropped: list[str | None] = [None] * height
        quarantined: list[str | None] = [None] * height
        detail: list[str | None] = [None] * height
        children: list[dict[str, Any]] = []
        pages: list[tuple[int, bytes]] = []
        for row, page in enumerate(batch.df["html"]):
            if not page or not looks_marked(page):
                dropped[row] = "no_qa_markup"
            elif excess := self._excess(page):
                quarantined[row], detail[row] = "html_over_limit", excess
            else:
                pages.append((row, page))
        results = self._fence.run([page for _, page in pages])
        for (row, _), result in zip(pages, results, strict=True):
            if isinstance(result, Fenced):
                quarantined[row], detail[row] = result.reason, result.detail
                continue
            markup = QaMarkup.from_json(result)
            threads = _threads(markup)
            detail[row] = _detail(markup)
            children.extend({"parent": row, **thread} for thread in threads)
            if markup.broken and not markup.questions:
                quarantined[row] = "qa_markup_broken"
            elif not markup.questions:
                dropped[row] = "no_qa_markup"
            elif not threads:
                dropped[row] = "no_answers"
        return Expanded(
            _with_page_columns(pl.DataFrame(children, schema=_CHILDREN), batch.df),
            dropped=pl.Series("dropped", dropped, dtype=pl.String),
            quarantined=pl.Series("quarantined", quarantined, dtype=pl.String),
            detail=pl.Series("detail", detail, dtype=pl.String),
        )

    def _excess(self, page: bytes) -> str | None:
        if len(page) > self._max_html_bytes:
            return f"size: {len(page)} bytes"
        return measure_html(page, **_SHAPE_LIMITS).excess


def _with_page_columns(children: pl.DataFrame, pages: pl.DataFrame) -> pl.DataFrame:
    copied = {name: name for name in _COPIED} | {"doc_id": "id"}
    return children.with_columns(
        pages[source].gather(children["parent"]).cast(_CHILDREN[name]).alias(name)
        for name, source in copied.items()
        if source in pages.columns
    ).select(_CHILDREN.names())


def _detail(markup: QaMarkup) -> str | None:
    bare = sum(not question.answers for question in markup.questions)
    told = [f"{bare} of {len(markup.questions)} questions have no answer"] if bare else []
    return "; ".join([*told, *markup.broken])[:500] or None


def _threads(markup: QaMarkup) -> list[dict[str, Any]]:
    answered = [question for question in markup.questions if question.answers]
    uses = Counter(question.native_id for question in answered)
    return [
        {
            "key": _own_id(question.native_id, uses)
            or make_id("question", question.title, question.body),
            "question": _question(question),
            "answers": _answers(question.answers),
            "meta": orjson.dumps({"markup": question.syntax, "page": question.page}).decode(),
        }
        for question in answered
    ]


def _own_id(native_id: str | None, uses: Counter[str | None]) -> str | None:
    # Many pages give every question the address of the page.
    return native_id if uses[native_id] == 1 else None


def _answers(answers: tuple[MarkedAnswer, ...]) -> list[dict[str, Any]]:
    uses = Counter(answer.native_id for answer in answers)
    return [
        {
            "id": _own_id(answer.native_id, uses) or make_id("answer", answer.text),
            "text": answer.text,
            "votes": answer.votes,
            "accepted": answer.accepted,
            "date": answer.date,
            "author": answer.author,
        }
        for answer in answers
    ]


def _question(question: MarkedQuestion) -> str:
    title, body = question.title, question.body
    # Boards that ask for one text only cut its beginning for the title: "How do I ...".
    shown = " ".join(title.rstrip(" .…").split()).casefold()
    if not title or (body and shown in " ".join(body.split()).casefold()):
        return body
    return f"{title}\n\n{body}" if body else title
