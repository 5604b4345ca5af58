from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from datatools.judge.decision import SEEN_LIMIT, call, recompute
from datatools.judge.receipts import ArmFacts, DocumentReceipt, Header, Receipts, RunReceipt
from datatools.judge.tiers import TIERS, PlannedRun, Tier
from datatools.judge.verdict import Verdict

CPU = TIERS["cpu"].model_copy(update={"ngram": TIERS["cpu"].ngram.model_copy(update={"draws": 3})})


def receipts(
    *,
    ngram: float = 0.0,
    source: float | None = None,
    neural: float = 0.0,
    low: float | None = None,
    null_a: float = 0.0,
    null_b: float = 0.0,
    neural_null: float = 0.0,
    seed_spread: float = 0.001,
    document_spread: float = 0.0,
    seen: dict[int, tuple[float, float]] | None = None,
    tier: Tier = CPU,
    shared_ids: int = 90,
    **facts: int,
) -> Receipts:
    """Receipts of effects chosen by hand, in bits per byte; 60 documents of two domains."""
    documents = tuple(
        DocumentReceipt(
            id=f"d{at:02d}",
            domain=("news", "story")[at % 2],
            cluster=f"c{at // 4}",
            language=("en", "ko")[at % 2],
            size=1000,
            seen_a=(seen or {}).get(at, (0.0, 0.0))[0],
            seen_b=(seen or {}).get(at, (0.0, 0.0))[1],
        )
        for at in range(60)
    )
    wave = np.array([math.sin(at) for at in range(60)])

    def bits(run: PlannedRun) -> Any:
        effect = {"ngram": ngram, "neural": neural}[run.voice]
        if run.regime == "source-matched":
            effect = ngram if source is None else source
        if run.role == "low-rate":
            effect = neural if low is None else low
        found = 2.0 - (effect if run.arm == "B" else 0.0)
        if run.role == "null":
            nulls = (null_a, null_b) if run.voice == "ngram" else (neural_null, 0.0)
            found -= nulls["AB".index(run.arm)]
        if run.role == "paired" and run.arm == "B":
            found = found + seed_spread * (run.draw - 1) + document_spread * wave
        return found + np.zeros(60)

    runs = tuple(
        RunReceipt(
            planned=run,
            voice=f"{run.voice}-x",
            texts=10,
            size=1000,
            tokens=None if run.voice == "ngram" else 300,
            seconds=1.5,
        )
        for run in tier.runs()
    )
    nll = np.array([bits(run.planned) for run in runs]) * 1000 * math.log(2)
    arm = {"documents": 100, "size": 1_000_000} | facts
    return Receipts(
        header=Header(
            version="0",
            tier=tier,
            seed=0,
            a=ArmFacts(name="raw", digest="1", **arm),
            b=ArmFacts(name="clean", digest="2", documents=100, size=900_000),
            shared_ids=shared_ids,
            reference="3",
        ),
        documents=documents,
        runs=runs,
        nll=nll,
    )


def decide(**chosen: Any) -> Verdict:
    return recompute(receipts(**chosen))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.011, 0.02, "better"),
        (-0.02, -0.011, "worse"),
        (-0.01, 0.01, "equivalent"),
        (0.0, 0.0, "equivalent"),
        (0.009, 0.02, "inconclusive"),
        (-0.02, 0.02, "inconclusive"),
        (-0.02, -0.01, "inconclusive"),
    ],
)
def test_an_interval_is_called_by_where_it_lies(low: float, high: float, expected: str) -> None:
    assert call(low, high, 0.01) == expected


def test_a_clear_effect_decides_and_its_mirror_image_decides_the_other_way() -> None:
    better, worse = decide(ngram=0.1, neural=0.1), decide(ngram=-0.1, neural=-0.1)
    assert (better.decision, worse.decision) == ("better", "worse")
    assert better.effect == pytest.approx(0.1)
    assert better.relative == pytest.approx(0.05)
    assert better.headline == (
        "A model trained on clean reads neutral text 5.0% better than one trained on raw "
        "(2.000 to 1.900 bits per byte)."
    )
    assert "5.0% worse" in worse.headline


