"""Words around a place in a text: what tells an account number from any other number.

Owns finding the nearest of some phrases before or after a place. Refuses: which phrases there are.
Latin phrases are found in any case and as whole words; Hangul phrases anywhere, because particles
follow them and names stand before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.jit import I64, kernel
from datatools.kernels.number_groups import is_letter

__all__ = ["BITS", "Phrases", "nearest_after", "nearest_noted", "note_phrases", "phrase_table"]

BITS: Final = 16
"""Most things that phrases may say, each a bit."""

Array = npt.NDArray[Any]


class Phrases(NamedTuple):
    """Phrases by their first byte.

    Attributes:
        data: uint8, the phrases in lower case, one after the other.
        bounds: int64 of shape (phrases + 1,).
        kinds: int64 of shape (phrases,): what each says, as bits.
        first: int64 of shape (257,): phrases that begin with byte b are `first[b]` to
            `first[b + 1]`.
    """

    data: Array
    bounds: Array
    kinds: Array
    first: Array


def phrase_table(phrases: Mapping[int, str]) -> Phrases:
    """Return the table of phrases.

    Args:
        phrases: By the bit that they stand for, phrases parted by commas.

    Example:
        >>> table = phrase_table({1: "tel, 전화", 2: "order"})
        >>> table.kinds.tolist(), bytes(table.data).decode()
        ([2, 1, 1], 'ordertel전화')
    """
    kinds: dict[bytes, int] = {}
    for bit, listed in phrases.items():
        for phrase in listed.split(","):
            word = " ".join(phrase.lower().split()).encode()
            kinds[word] = kinds.get(word, 0) | bit
    words = sorted(kinds)
    first = np.searchsorted([word[0] for word in words], np.arange(257))
    return Phrases(
        np.frombuffer(b"".join(words), np.uint8),
        np.cumsum([0, *map(len, words)]).astype(np.int64),
        np.array([kinds[word] for word in words], np.int64),
        first.astype(np.int64),
    )


@kernel
def _lower(c: I64) -> I64:
    return c + 32 if 65 <= c <= 90 else c


@kernel
def _bounds_word(c: I64) -> bool:
    # Brackets and `_` do not: the words in `[BANK_ACCOUNT]` say nothing of what stands beside it.
    return not (is_letter(c) or c == 91 or c == 93 or c == 95)


@kernel
def _is_phrase(
    data: npt.NDArray[np.uint8], i: I64, begin: I64, end: I64, phrase: I64, phrases: Phrases
) -> bool:
    # Whether a phrase whose first byte is right stands at `i` as whole words.
    start = phrases.bounds[phrase]
    size = phrases.bounds[phrase + 1] - start
    if i + size > end:
        return False
    k = 1
    while k < size and _lower(np.int64(data[i + k])) == phrases.data[start + k]:
        k += 1
    if k < size:
        return False
    if is_letter(np.int64(data[i])) and i > begin and not _bounds_word(np.int64(data[i - 1])):
        return False
    after = i + size
    last = np.int64(data[after - 1])
    return not (is_letter(last) and after < end and not _bounds_word(np.int64(data[after])))


@kernel
def note_phrases(
    data: npt.NDArray[np.uint8],
    first: I64,
    at: I64,
    begin: I64,
    phrases: Phrases,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> None:
    """Note the last phrase of each kind among those that start from `first` on and end by `at`.

    Args:
        data: UTF-8.
        first: First byte at which a phrase may start. Who notes from left to right looks at no byte
            twice.
        at: One past the last byte of a phrase.
        begin: Where the row begins.
        phrases: The phrases.
        starts: Changed: int64 of shape (`BITS`,), where the last phrase with each bit starts.
        ends: Changed: int64 of shape (`BITS`,), and where it ends.
    """
    for i in range(first, at):
        lead = _lower(np.int64(data[i]))
        for phrase in range(phrases.first[lead], phrases.first[lead + 1]):
            if not _is_phrase(data, i, begin, at, phrase, phrases):
                continue
            end = i + phrases.bounds[phrase + 1] - phrases.bounds[phrase]
            kinds = phrases.kinds[phrase]
            for bit in range(BITS):
                if kinds >> bit & 1 and end > ends[bit]:
                    starts[bit], ends[bit] = i, end


@kernel
def nearest_noted(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], least: I64, wanted: I64
) -> I64:
    """Return what the phrase that ends last says, of those that start from byte `least` on.

    Args:
        starts: As `note_phrases` left them.
        ends: As `note_phrases` left them.
        least: First byte at which a phrase may start.
        wanted: The bits to look at.

    Returns:
        The bits that were noted with its end; 0 where there is none.
    """
    found, says = np.int64(-1), np.int64(0)
    for bit in range(BITS):
        if wanted >> bit & 1 == 0 or ends[bit] < max(found, 0) or starts[bit] < least:
            continue
        if ends[bit] > found:
            found, says = ends[bit], np.int64(0)
        says |= np.int64(1) << bit
    return says


@kernel
def nearest_after(
    data: npt.NDArray[np.uint8], at: I64, end: I64, reach: I64, wanted: I64, phrases: Phrases
) -> I64:
    """Return what the first wanted phrase that begins in the `reach` bytes from `at` on says."""
    for i in range(at, min(end, at + reach)):
        lead = _lower(np.int64(data[i]))
        for phrase in range(phrases.first[lead], phrases.first[lead + 1]):
            kinds = phrases.kinds[phrase]
            if kinds & wanted != 0 and _is_phrase(data, i, at, end, phrase, phrases):
                return kinds
    return 0
