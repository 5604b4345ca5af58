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
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.compatible import Library, ShingleHash
from datatools.kernels.hashing import normalise_then_hash
from datatools.kernels.minhash import bands, choose_bands, signatures
from datatools.kernels.shingles import Unit, jaccard
from datatools.kernels.sketches import agreement
from datatools.steps.base import Batch, Rows, Table
from datatools.steps.dedup.survivor import Priority

__all__ = ["ALL_PAIRS_UP_TO", "HUBS", "Search", "Sketch", "Verify", "bucket_pairs"]

Verify = Literal["exact", "signature", "none"]

ALL_PAIRS_UP_TO = 32
"""Records in a bucket up to which every pair is compared."""
HUBS = 8
"""Records of a larger bucket, best first, that the others are compared with."""
PAIRS_OF_HUBS = 1 << 21
"""Pairs that a larger bucket makes at most, with fewer hubs, but at least one: a bucket of a
million copies of a template makes two million pairs and not 10^11."""

_KEYS = {"key": pl.UInt64, "row": pl.UInt64, "priority": pl.UInt64}
_PAIRS = {
    "left": pl.UInt64,
    "right": pl.UInt64,
    "left_priority": pl.UInt64,
    "right_priority": pl.UInt64,
}


@dataclass(frozen=True)
class Sketch:
    """How a text becomes a set of shingles and a signature.

    Attributes:
        ngram: Tokens per shingle.
        unit: What a token is.
        num_perm: Length of a signature.
        seed: Seed of the permutations.
        compatible: The library whose signatures are made, or None for our own.
        shingle_hash: datasketch's hash function.
    """

    ngram: int
    unit: Unit
    num_perm: int
    seed: int
    compatible: Library | None = None
    shingle_hash: ShingleHash = "sha1"

    def signatures(
        self, batch: Batch, column: str
    ) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.int64]]:
        """Return signatures (rows, num_perm) and shingle counts (rows,); 0 for a short text."""
        return signatures(
            *batch.buffers(column),
            ngram=self.ngram,
            num_perm=self.num_perm,
            seed=self.seed,
            unit=self.unit,
            compatible=self.compatible,
            shingle_hash=self.shingle_hash,
        )


@dataclass(frozen=True)
class Search:
    """How near duplicates are found.

    Attributes:
        column: Text column.
        threshold: Jaccard similarity of shingle sets from which a pair counts, in (0, 1].
        sketch: How texts become signatures.
        priority: Which record of a pair is the better one.
        verify: How candidates are checked: the exact similarity of their shingle sets, the share of
            equal positions in their signatures, or not at all.
    """

    column: str
    threshold: float
    sketch: Sketch
    priority: Priority
    verify: Verify = "exact"

    def pairs(self, rows: Rows) -> tuple[Table, Table]:
        """Return the verified pairs, and the distinct candidates before verification.

        Returns:
            edges: `left` and `right` (row numbers; `left` is the better one), their priorities
                (lower is better) and `similarity` (Float64, null without verification).
            candidates: The same columns, `cut`: how many buckets were too large for all their
                pairs, told with one pair of each, and `skipped`: how many pairs those did not make.
        """
        count, width = choose_bands(self.threshold, self.sketch.num_perm)
        boundary = self.priority.boundary
        keys = _BandKeys(self.column, self.sketch, self.priority, count, width)
        candidates = (
            rows.map_shards(keys, columns=keys.columns, fanout=count, name="signatures")
            .group_by(
                "key",
                _Bucket(boundary),
                order_by=("priority", "row"),
                at_least=2,
                name="buckets",
            )
            # By the right one: all pairs of a large bucket have the same few records on the left.
            .group_by("right", _Distinct(), order_by=("left",), name="candidates")
        )
        if self.verify == "none":
            return candidates, candidates
        check = (
            _Exact(self.column, self.threshold, self.sketch)
            if self.verify == "exact"
            else _Estimated(self.column, self.threshold, self.sketch)
        )
        edges = rows.lookup(
            candidates, check, on=("left", "right"), columns=(self.column,), name="verify"
        )
        return edges, candidates

    def notes(self, candidates: Table) -> dict[str, int]:
        """Return what the search counts beside the ledger."""
        counted = candidates.reduce(_CountSkipped(), name="count skipped pairs").collect()
        return {name: int(counted[name].item()) for name in counted.columns}


@dataclass(frozen=True)
class _BandKeys:
    """Per record and band: the bucket's key, the record and its priority."""

    column: str
    sketch: Sketch
    priority: Priority
    count: int
    width: int

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.column, *self.priority.columns)))

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        signature, shingles = self.sketch.signatures(batch, self.column)
        priority = self.priority(batch, rows)
        short = shingles == 0
        long = ~short
        keys = bands(signature[long], self.count, self.width)
        exact = np.empty(0, np.uint64)
        if short.any():
            exact = normalise_then_hash(*batch.buffers(self.column))[short, 0]
        return pl.DataFrame(
            {
                "key": np.concatenate([keys.ravel(), exact]),
                "row": np.concatenate([np.repeat(rows[long], self.count), rows[short]]),
                "priority": np.concatenate(
                    [np.repeat(priority[long], self.count), priority[short]]
                ),
            },
            schema=_KEYS,
        )


