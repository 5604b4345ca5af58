"""Lower-casing equal to `str.lower`.

Owns case with its context: the final sigma, and 'İ', which becomes two code points. Refuses: case
folding and Unicode normalisation, which change more than case.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import trailing_zeros
from datatools.kernels.codepoints import CASED, IGNORABLE, LOWERS, decode, decode_before, encode
from datatools.kernels.jit import I64, kernel
from datatools.kernels.vectors import BLOCK_BYTES, lower_block, unsure_case

__all__ = ["lower_row", "lowered_bytes"]

_SIGMA, _SMALL_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C3, 0x3C2
_DOTTED_I, _COMBINING_DOT = 0x130, 0x307
_ONE = np.uint64(1)


def lowered_bytes(count: int) -> int:
    """Return how many bytes of scratch `lower_row` needs for a row of `count` bytes.

    Three bytes for two is the worst: 'İ' (2 bytes to 1 + 2), 'Ⱥ' (2 to 3). Two blocks more, so that
    the last block may be written whole, and what reads blocks of it may read past its end.
    """
    return count + count // 2 + 2 * BLOCK_BYTES


@kernel
def _sigma_is_final(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    sigma: I64,
    after: I64,
    flags: npt.NDArray[np.uint8],
) -> bool:
    # Unicode's Final_Sigma (The Unicode Standard, table 3-17): a cased letter before, none after,
    # case-ignorable characters passed over. Linear in total: a scan stops at the next sigma.
    i = sigma
    before_is_cased = False
    while i > start:
        code, i = decode_before(data, i)
        if flags[code] & IGNORABLE == 0:
            before_is_cased = flags[code] & CASED != 0
            break
    if not before_is_cased:
        return False
    i = after
    while i < end:
        code, i = decode(data, i)
        if flags[code] & IGNORABLE == 0:
            return bool(flags[code] & CASED == 0)
    return True


@kernel
def lower_row(
    data: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    out: npt.NDArray[np.uint8],
    flags: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.uint32],
) -> I64:
    """Write `data[start:end]` lower-cased to `out` and return its length in bytes.

    Args:
        data: Valid UTF-8.
        start: First byte of the row.
        end: One past its last byte.
        out: At least `lowered_bytes(end - start)` bytes.
        flags: `codepoint_tables().flags`.
        lower: `codepoint_tables().lower`.
    """
    i = start
    o = 0
    while i < end:
        if i + BLOCK_BYTES <= len(data):
            high = lower_block(data, i, out, o)
            look = unsure_case(data, i) if high != 0 else high
        else:  # the last bytes of a batch
            for j in range(end - i):
                out[o + j] = data[i + j]
            look = unsure_case(out, o)
            lower_block(out, o, out, o)
        next_i, next_o = i + BLOCK_BYTES, o + BLOCK_BYTES
        while look != 0:
            at = i + trailing_zeros(look)
            look &= look - _ONE
            if at >= end:
                break
            code, after = decode(data, at)
            if flags[code] & LOWERS == 0:
                continue
            if after > i + BLOCK_BYTES:  # the next block would write over its end
                next_i, next_o = at, o + at - i
                break
            if code == _SIGMA:
                final = _sigma_is_final(data, start, end, at, after, flags)
                past = encode(_FINAL_SIGMA if final else _SMALL_SIGMA, out, o + at - i)
            else:
                past = encode(np.int64(lower[code]), out, o + at - i)
                if code == _DOTTED_I:
                    past = encode(_COMBINING_DOT, out, past)
            if past - o != after - i:  # longer or shorter now: what follows moves
                next_i, next_o = after, past
                break
        i, o = next_i, next_o
    return o - (i - end)