def test_an_effect_inside_the_zone_is_equivalent() -> None:
    verdict = decide(ngram=0.002, neural=0.002)
    assert verdict.decision == "equivalent"
    assert "equivalent for this tier" in verdict.headline


def test_seeds_that_scatter_leave_it_open_and_the_advice_counts_seeds() -> None:
    verdict = decide(ngram=0.03, neural=0.03, seed_spread=0.02)
    assert verdict.decision == "inconclusive"
    # Half width below 0.02, one sigma: t(5) / sqrt(6) = 2.571 / 2.449, t(6) / sqrt(7) = 2.447 /
    # 2.646.
    assert "About 4 more paired seeds" in verdict.advice
    assert "1 minute at most" in verdict.advice


def test_documents_that_scatter_ask_for_more_text_and_not_for_more_seeds() -> None:
    verdict = decide(ngram=0.02, neural=0.02, seed_spread=0.0001, document_spread=0.3)
    assert verdict.decision == "inconclusive"
    assert verdict.voices[0].method == "bootstrap"
    assert "more reference text would narrow it, more seeds would not" in verdict.advice


@pytest.mark.parametrize("arm", ["null_a", "null_b"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_null_of_either_arm_that_is_not_well_inside_the_effect_forbids_a_claim(
    arm: str, sign: int
) -> None:
    assert decide(ngram=0.1, neural=0.1, **{arm: sign * 0.049}).decision == "better"
    verdict = decide(ngram=0.1, neural=0.1, **{arm: sign * 0.052})
    assert verdict.decision == "inconclusive"
    assert any("not well inside the effect" in reason for reason in verdict.reasons)


def test_a_null_outside_the_zone_forbids_equivalence() -> None:
    assert decide(null_a=0.009).decision == "equivalent"
    assert decide(null_a=0.011).decision == "inconclusive"


def test_a_null_of_over_three_zones_and_over_the_effect_measures_nothing() -> None:
    assert decide(ngram=0.02, neural=0.02, null_b=0.031).decision == "invalid"
    assert decide(ngram=0.04, neural=0.04, null_b=0.031).decision == "inconclusive"
    assert decide(ngram=0.0, neural=0.0, null_b=0.031).decision == "inconclusive"


def test_a_clear_voice_whose_sign_changes_at_a_lower_rate_is_fragile() -> None:
    verdict = decide(ngram=0.1, neural=0.1, low=-0.001)
    assert verdict.decision == "fragile"
    assert any("changes its mind at a lower learning rate" in one for one in verdict.reasons)
    assert verdict.voices[-1].low_rates == {"0.3": pytest.approx(-0.001)}
    assert decide(ngram=0.1, neural=0.1, low=0.001).decision == "better"


def test_a_second_voice_that_changes_its_sign_no_longer_counts_against_equivalence() -> None:
    verdict = decide(ngram=0.0, neural=0.1, low=-0.05)
    assert verdict.decision == "equivalent"
    assert any("changes its mind" in reason for reason in verdict.reasons)


def test_a_sign_change_of_a_voice_that_is_not_clear_means_nothing() -> None:
    assert decide(ngram=0.1, neural=0.005, low=-0.005).decision == "better"


def test_a_clear_main_voice_stands_against_a_clear_second_one_and_it_is_said() -> None:
    verdict = decide(ngram=0.1, neural=-0.1)
    assert verdict.decision == "better"
    assert any("The voices disagree; ngram-x decides" in reason for reason in verdict.reasons)


def test_equivalence_against_a_clear_second_voice_is_inconclusive() -> None:
    verdict = decide(ngram=0.0, neural=0.1)
    assert verdict.decision == "inconclusive"
    assert any("ngram-x sees no difference" in reason for reason in verdict.reasons)


def test_a_second_voice_whose_null_is_half_its_effect_is_not_clear() -> None:
    verdict = decide(ngram=0.0, neural=0.1, low=-0.1, neural_null=0.06)
    assert verdict.decision == "equivalent"
    assert not verdict.voices[-1].clear
    assert "neural-x, token-matched: nothing is clear" in verdict.reasons[-1]
    assert "null 0.0600" in verdict.reasons[-1]


def test_the_neural_voice_decides_where_the_tier_says_so() -> None:
    tier = CPU.model_copy(update={"main": "neural"})
    verdict = decide(ngram=-0.1, neural=0.1, tier=tier)
    assert verdict.decision == "better"
    assert verdict.voices[0].voice == "neural-x"
    assert verdict.domains[0].effect == pytest.approx(0.1)


def test_the_regimes_may_differ_and_the_verdict_says_what_that_means() -> None:
    verdict = decide(ngram=0.1, neural=0.1, source=-0.1)
    assert verdict.decision == "better"
    assert any("the answer differs" in reason for reason in verdict.reasons)


def test_arms_without_a_common_source_are_not_called_one_crawl() -> None:
    assert "is not one crawl" not in decide(ngram=0.1, neural=0.1, shared_ids=50).summary
    assert "Only 49% of the documents of clean" in decide(shared_ids=49).summary


def test_seen_documents_are_left_out_and_counted() -> None:
    plain = receipts(ngram=0.1, neural=0.1)
    seen = {0: (0.9, 0.0), 1: (0.0, SEEN_LIMIT), 2: (1.0, 1.0), 3: (SEEN_LIMIT - 0.01, 0.0)}
    spoilt = receipts(ngram=0.1, neural=0.1, seen=seen)
    spoilt.nll[:, :3] *= np.linspace(0.5, 2.0, len(spoilt.runs))[:, None]  # what memory may do
    verdict = recompute(spoilt)
    assert verdict.effect == pytest.approx(recompute(plain).effect)
    counts = verdict.contamination
    assert (counts.documents, counts.seen_a, counts.seen_b, counts.excluded) == (60, 2, 2, 3)
    assert counts.excluded_share == pytest.approx(3 / 60)
    assert sum(one.documents for one in verdict.domains) == 57


def test_too_much_of_the_reference_seen_is_invalid() -> None:
    enough = dict.fromkeys(range(30), (0.5, 0.0))
    assert decide(ngram=0.1, neural=0.1, seen=enough).decision == "better"
    verdict = decide(ngram=0.1, neural=0.1, seen=enough | {30: (0.0, 0.5)})
    assert verdict.decision == "invalid"
    assert verdict.effect is None
    assert "52% of the reference text was seen in training" in verdict.summary


def test_too_little_text_is_invalid() -> None:
    verdict = decide(ngram=0.1, neural=0.1, size=16_000)
    assert verdict.decision == "invalid"
    assert "raw has 16,000 bytes" in verdict.reasons[0]
    assert verdict.headline == "No verdict on clean against raw."


def test_a_verdict_survives_json_with_every_bit() -> None:
    for verdict in (decide(ngram=0.1, neural=0.09, low=-0.2), decide(size=1)):
        text = verdict.model_dump_json()
        assert Verdict.model_validate_json(text) == verdict
        assert not {"NaN", "Infinity"} & set(text.replace(",", " ").split())
        json.loads(text)


def test_the_summary_holds_numbers_history_and_limits() -> None:
    verdict = decide(ngram=0.1, neural=0.1)
    assert "+0.1000 bits per byte" in verdict.summary
    assert "3 of 3 paired seeds on one side" in verdict.summary
    assert "in 99% of 381,107 pairs" in verdict.summary  # 0.1 bits per byte are 0.298 nats
    assert verdict.summary.endswith(CPU.limits)
    assert verdict.seconds == pytest.approx(1.5 * len(CPU.runs()))
