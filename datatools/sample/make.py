"""Making the sample crawl: which files there are, what is in them, and what is true about them.

Owns: the folder that `make_sample` writes and its reading back. The files:

    pydoc-00000.warc.gz ...   the running Python's own documentation, about 10 MB of HTML
    forum-00000.warc.gz       questions and answers in Korean and English
    site-00000.warc.gz        articles, and the pages with planted defects
    truncated-00000.warc.gz   a file that ends in the middle of a record
    truth.jsonl, truth.json   every planted defect, and the totals
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datatools.errors import ConfigError, DataError
from datatools.sample import content, warc
from datatools.sample.content import Question
from datatools.sample.forum_pages import faq_html, faq_url, question_html, question_url
from datatools.sample.planted import (
    Planted,
    draw,
    neighbours,
    pages_to_truncate,
    plant_forum,
    plant_site,
)
from datatools.sample.pydoc_pages import HELDOUT_MODULES, MODULES, render, topic_html
from datatools.sample.site_pages import article_page, article_url
from datatools.sample.warc import Page

__all__ = ["SampleSummary", "heldout_pydoc", "load_truth", "make_sample"]

DOCS: Final = "https://docs.sample.example/python/3"
_PYDOC_FILE_BYTES = 4 << 20  # of HTML: three files, so that workers can share them
_RELATED = 5


@dataclass(frozen=True)
class SampleSummary:
    """What `make_sample` wrote.

    Attributes:
        files: Names of the WARC files, sorted.
        records: WARC records in them, the incomplete one included.
        bytes: Size of the WARC files as stored.
        defects: Planted defects by kind.
        absent: Modules of the fixed list that this Python lacks.
    """

    files: tuple[str, ...]
    records: int
    bytes: int
    defects: Mapping[str, int]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    """A WARC file in memory: its bytes and where each response starts."""

    name: str
    data: bytes
    records: int
    pages: Mapping[str, int]


def make_sample(directory: Path, *, seed: int = 0) -> SampleSummary:
    """Write the sample crawl into `directory`; files of the same names are replaced.

    The same Python and seed give the same bytes. Another Python changes the documentation only;
    another seed changes which articles have duplicates, the edited words, the links and the order
    of pages. Each file is either there in full or not at all, `truth.json` last. Documentation
    that another Python left in the folder is removed.

    Args:
        directory: The folder to write into; it is made if it does not exist.
        seed: Any integer.

    Raises:
        ConfigError: `directory` is a file, or cannot be written.
        DataError: The documentation of this Python cannot be rendered.
    """
    directory = Path(directory)
    planted = plant_site(seed)
    forum_truth = plant_forum(content.questions())
    pydoc_files, absent = _pydoc_files()
    files = [
        *pydoc_files,
        _file("forum-00000.warc.gz", _shuffled(_forum_pages(seed), seed)),
        _file("site-00000.warc.gz", _shuffled([*_articles(seed), *(p for p, _ in planted)], seed)),
    ]
    cut, cut_truth = _truncated(seed)
    files.append(cut)

    where = {url: (file.name, offset) for file in files for url, offset in file.pages.items()}
    truth = [
        dataclasses.replace(row, file=where[row.url][0], offset=where[row.url][1])
        for row in [*(row for _, row in planted), *forum_truth, cut_truth]
    ]
    summary = SampleSummary(
        files=tuple(sorted(file.name for file in files)),
        records=sum(file.records for file in files),
        bytes=sum(len(file.data) for file in files),
        defects=dict(sorted(Counter(row.defect for row in truth).items())),
        absent=absent,
    )
    totals = {
        "seed": seed,
        "python": platform.python_version(),
        "files": {
            file.name: {
                "records": file.records,
                "responses": len(file.pages),
                "bytes": len(file.data),
            }
            for file in files
        },
        "defects": summary.defects,
        "absent_modules": absent,
        **_counts(),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in files:
            warc.replace_file(directory / file.name, [file.data])
        for path in directory.glob("pydoc-[0-9]*.warc.gz"):
            if path.name not in summary.files:
                path.unlink()
        rows = (json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n" for row in truth)
        warc.replace_file(directory / "truth.jsonl", (row.encode("utf-8") for row in rows))
        text = json.dumps(totals, ensure_ascii=False, indent=2) + "\n"
        warc.replace_file(directory / "truth.json", [text.encode("utf-8")])
    except OSError as error:
        raise ConfigError(
            str(directory),
            "the sample cannot be written here",
            got=error.strerror or str(error),
            hint="Name a folder that can be written.",
        ) from error
    return summary


def load_truth(directory: Path) -> tuple[list[Planted], dict[str, Any]]:
    """Read back what `make_sample` planted: rows of `truth.jsonl`, totals of `truth.json`.

    Raises:
        DataError: The folder holds no complete sample.
    """
    directory = Path(directory)
    try:
        totals = json.loads((directory / "truth.json").read_text(encoding="utf-8"))
        lines = (directory / "truth.jsonl").read_text(encoding="utf-8").split("\n")
        return [Planted(**json.loads(line)) for line in lines if line], totals
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            str(directory),
            "this is not a folder that `datatools sample` wrote",
            got=str(error),
            hint="Write one with `datatools sample DIR`.",
        ) from error


def heldout_pydoc() -> list[dict[str, str]]:
    """Return held-out technical text: the plain-text documentation of modules outside the crawl.

    Rows have the columns of `heldout()`; `domain` is `pydoc`. About 300 kB; another Python gives
    another text.

    Raises:
        DataError: The documentation of this Python cannot be rendered.
    """
    pages = render("text", HELDOUT_MODULES)
    return [
        {"id": f"pydoc-{name}", "language": "en", "domain": "pydoc", "text": text}
        for name, text in pages.modules.items()
    ]


def _pydoc_files() -> tuple[list[_File], tuple[str, ...]]:
    rendered = render("html", MODULES, topics=True)
    pages = [
        Page(f"{DOCS}/library/{name}.html", text.encode("utf-8"))
        for name, text in rendered.modules.items()
    ]
    pages += [
        Page(f"{DOCS}/topics/{name}.html", topic_html(name, text).encode("utf-8"))
        for name, text in rendered.topics.items()
    ]
    groups: list[list[Page]] = [[]]
    size = 0
    for page in pages:
        if groups[-1] and size + len(page.body) > _PYDOC_FILE_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(page)
        size += len(page.body)
    files = [_file(f"pydoc-{number:05d}.warc.gz", group) for number, group in enumerate(groups)]
    return files, rendered.absent


def _forum_pages(seed: int) -> Iterator[Page]:
    questions = content.questions()
    for question in questions:
        page = question_html(question, _related(question, questions, seed))
        yield Page(question_url(question), page.encode("utf-8"))
    for faq in content.faq_pages():
        yield Page(faq_url(faq), faq_html(faq).encode("utf-8"))


def _related(question: Question, questions: Iterable[Question], seed: int) -> list[Question]:
    """Return a few questions of the same language, those of the same topic first."""

    def key(other: Question) -> tuple[bool, int]:
        return other.topic != question.topic, draw(seed, "related", question.id, other.id)

    pool = (q for q in questions if q.language == question.language and q.id != question.id)
    return sorted(pool, key=key)[:_RELATED]


def _articles(seed: int) -> Iterator[Page]:
    for article in content.articles():
        url = article_url(article)
        yield Page(url, article_page(article, url, neighbours(article, seed)).encode("utf-8"))


def _shuffled(pages: Iterable[Page], seed: int) -> list[Page]:
    return sorted(pages, key=lambda page: draw(seed, "order", page.url))


def _file(name: str, pages: Iterable[Page]) -> _File:
    members = [warc.gzip_member(warc.warcinfo(name))]
    offsets: dict[str, int] = {}
    end = len(members[0])
    for page in pages:
        if page.status != 200:  # a reader meets records that are no responses, too
            members.append(warc.gzip_member(warc.request(page.url)))
            end += len(members[-1])
        members.append(warc.gzip_member(warc.response(page)))
        offsets[page.url] = end
        end += len(members[-1])
    return _File(name, b"".join(members), len(members), offsets)


def _truncated(seed: int) -> tuple[_File, Planted]:
    """A transfer that broke off: the last member has lost its second half."""
    pages = pages_to_truncate(seed)
    whole = _file("truncated-00000.warc.gz", pages)
    last = pages[-1].url
    cut = (whole.pages[last] + len(whole.data)) // 2
    truth = Planted("truncated_record", last, "ReadWarc incomplete")
    return dataclasses.replace(whole, data=whole.data[:cut]), truth


def _counts() -> dict[str, dict[str, int]]:
    texts: dict[str, Iterable[Question | content.FaqPage | content.Article]] = {
        "questions": content.questions(),
        "faq_pages": content.faq_pages(),
        "articles": content.articles(),
    }
    return {
        name: dict(sorted(Counter(row.language for row in rows).items()))
        for name, rows in texts.items()
    }
