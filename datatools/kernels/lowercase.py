"""Lower-casing equal to `str.lower`.

Owns case with its context: the final sigma, and 'İ', which becomes two code points. Refuses: case
folding and Unicode normalisation, which change more than case.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import HIGH_BITS, load_u64, lower_ascii, store_u64
from datatools.kernels.codepoints import CASED, IGNORABLE, LOWERS, decode, decode_before, encode
from datatools.kernels.jit import I64, kernel

__all__ = ["lower_row", "lowered_bytes"]

_SIGMA, _SMALL_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C3, 0x3C2
_DOTTED_I, _COMBINING_DOT = 0x130, 0x307


def lowered_bytes(count: int) -> int:
    """Return how many bytes of scratch `lower_row` needs for a row of `count` bytes.

    Three bytes for two is the worst: 'İ' (2 bytes to 1 + 2), 'Ⱥ' (2 to 3).
    """
    return count + count // 2 + 8


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
    eight = np.uint64(0)
    while i < end:
        whole = i + 8 <= end
        if whole:
            eight = load_u64(data, i)
            if eight & HIGH_BITS == 0:
                store_u64(out, o, lower_ascii(eight))
                i += 8
                o += 8
                continue
        code, after = decode(data, i)
        if flags[code] & LOWERS == 0:
            if whole:
                store_u64(out, o, eight)  # what lies past the character is written over later
            else:
                for j in range(after - i):
                    out[o + j] = data[i + j]
            o += after - i
        elif code == _SIGMA:
            final = _sigma_is_final(data, start, end, i, after, flags)
            o = encode(_FINAL_SIGMA if final else _SMALL_SIGMA, out, o)
        else:
            o = encode(np.int64(lower[code]), out, o)
            if code == _DOTTED_I:
                o = encode(_COMBINING_DOT, out, o)
        i = after
    return o
