"""text-dedup: the function its MinHash script maps over documents."""

from __future__ import annotations

import numpy as np
import side
from text_dedup.minhash import embed_func
from text_dedup.utils import xxh3_32hash

PRIME = np.uint32((1 << 32) - 5)


def signatures(texts: list[str], mode: str) -> None:
    rng = np.random.RandomState(42)
    permutations = (
        rng.randint(1, PRIME, size=(128,), dtype=np.uint32),
        rng.randint(0, PRIME, size=(128,), dtype=np.uint32),
    )
    for number, text in enumerate(texts):
        embed_func(
            text,
            number,
            num_perm=128,
            ngram_size=5,
            min_length=5,
            hashranges=[(at, at + 8) for at in range(0, 128, 8)],
            permutations=permutations,
            hash_func=xxh3_32hash,
            dtype=np.uint32,
            max_hash=np.uint32((1 << 32) - 1),
            modulo_prime=PRIME,
        )


if __name__ == "__main__":
    side.main(signatures)
