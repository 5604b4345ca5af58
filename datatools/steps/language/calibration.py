"""What an engine's probability is worth: how often an answer with it is right, at each length.

Owns the numbers that were fitted and the formula they belong to. Refuses: fitting, which
`benchmarks/language_calibration.py` does.

The models are as sure of three words as of a page, and wrong far more often. The calibrated score
is a logistic function of the probability's log-odds and of the logarithm of the text's size, so
that a threshold lets through as many wrong answers at twenty characters as at five hundred.

References:
    John Platt, "Probabilistic Outputs for Support Vector Machines", 1999: the logistic map.
    Fitted on the test sentences of lingua-py (Peter M. Stahl; Leipzig Corpora Collection, CC BY).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Final

import orjson

from datatools.steps.language.engines import Engine

__all__ = ["FEATURES", "SCRIPT_SCORE", "Calibrated", "features", "load_calibration"]

Calibrated = Callable[[float, float], float]
"""From an engine's probability and a text's size to the probability that the answer is right."""

SCRIPT_SCORE: Final = 0.999
"""The score of an answer that a script decides, whatever the length: `calibration.json`
has how often it was right."""

FEATURES: Final = ("one", "log_odds", "log_size", "log_odds_log_size")

_CLOSEST: Final = 1e-4
"""Probabilities closer than this to 0 or 1 count as this close: fasttext gives 1.0 to guesses."""
_SMALLEST: Final = 3.0
"""Smaller texts count as this large: of one letter and of three, engines know alike little."""


def features(probability: float, size: float) -> tuple[float, float, float, float]:
    """Return what the logistic function weighs, in the order of `FEATURES`.

    Args:
        probability: The engine's, in [0, 1].
        size: Letters of the text that was looked at, each counted in Latin letters.
    """
    probability = min(max(probability, _CLOSEST), 1 - _CLOSEST)
    log_odds = math.log(probability / (1 - probability))
    log_size = math.log(max(size, _SMALLEST))
    return 1.0, log_odds, log_size, log_odds * log_size


def load_calibration(engine: Engine) -> Calibrated:
    """Return the function that makes an engine's probability the probability to be right.

    It rises with the probability, at every size.

    Example:
        >>> calibrated = load_calibration("fasttext")
        >>> calibrated(0.65, 20) < calibrated(0.65, 200)
        True
    """
    weights = _fitted()[engine]["weights"]

    def calibrated(probability: float, size: float) -> float:
        terms = zip(weights, features(probability, size), strict=True)
        return 1 / (1 + math.exp(-sum(weight * value for weight, value in terms)))

    return calibrated


@functools.cache
def _fitted() -> Mapping[str, Mapping[str, list[float]]]:
    file = resources.files("datatools.steps.language") / "calibration.json"
    fitted: Mapping[str, Mapping[str, list[float]]] = orjson.loads(file.read_bytes())
    return fitted
