"""Machine words inside kernels: unaligned loads and stores, and eight bytes classified at a time.

Owns what numba cannot say by itself, as LLVM intrinsics, and the byte-parallel arithmetic on u64
(SWAR). Refuses: anything that knows of rows or text beyond one group of eight ASCII bytes. Bytes
are little-endian: byte k of the text is bits 8k to 8k + 7 of the word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from datatools.kernels.jit import U64, kernel

__all__ = [
    "HIGH_BITS",
    "load_u64",
    "lower_ascii",
    "multiply_mix",
    "space_mask",
    "store_u64",
    "trailing_zeros",
    "word_mask",
]

HIGH_BITS = np.uint64(0x8080808080808080)
_ONES = 0x0101010101010101
_GATHER = np.uint64(0x0102040810204080)
_SHIFT_GATHER = np.uint64(56)
_SHIFT_HIGH = np.uint64(7)
_SHIFT_CASE = np.uint64(2)


def _intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    # numba's own type would have callers pass the typing context.
    return cast("Callable[..., Any]", intrinsic(function))


@_intrinsic
def load_u64(typing_context: Any, array: Any, index: Any) -> Any:
    """Return `array[index:index + 8]`, a uint8 array, as one u64; the caller checks the bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        return builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(array, types.intp), codegen


@_intrinsic
def store_u64(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a u64 to `array[index:index + 8]`, a uint8 array; the caller checks the bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        builder.store(args[2], builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), codegen


@_intrinsic
def trailing_zeros(typing_context: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest set bit of a u64, as an intp."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.intp(types.uint64), codegen


@_intrinsic
def multiply_mix(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the high half of the 128-bit product of two u64, xored with its low half."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(high, builder.trunc(product, ir.IntType(64)))

    return types.uint64(types.uint64, types.uint64), codegen


def _each(byte: int) -> np.uint64:
    return np.uint64(byte * _ONES)


# Adding 0x80 - c to a byte below 0x80 sets its high bit when the byte is at least c, without a
# carry.
_FROM_A_UPPER, _PAST_Z_UPPER = _each(0x80 - ord("A")), _each(0x80 - ord("Z") - 1)
_FROM_A, _PAST_Z = _each(0x80 - ord("a")), _each(0x80 - ord("z") - 1)
_FROM_0, _PAST_9 = _each(0x80 - ord("0")), _each(0x80 - ord("9") - 1)
_FROM_TAB, _PAST_CR = _each(0x80 - 0x09), _each(0x80 - 0x0D - 1)
_FROM_FS, _PAST_SPACE = _each(0x80 - 0x1C), _each(0x80 - 0x20 - 1)
_UNDERSCORES = _each(ord("_"))


@kernel
def lower_ascii(eight: U64) -> U64:
    """Return eight ASCII bytes lower-cased."""
    upper = ((eight + _FROM_A_UPPER) ^ (eight + _PAST_Z_UPPER)) & HIGH_BITS
    return eight | (upper >> _SHIFT_CASE)


@kernel
def word_mask(eight: U64) -> U64:
    r"""Return eight bits, one per ASCII byte, set where a lower-cased byte matches `\w`."""
    letters = (eight + _FROM_A) ^ (eight + _PAST_Z)
    digits = (eight + _FROM_0) ^ (eight + _PAST_9)
    underscores = HIGH_BITS - (eight ^ _UNDERSCORES)
    hits = (letters | digits | underscores) & HIGH_BITS
    return ((hits >> _SHIFT_HIGH) * _GATHER) >> _SHIFT_GATHER


@kernel
def space_mask(eight: U64) -> U64:
    """Return eight bits, one per ASCII byte, set where `str.isspace` holds."""
    hits = ((eight + _FROM_TAB) ^ (eight + _PAST_CR)) | ((eight + _FROM_FS) ^ (eight + _PAST_SPACE))
    return (((hits & HIGH_BITS) >> _SHIFT_HIGH) * _GATHER) >> _SHIFT_GATHER
