"""What is removed: precision, recall and the S-curve against a truth computed by sets.

Recall is the share of pairs at least as similar as the threshold of which not both stay. A removal
is right when a document that stays is that similar (`precision`); peers that merge chains are also
given the weaker reading that any document is (`precision_any`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import figure
from near_duplicates import FLOOR, labelled, truth
from texts import LANGUAGES

from datatools.kernels.minhash import bands, choose_bands, predicted_recall, signatures
from datatools.steps.base import Batch
from dedup_parts.runs import run_ours, run_peer, warm

__all__ = ["judged", "measure", "s_curve"]

THRESHOLD = 0.8
PEERS = ("gaoya", "rensa", "datasketch", "datatrove")
BIN = 0.05
SEEDS = 16


def measure(work: Path, *, quick: bool, real: bool, peers: bool) -> tuple[dict[str, Any], Any]:
    """Return precision, recall and the S-curve, and their figures."""
    documents = 4_000 if quick else 20_000
    result: dict[str, Any] = {"threshold": THRESHOLD, "documents": documents}
    figures: dict[str, Any] = {}
    for language in LANGUAGES:
        rows = labelled(language, documents, real=real)
        pairs = truth(rows)
        source = work / f"labelled-{language}.parquet"
        rows.write_parquet(source)
        if language == LANGUAGES[0]:
            warm(source, work)
        ours = judged(rows, run_ours(source, work / "out", workers=2).kept, pairs)
        curve = s_curve(rows, pairs)
        alike = pairs.filter(pl.col("jaccard") >= THRESHOLD).height
        found: dict[str, Any] = {"pairs_at_threshold": alike, "datatools": ours, "s_curve": curve}
        for name in PEERS if peers else ():
            _, kept = run_peer(name, source, work / "peer.parquet", 2)
            found[name] = judged(rows, kept, pairs)
        result[language] = found
        figures[f"quality_{language}_precision"] = figure(ours["precision"], 1.0)
        figures[f"quality_{language}_recall"] = figure(ours["recall"], 0.98)
        # In standard errors. Of 14 bins in 2 languages one exceeds 5 by chance in 200 runs.
        gap = max(abs(row["gap_in_standard_errors"]) for row in curve)
        figures[f"quality_{language}_s_curve_gap"] = figure(gap, 5, at_most=True)
    return result, figures


def judged(rows: pl.DataFrame, kept: list[str], pairs: pl.DataFrame) -> dict[str, Any]:
    """Return how right the survivors are.

    Args:
        rows: The documents (`id`).
        kept: Ids of those that stay.
        pairs: The truth.
    """
    alike = pairs.filter(pl.col("jaccard") >= THRESHOLD)
    stays = alike.select(pl.col("left", "right").is_in(kept))
    missed = int((stays["left"] & stays["right"]).sum())
    removed = set(rows["id"]) - set(kept)
    either = [set(alike["left"]), set(alike["right"])]
    beside_a_survivor = set(alike.filter(stays["right"])["left"]) | set(
        alike.filter(stays["left"])["right"]
    )
    return {
        "kept": len(kept),
        "removed": len(removed),
        "precision": _share(len(removed & beside_a_survivor), len(removed)),
        "precision_any": _share(len(removed & (either[0] | either[1])), len(removed)),
        "recall": _share(alike.height - missed, alike.height),
    }


def _share(part: int, whole: int) -> float:
    # Rounded down: 0.99996 is not 1.
    return math.floor(part / whole * 10_000) / 10_000 if whole else 1.0


def s_curve(rows: pl.DataFrame, pairs: pl.DataFrame) -> list[dict[str, float]]:
    """Return, by similarity, the share of pairs that share a band key and the share predicted.

    The prediction is for permutations drawn at random, so the share is the mean over `SEEDS` sets
    of them, and its standard error comes from how the sets differ. Counting pairs of one set would
    not do: pairs that share a header or an original are found or missed together.
    """
    count, width = choose_bands(THRESHOLD)
    place = {name: at for at, name in enumerate(rows["id"])}
    left = np.array([place[name] for name in pairs["left"]], np.int64)
    right = np.array([place[name] for name in pairs["right"]], np.int64)
    buffers = Batch(rows).buffers("text")
    met = np.empty((SEEDS, len(left)), np.bool_)
    for seed in range(SEEDS):
        signature, _ = signatures(*buffers, seed=seed)
        keys = bands(signature, count, width)
        met[seed] = (keys[left] == keys[right]).any(axis=1)
    jaccard = pairs["jaccard"].to_numpy()
    predicted = np.array([predicted_recall(value, count, width) for value in jaccard])
    curve = []
    for low in np.arange(FLOOR, 1.0, BIN).round(2):
        # The last bin holds similarity 1 too.
        here = (jaccard >= low) & (jaccard < (low + BIN if low + BIN < 0.999 else 2.0))
        if here.sum() < 50:
            continue
        shares = met[:, here].mean(axis=1)
        gap = float(shares.mean() - predicted[here].mean())
        # Near 1 no set misses a pair, and the smallest error there can be is that of one pair.
        error = max(float(shares.std(ddof=1)), 1 / int(here.sum())) / math.sqrt(SEEDS)
        curve.append(
            {
                "from": float(low),
                "pairs": int(here.sum()),
                "measured": round(float(shares.mean()), 4),
                "predicted": round(float(predicted[here].mean()), 4),
                "gap_in_standard_errors": round(gap / error, 2),
            }
        )
    return curve
