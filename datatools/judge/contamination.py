"""Which reference documents an arm has already seen.

Owns: the share of a reference document's windows that occur in an arm. Refuses: the decision, which
excludes such documents and, above a limit, the whole verdict (`verdict.py`).

A window is 13 consecutive words (runs of letters and digits, case folded). In languages written
without spaces between words, or, as Korean, with endings glued to them, a repeated passage keeps
its characters but not its words' borders; there a window is 13 consecutive letters and digits,
with everything between them left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from datatools.judge.reference import ReferenceDocument

__all__ = ["CHARACTER_LANGUAGES", "WINDOW", "seen_shares", "window_unit"]

WINDOW: Final = 13
"""Units in a window (Tom B. Brown et al., Language Models are Few-Shot Learners, 2020, appendix C,
where a 13-gram marks an evaluation example as seen)."""

CHARACTER_LANGUAGES: Final = frozenset({"ko", "ja", "zh", "th", "lo", "km", "my"})
"""Languages whose windows count characters."""

_WORD: Final = re.compile(r"[^\W_]+")
_BATCH_CHARACTERS: Final = 1 << 20
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)

Words = npt.NDArray[np.uint64]


def window_unit(language: str) -> Literal["words", "characters"]:
    """Return what a window of this language counts.

    Example:
        >>> window_unit("ko"), window_unit("en")
        ('characters', 'words')
    """
    return "characters" if language in CHARACTER_LANGUAGES else "words"


def seen_shares(
    documents: Sequence[ReferenceDocument], texts: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return, for each document, the share of its windows that occur in `texts`.

    A document with fewer than 13 units has no window and a share of 0: it cannot be checked.
    Windows do not reach across texts.

    Args:
        documents: Reference documents.
        texts: The texts of an arm.

    Returns:
        float64 of shape (documents,), in [0, 1].

    Complexity:
        O(characters) time; memory for the reference's windows and one megabyte of text.

    Example:
        >>> text = " ".join(f"word{i}" for i in range(20))
        >>> document = ReferenceDocument("d", text, "d", "en")
        >>> seen_shares([document], ["Before. " + text.upper()]).tolist()
        [1.0]
    """
    shares = np.zeros(len(documents))
    for unit in ("words", "characters"):
        mine = [at for at, one in enumerate(documents) if window_unit(one.language) == unit]
        if not mine:
            continue
        numbers: dict[str, int] = {}
        windows = []
        for at in mine:
            for token in _tokens(documents[at].text, unit):
                numbers.setdefault(token, len(numbers) + 1)
            windows.append(_windows([documents[at].text], unit, numbers))
        known = np.unique(np.concatenate(windows))
        seen = np.zeros(len(known), dtype=np.bool_)
        for batch in _batches(texts):
            found = _windows(batch, unit, numbers)
            places = np.minimum(np.searchsorted(known, found), max(len(known) - 1, 0))
            if len(known):
                seen[places[known[places] == found]] = True
        for at, own in zip(mine, windows, strict=True):
            if len(own):
                shares[at] = float(seen[np.searchsorted(known, own)].sum()) / len(own)
    return shares


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _tokens(text: str, unit: str) -> list[str] | str:
    words: list[str] = _WORD.findall(unicodedata.normalize("NFC", text).casefold())
    return words if unit == "words" else "".join(words)


def _windows(texts: Sequence[str], unit: str, numbers: dict[str, int]) -> Words:
    """Return the hashes of all windows made of the reference's own tokens.

    A token the reference lacks is number 0, and a window with a 0 in it matches nothing; a 0 also
    stands between texts.
    """
    ids: list[int] = []
    for text in texts:
        ids.extend(numbers.get(token, 0) for token in _tokens(text, unit))
        ids.append(0)
    row = np.array(ids, dtype=np.uint64)
    count = len(row) - WINDOW + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    value = np.zeros(count, dtype=np.uint64)
    whole = np.ones(count, dtype=np.bool_)
    for at in range(WINDOW):
        part = row[at : at + count]
        whole &= part != 0
        value = (value ^ part) * _FACTOR
        value ^= value >> np.uint64(29)
    return value[whole]
