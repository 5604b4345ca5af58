"""schema.org questions and answers in a page: QAPage and FAQPage, as JSON-LD or microdata.

Owns: finding the questions, telling their answers apart, and reading votes, dates and authors.
Refuses: records, ids of records and fates. `qa_parser` runs behind the fence, so this module
imports little and speaks bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from resiliparse.parse.html import HTMLParserException, HTMLTree

from datatools.steps.instruct.html_to_markdown import node_to_markdown, text_to_markdown
from datatools.steps.instruct.json_ld import load_json_ld
from datatools.steps.instruct.microdata import read_microdata

__all__ = [
    "MarkedAnswer",
    "MarkedQuestion",
    "QaMarkup",
    "looks_marked",
    "parse_date",
    "parse_qa_markup",
    "parse_votes",
    "qa_parser",
]


@dataclass(frozen=True)
class MarkedAnswer:
    """An answer as the page states it.

    Attributes:
        native_id: Its `@id`, or else its address; of either the fragment if there is one. Null if
        none. text: Markdown, possibly empty. votes: Upvotes less downvotes; null where the page
        does not say. accepted: Whether it is the `acceptedAnswer`. date: ISO 8601; in UTC where the
        page gives a zone. author: Name or null.
    """

    native_id: str | None
    text: str
    votes: int | None
    accepted: bool
    date: str | None
    author: str | None


@dataclass(frozen=True)
class MarkedQuestion:
    """A question as the page states it.

    Attributes:
        native_id: As for an answer.
        title: One line, possibly empty.
        body: Markdown, possibly empty.
        answers: In the order of the page.
        page: `QAPage`, `FAQPage` or empty.
        syntax: `json-ld` or `microdata`.
    """

    native_id: str | None
    title: str
    body: str
    answers: tuple[MarkedAnswer, ...]
    page: str
    syntax: str


@dataclass(frozen=True)
class QaMarkup:
    """All of a page's questions, and what looked like one but could not be read."""

    questions: tuple[MarkedQuestion, ...] = ()
    broken: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: bytes) -> QaMarkup:
        """Return what `qa_parser` wrote."""
        fields = orjson.loads(data)
        return cls(
            tuple(
                MarkedQuestion(
                    **{**question, "answers": tuple(MarkedAnswer(**a) for a in question["answers"])}
                )
                for question in fields["questions"]
            ),
            tuple(fields["broken"]),
        )


def looks_marked(page: bytes) -> bool:
    """Return whether a page may hold markup of questions: a byte search, before any parser runs."""
    return b"Question" in page and b"schema.org" in page


def qa_parser() -> Callable[[bytes], bytes]:
    """Return the function the fence runs: a page's UTF-8 in, a `QaMarkup` as JSON out."""
    return _parse_bytes


def _parse_bytes(page: bytes) -> bytes:
    try:
        return orjson.dumps(parse_qa_markup(page.decode("utf-8", "replace")))
    except HTMLParserException as error:
        # HTML cannot be malformed: this parser fails for want of memory alone.
        raise MemoryError(str(error)) from None


def parse_qa_markup(page: str) -> QaMarkup:
    """Return the questions a page marks up.

    One question stated twice in one syntax is one question with the answers of both; stated in both
    syntaxes, it is taken from the one that gives more answers, or from JSON-LD. Questions of a quiz
    are left out: their suggested answers are wrong on purpose.

    Args:
        page: HTML. Broken HTML is read as a browser reads it; broken JSON-LD as `load_json_ld`
            does.

    Example:
        >>> page = '''<div itemscope itemtype="http://schema.org/Question">
        ... <h1 itemprop=name>왜?</h1><div itemprop=acceptedAnswer itemscope>
        ... <b itemprop=upvoteCount>1,234</b><p itemprop=text>그냥.</p></div></div>'''
        >>> parse_qa_markup(page).questions[0].answers[0].votes
        1234
    """
    root = HTMLTree.parse(page).document
    broken: list[str] = []
    values = list(_json_ld_values(root, broken))
    written = _merged(_questions(values, "json-ld", broken))
    if "itemtype" in page:
        for key, question in _merged(_questions(read_microdata(root), "microdata", broken)).items():
            other = written.get(key)
            if other is None or len(question.answers) > len(other.answers):
                written[key] = question
    return QaMarkup(tuple(written.values()), tuple(broken))


