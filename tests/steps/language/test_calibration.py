import gzip
import json
import math
from importlib import resources

import numpy as np
import pytest

from datatools.steps.language.calibration import (
    SCRIPT_SCORE,
    load_calibration,
)
from datatools.steps.language.detection import load_detector

ENGINES = ["fasttext", "langdetect"]
SIZES = [1, 3, 10, 20, 50, 100, 200, 500, 1250]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", SIZES)
def test_the_score_rises_with_the_probability_at_every_size(engine, size):
    calibrated = load_calibration(engine)
    scores = [calibrated(step / 50, size) for step in range(51)]
    assert scores == sorted(scores)
    assert 0 < scores[0] < scores[-1] < 1


@pytest.mark.parametrize("probability", [0.65, 0.9, 0.99])
def test_the_same_probability_is_worth_more_in_a_longer_text(probability):
    calibrated = load_calibration("fasttext")
    scores = [calibrated(probability, size) for size in SIZES]
    assert scores == sorted(scores)


@pytest.mark.parametrize("probability", [-0.1, 0.0, 1.0, 1.00003, math.inf])
def test_probabilities_beyond_the_ends_count_as_the_ends(probability):
    calibrated = load_calibration("fasttext")
    end = 0.0 if probability < 0.5 else 1.0
    assert calibrated(probability, 100) == calibrated(end, 100)
    assert calibrated(probability, 0) == calibrated(end, 1)


def test_scripts_were_right_as_often_as_their_score_says():
    file = resources.files("datatools.steps.language") / "calibration.json"
    script = json.loads(file.read_text())["script"]
    assert script["texts"] > 1000
    assert script["right"] / script["texts"] > SCRIPT_SCORE


def cut(sentence, chars):
    end = sentence.find(" ", chars)
    return sentence if end < 0 else sentence[:end]


@pytest.mark.shared
def test_scores_are_shares_of_right_answers_at_every_length(shared_dir):
    # On the sentences that the fit did not see: the odd ones.
    path = shared_dir / "data/f_langid/lingua_sentences.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t", 1) for line in file]
    detect = load_detector("fasttext", 500)
    raw = load_detector("fasttext", 500, calibrate=False)
    errors = {}
    for chars in (10, 20, 80):
        right, scores, raw_scores = [], [], []
        for truth, sentence in lines[1::12]:
            text = cut(sentence, chars)
            language, score = detect(text)
            right.append(language == {"nb": "no"}.get(truth, truth))
            scores.append(score)
            raw_scores.append(raw(text)[1])
        errors[chars] = [abs(np.mean(one) - np.mean(right)) for one in (scores, raw_scores)]
    assert all(calibrated < 0.05 for calibrated, _ in errors.values()), errors
    assert errors[10][0] < errors[10][1], errors
