"""How long a verdict takes on this machine, from a moment of each of its voices.

Owns: the measurement of the n-gram voice, and the time of a tier's runs that follows from it.
Refuses: reading the arms; their sizes are enough.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from datatools.judge.arm import HALF
from datatools.judge.ngram import NgramVoice
from datatools.judge.reference import bundled_reference
from datatools.judge.tiers import Tier, resolve_tier

__all__ = ["NgramSpeed", "measure_ngram", "verdict_seconds"]

FORWARD_SPEEDUP: Final = 3.0
"""Tokens that are only read go by this much faster than those that are trained on."""
BYTES_PER_TOKEN: Final = 2.4
"""Bytes per token of the small vocabularies of the smaller tiers, on Korean and English."""
BESIDE_RUNS: Final = 1.1
"""Time of a verdict over that of its runs: reading the arms, looking for the reference in them."""


@dataclass(frozen=True)
class NgramSpeed:
    """Speed of the n-gram voice.

    Attributes:
        fit: Bytes counted per second.
        read: Bytes scored per second.
        reference: Bytes of the reference, which every model reads.
    """

    fit: float
    read: float
    reference: int


def measure_ngram(order: int) -> NgramSpeed:
    """Fit the n-gram voice on the bundled reference and let it read that.

    Args:
        order: Longest n-gram, in characters.
    """
    reference = bundled_reference()
    texts = [one.text for _, one in reference.items()]
    voice = NgramVoice(order)
    voice.fit(texts[:1]).nll(texts[:1])  # compiles
    start = time.perf_counter()
    fitted = voice.fit(texts)
    middle = time.perf_counter()
    fitted.nll(texts)
    end = time.perf_counter()
    size = reference.size
    return NgramSpeed(size / (middle - start), size / (end - middle), size)


def verdict_seconds(
    tier: str | Tier, sizes: tuple[int, int], ngram: NgramSpeed, tokens_per_s: float | None
) -> float:
    """Return about how long a verdict of a tier takes.

    Args:
        tier: The tier or its name.
        sizes: Bytes of text of either arm.
        ngram: Speed of the n-gram voice.
        tokens_per_s: Training speed of the tier's neural voice; None if it has none.

    Raises:
        ConfigError: There is no such tier.

    Example:
        >>> instant = NgramSpeed(float("inf"), float("inf"), 1000)
        >>> smoke = resolve_tier("smoke")
        >>> verdict_seconds(smoke.model_copy(update={"neural": None}), (1, 1), instant, None)
        0.0
    """
    tier = resolve_tier(tier)
    half, most = HALF * min(sizes), tier.ngram.max_bytes
    share = min(1.0, most / max(*sizes, 1))
    seconds = 0.0
    for run in tier.runs():
        if run.voice == "neural":
            assert tier.neural is not None
            assert tokens_per_s is not None
            held = half / BYTES_PER_TOKEN
            tokens = min(tier.neural.tokens, tier.neural.max_epochs * held)
            read = ngram.reference / BYTES_PER_TOKEN
            seconds += (tokens + read / FORWARD_SPEEDUP) / tokens_per_s
            continue
        whole = run.regime == "source-matched"
        if whole and share == 1.0 and run.draw:
            continue  # one model serves every draw
        size = share * sizes[run.arm == "B"] if whole else min(half, most)
        seconds += size / ngram.fit + ngram.reference / ngram.read
    return BESIDE_RUNS * seconds
