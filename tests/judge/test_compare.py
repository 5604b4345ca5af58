from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datatools.errors import ConfigError
from datatools.judge.arm import Text
from datatools.judge.compare import compare, measure
from datatools.judge.corrupt import add_boilerplate, replace_language, shuffle_words
from datatools.judge.decision import recompute
from datatools.judge.reference import ReferenceSet
from datatools.judge.tiers import NeuralPlan, Tier
from datatools.judge.verdict import Verdict


def timeless(verdict: Verdict) -> Verdict:
    return verdict.model_copy(update={"seconds": 0.0})


def test_a_shuffled_arm_is_called_worse_and_its_repair_better(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    shuffled = shuffle_words(prose, 0.5)
    worse = compare(prose, shuffled, tier=ngram_tier, reference=neutral, names=("raw", "broken"))
    better = compare(shuffled, prose, tier=ngram_tier, reference=neutral)
    assert (worse.decision, better.decision) == ("worse", "better")
    assert "trained on broken reads neutral text" in worse.headline
    assert {one.domain for one in worse.domains} == {"pydoc", "story"}
    assert all(one.effect < 0 and one.p < 0.05 for one in worse.domains)


def test_foreign_text_in_half_of_an_arm_is_called_worse(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    foreign = ["Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, rief jemand."]
    foreign += ["Am Abend saßen wir wieder am Ufer und sahen den Schiffen lange nach."]
    damaged = replace_language(prose, 0.5, foreign)
    assert compare(prose, damaged, tier=ngram_tier, reference=neutral).decision == "worse"


def test_a_dose_of_damage_has_a_monotone_effect(
    prose: list[Text], neutral: ReferenceSet, quick_tier: Tier
) -> None:
    for damage in (shuffle_words, add_boilerplate):
        effects = [
            compare(prose, damage(prose, dose), tier=quick_tier, reference=neutral).effect
            for dose in (0.0, 0.3, 1.0)
        ]
        assert None not in effects
        assert effects == sorted(effects, reverse=True)  # type: ignore[type-var]
        assert effects[0] == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_identical_arms_are_never_called(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier, seed: int
) -> None:
    verdict = compare(prose, prose, tier=ngram_tier, reference=neutral, seed=seed)
    assert verdict.decision in ("equivalent", "inconclusive")
    assert (verdict.effect, verdict.low, verdict.high) == (0.0, 0.0, 0.0)


def test_two_halves_of_one_source_are_never_called(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    verdict = compare(prose[::2], prose[1::2], tier=ngram_tier, reference=neutral)
    assert verdict.decision not in ("better", "worse")


def test_swapping_the_arms_flips_every_sign_exactly(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    other = shuffle_words(prose[:400], 0.3)
    one = compare(prose, other, tier=ngram_tier, reference=neutral)
    two = compare(other, prose, tier=ngram_tier, reference=neutral)
    assert one.effect is not None
    assert two.effect is not None
    assert one.high is not None
    assert one.low is not None
    assert one.effect != 0
    assert (two.effect, two.low, two.high) == (-one.effect, -one.high, -one.low)
    flipped = {"better": "worse", "worse": "better"}
    assert two.decision == flipped.get(one.decision, one.decision)
    for a, b in zip(one.voices, two.voices, strict=True):
        assert b.seed_effects == tuple(-value for value in a.seed_effects)
        assert (a.null_a, a.null_b) == (b.null_b, b.null_a)
        assert (a.bits_a, a.train_bytes_a) == (b.bits_b, b.train_bytes_b)
    for a, b in zip(one.domains, two.domains, strict=True):
        assert (b.effect, b.low, b.high, b.p) == (-a.effect, -a.high, -a.low, a.p)


def test_the_order_of_documents_changes_nothing(
    prose: list[Text], neutral: ReferenceSet, quick_tier: Tier
) -> None:
    other = add_boilerplate(prose, 0.4)
    draw = np.random.default_rng(0)
    mixed = [[arm[at] for at in draw.permutation(len(arm))] for arm in (prose, other)]
    rows = [
        {"id": one.id, "text": one.text, "domain": domain, "language": one.language}
        for domain, one in neutral.items()
    ]
    again = ReferenceSet.of(rows[::-1])
    one = compare(prose, other, tier=quick_tier, reference=ReferenceSet.of(rows))
    two = compare(*mixed, tier=quick_tier, reference=again)
    assert timeless(one) == timeless(two)


def test_the_same_seed_gives_the_same_verdict_and_another_seed_other_draws(
    prose: list[Text], neutral: ReferenceSet, quick_tier: Tier
) -> None:
    other = shuffle_words(prose, 0.5)
    found = [
        compare(prose, other, tier=quick_tier, reference=neutral, seed=seed) for seed in (0, 0, 1)
    ]
    assert timeless(found[0]) == timeless(found[1])
    assert found[0].effect != found[2].effect


def test_token_matched_runs_see_equal_bytes_and_source_matched_runs_all_there_is(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    shorter = prose[::3]
    receipts = measure(prose, shorter, tier=ngram_tier, reference=neutral)
    half = sum(len(one.text.encode()) for one in shorter) // 2
    whole = {"A": receipts.header.a.size, "B": receipts.header.b.size}
    for run in receipts.runs:
        expected = half if run.planned.regime == "token-matched" else whole[run.planned.arm]
        assert expected - 3 <= run.size <= expected
    assert receipts.header.shared_ids == len(shorter)
    source = recompute(receipts).voices[1]
    assert source.regime == "source-matched"
    assert source.effect < 0  # a third of the text is worth less than all of it


def test_a_large_arm_is_cut_to_the_tiers_bytes_in_both_regimes(
    prose: list[Text], neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    small = ngram_tier.ngram.model_copy(update={"max_bytes": 40_000})
    tier = ngram_tier.model_copy(update={"ngram": small})
    receipts = measure(prose, shuffle_words(prose, 0.5), tier=tier, reference=neutral)
    for run in receipts.runs:
        if run.planned.regime == "token-matched":
            assert 39_997 <= run.size <= 40_000
        else:
            assert 20_000 < run.size < 60_000
    sizes = {run.size for run in receipts.runs if run.planned.regime == "source-matched"}
    assert len(sizes) == 3  # one per draw, and the arms share their pages


def test_an_arm_that_holds_the_reference_is_not_judged_on_it(
    prose: list[Text], neutral: ReferenceSet, quick_tier: Tier
) -> None:
    leaked = [Text(f"leak{at}", one.text) for at, (_, one) in enumerate(neutral.items())]
    few = compare(prose, prose + leaked[:10], tier=quick_tier, reference=neutral)
    assert few.contamination.seen_a == 0
    assert few.contamination.excluded == few.contamination.seen_b >= 8
    assert few.decision != "better"
    all_of_it = compare(prose, prose + leaked, tier=quick_tier, reference=neutral)
    assert all_of_it.decision == "invalid"
    assert all_of_it.voices == ()


def test_nothing_is_fitted_when_there_is_too_little_text(
    neutral: ReferenceSet, ngram_tier: Tier
) -> None:
    told: list[str] = []
    receipts = measure(
        ["a few words"],
        ["and a few more"],
        tier=ngram_tier,
        reference=neutral,
        progress=lambda done, total, what: told.append(what),
    )
    assert receipts.runs == ()
    assert told == []
    assert recompute(receipts).decision == "invalid"


def test_progress_is_told_about_every_run(
    prose: list[Text], neutral: ReferenceSet, quick_tier: Tier
) -> None:
    told: list[tuple[int, int, str]] = []
    compare(
        prose,
        prose,
        tier=quick_tier,
        reference=neutral,
        names=("raw", "clean"),
        progress=lambda done, total, what: told.append((done, total, what)),
    )
    assert [done for done, _, _ in told] == list(range(1, len(quick_tier.runs()) + 1))
    assert {total for _, total, _ in told} == {len(quick_tier.runs())}
    assert told[1][2] == "ngram-6 token-matched paired 0 on clean"


def test_two_arms_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="names: must differ"):
        compare([], [], names=("same", "same"))


def test_a_missing_dataset_is_refused(tmp_path: Path, neutral: ReferenceSet) -> None:
    from datatools.errors import DataError

    with pytest.raises(DataError, match="not a published dataset"):
        compare(tmp_path, tmp_path, reference=neutral)


@pytest.fixture
def neural_tier(quick_tier: Tier) -> Tier:
    plan = NeuralPlan(size="smoke", tokens=1024, draws=2, low_rates=(0.3,), rope=0.05)
    return quick_tier.model_copy(update={"neural": plan})


@pytest.fixture
def few(neutral: ReferenceSet) -> ReferenceSet:
    return ReferenceSet({name: documents[:10] for name, documents in neutral.domains.items()})


def test_swapping_the_arms_flips_the_neural_voice_exactly(
    prose: list[Text], few: ReferenceSet, neural_tier: Tier
) -> None:
    other = shuffle_words(prose, 1.0)
    one = measure(prose, other, tier=neural_tier, reference=few)
    two = measure(other, prose, tier=neural_tier, reference=few)
    a, b = recompute(one).voices[-1], recompute(two).voices[-1]
    assert a.voice == "neural-smoke"
    assert a.effect != 0
    assert b.seed_effects == tuple(-value for value in a.seed_effects)
    assert (b.low, b.high) == (-a.high, -a.low)
    assert b.low_rates == {rate: -value for rate, value in a.low_rates.items()}
    assert (a.null_a, a.null_b) == (b.null_b, b.null_a)
    tokens = {run.tokens for run in one.runs if run.planned.voice == "neural"}
    assert tokens == {1024}


def test_a_small_arm_is_read_at_most_four_times(
    prose: list[Text], few: ReferenceSet, neural_tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def nll(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
            return np.ones(len(texts))

    asked: list[tuple[int, int]] = []

    def fit(texts: Sequence[str], *, tokenizer: Any, tokens: int, **_: Any) -> Silent:
        asked.append((tokens, sum(len(ids) for ids in tokenizer.encode(texts))))
        return Silent()

    monkeypatch.setattr("datatools.train.api.fit_language_model", fit)
    assert neural_tier.neural is not None
    plan = neural_tier.neural.model_copy(update={"tokens": 10**9})
    tier = neural_tier.model_copy(update={"neural": plan})
    measure(prose[::3], prose[1::3], tier=tier, reference=few)
    assert len(asked) == 8
    assert len({tokens for tokens, _ in asked}) == 1
    for tokens, held in asked:
        assert tokens == pytest.approx(4 * held, rel=0.15)
