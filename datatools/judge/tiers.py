"""How much a comparison costs and what it can see: the tiers, as data.

Owns: which runs each tier holds, its practical-equivalence zone and its honest limits. Refuses:
running anything.

The practical-equivalence zone (ROPE) is quoted in nats per token, as model builders do, and applied
in bits per byte: nats per token = bits per byte x ln 2 x bytes per token, at 4.3 bytes per token,
which is what English web text has under a 50,000-word vocabulary.

References:
    John K. Kruschke, Rejecting or Accepting Parameter Values in Bayesian Estimation, 2018: the
    zone, and what an interval inside, outside or across it means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from datatools.errors import ConfigError, nearest

__all__ = [
    "BYTES_PER_TOKEN",
    "TIERS",
    "NeuralPlan",
    "NgramPlan",
    "PlannedRun",
    "Regime",
    "Role",
    "Tier",
    "VoiceName",
    "nats_per_token",
    "resolve_tier",
]

Regime = Literal["token-matched", "source-matched"]
"""What two paired runs have in common: bytes of text, each arm sampled without repetition (quality
per token), or source documents, of which each arm gives what its cleaning left (value of the
pipeline)."""

Role = Literal["paired", "null", "low-rate"]
"""`paired` runs make the effect; `null` runs another draw of an arm; `low-rate` a paired run again
at a lower learning rate."""

VoiceName = Literal["ngram", "neural"]

BYTES_PER_TOKEN: Final = 4.3
"""Nominal bytes per token for quoting nats per token."""


def nats_per_token(bits_per_byte: float) -> float:
    """Return an effect in nats per token of 4.3 bytes.

    Example:
        >>> round(nats_per_token(0.01), 3)
        0.03
    """
    return bits_per_byte * math.log(2) * BYTES_PER_TOKEN


class PlannedRun(BaseModel):
    """One model to fit.

    Attributes:
        voice: Which kind of model.
        regime: How its training text is matched with the other arm's.
        role: What the run is for.
        arm: `A` or `B`.
        draw: Number of the draw; the paired runs of one draw share subset rule, initial weights and
            data order.
        rate: Factor on the learning rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    voice: VoiceName
    regime: Regime
    role: Role
    arm: Literal["A", "B"]
    draw: int
    rate: float = 1.0


class NgramPlan(BaseModel):
    """The n-gram voice of a tier.

    Attributes:
        order: Longest n-gram, in characters.
        draws: Paired draws. They cost a second each, and six make a t interval less than half as
            wide as three do.
        max_bytes: Most bytes of text in one run.
        rope: Practical-equivalence zone in bits per byte, plus and minus.
        regimes: Regimes to run; the first decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: int = 6
    draws: int = 6
    max_bytes: int
    rope: float
    regimes: tuple[Regime, ...] = ("token-matched", "source-matched")


class NeuralPlan(BaseModel):
    """The neural voice of a tier.

    Attributes:
        size: Name of the model's size.
        tokens: Tokens each run trains on; passes over the text repeat until they are used up.
        max_epochs: Most passes over a run's text; with less text, runs train on fewer tokens.
        draws: Paired draws.
        low_rates: Factors on the learning rate at which draw 0 is repeated.
        rope: Practical-equivalence zone in bits per byte, plus and minus.

    References:
        Niklas Muennighoff et al., Scaling Data-Constrained Language Models, 2023: up to four passes
        are nearly as good as new text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: str
    tokens: int
    max_epochs: int = 4
    draws: int = 3
    low_rates: tuple[float, ...] = (0.3,)
    rope: float


