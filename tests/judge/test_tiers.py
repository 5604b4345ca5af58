from __future__ import annotations

from collections import Counter

import pytest

from datatools.errors import ConfigError
from datatools.judge.tiers import TIERS, nats_per_token, resolve_tier
from datatools.train.model import SIZES


@pytest.mark.parametrize("name", sorted(TIERS))
def test_the_arms_of_a_tier_get_the_same_runs_and_each_voice_a_null(name: str) -> None:
    tier = resolve_tier(name)
    runs = tier.runs()
    assert len(set(runs)) == len(runs)
    a, b = ([run.model_copy(update={"arm": "?"}) for run in runs if run.arm == arm] for arm in "AB")
    assert a == b
    paired = {(run.voice, run.draw) for run in runs if run.role == "paired"}
    nulls = {(run.voice, run.draw) for run in runs if run.role == "null"}
    assert {voice for voice, _ in nulls} == {voice for voice, _ in paired}
    assert not nulls & paired  # another draw, or it would be no null


def test_the_smoke_tier_holds_thirtyfour_runs() -> None:
    counts = Counter((run.voice, run.regime, run.role) for run in TIERS["smoke"].runs())
    assert counts == {
        ("ngram", "token-matched", "paired"): 12,
        ("ngram", "source-matched", "paired"): 12,
        ("ngram", "token-matched", "null"): 2,
        ("neural", "token-matched", "paired"): 6,
        ("neural", "token-matched", "null"): 2,
    }


def test_low_rates_repeat_the_first_pair() -> None:
    low = [run for run in TIERS["gpu"].runs() if run.role == "low-rate"]
    assert [(run.arm, run.draw, run.rate) for run in low] == [
        ("A", 0, 0.3),
        ("B", 0, 0.3),
        ("A", 0, 0.1),
        ("B", 0, 0.1),
    ]


@pytest.mark.parametrize(
    ("name", "nats"), [("smoke", 0.03), ("cpu", 0.03), ("gpu", 0.005), ("big", 0.002)]
)
def test_the_main_zone_in_nats_per_token_is_that_of_the_design(name: str, nats: float) -> None:
    tier = TIERS[name]
    plan = tier.ngram if tier.main == "ngram" else tier.neural
    assert plan is not None
    assert nats_per_token(plan.rope) == pytest.approx(nats, rel=0.1)


def test_every_neural_size_is_one_the_trainer_knows() -> None:
    assert {tier.neural.size for tier in TIERS.values() if tier.neural} <= set(SIZES)


def test_a_mistyped_tier_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"got 'smok'\). Did you mean 'smoke'"):
        resolve_tier("smok")
