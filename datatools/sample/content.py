"""The texts of the sample, written by this project: what they are and how they are loaded.

Owns: the four data files beside this module and the shapes of their rows. Refuses: HTML and WARC.

    forum.jsonl      questions with their answers, and FAQ pages, in Korean and English
    articles.jsonl   short articles in Korean and English
    defects.jsonl    texts that exist to be dropped, repaired or cut off
    heldout.jsonl    texts that no page of the sample holds, for judging models

Prose is in a light markup: paragraphs are separated by an empty line, a line of a list starts with
`- `, code stands between fences of three backquotes, code in a line between single backquotes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

__all__ = [
    "Answer",
    "Article",
    "FaqEntry",
    "FaqPage",
    "Language",
    "Markup",
    "Question",
    "articles",
    "defect_texts",
    "faq_pages",
    "heldout",
    "questions",
]

Language = Literal["en", "ko"]
Markup = Literal["json-ld", "microdata"]


@dataclass(frozen=True)
class Answer:
    """One answer of a question. `date` is ISO 8601 in UTC; `votes` may be negative."""

    id: str
    text: str
    votes: int
    accepted: bool
    date: str
    author: str


@dataclass(frozen=True)
class Question:
    """A question page of the forum; its answers are in the order in which they were written down.

    `markup` says how the page carries its schema.org data; `defect` names what is planted in it.
    """

    id: str
    language: Language
    topic: str
    title: str
    text: str
    votes: int
    date: str
    author: str
    markup: Markup
    defect: str | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class FaqEntry:
    """One question of a FAQ page with its only answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class FaqPage:
    """A page of frequently asked questions; it has no votes and no dates."""

    id: str
    language: Language
    title: str
    text: str
    markup: Markup
    entries: tuple[FaqEntry, ...]


@dataclass(frozen=True)
class Article:
    """A page of prose; `defect` says why a text of `defects.jsonl` exists, empty for articles."""

    id: str
    language: str
    title: str
    text: str
    date: str = ""
    category: str = ""
    defect: str = ""


def questions() -> tuple[Question, ...]:
    """Return the forum's questions, planted ones included, in file order.

    Example:
        >>> sorted({question.language for question in questions()})
        ['en', 'ko']
    """
    return tuple(
        Question(
            **{name: value for name, value in row.items() if name not in ("kind", "answers")},
            answers=tuple(Answer(**answer) for answer in row["answers"]),
        )
        for row in _rows("forum.jsonl")
        if row["kind"] == "question"
    )


def faq_pages() -> tuple[FaqPage, ...]:
    """Return the forum's FAQ pages in file order."""
    return tuple(
        FaqPage(
            id=row["id"],
            language=row["language"],
            title=row["title"],
            text=row["text"],
            markup=row["markup"],
            entries=tuple(FaqEntry(**entry) for entry in row["entries"]),
        )
        for row in _rows("forum.jsonl")
        if row["kind"] == "faq"
    )


def articles() -> tuple[Article, ...]:
    """Return the articles in file order: good pages of 120 words and more."""
    return tuple(Article(**row) for row in _rows("articles.jsonl"))


def defect_texts(defect: str) -> tuple[Article, ...]:
    """Return the texts written for one defect, in file order.

    Args:
        defect: `wrong_language`, `cp949`, `charset_utf8_label`, `charset_euckr_label`,
            `broken_html`, `truncated`, `boilerplate` or `repetitive`.
    """
    return tuple(Article(**row) for row in _rows("defects.jsonl") if row["defect"] == defect)


def heldout() -> list[dict[str, str]]:
    """Return held-out prose: rows of `id`, `language`, `domain` and `text`.

    More than 25 kB of UTF-8 in each of Korean and English, over two dozen domains. No sentence of
    it occurs in a page that `make_sample` writes.

    Example:
        >>> sorted(heldout()[0])
        ['domain', 'id', 'language', 'text']
    """
    return list(_rows("heldout.jsonl"))


def _rows(name: str) -> Iterator[dict[str, Any]]:
    text = files("datatools.sample").joinpath(name).read_text(encoding="utf-8")
    # Not splitlines: a text may hold U+2028, which is no end of a JSON line.
    return (json.loads(line) for line in text.split("\n") if line)
