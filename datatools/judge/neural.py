"""A small neural language model: the voice with a seed.

Owns: the adapter between the judge and the trainer, which is imported when a model is fitted and
not before. Refuses: everything about training itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from datatools.judge.voice import Fitted

if TYPE_CHECKING:
    from datatools.train.tokenizer import Tokenizer

__all__ = ["NeuralVoice", "shared_tokenizer"]


@dataclass(frozen=True)
class NeuralVoice:
    """A language model of a named size, trained for a fixed number of tokens.

    Attributes:
        tokenizer: Shared by all runs of a comparison.
        size: Name of the model's size, e.g. `smoke` or `nano`.
        tokens: Tokens to train on; passes over the text repeat until they are used up.
        rate: Factor on the size's own learning rate.
    """

    tokenizer: Tokenizer
    size: str
    tokens: int
    rate: float = 1.0

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        return f"neural-{self.size}"

    @property
    def deterministic(self) -> bool:
        """False: the seed fixes initial weights and data order."""
        return False

    def fit(self, texts: Sequence[str], seed: int) -> Fitted:
        """Train on `texts`; on one machine the same seed gives the same model."""
        from datatools.train.api import default_learning_rate, fit_language_model
        from datatools.train.model import resolve_size

        shape = replace(resolve_size(self.size), vocabulary=self.tokenizer.vocabulary)
        return fit_language_model(
            texts,
            tokenizer=self.tokenizer,
            size=self.size,
            tokens=self.tokens,
            seed=seed,
            learning_rate=self.rate * default_learning_rate(shape),
        )


def shared_tokenizer(a: Sequence[str], b: Sequence[str], size: str) -> Tokenizer:
    """Train one tokenizer on both arms, so that it favours neither.

    Args:
        a: Texts of one arm.
        b: Texts of the other, about as many bytes.
        size: Name of the model's size, which says how many tokens there are.
    """
    from datatools.train.model import resolve_size
    from datatools.train.tokenizer import train_tokenizer

    return train_tokenizer(a, b, vocabulary=resolve_size(size).vocabulary)
