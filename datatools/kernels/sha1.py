"""The first 32 bits of the SHA-1 of many pieces of a text, sixteen at a time.

Owns SHA-1 over vectors: one piece per lane, so that a processor without instructions for it hashes
sixteen shingles in the time of one. Refuses: whole digests, and any use for security.

References:
    National Institute of Standards and Technology, FIPS 180-4, Secure Hash Standard, 2015,
    section 6.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types

from datatools.kernels.jit import I64, U64, intrinsic, kernel

__all__ = ["SHA1_LANES", "sha1_heads"]

SHA1_LANES = 16
"""Pieces hashed at once."""

_WORDS = 16  # of 32 bits, in a block of 64 bytes
_BLOCK_BYTES = 64
_STATE = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_INITIAL = np.repeat(np.array(_STATE, np.uint32), SHA1_LANES).reshape(-1, SHA1_LANES)
_ROUND_KEYS = (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)
_LANE = ir.IntType(32)
_LANES = ir.VectorType(_LANE, SHA1_LANES)
_BYTES = ir.VectorType(ir.IntType(8), _BLOCK_BYTES)
_SIZE = ir.IntType(64)
_BYTE_ORDER = ir.VectorType(_LANE, _BLOCK_BYTES)


class _Lanes:
    """Arithmetic on vectors of 32-bit words in the making of LLVM code."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def all(self, word: int) -> Any:
        return ir.Constant(_LANES, [word] * SHA1_LANES)

    def add(self, first: Any, *others: Any) -> Any:
        for other in others:
            first = self.builder.add(first, other)
        return first

    def xor(self, first: Any, *others: Any) -> Any:
        for other in others:
            first = self.builder.xor(first, other)
        return first

    def rotate(self, lanes: Any, by: int) -> Any:
        up = self.builder.shl(lanes, self.all(by))
        return self.builder.or_(up, self.builder.lshr(lanes, self.all(32 - by)))

    def choose(self, b: Any, c: Any, d: Any) -> Any:
        return self.xor(d, self.builder.and_(b, self.xor(c, d)))

    def majority(self, b: Any, c: Any, d: Any) -> Any:
        both = self.builder.and_(b, c)
        return self.builder.or_(both, self.builder.and_(d, self.builder.or_(b, c)))

    def swap_bytes(self, lanes: Any) -> Any:
        single = self.builder.bitcast(lanes, _BYTES)
        order = ir.Constant(_BYTE_ORDER, [k ^ 3 for k in range(_BLOCK_BYTES)])
        return self.builder.bitcast(self.builder.shuffle_vector(single, single, order), _LANES)