# -------------------------------------------------------------------------------------------------
# Finding the questions

_MENTION: Final = re.compile(r"(?:[\"'/:]|&quot;)Question(?:[\"']|&quot;)")
_TYPE: Final = re.compile(r"(?:https?://(?:www\.)?schema\.org/|schema:)?(\w+)/?")


def _json_ld_values(root: Any, broken: list[str]) -> Iterator[Any]:
    for script in root.query_selector_all("script[type*='ld+json' i]"):
        block = script.text
        if _MENTION.search(block):
            try:
                yield load_json_ld(block)
            except ValueError as error:
                broken.append(f"JSON-LD: {error}")


def _questions(values: list[Any], syntax: str, broken: list[str]) -> Iterator[MarkedQuestion]:
    """Walk nested items and yield the questions, outermost first and in document order."""
    named: dict[str, dict[str, Any]] = {}
    found: list[tuple[dict[str, Any], str]] = []
    stack: list[tuple[Any, str, bool]] = [(value, "", False) for value in reversed(values)]
    while stack:
        value, page, is_main = stack.pop()
        if isinstance(value, list):
            stack.extend((each, page, is_main) for each in reversed(value))
        elif isinstance(value, dict):
            types = _types(value)
            if "@id" in value and not _is_reference(value):
                named.setdefault(str(value["@id"]), value)
            if "Quiz" in types or "eduQuestionType" in value:
                continue
            # Some sites leave the type out where the page's own type implies it.
            has_answers = "acceptedAnswer" in value or "suggestedAnswer" in value
            if "Question" in types or (is_main and not types and has_answers):
                found.append((value, page))
            page = next((t for t in ("QAPage", "FAQPage") if t in types), page)
            stack.extend(
                (each, page, key == "mainEntity" and bool(page))
                for key, each in reversed(value.items())
            )
    for value, page in found:
        title = _line(_first(value, "name", "headline"))
        body = _prose(_first(value, "text", "articleBody"))
        if not title and not body:
            broken.append(f"{syntax}: a Question without name or text")
            continue
        answers = _united(list(_answers(value, named)))
        yield MarkedQuestion(_native_id(value), title, body, answers, page, syntax)


def _answers(question: dict[str, Any], named: dict[str, dict[str, Any]]) -> Iterator[MarkedAnswer]:
    for key, accepted in (("acceptedAnswer", True), ("suggestedAnswer", False)):
        for value in _listed(question.get(key)):
            if _is_reference(value):
                value = named.get(str(value["@id"]), value)
            yield _answer(value, accepted)


def _types(value: dict[str, Any]) -> list[str]:
    names = [_TYPE.fullmatch(str(name).strip()) for name in _listed(value.get("@type"))]
    return [name[1] for name in names if name]


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and set(value) <= {"@id", "@type"} and "@id" in value


def _answer(value: Any, accepted: bool) -> MarkedAnswer:
    if not isinstance(value, dict):  # sites that write the text where the Answer belongs
        return MarkedAnswer(None, _prose(value), None, accepted, None, None)
    votes = parse_votes(_plain(_first(value, "upvoteCount")))
    down = parse_votes(_plain(_first(value, "downvoteCount")))
    if votes is not None and down is not None:
        votes -= abs(down)
    return MarkedAnswer(
        native_id=_native_id(value),
        text=_prose(_first(value, "text", "articleBody")),
        votes=votes,
        accepted=accepted,
        date=parse_date(_plain(_first(value, "dateCreated", "datePublished"))),
        author=_author(value.get("author")),
    )


def _author(value: Any) -> str | None:
    names = [
        _line(_first(each, "name") if isinstance(each, dict) else each) for each in _listed(value)
    ]
    return ", ".join(name for name in names if name) or None


def _native_id(value: dict[str, Any]) -> str | None:
    for key in ("@id", "url"):
        address = _plain(_first(value, key)).strip()
        if address:
            return address.partition("#")[2] or address
    return None


