"""Fits what an engine's probability is worth at each length, and writes the package's numbers.

    python benchmarks/language_calibration.py [--dry]

Half of the labelled sentences (the even ones) are cut to 5 to 200 characters and joined to 500; for
each that an engine decides, and not a script, the logistic function is fitted to whether the answer
is right. All 75 languages weigh alike, those that an engine does not know among them: on a crawl
that is mostly in a few languages answers are right more often than the score says. `language.py`
judges the fit by the other half. `--dry` prints the numbers and leaves the package alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from language_texts import SENTENCES, cut_to, documents, labelled_sentences, same_language

from datatools.steps.language.calibration import FEATURES, features
from datatools.steps.language.detection import load_detector, sample_text
from datatools.steps.language.scripts import count_letters, language_by_script, text_size

OUT = Path(__file__).parent.parent / "datatools/steps/language/calibration.json"
LENGTHS = (5, 10, 20, 40, 80, 200)
MAX_CHARS = 500
PER_LANGUAGE = {"fasttext": 125, "langdetect": 40}  # langdetect is slow
RIDGE = 1e-3

Observations = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]


def texts_of(sentences: list[str], count: int) -> list[str]:
    """Return texts of every length from the even sentences of a language."""
    chosen = sentences[::2][:count]
    texts = [cut_to(sentence, chars) for chars in LENGTHS for sentence in chosen]
    return texts + list(documents(chosen, MAX_CHARS))


def observe(engine: str) -> tuple[Observations, dict[str, int]]:
    """Return probability, size and rightness of every answer of an engine, and the scripts'."""
    detect = load_detector(engine, MAX_CHARS, calibrate=False)
    rows: list[tuple[float, float, bool]] = []
    script = {"texts": 0, "right": 0}
    for truth, sentences in labelled_sentences().items():
        for text in texts_of(sentences, PER_LANGUAGE[engine]):
            sample = sample_text(text, MAX_CHARS)
            counts = count_letters(sample)
            answer, probability = detect(text)
            right = same_language(answer, truth)
            if language_by_script(sample, counts):
                script["texts"] += 1
                script["right"] += right
            elif answer != "und":
                rows.append((probability, text_size(counts), right))
    probability, size, right = map(np.array, zip(*rows, strict=True))
    return (probability, size, right), script


def fit(observed: Observations) -> npt.NDArray[np.float64]:
    """Return the weights of a logistic regression, by Newton's method with a little ridge."""
    probability, size, right = observed
    x = np.array([features(*one) for one in zip(probability, size, strict=True)])
    weights = np.zeros(len(FEATURES))
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (right - p) - RIDGE * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="print the numbers, write nothing")
    given = parser.parse_args()
    if not SENTENCES.exists():
        raise SystemExit(f"there are no labelled sentences to fit on: {SENTENCES} is missing.")
    fitted: dict[str, object] = {
        "source": "test sentences of lingua-py, Apache-2.0; Leipzig Corpora Collection, CC BY",
        "features": list(FEATURES),
    }
    for engine in PER_LANGUAGE:
        observed, script = observe(engine)
        weights = [round(float(weight), 6) for weight in fit(observed)]
        fitted[engine] = {"weights": weights, "texts": len(observed[0])}
        fitted["script"] = script
    text = json.dumps(fitted, indent=2) + "\n"
    print(text)
    if not given.dry:
        OUT.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
