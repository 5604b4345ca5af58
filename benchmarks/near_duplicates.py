"""Near duplicates with the truth: which pairs are how similar, computed the slow and obvious way.

Copies are made of original texts by kinds of change (words edited, sentences reordered, boilerplate
around, ends cut off), in English and Korean, all following from a seed. The truth holds every pair
of texts, planted or found by chance, whose Jaccard similarity over sets of 5-word shingles reaches
`FLOOR`. It is plain Python over `re` and sets, shares no code with what it judges, and leaves out
no pair: two sets that similar share one of their rarest shingles (prefix filtering).

    python benchmarks/near_duplicates.py OUT [--documents N] [--seed N] [--real]

writes OUT/en.parquet and OUT/ko.parquet (id, text, source, language) and beside them
OUT/en.truth.parquet and OUT/ko.truth.parquet (left, right, jaccard).

References:
    Surajit Chaudhuri, Venkatesh Ganti, Raghav Kaushik, A Primitive Operator for Similarity Joins in
    Data Cleaning, 2006 (prefix filtering).
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from texts import (
    LANGUAGES,
    Language,
    Words,
    bundled_words,
    compose,
    document_lengths,
    edited,
    real_texts,
    split_words,
)

__all__ = ["FLOOR", "KINDS", "labelled", "shingle_set", "similar_pairs", "truth"]

FLOOR = 0.3
"""Similarity from which the truth names a pair."""
NGRAM = 5
MEAN_WORDS = 250

_HEADERS = {
    "en": "Home | News | About us | Contact   Skip to the main content\n"
    "You are reading the free edition; sign in to see all of it.\n\n",
    "ko": "처음으로 | 새 소식 | 소개 | 문의   본문으로 바로 가기\n"
    "지금 보시는 글은 무료판입니다. 전체를 보려면 로그인해 주세요.\n\n",
}
_FOOTERS = {
    "en": "\n\nAll rights reserved. Terms of use, privacy and cookies.\n"
    "Share this page with your friends, or subscribe to our weekly letter.\n",
    "ko": "\n\n모든 권리는 저작권자에게 있습니다. 이용 약관, 개인정보 처리방침, 쿠키 설정.\n"
    "이 글을 친구와 나누거나 매주 보내 드리는 소식지를 구독해 보세요.\n",
}

Change = Callable[[Words, np.random.Generator], Words]


def _edit(share: float) -> Change:
    return lambda words, rng: edited(words, share, rng)


def _reorder(words: Words, rng: np.random.Generator) -> Words:
    """Put each document's sentences in another order."""
    ends = np.array(
        [
            bool(re.search(r"[.!?…。][\"'”’)\]]*\s*$|\n", word))
            for word in words.vocabulary.to_pylist()
        ]
    )

    def shuffled(document: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        sentences = np.split(document, np.flatnonzero(ends[document])[:-1] + 1)
        order = rng.permutation(len(sentences))
        return np.concatenate([sentences[at] for at in order])

    return words.of(shuffled(words.document(number)) for number in range(len(words)))


def _truncate(words: Words, rng: np.random.Generator) -> Words:
    """Cut 5 to 60 % off the end of each document."""
    keep = rng.uniform(0.4, 0.95, len(words))
    documents = [words.document(number) for number in range(len(words))]
    return words.of(
        document[: max(1, round(len(document) * share))]
        for document, share in zip(documents, keep, strict=True)
    )


KINDS: dict[str, Change] = {
    "edit_1": _edit(0.01),
    "edit_5": _edit(0.05),
    "edit_10": _edit(0.10),
    "edit_20": _edit(0.20),
    "edit_40": _edit(0.40),
    "reordered": _reorder,
    "truncated": _truncate,
    "boilerplate": lambda words, rng: words,  # the text itself; what is put around it is not words
}
"""Kinds of change by name; `edit_5` edits 5 % of the words."""


def labelled(
    language: Language, documents: int, *, seed: int = 0, real: bool = False
) -> pl.DataFrame:
    """Return originals and changed copies; each kind changes an eighth of the originals.

    Args:
        language: Language of the texts.
        documents: Rows to make; half of them are originals, the other half copies.
        seed: Chooses texts, changes and the order of the rows.
        real: Take originals from the real data beside the checkout rather than composing them.

    Returns:
        `id` (the number of its original and the kind), `text`, `source` (`original` or the kind),
        `language`, in mixed order.
    """
    rng = np.random.default_rng([seed, LANGUAGES.index(language)])
    originals = documents // 2
    if real:
        words = split_words(real_texts(language, originals))
    else:
        lengths = document_lengths(originals, MEAN_WORDS, rng)
        words = compose(bundled_words(language), lengths, rng)
    parts = [_rows(range(len(words)), words.texts().to_pylist(), "original", language)]
    for kind, change in KINDS.items():
        chosen = np.sort(rng.permutation(len(words))[: max(1, originals // len(KINDS))])
        texts = change(words.taken(chosen), rng).texts().to_pylist()
        if kind == "boilerplate":
            texts = [_HEADERS[language] + text + _FOOTERS[language] for text in texts]
        parts.append(_rows(chosen, texts, kind, language))
    rows = pl.concat(parts)
    return rows[rng.permutation(rows.height)]


def _rows(
    numbers: Sequence[int], texts: list[str], source: str, language: Language
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{number:07d}-{source}" for number in numbers],
            "text": texts,
            "source": [source] * len(texts),
            "language": [language] * len(texts),
        }
    )


def shingle_set(text: str) -> frozenset[tuple[str, ...]]:
    """Return the 5-word shingles of a text; a shorter text is one shingle of all its words."""
    words = re.findall(r"\w+", text.lower())
    return frozenset(tuple(words[at : at + NGRAM]) for at in range(max(1, len(words) - NGRAM + 1)))


def similar_pairs(
    sets: Sequence[frozenset[tuple[str, ...]]], floor: float = FLOOR
) -> list[tuple[int, int, float]]:
    """Return every pair of sets whose Jaccard similarity is at least `floor`, with it.

    Exact: of two sets that similar, each has one shared member among its `n - ceil(floor * n) + 1`
    rarest; only those are looked up.

    Args:
        sets: Sets of shingles, none empty.
        floor: Similarity in (0, 1].
    """
    frequency = Counter(shingle for one in sets for shingle in one)
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    pairs: list[tuple[int, int, float]] = []
    for right, one in enumerate(sets):
        by_rarity = sorted(one, key=lambda shingle: (frequency[shingle], shingle))
        # The small slack keeps rounding of the product from shortening the prefix.
        prefix = by_rarity[: len(one) - math.ceil(floor * len(one) - 1e-9) + 1]
        met: set[int] = set()
        for shingle in prefix:
            if frequency[shingle] > 1:
                met.update(holders[shingle])
                holders[shingle].append(right)
        for left in sorted(met):
            other = sets[left]
            if min(len(one), len(other)) < floor * max(len(one), len(other)) - 1e-9:
                continue
            common = len(one & other)
            jaccard = common / (len(one) + len(other) - common)
            if jaccard >= floor:
                pairs.append((left, right, jaccard))
    return pairs


def truth(rows: pl.DataFrame, floor: float = FLOOR) -> pl.DataFrame:
    """Return the pairs of rows at least that similar: `left`, `right` (ids in order), `jaccard`."""
    ids = rows["id"].to_list()
    pairs = similar_pairs([shingle_set(text) for text in rows["text"]], floor)
    ordered = [(*sorted((ids[left], ids[right])), value) for left, right, value in pairs]
    schema = {"left": pl.String, "right": pl.String, "jaccard": pl.Float64}
    return pl.DataFrame(ordered, schema=schema, orient="row").sort("left", "right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--documents", type=int, default=10_000, help="rows for each language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="texts from ../shared/data")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        rows = labelled(language, given.documents, seed=given.seed, real=given.real)
        rows.write_parquet(given.out / f"{language}.parquet")
        pairs = truth(rows)
        pairs.write_parquet(given.out / f"{language}.truth.parquet")
        alike = pairs.filter(pl.col("jaccard") >= 0.8).height
        print(
            f"{language}: {rows.height} documents, {pairs.height} pairs of at least {FLOOR}, "
            f"{alike} of at least 0.8"
        )


if __name__ == "__main__":
    main()
