"""Sixty-four bytes of UTF-8 at a time: one mask for each question asked of a text.

Owns the vector code of the splitter and the lower-caser, written for no processor in particular:
LLVM makes AVX-512, AVX2, SSE2 or NEON of it, and only integers are involved, so that every
processor gives the same bits. Refuses: looking anything up. What a comparison of bytes cannot
decide is marked as unsure, and its caller asks `codepoints`.

Byte k of a block is bit k of a mask. A caller makes sure that 64 bytes can be read.

A pair of bytes decides for most of what is written in Hangul, Chinese characters and typographic
punctuation. Unicode's blocks are stable, and the tests compare every code point with Python's own
tables: U+4E00-9FFF and U+AC00-D77F are word characters without case, U+2000-203F none.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from datatools.kernels.jit import intrinsic

__all__ = [
    "BLOCK_BYTES",
    "lower_block",
    "mark_block",
    "space_block",
    "unsure_case",
    "unsure_spaces",
    "unsure_words",
    "word_block",
]

BLOCK_BYTES = 64
_BLOCK = ir.VectorType(ir.IntType(8), BLOCK_BYTES)
_MASK = ir.IntType(64)


def _splat(byte: int) -> Any:
    return ir.Constant(_BLOCK, [byte] * BLOCK_BYTES)


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _BLOCK.as_pointer())


class _Block:
    """A block in the making of LLVM code: comparisons give one boolean per byte."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.builder = builder
        address = _address(context, builder, signature.args[0], args[0], args[1])
        self.bytes = builder.load(address, align=1)

    def between(self, first: int, last: int) -> Any:
        shifted = self.builder.sub(self.bytes, _splat(first))
        return self.builder.icmp_unsigned("<=", shifted, _splat(last - first))

    def any_of(self, *ranges: tuple[int, int]) -> Any:
        found = self.between(*ranges[0])
        for first, last in ranges[1:]:
            found = self.builder.or_(found, self.between(first, last))
        return found

    def mask(self, *ranges: tuple[int, int]) -> Any:
        return self.builder.bitcast(self.any_of(*ranges), _MASK)

    def pair(self, lead: tuple[int, int], follower: tuple[int, int]) -> Any:
        """Mark leads by the byte that follows; the last byte's is out of sight, so never."""
        after = self.builder.lshr(self.mask(follower), ir.Constant(_MASK, 1))
        return self.builder.and_(self.mask(lead), after)

    def either(self, *masks: Any) -> Any:
        found = masks[0]
        for mask in masks[1:]:
            found = self.builder.or_(found, mask)
        return found

    def without(self, mask: Any, *others: Any) -> Any:
        return self.builder.and_(mask, self.builder.not_(self.either(*others)))


_LEADS = (0xC2, 0xF4)
_HIGH = (0x80, 0xFF)
_untyped: Any = types
_FIVE_MASKS = _untyped.UniTuple(types.uint64, 5)
_TWO_MASKS = _untyped.UniTuple(types.uint64, 2)


@intrinsic
def lower_block(typing_context: Any, array: Any, index: Any, out: Any, position: Any) -> Any:
    """Copy a block from `array` at `index` to `out` at `position`, ASCII capitals lowered.

    Returns the mask of the bytes that are not ASCII.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        case = builder.select(block.between(ord("A"), ord("Z")), _splat(0x20), _splat(0))
        target = _address(context, builder, signature.args[2], args[2], args[3])
        builder.store(builder.or_(block.bytes, case), target, align=1)
        return block.mask(_HIGH)

    return types.uint64(array, types.intp, out, types.intp), codegen


@intrinsic
def unsure_case(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the mask of the first bytes of characters, ASCII apart, that may have a lower case."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        return block.without(
            block.mask((0xC3, 0xE2), (0xEA, 0xEA), (0xEF, 0xF4)),
            block.pair((0xE2, 0xE2), (0x80, 0x83)),  # U+2000-20FF
            block.pair((0xEA, 0xEA), (0xB0, 0xBF)),  # U+AC00-AFFF
            block.pair((0xF0, 0xF0), (0x9F, 0xBF)),  # U+1F000-3FFFF
        )

    return types.uint64(array, types.intp), codegen


@intrinsic
def word_block(typing_context: Any, array: Any, index: Any) -> Any:
    r"""Return two masks: the ASCII bytes that match `\w`, and the bytes that are not ASCII."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        ranges = [(ord(first), ord(last)) for first, last in ("az", "AZ", "09", "__")]
        masks = [block.mask(*ranges), block.mask(_HIGH)]
        return context.make_tuple(builder, signature.return_type, masks)

    return _TWO_MASKS(array, types.intp), codegen


@intrinsic
def unsure_words(typing_context: Any, array: Any, index: Any) -> Any:
    r"""Return two masks of first bytes: characters of three bytes that match `\w`; unsure ones."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        words = block.either(
            block.mask((0xE5, 0xE9), (0xEB, 0xEC)),  # U+5000-9FFF, U+B000-CFFF
            block.pair((0xE4, 0xE4), (0xB8, 0xBF)),  # U+4E00-4FFF
            block.pair((0xEA, 0xEA), (0xB0, 0xBF)),  # U+AC00-AFFF
            block.pair((0xED, 0xED), (0x80, 0x9D)),  # U+D000-D77F
        )
        none = block.pair((0xE2, 0xE2), (0x80, 0x80))  # U+2000-203F
        unsure = block.without(block.mask(_LEADS), words, none)
        return context.make_tuple(builder, signature.return_type, [words, unsure])

    return _TWO_MASKS(array, types.intp), codegen


@intrinsic
def space_block(typing_context: Any, array: Any, index: Any) -> Any:
    """Return two masks: ASCII bytes that are `str.isspace`, and the bytes that are not ASCII."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        masks = [block.mask((0x09, 0x0D), (0x1C, 0x20)), block.mask(_HIGH)]
        return context.make_tuple(builder, signature.return_type, masks)

    return _TWO_MASKS(array, types.intp), codegen


@intrinsic
def unsure_spaces(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the mask of the first bytes of characters, ASCII apart, that may be whitespace."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        return block.mask((0xC2, 0xC2), (0xE1, 0xE3))

    return types.uint64(array, types.intp), codegen


@intrinsic
def mark_block(typing_context: Any, array: Any, index: Any) -> Any:
    """Return masks of ASCII letters, `#`, `.`, bytes that continue a character, and bytes E2."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _Block(context, builder, signature, args)
        masks = [
            block.mask((ord("A"), ord("Z")), (ord("a"), ord("z"))),
            block.mask((ord("#"), ord("#"))),
            block.mask((ord("."), ord("."))),
            block.mask((0x80, 0xBF)),
            block.mask((0xE2, 0xE2)),  # what U+2026 begins with
        ]
        return context.make_tuple(builder, signature.return_type, masks)

    return _FIVE_MASKS(array, types.intp), codegen
