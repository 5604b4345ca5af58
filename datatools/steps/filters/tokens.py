"""What a filter counts as a word, found once per batch for all filters that ask.

Owns the names of the tokenizers that profiles use. Refuses: tokenizing (`kernels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from datatools.steps.base import Batch

if TYPE_CHECKING:
    from datatools.kernels.words import Tokens

__all__ = ["WordCut", "tokens_of"]

WordCut = Literal["whitespace", "english_tokens"]
"""`whitespace`: what stands between whitespace, as `str.split` gives it; `english_tokens`: spaCy's
English tokens, among which every comma is one, and contractions are two."""


def tokens_of(batch: Batch, words: WordCut) -> Tokens:
    """Return the words of a batch's texts, cut once for all filters of the batch."""

    def cut() -> Tokens:
        from datatools.kernels.english_tokens import english_tokens
        from datatools.kernels.words import whitespace_tokens

        cutter = english_tokens if words == "english_tokens" else whitespace_tokens
        return cutter(*batch.buffers("text"))

    return batch.once(("words", words), cut)
