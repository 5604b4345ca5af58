"""The verdict: a decision, and everything it was derived from.

Owns: the typed, frozen result that is printed, stored as JSON and drawn by reports. Refuses:
deciding (`decision.py`) and wording (`words.py`).
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from datatools.judge.receipts import ArmFacts
from datatools.judge.tiers import Regime

__all__ = [
    "NULL_PART",
    "Call",
    "Contamination",
    "Decision",
    "DomainEffect",
    "Verdict",
    "VoiceResult",
]

Call = Literal["better", "worse", "equivalent", "inconclusive"]
"""Where an interval lies against the zone of practical equivalence."""

Decision = Literal["better", "worse", "equivalent", "inconclusive", "fragile", "invalid"]
"""What is concluded from all calls."""


NULL_PART: Final = 0.5
"""The null must be below this part of a claimed effect."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Contamination(_Frozen):
    """How much of the reference the arms had seen."""

    documents: int
    """Reference documents, all."""
    seen_a: int
    """Documents arm A has seen."""
    seen_b: int
    """Documents arm B has seen."""
    excluded: int
    """Documents left out because either arm has seen them."""
    excluded_share: float
    """Share of the reference's bytes that was left out."""
    limit: float
    """Share of a document's windows from which on it counts as seen."""


class DomainEffect(_Frozen):
    """The main voice's effect in one domain: a guardrail, not the endpoint."""

    domain: str
    """The domain's name."""
    documents: int
    """Reference documents used."""
    bits_a: float
    """Bits per byte after training on A, mean over seeds."""
    bits_b: float
    """Bits per byte after training on B, mean over seeds."""
    effect: float
    """`bits_a - bits_b`."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    p: float
    """The larger of the p values over clusters and over seeds, Holm-corrected over domains."""


class VoiceResult(_Frozen):
    """What one voice says under one regime."""

    voice: str
    """The voice's full name."""
    regime: Regime
    """How the arms' training texts are matched."""
    main: bool
    """Whether this is the endpoint that decides."""
    call: Call
    """Where its interval lies."""
    effect: float
    """Mean over seeds of bits per byte of A minus B."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float
    """Nominal coverage of the interval."""
    method: Literal["bootstrap", "t"]
    """Which interval was the wider."""
    seed_effects: tuple[float, ...]
    """Effect of each paired seed."""
    rope: float
    """Half width of the zone of practical equivalence, in bits per byte."""
    bits_a: float
    """Bits per byte after training on A."""
    bits_b: float
    """Bits per byte after training on B."""
    null_a: float | None
    """Another draw of A against A's paired draws; None where the regime has no null."""
    null_b: float | None
    """The same for B."""
    low_rates: dict[str, float]
    """Effect of seed 0 by factor on the learning rate; empty for a voice without one."""
    train_bytes_a: int
    """Bytes of text a run on A saw, mean over seeds, repetitions not counted."""
    train_bytes_b: int
    """The same for B."""

    @property
    def null(self) -> float:
        """The larger null, 0 where there is none."""
        return max(abs(self.null_a or 0.0), abs(self.null_b or 0.0))

    @property
    def relative(self) -> float:
        """The effect as a share of A's bits per byte."""
        return self.effect / self.bits_a if self.bits_a else 0.0

    @property
    def clear(self) -> bool:
        """Whether the interval lies wholly outside the zone, and the null below half the effect."""
        return self.call in ("better", "worse") and self.null <= NULL_PART * abs(self.effect)

    @property
    def sign_changes(self) -> bool:
        """Whether a lower learning rate turns the effect round, or leaves nothing of it."""
        return any(value * self.effect <= 0 for value in self.low_rates.values())


class Verdict(_Frozen):
    """The decision about dataset B against dataset A."""

    decision: Decision
    """`better` means that B teaches a model to predict neutral text with fewer bits per byte."""
    reasons: tuple[str, ...]
    """Why, in order of weight."""
    a: ArmFacts
    """The first arm."""
    b: ArmFacts
    """The second arm."""
    shared_ids: int
    """Documents of B whose id A has too."""
    tier: str
    """Name of the tier."""
    effect: float | None
    """Main voice's effect in bits per byte, positive when B is better; None when nothing ran."""
    low: float | None
    """Lower end of its interval."""
    high: float | None
    """Upper end of its interval."""
    level: float
    """Nominal coverage of intervals."""
    seeds: int
    """Paired seeds of the main voice."""
    rope: float
    """Half width of the main voice's zone of practical equivalence, in bits per byte."""
    relative: float | None
    """`effect` as a share of A's bits per byte."""
    domains: tuple[DomainEffect, ...]
    """The main voice's effects by domain."""
    voices: tuple[VoiceResult, ...]
    """All voices and regimes; the main one first."""
    contamination: Contamination
    """How much of the reference the arms had seen."""
    seconds: float
    """Time spent on fitting and reading."""
    history: str
    """What a gap of this size has predicted."""
    limits: str
    """What a verdict of this tier can and cannot mean."""
    advice: str
    """What would settle an open question; empty when nothing is open."""
    headline: str
    """The decision in one sentence."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in plain words, most important first."""
        parts = (self.headline, *self.reasons, self.advice, self.history, self.limits)
        return tuple(part for part in parts if part)

    @property
    def summary(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)
