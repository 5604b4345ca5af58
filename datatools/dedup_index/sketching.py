"""What an index keeps of a text: band keys to find it by, and a sketch to compare it with.

Owns the parameters that are fixed when an index is created, and what follows from them. Refuses:
where keys and sketches are stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datatools.errors import ConfigError
from datatools.kernels.hashing import normalise_then_hash
from datatools.kernels.minhash import bands, choose_bands, signatures
from datatools.kernels.shingles import Unit
from datatools.kernels.sketches import compress
from datatools.steps.base import Batch

__all__ = ["Parameters", "Sketches"]

_VALUES = 256
"""Values of a byte: two that have nothing to do with each other are equal once in so many."""


class Parameters(BaseModel):
    """What is fixed when an index is created: sketches of other parameters do not compare."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    threshold: float = Field(0.8, gt=0, le=1)
    """Estimated Jaccard similarity of shingle sets from which a document is matched, in (0, 1]."""
    ngram: int = Field(5, ge=1, le=64)
    """Tokens per shingle."""
    unit: Unit = "word"
    """What a token is: a word, a character, or with `auto` a word of which each letter of Hangul
    and of scripts without spaces stands alone."""
    num_perm: int = Field(128, ge=16, le=4096)
    """Permutations: bytes of a sketch. Raising it makes the estimate better and the index
    larger."""
    seed: int = Field(1, ge=0, lt=1 << 32)
    """Seed of the permutations."""

    @classmethod
    def checked(cls, where: str, fields: Mapping[str, Any]) -> Self:
        """Return the parameters, or tell what is wrong with them.

        Raises:
            ConfigError: A field is unknown or out of range, or no bands find what is asked for.
        """
        try:
            parameters = cls.model_validate(dict(fields))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{where} {name}", first["msg"], got=first["input"]) from None
        choose_bands(parameters.threshold, parameters.num_perm)
        return parameters

    @property
    def bands(self) -> tuple[int, int]:
        """Bands and rows that find pairs at the threshold; see `choose_bands`."""
        return choose_bands(self.threshold, self.num_perm)

    def standard_error(self, similarity: float) -> float:
        """Return the standard error of the similarity that two sketches estimate.

        Args:
            similarity: The true one, from 0 to 1.

        References:
            Ping Li, Arnd Christian König, b-Bit Minwise Hashing, 2010, equation 11 with b = 8.

        Example:
            >>> round(Parameters().standard_error(0.8), 3)
            0.035
        """
        equal = similarity + (1 - similarity) / _VALUES
        return math.sqrt(equal * (1 - equal) / self.num_perm) * _VALUES / (_VALUES - 1)

    def sketches(self, batch: Batch) -> Sketches:
        """Return the keys and sketches of a batch's texts."""
        signature, shingles = signatures(
            *batch.buffers("text"),
            ngram=self.ngram,
            num_perm=self.num_perm,
            seed=self.seed,
            unit=self.unit,
        )
        keys = bands(signature, *self.bands)
        sketch = compress(signature)
        count = np.full(len(batch), keys.shape[1], np.int64)
        short = shingles == 0
        if short.any():
            exact = normalise_then_hash(*batch.buffers("text"))[short]
            keys[short] = 0
            keys[short, 0] = exact[:, 0]
            count[short] = 1
            # All bytes are equal if the texts are, and no more than chance has it if not.
            hashes = exact.astype(">u8").view(np.uint8).reshape(-1, 16)
            sketch[short] = np.tile(hashes, -(-self.num_perm // 16))[:, : self.num_perm]
        return Sketches(keys, count, sketch)


@dataclass(frozen=True)
class Sketches:
    """Keys and sketches of some texts.

    Attributes:
        keys: uint64 of shape (rows, bands). Texts that share one are candidates.
        count: int64 of shape (rows,): how many of a row's keys count, from the first. A text with
            fewer words than a shingle has one: the hash of all its words.
        sketch: uint8 of shape (rows, num_perm).
    """

    keys: npt.NDArray[np.uint64]
    count: npt.NDArray[np.int64]
    sketch: npt.NDArray[np.uint8]

    def __getitem__(self, rows: slice) -> Sketches:
        return Sketches(self.keys[rows], self.count[rows], self.sketch[rows])

    @property
    def counts(self) -> npt.NDArray[np.bool_]:
        """Which keys count: bool of shape (rows, bands)."""
        return np.arange(self.keys.shape[1]) < self.count[:, None]
