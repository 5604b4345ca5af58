"""The smallest value that each permutation gives to a set of hashes.

Owns the inner loop of MinHash. Refuses: where hashes and permutations come from (`minhash`,
`compatible`).

The permutations lie side by side in vector registers, and the hashes pass by one at a time: nothing
is left over at the end of a short document, and no minimum is ever searched across a vector. On an
AMD EPYC of the Zen 4 kind, 128 permutations of 32 bits cost 3.7 ns per hash (AVX2: 3.9, SSE2: 32),
in documents of any length; with the hashes side by side, as a compiler does it by itself, they cost
6.0 ns at 350 hashes and 24 ns at 20.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types

from datatools.kernels.jit import I64, intrinsic, kernel

__all__ = ["LANES", "MERSENNE_61", "minima", "minima_61", "padded"]

LANES = 32
"""Permutations in registers at once: with 32, factors, shifts and minima fill 12 of AVX2's 16."""
MERSENNE_61 = (1 << 61) - 1

_untyped: Any = cgutils


def padded(count: int) -> int:
    """Return the least multiple of `LANES` that holds `count` permutations.

    Example:
        >>> padded(1), padded(128), padded(129)
        (32, 128, 160)
    """
    return -(-count // LANES) * LANES


def _minima_loop(bits: int, reduce: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    # Code for arguments (hashes, count, factors, shifts, first, out): the minima of permutations
    # `first` to `first + LANES` over `hashes[:count]`.
    lane = ir.IntType(bits)
    vector = ir.VectorType(lane, LANES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def data(k: int) -> Any:
            return context.make_array(signature.args[k])(context, builder, args[k]).data

        def lanes(k: int) -> Any:
            return builder.bitcast(builder.gep(data(k), [args[4]]), vector.as_pointer())

        factor, shift = (builder.load(lanes(k), align=bits // 8) for k in (2, 3))
        smallest = _untyped.alloca_once_value(builder, ir.Constant(vector, [2**bits - 1] * LANES))
        nothing = ir.Constant(vector, ir.Undefined)
        to_all = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        with _untyped.for_range(builder, args[1]) as loop:
            scalar = builder.load(builder.gep(data(0), [loop.index]))
            value = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
            value = builder.shuffle_vector(value, nothing, to_all)
            value = reduce(builder, builder.add(builder.mul(value, factor), shift))
            builder.store(_smaller(builder, value, builder.load(smallest)), smallest)
        builder.store(builder.load(smallest), lanes(5), align=bits // 8)
        return context.get_dummy_value()

    return codegen


def _smaller(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.icmp_unsigned("<", one, other), one, other)


def _as_it_is(builder: Any, value: Any) -> Any:
    return value


def _modulo_mersenne_61(builder: Any, value: Any) -> Any:
    prime = ir.Constant(value.type, [MERSENNE_61] * LANES)
    high = builder.lshr(value, ir.Constant(value.type, [61] * LANES))
    folded = builder.add(builder.and_(value, prime), high)
    # Below the prime, the difference wraps around and is the larger.
    return _smaller(builder, folded, builder.sub(folded, prime))


@intrinsic
def _minima_32(
    typing_context: Any, hashes: Any, count: Any, factors: Any, shifts: Any, first: Any, out: Any
) -> Any:
    arguments = (hashes, types.intp, factors, shifts, types.intp, out)
    return types.void(*arguments), _minima_loop(32, _as_it_is)


@intrinsic
def _minima_61(
    typing_context: Any, hashes: Any, count: Any, factors: Any, shifts: Any, first: Any, out: Any
) -> Any:
    arguments = (hashes, types.intp, factors, shifts, types.intp, out)
    return types.void(*arguments), _minima_loop(64, _modulo_mersenne_61)


@kernel
def minima(
    hashes: npt.NDArray[np.uint32],
    count: I64,
    factors: npt.NDArray[np.uint32],
    shifts: npt.NDArray[np.uint32],
    out: npt.NDArray[np.uint32],
) -> None:
    """Write the minimum of `factor * h + shift` modulo 2^32 over `hashes[:count]`, per permutation.

    Args:
        hashes: The hashes.
        count: How many of them to take; without any, all minima are all ones.
        factors: Of shape (n,), n a multiple of `LANES`.
        shifts: Of shape (n,).
        out: Written, of shape (n,).
    """
    for first in range(0, len(factors), LANES):
        _minima_32(hashes, count, factors, shifts, first, out)


@kernel
def minima_61(
    hashes: npt.NDArray[np.uint64],
    count: I64,
    factors: npt.NDArray[np.uint64],
    shifts: npt.NDArray[np.uint64],
    out: npt.NDArray[np.uint64],
) -> None:
    """Write the minimum of `(factor * h + shift mod 2^64) mod 2^61 - 1`, as `minima` does."""
    for first in range(0, len(factors), LANES):
        _minima_61(hashes, count, factors, shifts, first, out)
