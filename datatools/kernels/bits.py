"""Machine words inside kernels: unaligned loads and copies, wide products, and counting bits.

Owns what numba cannot say of a u64 by itself, as LLVM intrinsics. Refuses: anything that knows of
rows or text; blocks of bytes are the business of `vectors`. Bytes are little-endian: byte k of the
text is bits 8k to 8k + 7 of the word.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from datatools.kernels.jit import intrinsic

__all__ = ["copy_sixteen", "count_ones", "load_u64", "multiply_mix", "trailing_zeros"]


@intrinsic
def load_u64(typing_context: Any, array: Any, index: Any) -> Any:
    """Return `array[index:index + 8]`, a uint8 array, as one u64; the caller checks the bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        return builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(array, types.intp), codegen


@intrinsic
def copy_sixteen(typing_context: Any, array: Any, index: Any, out: Any, position: Any) -> Any:
    """Copy 16 bytes from `array` at `index` to `out` at `position`; the caller checks bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def address(k: int) -> Any:
            data = context.make_array(signature.args[k])(context, builder, args[k]).data
            pointer = builder.gep(data, [args[k + 1]])
            return builder.bitcast(pointer, ir.IntType(128).as_pointer())

        builder.store(builder.load(address(0), align=1), address(2), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, out, types.intp), codegen


@intrinsic
def trailing_zeros(typing_context: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest set bit of a u64, as an intp."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.intp(types.uint64), codegen


@intrinsic
def count_ones(typing_context: Any, value: Any) -> Any:
    """Return the number of set bits of a u64, as an intp."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.intp(types.uint64), codegen


@intrinsic
def multiply_mix(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the high half of the 128-bit product of two u64, xored with its low half."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(high, builder.trunc(product, ir.IntType(64)))

    return types.uint64(types.uint64, types.uint64), codegen
