"""Signatures that other libraries make of the same shingles, bit for bit.

Owns the formulas of datasketch and datatrove. Refuses: their tokenizers. A shingle is `ngram`
consecutive tokens joined by a space, in UTF-8, as users of datasketch build them and as datatrove
builds them itself; tokens are ours (`words.split_words`) or the caller's.

References:
    datasketch 2.0.0, minhash.py (scheme `affine32`, the default) and hashfunc.py.
    datatrove 0.10.1, pipeline/dedup/minhash.py (`get_shingles`, `get_signature`).
"""

from __future__ import annotations

import functools
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from datatools.errors import DataError
from datatools.kernels.jit import I64, MAX_ROW_BYTES, kernel
from datatools.kernels.minima import MERSENNE_61, minima, minima_61, padded
from datatools.kernels.sha1 import sha1_heads
from datatools.kernels.vectors import BLOCK_BYTES
from datatools.kernels.words import append_bytes
from datatools.kernels.xxh import xxh32, xxh64

__all__ = ["Library", "ShingleHash", "token_signatures"]

Library = Literal["datasketch", "datatrove"]
ShingleHash = Literal["sha1", "xxh32"]

_ONE, _TWO = np.uint32(1), np.uint32(2)
_MIX_A, _MIX_B = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)


@functools.lru_cache(maxsize=16)
def _permutations(library: Library, seed: int, count: int) -> npt.NDArray[Any]:
    # Shape (2, padded count): factors, then shifts. numpy keeps this generator's stream fixed.
    generator = np.random.RandomState(seed)
    factors: npt.NDArray[Any]
    shifts: npt.NDArray[Any]
    if library == "datasketch":
        factors = generator.randint(0, 1 << 31, count, dtype=np.uint32) * _TWO + _ONE
        shifts = generator.randint(0, 1 << 32, count, dtype=np.uint32)
    else:
        factors = generator.randint(1, MERSENNE_61, count, dtype=np.uint64)
        shifts = generator.randint(0, MERSENNE_61, count, dtype=np.uint64)
    drawn = np.zeros((2, padded(count)), factors.dtype)
    drawn[:, :count] = factors, shifts
    return drawn


@kernel
def _premix(hashes: npt.NDArray[np.uint32], count: I64) -> None:
    # MurmurHash3's 32-bit finaliser, in place. Each np.uint32() undoes numba's promotion to u64.
    for s in range(count):
        h = hashes[s]
        h = np.uint32(np.uint32(h ^ np.uint32(h >> 16)) * _MIX_A)
        h = np.uint32(np.uint32(h ^ np.uint32(h >> 13)) * _MIX_B)
        hashes[s] = np.uint32(h ^ np.uint32(h >> 16))


@kernel
def _join(
    tokens: npt.NDArray[np.uint8],
    token_offsets: npt.NDArray[np.int64],
    first: I64,
    past: I64,
    joined: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
) -> None:
    o = 0
    for t in range(first, past):
        start, end = token_offsets[t], token_offsets[t + 1]
        starts[t - first] = o
        if end + 16 <= len(tokens):
            o = append_bytes(tokens, start, end, joined, o)
        else:
            for i in range(start, end):
                joined[o] = tokens[i]
                o += 1
        ends[t - first] = o
        joined[o] = 32
        o += 1


@kernel
def _datasketch(
    row_offsets: npt.NDArray[np.int64],
    token_offsets: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.uint8],
    ngram: I64,
    joined: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    hashes: npt.NDArray[np.uint32],
    permutations: npt.NDArray[np.uint32],
    signature: npt.NDArray[np.uint32],
    by_sha1: bool,
) -> None:
    for row in range(len(row_offsets) - 1):
        first, past = row_offsets[row], row_offsets[row + 1]
        _join(tokens, token_offsets, first, past, joined, starts, ends)
        count = max(0, past - first - ngram + 1)
        last = ends[ngram - 1 :]  # shingle s ends where its last token does
        if by_sha1:
            sha1_heads(joined, starts, last, count, hashes)
        else:
            for s in range(count):
                hashes[s] = xxh32(joined, starts[s], last[s])
        _premix(hashes, count)
        minima(hashes, count, permutations[0], permutations[1], signature[row])


@kernel
def _datatrove(
    row_offsets: npt.NDArray[np.int64],
    token_offsets: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.uint8],
    ngram: I64,
    joined: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    hashes: npt.NDArray[np.uint64],
    permutations: npt.NDArray[np.uint64],
    signature: npt.NDArray[np.uint64],
) -> None:
    for row in range(len(row_offsets) - 1):
        first, past = row_offsets[row], row_offsets[row + 1]
        _join(tokens, token_offsets, first, past, joined, starts, ends)
        count = max(0, past - first - ngram + 1)
        last = ends[ngram - 1 :]
        for s in range(count):
            hashes[s] = xxh64(joined, starts[s], last[s])
        minima_61(hashes, count, permutations[0], permutations[1], signature[row])


