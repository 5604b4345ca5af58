"""Documents to filter: real web pages and manuals in English and Korean, or what the package has.

Owns which documents the filter benchmarks read. Refuses: extraction quality; pages are reduced to
text in the quickest way, with and without their menus.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import zstandard

__all__ = ["documents"]

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
LONGEST = 30_000  # characters: a book is cut, or it would be all there is
_ARCHIVES = ("a_warc/wcxb_dev_A.warc.gz", "a_warc/dolma-sample-0000.warc.gz")
_CORPORA = {
    "en": ("standard_ebooks_A", "python_peps"),
    "ko": ("ko_cpp_docs", "ko_react_docs", "ko_rust_book", "ko_pytorch_tutorials"),
}
_PER_CORPUS = 60


def _pages() -> Iterator[tuple[str, str]]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    number = 0
    for name in _ARCHIVES:
        with (SHARED / name).open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                body = record.reader.read()
                html = bytes_to_str(body, detect_encoding(body))
                yield "web", extract_plain_text(html, main_content=True)
                if number % 3 == 0:  # with its menus, where filters find more to do
                    yield "web, all text", extract_plain_text(html, main_content=False)
                number += 1


def _manuals() -> Iterator[tuple[str, str]]:
    for language, names in _CORPORA.items():
        for name in names:
            with (SHARED / "g_corpora" / f"{name}.jsonl.zst").open("rb") as file:
                lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
                for _, line in zip(range(_PER_CORPUS), lines, strict=False):
                    yield language, orjson.loads(line)["text"]


def _bundled() -> Iterator[tuple[str, str]]:
    from datatools.sample.content import articles, questions

    for article in articles():
        yield article.language, article.text
    for question in questions():
        for answer in question.answers:
            yield question.language, f"{question.text}\n{answer.text}"


def documents(*, quick: bool) -> pl.DataFrame:
    """Return documents with the columns `kind` and `text`.

    Args:
        quick: Take every fifth one.
    """
    sources = [_pages(), _manuals()] if (SHARED / _ARCHIVES[0]).exists() else [_bundled()]
    rows = [(kind, text[:LONGEST]) for source in sources for kind, text in source if text]
    frame = pl.DataFrame(rows, schema={"kind": pl.String, "text": pl.String}, orient="row")
    return frame.gather_every(5) if quick else frame
