"""How receipts become a decision.

Owns: `recompute`, a pure function of receipts, and the rules it follows. Refuses: texts and models.

How a decision is made, in this order:

1.  `invalid` when the arms or the reference rule a verdict out: too little text, or too much of the
    reference seen in an arm. Reference documents that an arm has seen are left out in any case.
2.  The main voice speaks, over its first regime. Its interval wholly above the zone of practical
    equivalence (ROPE) says `better`, wholly below `worse`, wholly inside `equivalent`, and across
    an edge `inconclusive`. `better` means that arm B has fewer bits per byte.
3.  The null: another draw of an arm against that arm's own paired draws; the larger of the two
    arms' nulls counts. Where it is not below half of a claimed effect, or not inside the zone for
    `equivalent`, the verdict is `inconclusive`; where it is over three zones wide and larger than
    an effect that is not `equivalent`, `invalid`.
4.  A voice is clear when its interval says `better` or `worse` and its own null allows it. Where a
    clear voice changes its sign at a lower learning rate, a claim becomes `fragile`; where there is
    no claim, that voice no longer counts.
5.  A second voice is quoted. Where it is clear and disagrees, a main voice that is clear stands,
    and the disagreement is said; a main voice that says `equivalent` becomes `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from datatools.judge import words
from datatools.judge.history import history_sentence
from datatools.judge.receipts import ArmFacts, DocumentReceipt, Receipts
from datatools.judge.statistics import (
    Layout,
    domain_bits,
    domain_estimates,
    estimate,
    macro_bits,
)
from datatools.judge.tiers import PlannedRun, Regime, Tier, VoiceName, nats_per_token
from datatools.judge.verdict import (
    Call,
    Contamination,
    Decision,
    DomainEffect,
    Verdict,
    VoiceResult,
)

__all__ = ["INVALID_NULL_ZONES", "SEEN_LIMIT", "call", "problems", "recompute"]

SEEN_LIMIT: Final = 0.2
"""Share of a reference document's windows found in an arm from which on the document is left out. A
copied passage is most of a document; set phrases that two authors share are a few per cent."""

LEAST_SHARED: Final = 0.5
"""Below this share of B's ids in A, the source-matched regime comes with a caution."""

INVALID_NULL_ZONES: Final = 3.0
"""A null this many zones wide, and wider than the effect, means that nothing was measured."""


def call(low: float, high: float, rope: float) -> Call:
    """Say where an interval lies against the zone [-rope, rope].

    References:
        John K. Kruschke, Rejecting or Accepting Parameter Values in Bayesian Estimation, 2018.

    Example:
        >>> call(0.02, 0.05, 0.01), call(-0.005, 0.01, 0.01), call(-0.005, 0.02, 0.01)
        ('better', 'equivalent', 'inconclusive')
    """
    if low > rope:
        return "better"
    if high < -rope:
        return "worse"
    return "equivalent" if -rope <= low and high <= rope else "inconclusive"


def problems(
    tier: Tier, a: ArmFacts, b: ArmFacts, documents: Sequence[DocumentReceipt]
) -> tuple[str, ...]:
    """Return why no verdict is possible, before anything is trained; empty when one is."""
    found: list[str] = []
    for arm in (a, b):
        if arm.size < tier.min_arm_bytes:
            found.append(
                f"{arm.name} has {arm.size:,} bytes of text; this tier needs "
                f"{tier.min_arm_bytes:,}."
            )
    clean = [one for one in documents if not _is_seen(one)]
    share = _excluded_share(documents)
    if share > tier.max_contaminated:
        found.append(
            f"{share:.0%} of the reference text was seen in training; above "
            f"{tier.max_contaminated:.0%} the rest is no longer neutral."
        )
    if len(clean) < tier.min_reference_documents:
        found.append(
            f"{len(clean):,} reference documents are left to read; this tier needs "
            f"{tier.min_reference_documents:,}."
        )
    return tuple(found)


