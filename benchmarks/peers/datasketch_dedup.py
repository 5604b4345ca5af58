"""datasketch: its fastest call (`bulk` over bytes with a 32-bit xxHash) and its LSH."""

from __future__ import annotations

import side
from datasketch import MinHash, MinHashLSH
from xxhash import xxh32_intdigest


def made(texts: list[str], num_perm: int):
    tokens = ([shingle.encode() for shingle in side.shingles(text)] for text in texts)
    return MinHash.generator(tokens, num_perm=num_perm, hashfunc=xxh32_intdigest)


def signatures(texts: list[str], mode: str) -> list[int]:
    tokens = [[shingle.encode() for shingle in side.shingles(text)] for text in texts]
    return MinHash.bulk(tokens, num_perm=128, hashfunc=xxh32_intdigest)[0].hashvalues.tolist()


def survivors(texts: list[str]) -> list[bool]:
    num_perm = side.BANDS * side.ROWS
    found = MinHashLSH(num_perm=num_perm, params=(side.BANDS, side.ROWS))
    keep = []
    for number, signature in enumerate(made(texts, num_perm)):
        fresh = not found.query(signature)
        if fresh:
            found.insert(str(number), signature, check_duplication=False)
        keep.append(fresh)
    return keep


if __name__ == "__main__":
    side.main(signatures, survivors)
