import math
import random

import numpy as np
import polars as pl
import pytest
from kept_texts import frame

from datatools.dedup_index import DedupIndex
from datatools.dedup_index.sketching import Parameters
from datatools.kernels.sketches import estimate
from datatools.steps.base import Batch

EXACT = 0.8


def pair(draw, similarity, shingles=300):
    """Return two texts of single-word shingles whose sets have exactly this similarity."""
    union = shingles
    common = round(similarity * union)
    own = (union - common) // 2
    words = [f"w{draw.randrange(10**9)}x{n}" for n in range(common + 2 * own)]
    one, other = words[: common + own], words[:common] + words[common + own :]
    return " ".join(one), " ".join(other)


@pytest.mark.parametrize("similarity", [0.5, 0.8, 0.95])
def test_the_estimate_is_off_by_its_standard_error_and_not_to_one_side(similarity):
    draw = random.Random(0)
    parameters = Parameters(ngram=1)
    pairs = [pair(draw, similarity) for _ in range(400)]
    left, right = (
        parameters.sketches(Batch(pl.DataFrame({"text": [one[side] for one in pairs]}))).sketch
        for side in (0, 1)
    )
    found = estimate(left, right) - similarity
    expected = parameters.standard_error(similarity)
    assert abs(found.mean()) < 4 * expected / math.sqrt(len(pairs))
    assert 0.85 < float(np.std(found)) / expected < 1.15


def test_more_permutations_make_the_error_smaller():
    errors = [Parameters(num_perm=n).standard_error(0.8) for n in (64, 128, 512)]
    assert errors[0] / errors[2] == pytest.approx(math.sqrt(8))
    assert errors[1] == pytest.approx(math.sqrt(0.8 * 0.2 / 128), abs=0.001)


def test_of_pairs_two_errors_above_the_threshold_nearly_all_are_matched_and_below_nearly_none(
    tmp_path,
):
    index = DedupIndex.create(tmp_path / "kept.index", ngram=1)
    error = index.parameters.standard_error(EXACT)
    draw = random.Random(1)
    shares = []
    for similarity in (EXACT - 2.5 * error, EXACT + 2.5 * error):
        pairs = [pair(draw, similarity) for _ in range(300)]
        prefix = f"{similarity:.2f}"
        index.add(frame([one for one, _ in pairs], prefix))
        found = index.match(frame([other for _, other in pairs], prefix))
        assert (found["match"] == found["id"]).fill_null(value=True).all()
        shares.append(found["match"].is_not_null().mean())
    assert shares[0] < 0.05
    assert shares[1] > 0.95
