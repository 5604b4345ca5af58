"""A verdict in plain words.

Owns: the sentences. Refuses: numbers that are not in a `VoiceResult`, and deciding.
"""

from __future__ import annotations

import math
import statistics

from datatools.judge.planner import seeds_needed
from datatools.judge.verdict import Decision, VoiceResult

__all__ = [
    "advice",
    "evidence",
    "headline",
    "null_against",
    "quote",
    "regimes_differ",
    "sign_change",
    "unshared",
    "voices_differ",
]


def headline(decision: Decision, a: str, b: str, main: VoiceResult | None) -> str:
    """Return the decision in one sentence, with the numbers that carry it."""
    if main is None:
        return f"No verdict on {b} against {a}."
    numbers = f"({main.bits_a:.3f} to {main.bits_b:.3f} bits per byte)"
    change = f"{abs(main.relative):.1%} {'better' if main.effect > 0 else 'worse'}"
    if decision in ("better", "worse"):
        return (
            f"A model trained on {b} reads neutral text {change} than one trained on {a} {numbers}."
        )
    if decision == "equivalent":
        return (
            f"{a} and {b} are equivalent for this tier: they differ by less than {main.rope:g} "
            f"bits per byte {numbers}."
        )
    if decision == "fragile":
        return f"A model trained on {b} reads {change} {numbers}, but not at every learning rate."
    if decision == "invalid":
        return f"No verdict on {b} against {a}: the measurement does not hold {numbers}."
    return f"No difference between {a} and {b} is certain {numbers}."


def evidence(main: VoiceResult) -> str:
    """Return the main voice's numbers."""
    positive = sum(one > 0 for one in main.seed_effects)
    negative = sum(one < 0 for one in main.seed_effects)
    method = "Student" if main.method == "t" else "bootstrap"
    return (
        f"{main.voice}, {main.regime}: {main.effect:+.4f} bits per byte, {main.level:.0%} interval "
        f"[{main.low:+.4f}, {main.high:+.4f}] ({method}), {max(positive, negative)} of "
        f"{len(main.seed_effects)} paired seeds on one side, zone ±{main.rope:g}, null "
        f"{main.null:.4f}."
    )


def quote(voice: VoiceResult, a: str, b: str) -> str:
    """Return what another voice, or another regime, says."""
    said = {
        "better": f"{b} is better",
        "worse": f"{b} is worse",
        "equivalent": f"{a} and {b} are equivalent",
        "inconclusive": "nothing is clear",
    }[voice.call if voice.clear or voice.call == "equivalent" else "inconclusive"]
    null = "" if voice.null_a is None else f", null {voice.null:.4f}"
    return (
        f"{voice.voice}, {voice.regime}: {said} ({voice.effect:+.4f} bits per byte, interval "
        f"[{voice.low:+.4f}, {voice.high:+.4f}]{null})."
    )


def null_against(main: VoiceResult, consequence: str) -> str:
    """Return what the null forbids."""
    return f"Two draws of one arm differ by {main.null:.4f} bits per byte, {consequence}."


def sign_change(voice: VoiceResult) -> str:
    """Return how a voice's effect turns round at lower learning rates."""
    shown = ", ".join(f"{value:+.4f} at {rate}x" for rate, value in voice.low_rates.items())
    return (
        f"{voice.voice} changes its mind at a lower learning rate: {voice.effect:+.4f} bits per "
        f"byte, then {shown}."
    )


def regimes_differ(main: VoiceResult, other: VoiceResult, b: str) -> str:
    """Return what it means that two regimes of one voice differ."""
    return (
        f"By {main.regime.removesuffix('-matched')} and by {other.regime.removesuffix('-matched')} "
        f"the answer differs: {b} holds {other.train_bytes_b / max(other.train_bytes_a, 1):.0%} of "
        f"the text, and what that is worth is not the same as what a byte of it is worth."
    )


def unshared(b: str, share: float) -> str:
    """Return the caution that the arms hardly share a source."""
    return (
        f"Only {share:.0%} of the documents of {b} are in both arms by id: what is matched by "
        f"source is not one crawl."
    )


def voices_differ(main: VoiceResult) -> str:
    """Return why the main voice stands against a clear second one."""
    return (
        f"The voices disagree; {main.voice} decides in this tier, because its interval is clear of "
        f"the zone."
    )


def advice(decision: Decision, main: VoiceResult, seconds_per_pair: float) -> str:
    """Return what would settle an inconclusive comparison, or nothing."""
    if decision != "inconclusive" or main.call != "inconclusive":
        return ""
    if main.method == "bootstrap":
        return (
            "The spread over reference documents is the larger part of the interval: more "
            "reference text would narrow it, more seeds would not."
        )
    target = abs(abs(main.effect) - main.rope)
    needed = seeds_needed(statistics.stdev(main.seed_effects), target, main.level)
    if needed is None:
        return "More seeds of this size would not settle it; a larger tier might."
    more = max(needed - len(main.seed_effects), 1)
    minutes = math.ceil(more * seconds_per_pair / 60)
    return (
        f"About {more} more paired seeds would settle it, if the effect stays where it is: "
        f"{minutes} minute{'' if minutes == 1 else 's'} at most."
    )
