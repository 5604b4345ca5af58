"""Texts to measure with: those the package brings, real ones when asked, and as many as needed.

Owns base texts, documents as numbered words, composing new documents from them, and word edits. The
package brings some 170 kB of prose in English and Korean; `compose` makes documents of any number
and length from it by stringing together short runs of its words, so that words, their frequencies,
punctuation and scripts are those of prose while no two documents share much. Everything follows
from a seed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import zstandard

__all__ = [
    "LANGUAGES",
    "Language",
    "Words",
    "bundled_words",
    "compose",
    "document_lengths",
    "edited",
    "real_texts",
    "split_words",
    "strung",
]

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
PIECE = 3000  # characters: real books and manuals are cut to pages

_REAL = {
    "en": ("g_corpora/standard_ebooks_A.jsonl.zst", "g_corpora/python_peps.jsonl.zst"),
    "ko": (
        "g_corpora/ko_cpp_docs.jsonl.zst",
        "g_corpora/ko_react_docs.jsonl.zst",
        "g_corpora/ko_rust_book.jsonl.zst",
        "g_corpora/ko_pytorch_tutorials.jsonl.zst",
    ),
}


def bundled_words(language: Language) -> Words:
    """Return the prose in one language that the package brings for its sample crawl."""
    from datatools.sample.content import articles, faq_pages, questions

    texts = [article.text for article in articles() if article.language == language]
    for question in questions():
        if question.language == language:
            texts += [question.text, *(answer.text for answer in question.answers)]
    for page in faq_pages():
        if page.language == language:
            texts += [f"{entry.question}\n{entry.answer}" for entry in page.entries]
    return split_words(f"{text}\n" for text in texts)


def real_texts(language: Language, count: int) -> list[str]:
    """Return up to `count` pages of real books and manuals, in an order of their own.

    Raises:
        SystemExit: The real data is not beside the checkout.
    """
    paths = [SHARED / name for name in _REAL[language]]
    if not all(path.exists() for path in paths):
        raise SystemExit(f"--real: there are no real texts in {SHARED}. Leave --real out.")
    streams = [_pages(path) for path in paths]
    texts: list[str] = []
    while streams and len(texts) < count:  # a page of each in turn
        for stream in list(streams):
            page = next(stream, None)
            if page is None:
                streams.remove(stream)
            else:
                texts.append(page)
    return texts[:count]


def _pages(path: Path) -> Iterator[str]:
    with zstandard.ZstdDecompressor().stream_reader(path.open("rb")) as raw:
        for line in io.TextIOWrapper(raw, encoding="utf-8"):
            text = orjson.loads(line)["text"]
            for start in range(0, len(text), PIECE):
                yield text[start : start + PIECE]


@dataclass(frozen=True)
class Words:
    """Documents as numbered words.

    Attributes:
        vocabulary: Each word with the white space that follows it.
        ids: int32 of shape (words,), positions in the vocabulary.
        starts: int64 of shape (documents + 1,): document d is `ids[starts[d]:starts[d + 1]]`.
    """

    vocabulary: pa.LargeStringArray
    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def texts(self) -> pa.LargeStringArray:
        """Return the documents as text. No loop in Python: gigabytes are made this way."""
        taken = self.vocabulary.take(pa.array(self.ids))
        _, offsets, data = taken.buffers()
        bounds = np.frombuffer(offsets, np.int64)[: len(taken) + 1][self.starts]
        return pa.LargeStringArray.from_buffers(len(self), pa.py_buffer(bounds), data)

    def document(self, number: int) -> npt.NDArray[np.int32]:
        """Return one document's words."""
        return self.ids[self.starts[number] : self.starts[number + 1]]

    def of(self, documents: Iterable[npt.NDArray[np.int32]]) -> Words:
        """Return other documents over the same vocabulary."""
        return Words(self.vocabulary, *strung(list(documents)))

    def taken(self, chosen: npt.NDArray[np.int64]) -> Words:
        """Return some of the documents."""
        return self.of(self.document(int(number)) for number in chosen)


def strung(
    documents: list[npt.NDArray[np.int32]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return documents as one array of words and where each starts."""
    lengths = [len(document) for document in documents]
    ids = np.concatenate(documents) if documents else np.empty(0, np.int32)
    return ids.astype(np.int32), np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def split_words(texts: Iterable[str]) -> Words:
    r"""Return texts as words (runs of `\S` with what white space follows)."""
    numbers: dict[str, int] = {}
    documents = [
        np.array(
            [numbers.setdefault(word, len(numbers)) for word in re.findall(r"\S+\s*", text)],
            np.int32,
        )
        for text in texts
    ]
    return Words(pa.array(list(numbers), pa.large_string()), *strung(documents))


def document_lengths(count: int, mean: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return log-normal document lengths in words, at least 12, as crawled text has them."""
    sigma = 0.8
    lengths = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
    return np.maximum(lengths, 12).astype(np.int64)


def compose(source: Words, lengths: npt.NDArray[np.int64], rng: np.random.Generator) -> Words:
    """Return new documents of the given lengths made of short runs of the source's words.

    Runs have 2.5 words on average, so that one 5-word shingle in eight is the source's own.
    """
    total = int(lengths.sum())
    runs = np.empty(0, np.int64)
    while runs.sum() < total:
        runs = np.concatenate([runs, rng.geometric(0.4, total // 2 + 16)])
    runs = runs[: int(np.searchsorted(np.cumsum(runs), total)) + 1]
    # A run does not go past the source's last word.
    starts = rng.integers(0, np.maximum(len(source.ids) - runs, 1))
    before = np.cumsum(runs) - runs
    positions = np.arange(int(runs.sum())) - np.repeat(before - starts, runs)
    words = source.ids[np.minimum(positions[:total], len(source.ids) - 1)]
    return Words(source.vocabulary, words, np.concatenate(([0], np.cumsum(lengths))))


def edited(words: Words, share: float, rng: np.random.Generator) -> Words:
    """Return the documents with a share of their words edited, at least one word each.

    Of the edited words 60 % are substituted, 20 % deleted, and 20 % have a word inserted after
    them. New words come from the documents themselves, as often as they occur there.
    """
    lengths = np.diff(words.starts)
    document = np.repeat(np.arange(len(words)), lengths)
    order = np.lexsort((rng.random(len(words.ids)), document))
    rank = np.empty(len(words.ids), np.int64)
    rank[order] = np.arange(len(words.ids)) - words.starts[:-1][document]
    wanted = np.maximum(np.round(lengths * share), 1)
    touched = rank < wanted[document]
    draw = rng.random(len(words.ids))
    fresh = words.ids[rng.integers(0, max(len(words.ids), 1), len(words.ids))]
    ids = np.where(touched & (draw < 0.6), fresh, words.ids)
    times = np.ones(len(ids), np.int64)
    times[touched & (draw >= 0.6) & (draw < 0.8)] = 0
    times[touched & (draw >= 0.8)] = 2
    after = np.cumsum(times)
    out = np.repeat(ids, times)
    twice = times == 2
    out[after[twice] - 1] = fresh[twice]
    ends = np.concatenate(([0], after))
    return Words(words.vocabulary, out.astype(np.int32), ends[words.starts])