def bucket_pairs(
    sizes: npt.NDArray[np.int64],
    others: npt.NDArray[np.int64],
    all_pairs_up_to: int = ALL_PAIRS_UP_TO,
    hubs: int = HUBS,
    pairs_of_hubs: int = PAIRS_OF_HUBS,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which members of each bucket to compare.

    Args:
        sizes: int64 of shape (buckets,), members per bucket, best first.
        others: int64 of shape (buckets,), how many of them belong to another dataset. They come
            first and are not compared with each other.
        all_pairs_up_to: Bucket size up to which every pair is made.
        hubs: Members of a larger bucket, of the other dataset and of this one each, that everything
            after them is compared with.
        pairs_of_hubs: Pairs after which a larger bucket has no further hub.

    Returns:
        left: int64 of shape (pairs,), position of the better member among all members of all
            buckets.
        right: int64 of shape (pairs,), position of the other.
        skipped: int64 of shape (pairs,): for the first pair of a bucket, how many were not made.

    Example:
        >>> left, right, skipped = bucket_pairs(np.array([1, 3]), np.array([0, 0]))
        >>> left.tolist(), right.tolist()
        ([1, 1, 2], [2, 3, 3])
    """
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    fewer = np.clip(pairs_of_hubs // np.maximum(sizes, 1), 1, hubs)
    limit = np.where(sizes <= all_pairs_up_to, sizes, fewer)
    other_hubs = np.minimum(limit, others)
    hub_count = other_hubs + np.minimum(limit, sizes - others)
    bucket = np.repeat(np.arange(len(sizes)), hub_count)
    nth = np.arange(len(bucket)) - np.repeat(np.cumsum(hub_count) - hub_count, hub_count)
    own = nth >= other_hubs[bucket]
    hub = nth + np.where(own, (others - other_hubs)[bucket], 0)
    partner = np.maximum(hub + 1, others[bucket])  # the first member that a hub meets
    partners = sizes[bucket] - partner
    left = np.repeat(starts[bucket] + hub, partners)
    first = np.cumsum(partners) - partners
    right = np.repeat(starts[bucket] + partner - first, partners) + np.arange(len(left))
    made = np.bincount(bucket, weights=partners, minlength=len(sizes)).astype(np.int64)
    wanted = sizes * (sizes - 1) // 2 - others * (others - 1) // 2
    skipped = np.zeros(len(left), np.int64)
    cut = (nth == 0) & (made < wanted)[bucket]
    skipped[first[cut]] = (wanted - made)[bucket[cut]]
    return left, right, skipped


@dataclass(frozen=True)
class _Bucket:
    """Candidate pairs of each bucket: all of a small one, hubs against the rest of a large one.

    Attributes:
        boundary: Row number from which records belong to another dataset.
    """

    boundary: int | None

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        rows, priority = frame["row"].to_numpy(), frame["priority"].to_numpy()
        others = np.zeros(len(starts) - 1, np.int64)
        if self.boundary is not None:
            before = np.concatenate(([0], np.cumsum(rows >= np.uint64(self.boundary))))
            others = np.diff(before[starts])
        left, right, skipped = bucket_pairs(np.diff(starts), others)
        return pl.DataFrame(
            {
                "left": rows[left],
                "right": rows[right],
                "left_priority": priority[left],
                "right_priority": priority[right],
                "skipped": skipped,
            },
            schema={**_PAIRS, "skipped": pl.Int64},
        )


@dataclass(frozen=True)
class _Distinct:
    """Pairs that several buckets propose, once."""

    def __call__(self, frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> pl.DataFrame:
        once = frame.group_by("left", "right", maintain_order=True).agg(
            pl.col("left_priority", "right_priority").first(),
            pl.col("skipped").sum(),
            (pl.col("skipped") > 0).sum().alias("cut"),
        )
        return once.with_columns(pl.lit(None, dtype=pl.Float64).alias("similarity"))


@dataclass(frozen=True)
class _Exact:
    """The Jaccard similarity of every candidate pair; too small ones are left out."""

    column: str
    threshold: float
    sketch: Sketch

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        common, union = jaccard(
            *records.buffers(self.column),
            positions["left"],
            positions["right"],
            ngram=self.sketch.ngram,
            unit=self.sketch.unit,
        )
        return _at_least(frame, common / union, self.threshold)


@dataclass(frozen=True)
class _Estimated:
    """The share of equal positions in the signatures of every candidate pair.

    Signatures are made again from the few texts that are candidates: storing them would take 128
    bytes per document or more, and most have no candidate.
    """

    column: str
    threshold: float
    sketch: Sketch

    def __call__(
        self, frame: pl.DataFrame, records: Batch, positions: Mapping[str, npt.NDArray[np.int64]]
    ) -> pl.DataFrame:
        signature, shingles = self.sketch.signatures(records, self.column)
        left, right = positions["left"], positions["right"]
        equal = agreement(signature, signature, left, right)
        # Short texts met by the hash of all their words.
        equal[shingles[left] == 0] = self.sketch.num_perm
        return _at_least(frame, equal / self.sketch.num_perm, self.threshold)


def _at_least(
    frame: pl.DataFrame, similarity: npt.NDArray[np.float64], threshold: float
) -> pl.DataFrame:
    measured = frame.with_columns(pl.Series("similarity", similarity, dtype=pl.Float64))
    return measured.filter(pl.Series(similarity >= threshold))


@dataclass(frozen=True)
class _CountSkipped:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(
            pl.len().alias("pairs_proposed"),
            pl.col("cut").sum().alias("buckets_cut"),
            pl.col("skipped").sum().alias("pairs_not_compared"),
        )