# -------------------------------------------------------------------------------------------------
# One question stated twice


def _merged(questions: Iterable[MarkedQuestion]) -> dict[str, MarkedQuestion]:
    merged: dict[str, MarkedQuestion] = {}
    for question in questions:
        key = _folded(question.title or question.body)
        first = merged.get(key)
        if first is not None:
            answers = _united([*first.answers, *question.answers])
            question = replace(first, body=first.body or question.body, answers=answers)
        merged[key] = question
    return merged


def _united(answers: list[MarkedAnswer]) -> tuple[MarkedAnswer, ...]:
    """Return the answers, each text once: many pages list the accepted answer among the others."""
    united: dict[str, MarkedAnswer] = {}
    for answer in answers:
        key = _folded(answer.text)
        first = united.get(key)
        if first is not None:
            answer = MarkedAnswer(
                first.native_id or answer.native_id,
                first.text,
                answer.votes if first.votes is None else first.votes,
                first.accepted or answer.accepted,
                first.date or answer.date,
                first.author or answer.author,
            )
        united[key] = answer
    return tuple(united.values())


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


# -------------------------------------------------------------------------------------------------
# Values

_COUNT: Final = re.compile(r"([+-]?)([0-9][0-9,]*)(\.[0-9]+)?([kKmM천만]?)")
_FACTOR: Final = {"": 1, "k": 1_000, "천": 1_000, "만": 10_000, "m": 1_000_000}
_DAY: Final = re.compile(
    r"([12][0-9]{3})\s*[-./년]\s*([0-9]{1,2})\s*[-./월]\s*([0-9]{1,2})\s*[.일]?"
)


def parse_votes(text: str) -> int | None:
    """Return a count as pages write it, or None.

    Commas group thousands; `k`, `m`, `천` and `만` multiply. A fraction that leaves no whole
    number, a European `1.234` and words are None: better unknown than off by a thousand.

    Example:
        >>> [parse_votes(text) for text in ("1,234", "1.2k", "3만", "−2", "1.234", "many")]
        [1234, 1200, 30000, -2, None, None]
    """
    found = _COUNT.fullmatch("".join(text.split()).replace("−", "-"))
    if found is None or len(found[0]) > 15:
        return None
    # In integers, because 1.2 x 1000 need not be 1200 in binary fractions.
    digits = found[2].replace(",", "")
    places = (found[3] or ".")[1:]
    value = int(digits + places) * _FACTOR[found[4].lower()]
    whole, rest = divmod(value, 10 ** len(places))
    return None if rest else (-whole if found[1] == "-" else whole)


def parse_date(text: str) -> str | None:
    """Return a date in ISO 8601, or None.

    Example:
        >>> [parse_date(date) for date in ("2024-03-01T09:00+09:00", "2024년 3월 1일", "어제")]
        ['2024-03-01T00:00:00Z', '2024-03-01', None]
    """
    text = text.strip()
    day = _DAY.fullmatch(text)
    try:
        if day:
            return datetime(int(day[1]), int(day[2]), int(day[3])).date().isoformat()
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        if moment.tzinfo is None:
            return moment.isoformat()
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _first(value: dict[str, Any], *keys: str) -> Any:
    """Return the first value of the first of `keys` that has one."""
    for key in keys:
        for each in _listed(value.get(key)):
            if isinstance(each, dict) and "@value" in each:
                each = each["@value"]
            if each is not None and each != "":
                return each
    return ""


def _prose(value: Any) -> str:
    if isinstance(value, str):
        return text_to_markdown(_sound(value))
    if isinstance(value, dict | list | bool):
        return ""
    return str(value) if isinstance(value, int | float) else node_to_markdown(value)


def _line(value: Any) -> str:
    return " ".join(_prose(value).split())


def _plain(value: Any) -> str:
    """Return what a count, a date or an address is read from: text without marks."""
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, dict | list | bool):
        return ""
    return str(value) if isinstance(value, int | float) else " ".join(str(value.text).split())


def _sound(text: str) -> str:
    """Return `text` without lone surrogates, which JSON can write and nothing else can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
