"""What a voice of the judge is: something that learns from texts and is then surprised by others.

Owns: the two protocols. A verdict listens to at least one voice (`ngram.NgramVoice`), and in the
larger tiers to a second (`neural.NeuralVoice`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Fitted", "Voice"]


class Fitted(Protocol):
    """A model fitted to the texts of one arm."""

    def nll(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the negative log-likelihood of each text in nats, shape (texts,).

        An empty text costs 0; no text is impossible, so every value is finite.
        """


class Voice(Protocol):
    """A way to learn from texts."""

    @property
    def name(self) -> str:
        """What the verdict calls it."""

    @property
    def deterministic(self) -> bool:
        """Whether `fit` gives the same model whatever the seed."""

    def fit(self, texts: Sequence[str], seed: int) -> Fitted:
        """Learn from `texts`; `seed` fixes initial weights and data order where there are any."""
