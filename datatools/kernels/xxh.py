"""XXH32 and XXH64 of pieces of a text, as other libraries hash their shingles.

Owns the two functions with seed 0. Refuses: hashing for our own use (`hashing`).

References:
    Yann Collet, xxHash fast digest algorithm, specification 0.1.1, 2018.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import load_u64
from datatools.kernels.jit import I64, U64, kernel

__all__ = ["xxh32", "xxh64"]

U32 = np.uint32
"""Wraps every product and sum of 32 bits, which numba would make 64 bits wide."""

_A32, _B32, _C32 = U32(0x9E3779B1), U32(0x85EBCA77), U32(0xC2B2AE3D)
_D32, _E32 = U32(0x27D4EB2F), U32(0x165667B1)

_A64, _B64 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_C64, _D64 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63)
_E64 = np.uint64(0x27D4EB2F165667C5)
_BYTE = np.uint64(0xFF)
_LOW_32 = np.uint64(0xFFFFFFFF)
_SHIFT_29, _SHIFT_32, _SHIFT_33 = np.uint64(29), np.uint64(32), np.uint64(33)


@kernel
def _rotate32(x: U64, by: I64) -> U64:
    return U32(U32(x << by) | U32(x >> (32 - by)))


@kernel
def _round32(lane: U64, word: U64) -> U64:
    return U32(_rotate32(U32(lane + U32(U32(word) * _B32)), 13) * _A32)


@kernel
def xxh32(text: npt.NDArray[np.uint8], start: I64, end: I64) -> U64:
    """Return the XXH32 of `text[start:end]`, which 8 more bytes must follow, as a uint32."""
    i = start
    if end - start >= 16:
        a, b, c, d = U32(_A32 + _B32), _B32, U32(0), U32(U32(0) - _A32)
        while i + 16 <= end:
            low, high = load_u64(text, i), load_u64(text, i + 8)
            a, b = _round32(a, low), _round32(b, low >> _SHIFT_32)
            c, d = _round32(c, high), _round32(d, high >> _SHIFT_32)
            i += 16
        mixed = U32(
            U32(_rotate32(a, 1) + _rotate32(b, 7)) + U32(_rotate32(c, 12) + _rotate32(d, 18))
        )
    else:
        mixed = _E32
    mixed = U32(mixed + U32(end - start))
    while i + 4 <= end:
        word = U32(load_u64(text, i))
        mixed = U32(_rotate32(U32(mixed + U32(word * _C32)), 17) * _D32)
        i += 4
    while i < end:
        mixed = U32(_rotate32(U32(mixed + U32(U32(text[i]) * _E32)), 11) * _A32)
        i += 1
    mixed = U32(U32(mixed ^ U32(mixed >> 15)) * _B32)
    mixed = U32(U32(mixed ^ U32(mixed >> 13)) * _C32)
    return U32(mixed ^ U32(mixed >> 16))


@kernel
def _rotate64(x: U64, by: I64) -> U64:
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


@kernel
def _round64(lane: U64, word: U64) -> U64:
    return _rotate64(lane + word * _B64, 31) * _A64


@kernel
def xxh64(text: npt.NDArray[np.uint8], start: I64, end: I64) -> U64:
    """Return the XXH64 of `text[start:end]`, which 8 more bytes must follow."""
    zero = np.uint64(0)
    i = start
    if end - start >= 32:
        a, b, c, d = _A64 + _B64, _B64, zero, zero - _A64
        while i + 32 <= end:
            a, b = _round64(a, load_u64(text, i)), _round64(b, load_u64(text, i + 8))
            c, d = _round64(c, load_u64(text, i + 16)), _round64(d, load_u64(text, i + 24))
            i += 32
        mixed = _rotate64(a, 1) + _rotate64(b, 7) + _rotate64(c, 12) + _rotate64(d, 18)
        mixed = (mixed ^ _round64(zero, a)) * _A64 + _D64
        mixed = (mixed ^ _round64(zero, b)) * _A64 + _D64
        mixed = (mixed ^ _round64(zero, c)) * _A64 + _D64
        mixed = (mixed ^ _round64(zero, d)) * _A64 + _D64
    else:
        mixed = _E64
    mixed += np.uint64(end - start)
    while i + 8 <= end:
        mixed = _rotate64(mixed ^ _round64(zero, load_u64(text, i)), 27) * _A64 + _D64
        i += 8
    if i + 4 <= end:
        mixed = _rotate64(mixed ^ (load_u64(text, i) & _LOW_32) * _A64, 23) * _B64 + _C64
        i += 4
    while i < end:
        mixed = _rotate64(mixed ^ (load_u64(text, i) & _BYTE) * _E64, 11) * _A64
        i += 1
    mixed = (mixed ^ (mixed >> _SHIFT_33)) * _B64
    mixed = (mixed ^ (mixed >> _SHIFT_29)) * _C64
    return mixed ^ (mixed >> _SHIFT_32)
