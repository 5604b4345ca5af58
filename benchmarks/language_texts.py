"""Texts whose language is known, at every length: what `language.py` measures and fits on.

The sentences are lingua-py's test sentences, in 75 languages, where the real data lies beside the
checkout; else the prose that the package brings for its sample crawl, in English and Korean.
Longer texts are sentences of one language in a row, shorter ones the start of a sentence.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

from texts import LANGUAGES, SHARED, bundled_words

__all__ = ["TWENTY", "cut_to", "documents", "labelled_sentences", "same_language"]

SENTENCES = SHARED / "f_langid" / "lingua_sentences.tsv.gz"
TWENTY = (
    *("ar", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko"),
    *("nl", "pl", "pt", "ru", "sv", "th", "tr", "uk", "vi", "zh"),
)
"""Languages with much text on the web, in which engines are compared."""

_SAME = {"nb": "no", "yue": "zh", "wuu": "zh"}
_SENTENCE_END = re.compile(r"(?<=[.!?다요])\s+(?=\S)")


def labelled_sentences() -> dict[str, list[str]]:
    """Return sentences by language: 250 to 1,000 each in 75 languages, or ours in two."""
    if not SENTENCES.exists():
        return {language: list(_own(language)) for language in LANGUAGES}
    sentences: dict[str, list[str]] = {}
    with gzip.open(SENTENCES, "rt", encoding="utf-8") as lines:
        for line in lines:
            language, sentence = line.rstrip("\n").split("\t", 1)
            sentences.setdefault(language, []).append(sentence)
    return sentences


def _own(language) -> Iterator[str]:
    for text in bundled_words(language).texts().to_pylist():
        for sentence in _SENTENCE_END.split(text):
            if sum(map(str.isalpha, sentence)) > len(sentence) / 2 and len(sentence) > 20:
                yield " ".join(sentence.split())


def same_language(answer: str, truth: str) -> bool:
    """Whether an answer names a language: Norwegian is Bokmål, and Cantonese is Chinese here."""
    return _SAME.get(answer, answer) == _SAME.get(truth, truth)


def cut_to(sentence: str, chars: int) -> str:
    """Return the start of a sentence: the first words that reach `chars` characters.

    Without spaces, as Chinese and Thai are written, the first `chars` characters.
    """
    if len(sentence.split()) < 3:
        return sentence[:chars]
    end = sentence.find(" ", chars)
    return sentence if end < 0 else sentence[:end]


def documents(sentences: list[str], chars: int, separator: str = " ") -> Iterator[str]:
    """Yield texts of `chars` characters or a little more, from sentences in a row."""
    text: list[str] = []
    size = 0
    for sentence in sentences:
        text.append(sentence)
        size += len(sentence) + len(separator)
        if size >= chars:
            yield separator.join(text)
            text, size = [], 0
