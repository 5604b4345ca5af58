"""Finding pairs of records that are verified to be near duplicates.

Owns the search that `MinHashDedup` and `GroupPrompts` share: signatures, band keys, candidate pairs
from buckets, and the verification of every pair against the texts. Refuses what to do with the
pairs.

Documents shorter than one shingle have no signature; they meet by the hash of their normalised
text.

References:
    Andrei Broder, On the resemblance and containment of documents, 1997.
    Jure Leskovec, Anand Rajaraman, Jeffrey Ullman, Mining of Massive Datasets, 2014, section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.hashing import normalise_then_hash
from datatools.kernels.minhash import bands, choose_bands, signatures
from datatools.kernels.shingles import jaccard
from datatools.steps.base import Batch, Rows, Table

__all__ = ["ALL_PAIRS_UP_TO", "HUBS", "Search", "bucket_pairs"]

ALL_PAIRS_UP_TO = 32
"""Records in a bucket up to which every pair is compared."""
HUBS = 8
"""Records of a larger bucket, best first, that the others are compared with: a bucket of a million
copies of a template then makes 8 million pairs, not 10^11."""

_EDGES = {
    "left": pl.UInt64,
    "right": pl.UInt64,
    "left_priority": pl.UInt64,
    "right_priority": pl.UInt64,
}


@dataclass(frozen=True)
class Search:
    """How near duplicates are found.

    Attributes:
        column: Text column.
        threshold: Jaccard similarity of shingle sets from which a pair counts, in (0, 1].
        ngram: Tokens per shingle.
        unit: Whether a token is a word or a character.
        num_perm: Length of a signature.
        seed: Seed of the permutations.
        longest_first: Whether the longest record of a pair is the better one; else the first.
        verify: Whether candidates are checked against the texts.
    """

    column: str
    threshold: float
    ngram: int
    unit: Literal["word", "char"]
    num_perm: int
    seed: int
    longest_first: bool
    verify: bool = True

    def pairs(self, rows: Rows) -> tuple[Table, Table]:
        """Return the verified pairs, and the distinct candidates before verification.

        Returns:
            edges: `left` and `right` (row numbers; `left` is the better one), their priorities
                (lower is better), `common` and `union` (shingles; Jaccard is their ratio, null
                without verification).
            candidates: The same columns, and `skipped`: pairs that were not made because a bucket
                was too large, told with one pair of that bucket.
        """
        keys = rows.map_shards(_BandKeys(self), columns=(self.column,), name="signatures")
        bucket = _Bucket(ALL_PAIRS_UP_TO, HUBS)
        proposed = keys.group_by("key", bucket, order_by=("priority", "row"), name="buckets")
        candidates = proposed.group_by("left", _Distinct(), order_by=("right",), name="candidates")
        if not self.verify:
            return candidates, candidates
        edges = rows.lookup(
            candidates, _Verify(self), on=("left", "right"), columns=(self.column,), name="verify"
        )
        return edges, candidates

    def skipped(self, candidates: Table) -> int:
        """Return how many pairs of oversized buckets were not compared."""
        counted = candidates.reduce(_CountSkipped(), name="count skipped pairs")
        return int(counted.collect()["skipped"].item())


@dataclass(frozen=True)
class _BandKeys:
    """Per record and band: the bucket's key, the record and its priority."""

    search: Search

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        search = self.search
        offsets, data = batch.buffers(search.column)
        count, width = choose_bands(search.threshold, search.num_perm)
        signature, shingles = signatures(
            offsets,
            data,
            ngram=search.ngram,
            num_perm=search.num_perm,
            seed=search.seed,
            unit=search.unit,
        )
        lengths = np.diff(offsets).astype(np.uint64)
        best = np.uint64(2**63)
        priority = best - lengths if search.longest_first else np.zeros(len(batch), np.uint64)
        short = shingles == 0
        long = ~short
        keys = bands(signature[long], count, width)
        exact = (
            normalise_then_hash(offsets, data)[short, 0] if short.any() else np.empty(0, np.uint64)
        )
        return pl.DataFrame(
            {
                "key": np.concatenate([keys.ravel(), exact]),
                "row": np.concatenate([np.repeat(rows[long], count), rows[short]]),
                "priority": np.concatenate([np.repeat(priority[long], count), priority[short]]),
            },
            schema={"key": pl.UInt64, "row": pl.UInt64, "priority": pl.UInt64},
        )


