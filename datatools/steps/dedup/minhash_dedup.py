"""`MinHashDedup`: removes near duplicates, each against a document that stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from datatools.errors import ConfigError
from datatools.kernels.compatible import Library, ShingleHash
from datatools.kernels.minhash import choose_bands
from datatools.kernels.shingles import Unit
from datatools.steps.base import Batch, Decisions, Rows
from datatools.steps.dedup.exact_dedup import Evidence
from datatools.steps.dedup.near_duplicates import Search, Sketch, Verify
from datatools.steps.dedup.recall import explain_recall
from datatools.steps.dedup.survivor import KeepsOne, SurvivorRule, Survivors, joined_with

__all__ = ["MinHashDedup"]


class MinHashDedup(KeepsOne):
    r"""Remove documents that are near duplicates of one that stays.

    MinHash with banding proposes pairs; with `verify: exact` each pair's Jaccard similarity is
    computed from its texts, and a document is removed only if it reaches the threshold against a
    document that stays. There are no transitive merges: of a chain a-b-c without the pair a-c, c
    stays. The survivor and the similarity are stored as evidence.

    Words are those of `\w+` over the lower-cased text, so punctuation and case play no part. A
    text with fewer words than a shingle is a duplicate only of a text with exactly its words.

    Example:
        >>> text = "the quick brown fox jumps over the lazy dog and runs into the green wood"
        >>> frame = pl.DataFrame({"text": [text, text.title() + "!", "another text"]})
        >>> kept, dropped = MinHashDedup(threshold=0.8).apply(frame)
        >>> kept.height, dropped["reason"].to_list()
        (2, ['near_duplicate'])

    References:
        Andrei Broder, On the resemblance and containment of documents, 1997.
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True

    threshold: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of shingle sets from which a document counts as a duplicate, in (0, 1].
    Raising it removes less. Bands and rows follow from it: 0.98 of pairs at the threshold are
    found."""
    keep: SurvivorRule = "longest"
    """Which of two duplicates stays: the one with more bytes of text, the one that comes first by
    input path and offset, the one with the newest `date`, the one with the larger number in the
    column `best_by`, or the one whose `source` comes first in `source_order`. Ties go to the
    first."""
    ngram: int = Field(5, ge=1, le=64)
    """Tokens per shingle. Raising it makes small edits count more: 1 % of words edited leaves a
    mean similarity of 0.92 with 5-word shingles, 5 % leaves 0.66."""
    unit: Unit = "word"
    """What a token is: a `word`, a `char`, or `auto`: words, but each letter of Hangul, Han, Kana,
    Thai, Lao, Khmer and Myanmar for itself. `auto` sees through Korean particles and dropped spaces
    (2 % of particles changed leave 0.95 and not 0.85) and through scripts without spaces."""
    num_perm: int = Field(128, ge=16, le=4096)
    """Permutations, the length of a signature. Raising it sharpens the search and costs time."""
    compatible: Library | None = None
    """Make the signatures that another library makes of the same words, bit for bit. Slower; for
    users with an index of that library. Needs `unit: word`."""
    shingle_hash: ShingleHash = "sha1"
    """The hash function of shingles with `compatible: datasketch`: its default, or the faster
    xxh32."""
    verify: Verify = "exact"
    """How candidates are compared: `exact` by the shingles of their texts; `signature` by the share
    of equal positions in their signatures, which is off by up to 0.044 (standard error for 128
    permutations); `none` not at all: sharing a bucket is enough, and about a third of what it
    removes is less similar than the threshold."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        choose_bands(self.threshold, self.num_perm)  # refuses what no choice of bands finds
        if self.compatible is not None and self.unit != "word":
            raise ConfigError(
                "compatible",
                f"{self.compatible} signatures are made of words",
                got=f"unit: {self.unit}",
                hint="Leave `unit` out.",
            )
        if self.shingle_hash != "sha1" and self.compatible != "datasketch":
            raise ConfigError(
                "shingle_hash",
                "is read only with `compatible: datasketch`",
                got=f"compatible: {self.compatible}",
            )
        return self

    def signatures(self, texts: pl.Series, *, seed: int = 1) -> npt.NDArray[Any]:
        """Return the MinHash signature of each text, for an index of one's own.

        With `compatible` they are those of the other library, so an existing index of it finds
        them; its `seed` must be the same (1 is datasketch's and datatrove's default).

        Args:
            texts: String, of length rows.
            seed: Seed of the permutations.

        Returns:
            uint32 of shape (rows, num_perm), uint64 as datatrove makes them; all ones for a text
            shorter than a shingle.

        Example:
            >>> step = MinHashDedup(compatible="datasketch", ngram=2)
            >>> step.signatures(pl.Series(["오늘은 날씨가 좋다", "짧다"])).shape
            (2, 128)
        """
        return self._sketch(seed).signatures(Batch(texts.to_frame("text")), "text")[0]

    def _sketch(self, seed: int) -> Sketch:
        return Sketch(
            self.ngram, self.unit, self.num_perm, seed, self.compatible, self.shingle_hash
        )

    def explains(self) -> Sequence[str]:
        """Return the bands and rows that follow from the threshold, and what they find."""
        return explain_recall(self.threshold, self.num_perm)

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Find verified pairs, choose survivors, name the survivor of each removed document."""
        everything, boundary = joined_with(rows, self.against, others)
        search = Search(
            column="text",
            threshold=self.threshold,
            sketch=self._sketch(rows.context.seed),
            priority=self.priority(boundary),
            verify=self.verify,
        )
        edges, candidates = search.pairs(everything)
        removed = edges.reduce(Survivors(), name="survivors")
        table = everything.lookup(
            removed,
            Evidence("near_duplicate", self.against, boundary),
            on=("survivor",),
            columns=("id",),
            name="evidence",
        )
        return Decisions(table, notes=search.notes(candidates))
