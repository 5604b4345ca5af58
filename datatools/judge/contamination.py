"""Which reference documents an arm has already seen.

Owns: the share of a reference document's windows that occur in an arm. Refuses: the decision, which
excludes such documents and, above a limit, the whole verdict (`verdict.py`); and what a window is
(`kernels.token_windows`, which `Decontaminate` uses, too): 13 words in a row, where two letters of
Hangul and of scripts without spaces between words count as one. A repeated passage of these keeps
its letters but not its words' borders, so letters are what is compared there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.judge.reference import ReferenceDocument
from datatools.kernels.overlap import Index, find
from datatools.kernels.token_windows import WORD_LENGTH, windows

__all__ = ["WINDOW", "seen_shares"]

WINDOW: Final = 13
"""Words in a window (Tom B. Brown et al., Language Models are Few-Shot Learners, 2020, appendix C,
where a 13-gram marks an evaluation example as seen)."""

_SIZE: Final = WINDOW * WORD_LENGTH
_BATCH_CHARACTERS: Final = 1 << 20


def seen_shares(
    documents: Sequence[ReferenceDocument], texts: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return, for each document, the share of its windows that occur in `texts`.

    A document shorter than a window has none and a share of 0: it cannot be checked. Windows do not
    reach across texts. Texts are compared in NFC and lower case.

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
    own = windows(*_buffers([one.text for one in documents]), size=_SIZE, least=_SIZE)
    index = Index.of(own.hash, own.head, own.tokens, size=_SIZE, least=_SIZE)
    seen = np.zeros(len(index.keys), np.bool_)
    for batch in _batches(texts):
        seen[find(*_buffers(batch), index).key] = True
    found = seen[np.searchsorted(index.keys, own.hash)]
    counts = np.bincount(own.row, minlength=len(documents))
    return np.bincount(own.row, found, minlength=len(documents)) / np.maximum(counts, 1)


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


def _buffers(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return texts in NFC as the kernels take them: offsets, and UTF-8 one after the other."""
    rows = [unicodedata.normalize("NFC", text).encode("utf-8", "replace") for text in texts]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return offsets, np.frombuffer(b"".join(rows), np.uint8)