def bucket_pairs(
    sizes: npt.NDArray[np.int64], all_pairs_up_to: int, hubs: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which members of each bucket to compare.

    Args:
        sizes: int64 of shape (buckets,), members per bucket, best first.
        all_pairs_up_to: Bucket size up to which every pair is made.
        hubs: Members of a larger bucket that every other is compared with.

    Returns:
        left: int64 of shape (pairs,), position of the better member among all members of all
            buckets.
        right: int64 of shape (pairs,), position of the other.
        skipped: int64 of shape (pairs,): for the first pair of a bucket, how many were not made.

    Example:
        >>> left, right, skipped = bucket_pairs(np.array([1, 3]), 32, 8)
        >>> left.tolist(), right.tolist()
        ([1, 1, 2], [2, 3, 3])
    """
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    # Hub h of a bucket of n meets the n - 1 - h members after it.
    reach = np.where(sizes <= all_pairs_up_to, sizes - 1, np.minimum(hubs, sizes - 1))
    hub_count = np.maximum(reach, 0)
    bucket = np.repeat(np.arange(len(sizes)), hub_count)
    hub = np.arange(len(bucket)) - np.repeat(np.cumsum(hub_count) - hub_count, hub_count)
    partners = sizes[bucket] - 1 - hub
    left = np.repeat(starts[bucket] + hub, partners)
    first = np.cumsum(partners) - partners
    right = left + 1 + np.arange(len(left)) - np.repeat(first, partners)
    made = np.bincount(bucket, weights=partners, minlength=len(sizes)).astype(np.int64)
    skipped = np.zeros(len(left), np.int64)
    opening = first[hub == 0]
    opened = bucket[hub == 0]
    skipped[opening] = (sizes * (sizes - 1) // 2 - made)[opened]
    return left, right, skipped


@dataclass(frozen=True)
class _Bucket:
    """Candidate pairs of each bucket: all of a small one, hubs against the rest of a large one."""

    all_pairs_up_to: int
    hubs: int

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        left, right, skipped = bucket_pairs(np.diff(starts), self.all_pairs_up_to, self.hubs)
        rows, priority = frame["row"].to_numpy(), frame["priority"].to_numpy()
        return pl.DataFrame(
            {
                "left": rows[left],
                "right": rows[right],
                "left_priority": priority[left],
                "right_priority": priority[right],
                "skipped": skipped,
            },
            schema={**_EDGES, "skipped": pl.Int64},
        )


@dataclass(frozen=True)
class _Distinct:
    """Pairs that several buckets propose, once."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        once = frame.group_by("left", "right", maintain_order=True).agg(
            pl.col("left_priority", "right_priority").first(), pl.col("skipped").sum()
        )
        unknown = pl.lit(None, dtype=pl.Int64)
        return once.with_columns(unknown.alias("common"), unknown.alias("union"))


@dataclass(frozen=True)
class _Verify:
    """The exact Jaccard similarity of every candidate pair; too small ones are left out."""

    search: Search

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        common, union = jaccard(
            *records.buffers(self.search.column),
            positions["left"],
            positions["right"],
            ngram=self.search.ngram,
            unit=self.search.unit,
        )
        similar = common / union >= self.search.threshold
        return frame.with_columns(
            pl.Series("common", common, dtype=pl.Int64), pl.Series("union", union, dtype=pl.Int64)
        ).filter(pl.Series(similar))


@dataclass(frozen=True)
class _CountSkipped:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(pl.col("skipped").sum())