class Tier(BaseModel):
    """A price and what it buys.

    Attributes:
        name: `smoke`, `cpu`, `gpu` or `big`.
        device: What it runs on.
        minutes: About how long it takes there with an arm of a few megabytes.
        main: The voice that decides.
        ngram: The n-gram voice's runs.
        neural: The neural voice's runs, or None.
        level: Nominal coverage of intervals.
        min_arm_bytes: Below this much text in an arm there is no verdict.
        min_reference_documents: Below this many clean reference documents there is no verdict.
        max_contaminated: Above this share of the reference's bytes seen in an arm there is no
            verdict. Below it, what was seen is left out and the rest is read.
        limits: What a verdict of this tier can and cannot mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    device: str
    minutes: float
    main: VoiceName
    ngram: NgramPlan
    neural: NeuralPlan | None
    level: float = 0.95
    min_arm_bytes: int = 16_384
    min_reference_documents: int = 20
    max_contaminated: float = 0.5
    limits: str

    def runs(self) -> tuple[PlannedRun, ...]:
        """Return every run of the tier, in the order in which they are made.

        Each voice ends with one null draw of each arm, so that swapping the arms changes nothing.
        """
        found: list[PlannedRun] = []
        arms: tuple[Literal["A", "B"], ...] = ("A", "B")
        regimes = self.ngram.regimes
        for regime in regimes:
            for draw in range(self.ngram.draws):
                found += [_run("ngram", regime, "paired", arm, draw) for arm in arms]
        found += [_run("ngram", regimes[0], "null", arm, self.ngram.draws) for arm in arms]
        if self.neural is None:
            return tuple(found)
        matched: Regime = "token-matched"
        for draw in range(self.neural.draws):
            found += [_run("neural", matched, "paired", arm, draw) for arm in arms]
        found += [_run("neural", matched, "null", arm, self.neural.draws) for arm in arms]
        for rate in self.neural.low_rates:
            found += [_run("neural", matched, "low-rate", arm, 0, rate) for arm in arms]
        return tuple(found)


def _run(
    voice: VoiceName,
    regime: Regime,
    role: Role,
    arm: Literal["A", "B"],
    draw: int,
    rate: float = 1.0,
) -> PlannedRun:
    return PlannedRun(voice=voice, regime=regime, role=role, arm=arm, draw=draw, rate=rate)


_MEGABYTE: Final = 1_000_000

TIERS: Final[Mapping[str, Tier]] = {
    tier.name: tier
    for tier in (
        Tier(
            name="smoke",
            device="2 CPU cores",
            minutes=1,
            main="ngram",
            ngram=NgramPlan(max_bytes=4 * _MEGABYTE, rope=0.01),
            neural=NeuralPlan(size="smoke", tokens=100_000, low_rates=(), rope=0.02),
            limits=(
                "A tier of about a minute sees gross defects: broken extraction, boilerplate, "
                "foreign, shuffled or garbled text, heavy duplication. It says nothing about "
                "knowledge, reasoning or style, and speaks of these two datasets, not of others "
                "collected in the same way."
            ),
        ),
        Tier(
            name="cpu",
            device="2 CPU cores",
            minutes=10,
            main="ngram",
            ngram=NgramPlan(max_bytes=16 * _MEGABYTE, rope=0.01),
            neural=NeuralPlan(size="nano", tokens=300_000, rope=0.01),
            limits=(
                "A model of 1.3 million weights confirms gross defects and large differences in "
                "how well the text is cleaned. Below 0.01 bits per byte it is a coin flip."
            ),
        ),
        Tier(
            name="gpu",
            device="one H200",
            minutes=10,
            main="neural",
            ngram=NgramPlan(max_bytes=64 * _MEGABYTE, rope=0.01),
            neural=NeuralPlan(
                size="small", tokens=60 * _MEGABYTE, low_rates=(0.3, 0.1), rope=0.0017
            ),
            limits="Settles most choices of filters and deduplication; not recipes as a whole.",
        ),
        Tier(
            name="big",
            device="eight H100 or H200",
            minutes=140,
            main="neural",
            ngram=NgramPlan(max_bytes=256 * _MEGABYTE, rope=0.01),
            neural=NeuralPlan(size="base", tokens=3000 * _MEGABYTE, rope=0.0007),
            limits="Settles recipes for models of this size; larger models deserve a confirmation.",
        ),
    )
}
"""Tiers by name. `gpu` and `big` follow the designs the smaller two were scaled down from; their
times are estimates and their runs one after the other on whatever device the trainer picks."""


def resolve_tier(tier: str | Tier) -> Tier:
    """Return the tier a name means.

    Raises:
        ConfigError: No tier has this name.

    Example:
        >>> len(resolve_tier("smoke").runs())
        34
    """
    if isinstance(tier, Tier):
        return tier
    if tier not in TIERS:
        guess = nearest(tier, TIERS)
        raise ConfigError(
            "tier",
            f"must be one of {', '.join(TIERS)}",
            got=tier,
            hint=f"Did you mean {guess!r}?" if guess else None,
        )
    return TIERS[tier]
