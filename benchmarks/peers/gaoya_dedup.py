"""gaoya: words, shingles, hashes and index in Rust. Signatures come with their insertion."""

from __future__ import annotations

import side
from gaoya.minhash import MinHashStringIndex


def index(bands: int, rows: int) -> MinHashStringIndex:
    return MinHashStringIndex(
        hash_size=32,
        jaccard_threshold=side.THRESHOLD,
        num_bands=bands,
        band_size=rows,
        analyzer="word",
        lowercase=True,
        ngram_range=(5, 5),
        id_container="smallvec",  # its documentation's advice where near duplicates are few
    )


def signatures(texts: list[str], mode: str) -> None:
    found = index(16, 8)
    for number, text in enumerate(texts):
        found.insert_document(number, text)


def survivors(texts: list[str]) -> list[bool]:
    found = index(side.BANDS, side.ROWS)
    keep = []
    for number, text in enumerate(texts):
        fresh = not found.query(text)
        if fresh:
            found.insert_document(number, text)
        keep.append(fresh)
    return keep


def survivors_in_threads(texts: list[str]) -> list[bool]:
    # Bulk calls use every core, but every document must then be inserted before any is asked
    # for; the first of those that match each other stays.
    found = index(side.BANDS, side.ROWS)
    found.par_bulk_insert_docs(list(range(len(texts))), texts)
    keep = [True] * len(texts)
    for number, alike in enumerate(found.par_bulk_query(texts)):
        keep[number] = not any(other < number and keep[other] for other in alike)
    return keep


if __name__ == "__main__":
    import os

    many = len(os.sched_getaffinity(0)) > 1
    side.main(signatures, survivors_in_threads if many else survivors)
