"""What a gap between tiny models has historically predicted.

Owns: one table of published runs and the sentence made from it. Refuses: any claim beyond them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["REGMIX", "GapBin", "gap_bin", "history_sentence"]


@dataclass(frozen=True)
class GapBin:
    """Pairs of data mixtures whose losses at 1 M parameters differ by a gap in this range.

    Attributes:
        low: Least gap, in nats per token.
        high: The gap is below this.
        agreement: Share of pairs that 60 M parameters order the same way.
        pairs: Number of pairs.
    """

    low: float
    high: float
    agreement: float
    pairs: int


REGMIX: Final = (
    GapBin(0.0, 0.002, 0.53, 955),
    GapBin(0.002, 0.005, 0.56, 1_426),
    GapBin(0.005, 0.01, 0.55, 2_189),
    GapBin(0.01, 0.02, 0.63, 4_405),
    GapBin(0.02, 0.05, 0.74, 12_806),
    GapBin(0.05, 0.1, 0.88, 21_432),
    GapBin(0.1, float("inf"), 0.993, 381_107),
)
"""Computed from the published losses of the same 256 mixtures at 1 M and 60 M parameters, all
pairs, 13 domains pooled (Qian Liu et al., RegMix: Data Mixture as Regression for Language Model
Pre-training, 2024; data/test_pile_loss_1m.csv and data/test_pile_loss_60m.csv of its
repository)."""


def gap_bin(gap: float) -> GapBin:
    """Return the range that a gap in nats per token falls into; its sign does not matter.

    Example:
        >>> gap_bin(-0.03).agreement
        0.74
    """
    return next(one for one in REGMIX if abs(gap) < one.high)


def history_sentence(gap: float) -> str:
    """Say what a gap of this size has predicted, with its source and its limits.

    Args:
        gap: In nats per token.

    Example:
        >>> history_sentence(0.2).split(":")[0]
        'What such a gap has predicted'
    """
    found = gap_bin(gap)
    reach = (
        f"{found.low:g} or more"
        if found.high == float("inf")
        else f"{found.low:g} to {found.high:g}"
    )
    return (
        f"What such a gap has predicted: among RegMix's published runs, models of 1 M and 60 M "
        f"parameters ordered two data mixtures alike in {found.agreement:.0%} of {found.pairs:,} "
        f"pairs whose 1 M models were {reach} nats per token apart (here {abs(gap):.3f}). Those "
        f"models saw a billion tokens each, so this is the most that a smaller run can claim."
    )
