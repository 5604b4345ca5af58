"""Question pages as forums serve them, with their schema.org data.

Owns: the visible page of a question or a FAQ, the same facts as JSON-LD or as microdata, and the
ways in which planted JSON-LD is broken. Sites differ in how they write these things, and so do
these pages: `http` and `https` types, an object, a list or a `@graph`, answers as plain text or as
HTML.

References:
    Schema.org, QAPage, FAQPage, Question and Answer, https://schema.org/QAPage.
    HTML Living Standard, section 5, Microdata.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from datatools.sample.content import Answer, FaqPage, Question
from datatools.sample.prose import is_rich, prose_html
from datatools.sample.site_pages import frame

__all__ = ["faq_html", "faq_url", "question_html", "question_url"]

FORUM: Final = "https://forum.sample.example"

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "asked": "asked by {author} on",
        "answered": "answered by {author} on",
        "votes": "votes",
        "answers": "answers",
        "accepted": "Accepted answer",
        "related": "Related questions",
        "share": "Share|Follow|Report",
        "login": "Log in to write an answer.",
    },
    "ko": {
        "asked": "{author} 님의 질문,",
        "answered": "{author} 님의 답변,",
        "votes": "추천",
        "answers": "답변",
        "accepted": "채택된 답변",
        "related": "비슷한 질문",
        "share": "공유|구독|신고",
        "login": "답변을 쓰려면 로그인하세요.",
    },
}


def question_url(question: Question) -> str:
    """Return the address of a question page."""
    language, number = question.id.split("-")
    return f"{FORUM}/{language}/questions/{number}"


def faq_url(page: FaqPage) -> str:
    """Return the address of a FAQ page."""
    return f"{FORUM}/{page.language}/help/{page.id}"


def question_html(question: Question, related: Sequence[Question]) -> str:
    """Return the page of a question: the accepted answer first, then the others by votes.

    Args:
        question: Its `markup` decides between JSON-LD in the head and microdata in the body.
        related: Questions that the sidebar links to.
    """
    micro = question.markup == "microdata"
    words = _WORDS[question.language]
    schema = "http://schema.org" if _variant(question.id) == 2 else "https://schema.org"
    head = "" if micro else _script(_question_json(question), question.defect)

    def item(kind: str, prop: str = "") -> str:
        name = f' itemprop="{prop}"' if prop else ""
        return f'{name} itemscope itemtype="{schema}/{kind}"' if micro else ""

    def prop(name: str) -> str:
        return f' itemprop="{name}"' if micro else ""

    def meta(phrase: str, author: str, date: str) -> str:
        before, after = phrase.split("{author}")
        person = f"<span{item('Person', 'author')}><span{prop('name')}>{author}</span></span>"
        when = f'<time{prop("dateCreated")} datetime="{date}">{date[:10]}</time>'
        return f'<p class="meta">{before}{person}{after} {when}</p>'

    def votes(count: int) -> str:
        return (
            f'<div class="votes"><span{prop("upvoteCount")}>{count}</span> {words["votes"]}</div>'
        )

    share = " ".join(f'<a href="#">{word}</a>' for word in words["share"].split("|"))
    answers = []
    for answer in _shown(question.answers):
        role = "acceptedAnswer" if answer.accepted else "suggestedAnswer"
        badge = f'<span class="badge">{words["accepted"]}</span>\n' if answer.accepted else ""
        answers.append(
            f'<div class="answer" id="{answer.id}"{item("Answer", role)}>\n'
            f"{votes(answer.votes)}\n{badge}"
            f'<div class="body"{prop("text")}>\n{prose_html(answer.text)}\n</div>\n'
            f"{meta(words['answered'], answer.author, answer.date)}\n</div>"
        )
    count = f"<span{prop('answerCount')}>{len(answers)}</span> {words['answers']}"
    main = (
        f'<div class="qa"{item("QAPage")}>\n'
        f'<div class="question"{item("Question", "mainEntity")}>\n'
        f"<h1{prop('name')}>{html.escape(question.title, quote=False)}</h1>\n"
        f"{votes(question.votes)}\n"
        f'<div class="body"{prop("text")}>\n{prose_html(question.text)}\n</div>\n'
        f"{meta(words['asked'], question.author, question.date)}\n"
        f'<p class="tools">{share}</p>\n'
        f'<h2 class="count">{count}</h2>\n' + "\n".join(answers) + "\n</div>\n</div>\n"
        f'<p class="login">{words["login"]}</p>'
    )
    links = "".join(
        f'<li><a href="{question_url(other)}">{html.escape(other.title, quote=False)}</a></li>'
        for other in related
    )
    sidebar = f"<h2>{words['related']}</h2>\n<ul>{links}</ul>"
    return frame(
        question.language, question.title, question_url(question), main, sidebar, head=head
    )


def faq_html(page: FaqPage) -> str:
    """Return a FAQ page, with a `FAQPage` in JSON-LD or microdata."""
    micro = page.markup == "microdata"
    entries = []
    for entry in page.entries:
        text = prose_html(entry.answer)
        if micro:
            entries.append(
                '<div itemprop="mainEntity" itemscope itemtype="https://schema.org/Question">\n'
                f'<h3 itemprop="name">{html.escape(entry.question, quote=False)}</h3>\n'
                '<div itemprop="acceptedAnswer" itemscope itemtype="https://schema.org/Answer">'
                f'<div itemprop="text">{text}</div></div>\n</div>'
            )
        else:
            question = html.escape(entry.question, quote=False)
            entries.append(f"<details open><summary>{question}</summary>\n{text}</details>")
    head = ""
    if not micro:
        facts = [
            {
                "@type": "Question",
                "name": entry.question,
                "acceptedAnswer": {"@type": "Answer", "text": prose_html(entry.answer)},
            }
            for entry in page.entries
        ]
        head = _script({"@context": "https://schema.org", "@type": "FAQPage", "mainEntity": facts})
    scope = ' itemscope itemtype="https://schema.org/FAQPage"' if micro else ""
    main = (
        f'<div class="faq"{scope}>\n<h1>{html.escape(page.title, quote=False)}</h1>\n'
        f"{prose_html(page.text)}\n" + "\n".join(entries) + "\n</div>"
    )
    return frame(page.language, page.title, faq_url(page), main, "", head=head)


def _shown(answers: Sequence[Answer]) -> list[Answer]:
    return sorted(answers, key=lambda answer: (not answer.accepted, -answer.votes, answer.date))


def _variant(question_id: str) -> int:
    return int(question_id.split("-")[1]) // 2 % 3


def _question_json(question: Question) -> Any:
    variant = _variant(question.id)

    def text(value: str) -> str:
        return prose_html(value) if is_rich(value) else value

    def person(name: str) -> dict[str, str]:
        return {"@type": "Person", "name": name}

    def answer_json(answer: Answer) -> dict[str, Any]:
        return {
            "@type": "Answer",
            "text": text(answer.text),
            "upvoteCount": answer.votes,
            "url": f"{question_url(question)}#{answer.id}",
            "dateCreated": answer.date,
            "author": person(answer.author),
        }

    shown = _shown(question.answers)
    entity: dict[str, Any] = {
        "@type": "Question",
        "name": question.title,
        "text": text(question.text),
        "answerCount": len(shown),
        "upvoteCount": question.votes,
        "dateCreated": question.date,
        "author": person(question.author),
    }
    accepted = [answer_json(answer) for answer in shown if answer.accepted]
    if accepted:
        entity["acceptedAnswer"] = accepted[0]
    entity["suggestedAnswer"] = [answer_json(answer) for answer in shown if not answer.accepted]
    page = {"@type": "QAPage", "mainEntity": entity}
    site = {"@type": "WebSite", "name": "Sample Forum", "url": FORUM}
    if variant == 0:
        return {"@context": "https://schema.org", **page}
    if variant == 1:
        return {"@context": "https://schema.org", "@graph": [site, page]}
    return [{"@context": "http://schema.org", **page}]


def _script(facts: Any, defect: str | None = None) -> str:
    indent = 1 if defect in _BREAKS else None
    data = json.dumps(facts, ensure_ascii=False, indent=indent).replace("</", "<\\/")
    if defect in _BREAKS:
        data = _BREAKS[defect](data)
    return f'<script type="application/ld+json">{data}</script>\n'


def _trailing_comma(data: str) -> str:
    return re.sub(r'(["\d}\]])\n( *[}\]])', r"\1,\n\2", data)


def _raw_newline(data: str) -> str:
    return data.replace("\\n", "\n")


def _cut_off(data: str) -> str:
    return data[: len(data) * 3 // 5]


_BREAKS: Final = {
    "jsonld_trailing_comma": _trailing_comma,
    "jsonld_raw_newline": _raw_newline,
    "jsonld_cut_off": _cut_off,
}
"""What is done to valid JSON. A lenient parser undoes the first two; the third has lost its end."""
