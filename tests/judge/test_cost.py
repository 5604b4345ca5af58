"""What a verdict costs: the runs of its tier, added up by hand."""

import pytest

from datatools.judge.cost import NgramSpeed, measure_ngram, verdict_seconds
from datatools.judge.tiers import TIERS

SMOKE = TIERS["smoke"]
NGRAM_ONLY = SMOKE.model_copy(update={"neural": None})


def test_the_ngram_voice_is_measured_on_the_reference():
    found = measure_ngram(3)
    assert found.fit > 0
    assert found.read > 0
    assert found.reference > 100_000


def test_small_arms_are_read_whole_once_and_by_halves_in_every_draw():
    # 6 draws and one null draw of half the smaller arm on either side, and each arm whole once.
    fit_only = NgramSpeed(fit=1000.0, read=float("inf"), reference=0)
    bytes_fitted = 2 * 7 * 30_000 + 80_000 + 60_000
    found = verdict_seconds(NGRAM_ONLY, (80_000, 60_000), fit_only, None)
    assert found == pytest.approx(1.1 * bytes_fitted / 1000)
    # Every one of the 16 models reads the reference.
    read_only = NgramSpeed(fit=float("inf"), read=1000.0, reference=500)
    assert verdict_seconds(NGRAM_ONLY, (80_000, 60_000), read_only, None) == pytest.approx(
        1.1 * 16 * 0.5
    )


def test_large_arms_cost_no_more_than_the_tier_allows():
    speed = NgramSpeed(fit=1e6, read=float("inf"), reference=0)
    # At most 4 MB in each of 14 matched draws; of the source 4 MB of the larger arm and
    # as large a share of the other, 2 MB.
    found = verdict_seconds(NGRAM_ONLY, (40_000_000, 20_000_000), speed, None)
    assert found == pytest.approx(1.1 * (14 * 4 + 6 * (4 + 2)))


def test_the_neural_voice_trains_its_tokens_and_reads_the_reference_in_each_run():
    free = NgramSpeed(float("inf"), float("inf"), reference=2400)
    runs = sum(run.voice == "neural" for run in SMOKE.runs())
    assert runs == 8
    # 2,400 bytes are 1,000 tokens, which are read three times as fast as trained on.
    found = verdict_seconds("smoke", (10**9, 10**9), free, 1000.0)
    assert found == pytest.approx(1.1 * runs * (100_000 + 1000 / 3) / 1000)