def recompute(receipts: Receipts) -> Verdict:
    """Return the verdict that receipts lead to: no training, no texts, the same decision again.

    Example:
        >>> from datatools.judge.compare import measure
        >>> from datatools.judge.reference import ReferenceSet
        >>> neutral = ReferenceSet.of([{"id": "r", "text": "a few neutral words"}])
        >>> verdict = recompute(measure(["too", "little"], ["text"], reference=neutral))
        >>> verdict.decision, verdict.reasons[0]
        ('invalid', 'A has 9 bytes of text; this tier needs 16,384.')
    """
    header, tier = receipts.header, receipts.header.tier
    found = problems(tier, header.a, header.b, receipts.documents)
    common: dict[str, Any] = {
        "a": header.a,
        "b": header.b,
        "shared_ids": header.shared_ids,
        "tier": tier.name,
        "level": tier.level,
        "contamination": _contamination(receipts.documents),
        "seconds": float(sum(run.seconds for run in receipts.runs)),
        "limits": tier.limits,
    }
    if found or not receipts.runs:
        return Verdict(
            decision="invalid",
            headline=words.headline("invalid", header.a.name, header.b.name, None),
            reasons=found or ("Nothing was run.",),
            effect=None,
            low=None,
            high=None,
            seeds=0,
            rope=_rope(tier, tier.main),
            relative=None,
            domains=(),
            voices=(),
            history="",
            advice="",
            **common,
        )
    keep = np.array([not _is_seen(one) for one in receipts.documents])
    kept = [one for one in receipts.documents if not _is_seen(one)]
    layout = Layout.of(
        [one.size for one in kept], [one.domain for one in kept], [one.cluster for one in kept]
    )
    voices = _voices(receipts, keep, layout)
    main = voices[0]
    decision, reasons = _decide(main, voices[1:], header.a.name, header.b.name)
    shared = header.shared_ids / header.b.documents
    if shared < LEAST_SHARED and any(voice.regime == "source-matched" for voice in voices):
        reasons += (words.unshared(header.b.name, shared),)
    return Verdict(
        decision=decision,
        headline=words.headline(decision, header.a.name, header.b.name, main),
        reasons=reasons,
        effect=main.effect,
        low=main.low,
        high=main.high,
        seeds=len(main.seed_effects),
        rope=main.rope,
        relative=main.relative,
        domains=_domains(receipts, keep, layout),
        voices=voices,
        history=history_sentence(nats_per_token(main.effect)),
        advice=words.advice(decision, main, _seconds_per_pair(receipts, main)),
        **common,
    )


# --------------------------------------------------------------------------------------------------
# From receipts to voices


def _rope(tier: Tier, voice: VoiceName) -> float:
    if voice == "ngram":
        return tier.ngram.rope
    assert tier.neural is not None
    return tier.neural.rope


def _paired(
    receipts: Receipts, voice: VoiceName, regime: Regime
) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """Return the paired runs of both arms, by draw."""
    runs = [
        run.planned
        for run in receipts.runs
        if (run.planned.voice, run.planned.regime, run.planned.role) == (voice, regime, "paired")
    ]
    runs.sort(key=lambda run: run.draw)
    return [run for run in runs if run.arm == "A"], [run for run in runs if run.arm == "B"]


def _voices(
    receipts: Receipts, keep: npt.NDArray[np.bool_], layout: Layout
) -> tuple[VoiceResult, ...]:
    tier = receipts.header.tier
    endpoints: list[tuple[VoiceName, Regime]] = [("ngram", regime) for regime in tier.ngram.regimes]
    if tier.neural is not None:
        endpoints.append(("neural", "token-matched"))
    first = next(one for one in endpoints if one[0] == tier.main)
    endpoints.sort(key=lambda one: one != first)
    return tuple(
        _voice(receipts, keep, layout, voice, regime, main=(voice, regime) == first)
        for voice, regime in endpoints
    )


def _voice(
    receipts: Receipts,
    keep: npt.NDArray[np.bool_],
    layout: Layout,
    voice: VoiceName,
    regime: Regime,
    *,
    main: bool,
) -> VoiceResult:
    header = receipts.header
    runs_a, runs_b = _paired(receipts, voice, regime)
    nll_a, nll_b = receipts.losses(runs_a, keep), receipts.losses(runs_b, keep)
    found = estimate(
        nll_a, nll_b, layout, key=_key(receipts, voice, regime), level=header.tier.level
    )
    bits_a, bits_b = macro_bits(nll_a, layout), macro_bits(nll_b, layout)
    nulls: dict[str, float] = {}
    low: dict[str, dict[str, float]] = {}
    for run in (one.planned for one in receipts.runs):
        if (run.voice, run.regime) != (voice, regime) or run.role == "paired":
            continue
        bits = float(macro_bits(receipts.losses([run], keep), layout)[0])
        if run.role == "null":
            own = bits_a if run.arm == "A" else bits_b
            nulls[run.arm] = float(own.mean()) - bits
        else:
            low.setdefault(f"{run.rate:g}", {})[run.arm] = bits
    rope = _rope(header.tier, voice)
    size = {run.planned: run.size for run in receipts.runs}
    return VoiceResult(
        voice=next(run.voice for run in receipts.runs if run.planned == runs_a[0]),
        regime=regime,
        main=main,
        call=call(found.low, found.high, rope),
        effect=found.effect,
        low=found.low,
        high=found.high,
        level=found.level,
        method=found.method,
        seed_effects=found.seed_effects,
        rope=rope,
        bits_a=float(bits_a.mean()),
        bits_b=float(bits_b.mean()),
        null_a=nulls.get("A"),
        null_b=nulls.get("B"),
        low_rates={rate: bits["A"] - bits["B"] for rate, bits in sorted(low.items())},
        train_bytes_a=sum(size[run] for run in runs_a) // len(runs_a),
        train_bytes_b=sum(size[run] for run in runs_b) // len(runs_b),
    )


