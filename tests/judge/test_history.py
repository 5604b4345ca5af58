from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datatools.judge.history import REGMIX, gap_bin, history_sentence

SHARED = Path(__file__).resolve().parents[2] / "../shared"


def test_ranges_tile_all_gaps() -> None:
    assert REGMIX[0].low == 0
    assert REGMIX[-1].high == float("inf")
    assert all(one.high == other.low for one, other in itertools.pairwise(REGMIX))
    assert gap_bin(0.01).low == 0.01
    assert gap_bin(-0.5) is REGMIX[-1]
    assert gap_bin(0.0) is REGMIX[0]


def test_the_sentence_quotes_its_range() -> None:
    assert "74% of 12,806 pairs" in history_sentence(-0.03)
    assert "0.02 to 0.05 nats per token apart (here 0.030)" in history_sentence(-0.03)


@pytest.mark.shared
def test_the_table_follows_from_the_published_losses() -> None:
    folder = SHARED / "data/i_statistics/regmix"
    small, large = (
        pl.read_csv(folder / f"test_pile_loss_{size}.csv").sort("index") for size in ("1m", "60m")
    )
    pairs, agree = np.zeros(len(REGMIX)), np.zeros(len(REGMIX))
    first, second = np.triu_indices(small.height, 1)
    edges = [one.high for one in REGMIX[:-1]]
    for column in small.columns[1:]:
        a, b = (frame[column].to_numpy() for frame in (small, large))
        gap_a, gap_b = a[first] - a[second], b[first] - b[second]
        at = np.digitize(np.abs(gap_a), edges)
        pairs += np.bincount(at, minlength=len(REGMIX))
        agree += np.bincount(at, np.sign(gap_a) == np.sign(gap_b), minlength=len(REGMIX))
    assert pairs.tolist() == [one.pairs for one in REGMIX]
    assert (agree / pairs).tolist() == pytest.approx([one.agreement for one in REGMIX], abs=0.005)
