"""Hashes: of words, of n-grams, of whole texts.

Owns every hash a kernel compares. Refuses: hashes against an adversary; none of these is
cryptographic.

Two different strings share a 64-bit hash with probability about 2^-64, so among a million distinct
words a collision is expected once in 4 x 10^7 runs; kernels take equal hashes for equal words.
Whole texts, where a collision would delete a document, have 128 bits.

References:
    Wang Yi, wyhash, https://github.com/wangyi-fudan/wyhash, 2019 (multiply-mix over 16 bytes).
    Guy Steele, Doug Lea, Christine Flood, Fast Splittable Pseudorandom Number Generators, 2014
    (mix64). Yann Collet, xxHash, XXH3 128 bits, 2019.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import xxhash

from datatools.kernels.bits import load_u64, multiply_mix
from datatools.kernels.codepoints import SPACE, codepoint_tables, decode
from datatools.kernels.jit import I64, U64, arrow_buffers, kernel
from datatools.kernels.lowercase import lower_row, lowered_bytes
from datatools.kernels.words import append_bytes, bound_slots, token_bounds

__all__ = [
    "collapse_spaces",
    "extend_ngram",
    "has_high_byte",
    "hash_bytes",
    "hash_texts",
    "hash_word",
    "mix64",
    "normalise",
    "normalise_then_hash",
]

_WORD_SEED_A = np.uint64(0xA0761D6478BD642F)
_WORD_SEED_B = np.uint64(0xE7037ED1A0B428DB)
_NGRAM_FACTOR = np.uint64(0xD1342543DE82EF95)  # odd: multiplying loses nothing
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_SHIFT_A, _SHIFT_B, _SHIFT_C = np.uint64(30), np.uint64(27), np.uint64(31)
_HIGH_BITS = np.uint64(0x8080808080808080)
# The first n of 16 bytes are kept by the mask that starts at byte 16 - n.
_KEEP = np.array([0xFF] * 16 + [0] * 16, np.uint8)


@kernel
def mix64(x: U64) -> U64:
    """Return splitmix64's finaliser of a u64: a bijection in which every bit counts."""
    x = (x ^ (x >> _SHIFT_A)) * _MIX_A
    x = (x ^ (x >> _SHIFT_B)) * _MIX_B
    return x ^ (x >> _SHIFT_C)


@kernel
def _finish(low: U64, high: U64, state: U64, size: I64) -> U64:
    mixed = multiply_mix(low ^ _WORD_SEED_A, high ^ state)
    return multiply_mix(mixed ^ _WORD_SEED_A, np.uint64(size) ^ _WORD_SEED_B)


@kernel
def has_high_byte(text: npt.NDArray[np.uint8], start: I64, end: I64) -> bool:
    """Say whether a byte of `text[start:end]`, which 16 more bytes must follow, is not ASCII."""
    i = start
    while end - i > 16:
        if (load_u64(text, i) | load_u64(text, i + 8)) & _HIGH_BITS != 0:
            return True
        i += 16
    low = load_u64(text, i) & load_u64(_KEEP, 16 - (end - i))
    high = load_u64(text, i + 8) & load_u64(_KEEP, 24 - (end - i))
    return bool((low | high) & _HIGH_BITS != 0)


@kernel
def hash_word(text: npt.NDArray[np.uint8], start: I64, end: I64) -> U64:
    """Return the 64-bit hash of `text[start:end]`, which 16 more bytes must follow."""
    state = _WORD_SEED_B
    i = start
    while end - i > 16:
        state = multiply_mix(load_u64(text, i) ^ _WORD_SEED_A, load_u64(text, i + 8) ^ state)
        i += 16
    # Most words end here at once, whatever their length: no branch for the processor to guess.
    low = load_u64(text, i) & load_u64(_KEEP, 16 - (end - i))
    high = load_u64(text, i + 8) & load_u64(_KEEP, 24 - (end - i))
    return _finish(low, high, state, end - start)


@kernel
def _load_few(data: npt.NDArray[np.uint8], i: I64, count: I64) -> U64:
    # Up to eight bytes from `i` as a u64, one by one.
    value = np.uint64(0)
    for k in range(min(count, 8)):
        value |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return value


@kernel
def _hash_at_end(data: npt.NDArray[np.uint8], start: I64, end: I64) -> U64:
    state = _WORD_SEED_B
    i = start
    while end - i > 16:
        state = multiply_mix(load_u64(data, i) ^ _WORD_SEED_A, load_u64(data, i + 8) ^ state)
        i += 16
    low, high = _load_few(data, i, end - i), _load_few(data, i + 8, end - i - 8)
    return _finish(low, high, state, end - start)