def _domains(
    receipts: Receipts, keep: npt.NDArray[np.bool_], layout: Layout
) -> tuple[DomainEffect, ...]:
    tier = receipts.header.tier
    regime: Regime = tier.ngram.regimes[0] if tier.main == "ngram" else "token-matched"
    runs_a, runs_b = _paired(receipts, tier.main, regime)
    nll_a, nll_b = receipts.losses(runs_a, keep), receipts.losses(runs_b, keep)
    key = _key(receipts, tier.main, regime)
    bits_a, bits_b = (
        domain_bits(nll_a, layout).mean(axis=0),
        domain_bits(nll_b, layout).mean(axis=0),
    )
    found = domain_estimates(nll_a, nll_b, layout, key=key, level=tier.level)
    return tuple(
        DomainEffect(
            domain=name,
            documents=int((layout.domain == at).sum()),
            bits_a=float(bits_a[at]),
            bits_b=float(bits_b[at]),
            effect=found[name][0].effect,
            low=found[name][0].low,
            high=found[name][0].high,
            p=found[name][1],
        )
        for at, name in enumerate(layout.names)
    )


def _key(receipts: Receipts, voice: VoiceName, regime: Regime) -> str:
    # Without the arms' names, so that swapping them mirrors the interval.
    return f"{receipts.header.seed}/{receipts.header.reference}/{voice}/{regime}"


# --------------------------------------------------------------------------------------------------
# Contamination


def _is_seen(one: DocumentReceipt) -> bool:
    return max(one.seen_a, one.seen_b) >= SEEN_LIMIT


def _excluded_share(documents: Sequence[DocumentReceipt]) -> float:
    total = sum(one.size for one in documents)
    return sum(one.size for one in documents if _is_seen(one)) / total if total else 0.0


def _contamination(documents: Sequence[DocumentReceipt]) -> Contamination:
    return Contamination(
        documents=len(documents),
        seen_a=sum(one.seen_a >= SEEN_LIMIT for one in documents),
        seen_b=sum(one.seen_b >= SEEN_LIMIT for one in documents),
        excluded=sum(_is_seen(one) for one in documents),
        excluded_share=_excluded_share(documents),
        limit=SEEN_LIMIT,
    )


# --------------------------------------------------------------------------------------------------
# The decision


def _decide(
    main: VoiceResult, others: Sequence[VoiceResult], a: str, b: str
) -> tuple[Decision, tuple[str, ...]]:
    decision: Decision = main.call
    reasons = [words.evidence(main)]
    if main.call == "equivalent":
        if main.null > main.rope:
            decision = "inconclusive"
            reasons.append(words.null_against(main, f"more than the zone of ±{main.rope:g}"))
    elif main.null > max(INVALID_NULL_ZONES * main.rope, abs(main.effect)):
        decision = "invalid"
        reasons.append(
            words.null_against(main, "so the arms are too small or too uneven for this tier")
        )
    elif main.call != "inconclusive" and not main.clear:
        decision = "inconclusive"
        reasons.append(words.null_against(main, "which is not well inside the effect"))
    turning = [voice for voice in (main, *others) if voice.clear and voice.sign_changes]
    if turning and decision in ("better", "worse"):
        decision = "fragile"
    reasons += [words.sign_change(voice) for voice in turning]
    for voice in others:
        reasons.append(words.quote(voice, a, b))
        if not voice.clear or voice in turning or voice.call == main.call:
            continue
        if voice.voice == main.voice:
            if main.clear:
                reasons.append(words.regimes_differ(main, voice, b))
        elif main.clear:
            reasons.append(words.voices_differ(main))
        elif decision == "equivalent":
            decision = "inconclusive"
            reasons.append(f"The voices disagree: {main.voice} sees no difference.")
    return decision, tuple(reasons)


def _seconds_per_pair(receipts: Receipts, main: VoiceResult) -> float:
    """Return what one paired seed of the main voice cost."""
    spent = [
        run.seconds
        for run in receipts.runs
        if (run.voice, run.planned.regime, run.planned.role) == (main.voice, main.regime, "paired")
    ]
    return sum(spent) / len(main.seed_effects)