@intrinsic
def _compress(typing_context: Any, state: Any, words: Any) -> Any:
    """Take one block per lane into the state.

    `state` is uint32 of shape (5, SHA1_LANES), `words` of shape (16, SHA1_LANES), little-endian.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _Lanes(builder)

        def addresses(k: int, count: int) -> list[Any]:
            data = context.make_array(signature.args[k])(context, builder, args[k]).data
            first = builder.bitcast(data, _LANES.as_pointer())
            return [builder.gep(first, [ir.Constant(_LANE, row)]) for row in range(count)]

        state_at = addresses(0, 5)
        before = [builder.load(address, align=4) for address in state_at]
        block = addresses(1, _WORDS)
        schedule = [lanes.swap_bytes(builder.load(address, align=4)) for address in block]
        a, b, c, d, e = before
        for t in range(80):
            if t >= _WORDS:
                mixed = lanes.xor(*(schedule[t - back] for back in (3, 8, 14, 16)))
                schedule.append(lanes.rotate(mixed, 1))
            if t < 20:
                mix = lanes.choose(b, c, d)
            elif 40 <= t < 60:
                mix = lanes.majority(b, c, d)
            else:
                mix = lanes.xor(b, c, d)
            key = lanes.all(_ROUND_KEYS[t // 20])
            total = lanes.add(lanes.rotate(a, 5), mix, e, schedule[t], key)
            a, b, c, d, e = total, a, lanes.rotate(b, 30), c, d
        for address, old, new in zip(state_at, before, (a, b, c, d, e), strict=True):
            builder.store(builder.add(old, new), address, align=4)
        return context.get_dummy_value()

    return types.void(state, words), codegen


@intrinsic
def _copy_ended(typing_context: Any, text: Any, start: Any, count: Any, out: Any, lane: Any) -> Any:
    """Copy `text[start:start + count]`, a byte 0x80 and zeros to the 64 bytes `out[lane]`.

    With 64 or more, copies 64; with fewer than none, zeros.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def address(k: int, index: Any) -> Any:
            data = context.make_array(signature.args[k])(context, builder, args[k]).data
            return builder.bitcast(builder.gep(data, [index]), _BYTES.as_pointer())

        high, low = ir.Constant(_SIZE, _BLOCK_BYTES), ir.Constant(_SIZE, -1)
        count = builder.select(builder.icmp_signed("<", args[2], high), args[2], high)
        count = builder.select(builder.icmp_signed(">", count, low), count, low)
        nothing, zeros = ir.Constant(_BYTES, ir.Undefined), ir.Constant(_BYTES, [0] * _BLOCK_BYTES)
        counts = builder.trunc(count, ir.IntType(8))
        counts = builder.insert_element(nothing, counts, ir.Constant(_LANE, 0))
        counts = builder.shuffle_vector(
            counts, nothing, ir.Constant(_BYTE_ORDER, [0] * _BLOCK_BYTES)
        )
        positions = ir.Constant(_BYTES, list(range(_BLOCK_BYTES)))
        mark = ir.Constant(_BYTES, [0x80] * _BLOCK_BYTES)
        rest = builder.select(builder.icmp_signed("==", positions, counts), mark, zeros)
        source = builder.load(address(0, args[1]), align=1)
        kept = builder.select(builder.icmp_signed("<", positions, counts), source, rest)
        target = builder.mul(args[4], high)
        builder.store(kept, address(3, target), align=1)
        return context.get_dummy_value()

    return types.void(text, types.intp, types.intp, out, types.intp), codegen


@kernel
def _swap_bytes(word: U64) -> U64:
    pairs = np.uint32(((word & 0x00FF00FF) << 8) | ((word >> 8) & 0x00FF00FF))
    return np.uint32((pairs << 16) | (pairs >> 16))


@kernel
def sha1_heads(
    text: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    count: I64,
    out: npt.NDArray[np.uint32],
) -> None:
    """Write the first four bytes of each piece's SHA-1, little-endian, to `out[:count]`.

    Args:
        text: The bytes; 64 more must follow the last piece.
        starts: int32, piece k is `text[starts[k]:ends[k]]`.
        ends: int32.
        count: Number of pieces.
        out: Written.
    """
    blocks = np.empty((SHA1_LANES, _WORDS), np.uint32)
    bytes_of = blocks.view(np.uint8).ravel()
    words = np.empty((_WORDS, SHA1_LANES), np.uint32)
    state = np.empty((len(_INITIAL), SHA1_LANES), np.uint32)
    for first in range(0, count, SHA1_LANES):
        lanes = min(SHA1_LANES, count - first)
        longest = 0
        for lane in range(lanes):
            longest = max(longest, ends[first + lane] - starts[first + lane])
        state[:] = _INITIAL
        for block in range((longest + 8) // _BLOCK_BYTES + 1):
            for lane in range(lanes):
                start, size = starts[first + lane], ends[first + lane] - starts[first + lane]
                done = block * _BLOCK_BYTES
                _copy_ended(
                    text, min(start + done, ends[first + lane]), size - done, bytes_of, lane
                )
                if (size + 8) // _BLOCK_BYTES == block:  # the last: its size in bits, big-endian
                    blocks[lane, _WORDS - 2] = _swap_bytes(np.uint32(size >> 29))
                    blocks[lane, _WORDS - 1] = _swap_bytes(np.uint32(size << 3))
            for word in range(_WORDS):
                for lane in range(SHA1_LANES):
                    words[word, lane] = blocks[lane, word]
            _compress(state, words)
            for lane in range(lanes):
                size = ends[first + lane] - starts[first + lane]
                if (size + 8) // _BLOCK_BYTES == block:
                    out[first + lane] = _swap_bytes(state[0, lane])
