"""MinHash: signatures that estimate Jaccard similarity, and the bands that find candidates.

Owns signatures, band keys and the choice of bands. Refuses: what a shingle is (`shingles`), and
which of two similar documents stays (`unionfind`).

Sketches of one permutation (one hash per shingle, densified bins) are left out on purpose: 32
permutations in place of 128 make the whole 1.5 to 1.9 times as fast, so they could gain twofold at
most, for worse estimates where a document has fewer shingles than bins.

References:
    Andrei Broder, On the resemblance and containment of documents, 1997.
    Jure Leskovec, Anand Rajaraman, Jeffrey Ullman, Mining of Massive Datasets, 2014, section 3.4
    (bands).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from datatools.errors import ConfigError
from datatools.kernels.codepoints import codepoint_tables
from datatools.kernels.compatible import Library, ShingleHash, token_signatures
from datatools.kernels.hashing import mix64
from datatools.kernels.jit import I64, arrow_buffers, kernel
from datatools.kernels.minima import minima, padded
from datatools.kernels.shingles import Unit, scratch_for, shingle_row, unit_code
from datatools.kernels.words import split_words

__all__ = ["bands", "choose_bands", "predicted_recall", "signatures"]

_SHIFT_32 = np.uint64(32)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint32(1)


@kernel
def _permutations(seed: I64, count: I64) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    # Permutation k is h -> factor * h + shift mod 2^32 with an odd factor; splitmix64's stream.
    factors = np.empty(count, np.uint32)
    shifts = np.empty(count, np.uint32)
    state = mix64(np.uint64(seed))
    for k in range(count):
        state += _GOLDEN
        value = mix64(state)
        factors[k] = np.uint32(value >> _SHIFT_32) | _ONE
        shifts[k] = np.uint32(value)
    return factors, shifts


@functools.lru_cache(maxsize=16)
def _cached_permutations(
    seed: int, count: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    return _permutations(np.uint64(seed & 0xFFFFFFFFFFFFFFFF), count)


@kernel
def _signatures(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    ngram: I64,
    unit: I64,
    text: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    shingles: npt.NDArray[np.uint64],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    hashes: npt.NDArray[np.uint32],
    factors: npt.NDArray[np.uint32],
    shifts: npt.NDArray[np.uint32],
    signature: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.int64],
) -> None:
    for row in range(len(offsets) - 1):
        count = shingle_row(
            data,
            offsets[row],
            offsets[row + 1],
            ngram,
            unit,
            text,
            bounds,
            shingles,
            flags,
            lower,
        )
        counts[row] = count
        for i in range(count):
            hashes[i] = np.uint32(shingles[i] >> _SHIFT_32)
        minima(hashes, count, factors, shifts, signature[row])


def signatures(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    *,
    ngram: int = 5,
    num_perm: int = 128,
    seed: int = 1,
    unit: Unit = "word",
    compatible: Library | None = None,
    shingle_hash: ShingleHash = "sha1",
) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.int64]]:
    """Return each row's MinHash signature and how many shingles it was made from.

    The share of equal positions in two signatures estimates the Jaccard similarity of the rows'
    shingle sets, with a standard error of at most `0.5 / sqrt(num_perm)` (0.044 for 128).

    A row with fewer than `ngram` tokens has no shingles: its count is 0 and its signature all ones.
    Such rows say nothing about each other and must be left out of the buckets; compare them by
    `hashing.normalise_then_hash`.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.
        ngram: Tokens per shingle, at least 1.
        num_perm: Permutations, the length of a signature.
        seed: Chooses the permutations; only signatures of one seed compare. Taken modulo 2^64.
        unit: What a token is; see `shingles`.
        compatible: Make the signature another library makes of the same words, bit for bit; see
            `compatible.token_signatures`, which also takes other tokens. Slower, for joining data
            that library has signed; only `unit="word"`.
        shingle_hash: datasketch's hash function of a shingle; without `compatible`, not used.

    Returns:
        signature: uint32 of shape (rows, num_perm); uint64 as datatrove makes it.
        shingle_count: int64 of shape (rows,), repeated shingles counted.

    Raises:
        ValueError: `ngram`, `num_perm` or `unit` is out of range, or another library has no such
            signature.

    Complexity:
        O(bytes + shingles x num_perm).

    References:
        Ping Li, Arnd Christian König, b-Bit Minwise Hashing, 2010 (2-universal hashes in place of
        random permutations).

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> texts = ["The cat sat on the mat", "the CAT sat on the mat!", ""]
        >>> batch = Batch(pl.DataFrame({"text": texts}))
        >>> signature, shingle_count = signatures(*batch.buffers("text"), ngram=5)
        >>> bool((signature[0] == signature[1]).all()), shingle_count.tolist()
        (True, [2, 2, 0])
    """
    if num_perm < 1:
        raise ValueError(f"num_perm must be at least 1 (got {num_perm})")
    if compatible is not None:
        if unit != "word":
            raise ValueError(f"{compatible} signatures are made of words (got unit {unit!r})")
        return token_signatures(
            *split_words(offsets, data),
            compatible=compatible,
            ngram=ngram,
            num_perm=num_perm,
            seed=seed,
            shingle_hash=shingle_hash,
        )
    offsets, data, longest = arrow_buffers(offsets, data)
    text, bounds, shingles = scratch_for(longest, ngram, unit)
    signature = np.empty((len(offsets) - 1, padded(num_perm)), np.uint32)
    counts = np.empty(len(offsets) - 1, np.int64)
    _signatures(
        offsets,
        data,
        ngram,
        unit_code(unit),
        text,
        bounds,
        shingles,
        *codepoint_tables(),
        np.empty(len(shingles), np.uint32),
        *_cached_permutations(seed, padded(num_perm)),
        signature,
        counts,
    )
    return np.ascontiguousarray(signature[:, :num_perm]), counts


@kernel
def _bands(
    signature: npt.NDArray[np.unsignedinteger[Any]], keys: npt.NDArray[np.uint64], rows: I64
) -> None:
    for d in range(keys.shape[0]):
        for b in range(keys.shape[1]):
            key = mix64(np.uint64(b) + _GOLDEN)
            for r in range(b * rows, (b + 1) * rows):
                key = mix64(key ^ np.uint64(signature[d, r]))
            keys[d, b] = key


def bands(
    signature: npt.NDArray[np.unsignedinteger[Any]], bands: int, rows: int
) -> npt.NDArray[np.uint64]:
    """Return the band keys of signatures: two documents are candidates when they share one.

    Args:
        signature: uint32 or uint64 of shape (documents, num_perm).
        bands: Number of bands.
        rows: Signature positions per band; `bands * rows <= num_perm`, the rest is not used.

    Returns:
        uint64 of shape (documents, bands). The band's number is mixed in, so that one table of keys
        serves all bands.

    Raises:
        ValueError: The signature is too short.

    Example:
        >>> import numpy as np
        >>> keys = bands(np.array([[1, 2, 3, 4], [1, 2, 3, 5]], np.uint32), bands=2, rows=2)
        >>> (keys[0] == keys[1]).tolist()
        [True, False]
    """
    if bands < 1 or rows < 1 or bands * rows > signature.shape[1]:
        raise ValueError(
            f"{bands} bands of {rows} rows do not fit a signature of {signature.shape[1]}"
        )
    keys = np.empty((len(signature), bands), np.uint64)
    _bands(np.ascontiguousarray(signature), keys, rows)
    return keys


def predicted_recall(similarity: float, bands: int, rows: int) -> float:
    """Return the probability that two documents of this Jaccard similarity share a band key.

    Args:
        similarity: From 0 to 1.
        bands: Number of bands.
        rows: Rows per band.

    References:
        Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 2014, section 3.4.2.

    Example:
        >>> round(predicted_recall(0.8, 16, 8), 3), round(predicted_recall(0.8, 17, 7), 3)
        (0.947, 0.982)
    """
    return float(1.0 - (1.0 - similarity**rows) ** bands)


def choose_bands(threshold: float, num_perm: int = 128, recall: float = 0.98) -> tuple[int, int]:
    """Return the bands and rows that find pairs at the threshold with the recall asked for.

    The most rows (fewest false candidates) for which some `bands * rows <= num_perm` reaches the
    recall, then the fewest bands. Verification supplies the precision.

    Args:
        threshold: Jaccard similarity in (0, 1].
        num_perm: Length of the signatures.
        recall: Probability in (0, 1) that a pair exactly at the threshold shares a band key.

    Raises:
        ConfigError: An argument is out of range, or no choice reaches the recall.

    Example:
        >>> choose_bands(0.8)
        (17, 7)
    """
    if not 0 < threshold <= 1:
        raise ConfigError("MinHash threshold", "must be in (0, 1]", got=threshold)
    if not 0 < recall < 1:
        raise ConfigError("MinHash recall", "must be in (0, 1)", got=recall)
    for rows in range(num_perm, 0, -1):
        for count in range(1, num_perm // rows + 1):
            if predicted_recall(threshold, count, rows) >= recall:
                return count, rows
    raise ConfigError(
        "MinHash threshold",
        f"no bands of {num_perm} permutations reach a recall of {recall}",
        got=threshold,
        hint="Raise num_perm or the threshold, or lower the recall.",
    )
