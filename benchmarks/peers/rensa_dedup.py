"""rensa: hashes and index in Rust; the user brings the tokens."""

from __future__ import annotations

import side
from rensa import RMinHash, RMinHashDeduplicator

SEED = 42


def signature(text: str, num_perm: int) -> RMinHash:
    made = RMinHash(num_perm, SEED)
    made.update(side.shingles(text))
    return made


def signatures(texts: list[str], mode: str) -> None:
    for text in texts:
        signature(text, 128).digest()


def survivors(texts: list[str]) -> list[bool]:
    num_perm = side.BANDS * side.ROWS
    found = RMinHashDeduplicator(side.THRESHOLD, num_perm, True, side.BANDS, SEED)
    return [found.add(str(number), signature(text, num_perm)) for number, text in enumerate(texts)]


if __name__ == "__main__":
    side.main(signatures, survivors)