def token_signatures(
    row_offsets: npt.NDArray[np.int64],
    token_offsets: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.uint8],
    *,
    compatible: Library,
    ngram: int = 5,
    num_perm: int = 128,
    seed: int = 1,
    shingle_hash: ShingleHash = "sha1",
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the signatures that another library makes of lists of tokens.

    `datasketch`: the `hashvalues` of `MinHash(num_perm, seed, scheme="affine32")` updated with
    every shingle, for the hash functions `sha1_hash32` (datasketch's default) or XXH32. A row with
    fewer than `ngram` tokens has all ones, as an empty `MinHash` has.

    `datatrove`: what `MinhashDedupSignature` writes with the default `HashConfig` (64 bits, XXH64),
    its buckets one after the other, so that `num_perm` is `num_buckets * hashes_per_bucket`. For a
    row with fewer than `ngram` tokens datatrove writes nothing; here it has all ones. datatrove's
    own tokens are those of its tokenizer for the language, applied to `simplify_text(text)`.

    Args:
        row_offsets: int64 of shape (rows + 1,): row r has tokens `row_offsets[r]:row_offsets[r +
            1]`.
        token_offsets: int64 of shape (tokens + 1,): token t is `tokens[token_offsets[t]:
            token_offsets[t + 1]]`.
        tokens: uint8, UTF-8; the same three arrays as `words.split_words` returns.
        compatible: The library.
        ngram: Tokens per shingle, at least 1.
        num_perm: Permutations, the length of a signature. Both libraries draw all factors before
            all shifts, so a longer signature does not extend a shorter one.
        seed: As given to the library, from 0 to 2^32 - 1.
        shingle_hash: Hash function of datasketch's shingles; datatrove's is XXH64.

    Returns:
        signature: uint32 (datasketch) or uint64 (datatrove) of shape (rows, num_perm).
        shingle_count: int64 of shape (rows,), repeated shingles counted.

    Raises:
        ValueError: An argument is out of range.
        DataError: The tokens of a row have more than 1 GiB.

    Example:
        >>> import numpy as np
        >>> tokens = np.frombuffer(b"tobeornot", np.uint8)
        >>> rows, offsets = np.array([0, 4]), np.array([0, 2, 4, 6, 9])
        >>> signature, count = token_signatures(
        ...     rows, offsets, tokens, compatible="datasketch", ngram=2
        ... )
        >>> import datasketch
        >>> sketch = datasketch.MinHash()
        >>> sketch.update_batch([b"to be", b"be or", b"or not"])
        >>> bool((signature[0] == sketch.hashvalues).all()), count.tolist()
        (True, [3])
    """
    if ngram < 1 or num_perm < 1:
        raise ValueError(f"ngram and num_perm must be at least 1 (got {ngram} and {num_perm})")
    if compatible not in get_args(Library) or shingle_hash not in get_args(ShingleHash):
        raise ValueError(f"no signature of {compatible!r} with the hash {shingle_hash!r} is known")
    row_offsets = np.ascontiguousarray(row_offsets, np.int64)
    token_offsets = np.ascontiguousarray(token_offsets, np.int64)
    tokens = np.ascontiguousarray(tokens, np.uint8).view()
    tokens.setflags(write=False)
    rows = len(row_offsets) - 1
    longest = int(np.diff(row_offsets).max(initial=0))
    longest_bytes = int(np.diff(token_offsets[row_offsets]).max(initial=0)) + longest
    if longest_bytes > MAX_ROW_BYTES:
        raise DataError(
            "text kernels",
            f"the tokens of a record have more than {MAX_ROW_BYTES} bytes",
            got=longest_bytes,
            hint="Split or drop such records first.",
        )
    permutations = _permutations(compatible, seed, num_perm)
    signature = np.empty((rows, permutations.shape[1]), permutations.dtype)
    arguments = (
        row_offsets,
        token_offsets,
        tokens,
        ngram,
        np.empty(longest_bytes + 2 * BLOCK_BYTES, np.uint8),
        np.empty(longest, np.int32),
        np.empty(max(longest, ngram), np.int32),
        np.empty(longest, permutations.dtype),
        permutations,
        signature,
    )
    if compatible == "datasketch":
        _datasketch(*arguments, shingle_hash == "sha1")
    else:
        _datatrove(*arguments)
    shingle_count = np.maximum(np.diff(row_offsets) - ngram + 1, 0)
    return np.ascontiguousarray(signature[:, :num_perm]), shingle_count