@kernel
def hash_bytes(data: npt.NDArray[np.uint8], start: I64, end: I64) -> U64:
    """Return the hash that `hash_word` gives; reads no byte outside `data`."""
    # A second function, because one with both ways is too large to be inlined.
    if end + 16 <= len(data):
        return hash_word(data, start, end)
    return _hash_at_end(data, start, end)


@kernel
def extend_ngram(state: U64, token: U64) -> U64:
    """Return the state of an n-gram with `token` added to its end; starts from 0.

    States are compared within one n only. `mix64` of a state is the n-gram's hash.
    """
    return state * _NGRAM_FACTOR + token


@kernel
def collapse_spaces(text: npt.NDArray[np.uint8], length: I64, flags: npt.NDArray[np.uint8]) -> I64:
    """Turn `text[:length]` in place into `" ".join(text.split())` and return its length."""
    i = 0
    o = 0
    pending = False
    while i < length:
        code, after = decode(text, i)
        if flags[code] & SPACE != 0:
            pending = o > 0
        else:
            if pending:
                text[o] = 32
                o += 1
                pending = False
            for j in range(i, after):
                text[o] = text[j]
                o += 1
        i = after
    return o


@kernel
def _normalise(
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    scratch: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int32],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
    out_offsets: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
) -> None:
    o = 0
    for row in range(len(offsets) - 1):
        length = lower_row(data, offsets[row], offsets[row + 1], scratch, flags, lower)
        count = token_bounds(scratch, 0, length, bounds, flags, False)
        if count == 0:
            o = append_bytes(scratch, 0, collapse_spaces(scratch, length, flags), out, o)
        for w in range(count):
            if w > 0:
                out[o] = 32
                o += 1
            o = append_bytes(scratch, bounds[2 * w], bounds[2 * w + 1], out, o)
        out_offsets[row + 1] = o


def normalise(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return each row as its lower-cased words joined by single spaces.

    A row without any word ("!!!", an emoji) keeps its lower-cased text with whitespace runs
    collapsed, so that such rows do not all become equal; it cannot equal a row that has words.
    Whitespace alone becomes the empty text.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        offsets: int64 of shape (rows + 1,).
        data: uint8, UTF-8.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["Hello,  World!", " !?  "]}))
        >>> offsets, data = normalise(*batch.buffers("text"))
        >>> bytes(data).decode(), offsets.tolist()
        ('hello world!?', [0, 11, 13])
    """
    offsets, data, longest = arrow_buffers(offsets, data)
    out_offsets = np.zeros(len(offsets), np.int64)
    # Words need a separator each, but each separator stands for at least one character left out, or
    # for the dot of a lower-cased 'İ', which `lowered_bytes` has counted.
    out = np.empty(lowered_bytes(int(offsets[-1] - offsets[0])), np.uint8)
    scratch = np.empty(lowered_bytes(longest), np.uint8)
    bounds = np.empty(bound_slots(len(scratch)), np.int32)
    _normalise(offsets, data, scratch, bounds, *codepoint_tables(), out_offsets, out)
    return out_offsets, out[: out_offsets[-1]]


def hash_texts(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint64]:
    """Return the 128-bit XXH3 hash of each row's bytes.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,).

    Returns:
        uint64 of shape (rows, 2), high half first. Equal rows have equal hashes; the empty row has
        one too.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> hashes = hash_texts(*Batch(pl.DataFrame({"text": ["a", "b", "a"]})).buffers("text"))
        >>> (hashes[0] == hashes[2]).all(), (hashes[0] == hashes[1]).any()
        (np.True_, np.False_)
    """
    offsets, data, _ = arrow_buffers(offsets, data)
    view = memoryview(data)  # type: ignore[arg-type]  # arrays are buffers; numpy tells from 3.12
    ends = offsets.tolist()
    digests = b"".join(
        xxhash.xxh3_128_digest(view[start:end]) for start, end in itertools.pairwise(ends)
    )
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def normalise_then_hash(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint64]:
    """Return the 128-bit hash of each row after `normalise`, uint64 of shape (rows, 2).

    What stands in for near-duplicate comparison where a text is shorter than one shingle.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Example:
        >>> import polars as pl
        >>> from datatools.steps.base import Batch
        >>> batch = Batch(pl.DataFrame({"text": ["Hi there!", "hi  THERE", "!!!", "???"]}))
        >>> len(set(map(tuple, normalise_then_hash(*batch.buffers("text")).tolist())))
        3
    """
    return hash_texts(*normalise(offsets, data))
