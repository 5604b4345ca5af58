"""Cutting long texts into pieces of like size.

Owns: where a text may be cut. Reference documents are such pieces, because their number is what an
interval rests on; and draws of an arm take pieces, because a draw of whole documents would be at
the mercy of the few longest ones.
"""

from __future__ import annotations

import numpy as np

__all__ = ["split_text"]


def split_text(text: str, chunk_bytes: int) -> list[str]:
    """Cut a text into pieces of about `chunk_bytes` that join to the same text.

    Cuts fall after the last newline in the second half of a piece, else after the last space there,
    else where the piece is full. A tail shorter than half a piece stays with the piece before it.
    An empty text has no pieces.

    Args:
        text: Any text.
        chunk_bytes: Bytes of UTF-8 that a piece has at most, the last one half as much again.

    Example:
        >>> split_text("one two three four", 10)
        ['one two ', 'three four']
        >>> split_text("한 글은 세 바이트", 12)
        ['한 글은 ', '세 바이트']
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(widths)])  # (characters + 1,)
    pieces: list[str] = []
    start = 0
    while ends[-1] - ends[start] > chunk_bytes * 3 // 2:
        full = int(np.searchsorted(ends, ends[start] + chunk_bytes, side="right")) - 1
        full = max(full, start + 1)
        half = (start + full) // 2
        cut = text.rfind("\n", half, full) + 1 or text.rfind(" ", half, full) + 1 or full
        pieces.append(text[start:cut])
        start = cut
    return [*pieces, text[start:]] if start < len(text) else pieces
