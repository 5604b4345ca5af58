"""Input that could not be read, in words: which part of which file, why, and what to do.

Owns: what sources count in, and the sentence that a run tells of a gap. Refuses: why it could not
be read, which the reader says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

__all__ = ["Counted", "counted_in", "gap_words"]

Counted = Literal["bytes", "row groups", "rows"]

_WITHOUT_OFFSETS: Final[Mapping[str, Counted]] = {
    "ReadParquet": "row groups",
    "ReadDataset": "rows",
}


def counted_in(source: str) -> Counted:
    """Return what a source counts its input in: bytes, unless its format has no byte offsets.

    Args:
        source: The source's name.
    """
    return _WITHOUT_OFFSETS.get(source, "bytes")


def gap_words(source: str, gap: Mapping[str, Any]) -> str:
    """Say what part of a file a source could not read, why, and what to do.

    Args:
        source: The source's name.
        gap: `path`, `start`, `end` and `detail`, as the manifest's `incomplete` has them.

    Example:
        >>> cut = {"path": "글.jsonl", "start": 1200, "end": 1300, "detail": "it is cut"}
        >>> gap_words("ReadJsonl", cut)  # doctest: +ELLIPSIS
        'ReadJsonl could not read 글.jsonl, bytes 1,200 to 1,300: it is cut. Get the whole file ...'
        >>> footer = {"start": 0, "end": 1, "detail": "no footer."}
        >>> gap_words("ReadParquet", cut | footer)  # doctest: +ELLIPSIS
        'ReadParquet could not read 글.jsonl, row group 0: no footer. Get the whole file ...'
    """
    counted, start, end = counted_in(source), gap["start"], gap["end"]
    alone = end - start == 1
    place = f"{counted[:-1]} {start:,}" if alone else f"{counted} {start:,} to {end:,}"
    detail = str(gap["detail"]).removesuffix(".")
    return (
        f"{source} could not read {gap['path']}, {place}: {detail}. "
        "Get the whole file and run again"
    )
