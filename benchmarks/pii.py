"""Personal data: what is found of it, what is taken for it, and how fast.

    python benchmarks/pii.py [--quick] [--json]

Precision and recall of each kind on samples made up here (`pii_texts.py`: forms in both languages,
and numbers that look alike) and, where the real data is beside the checkout, on the generated
dataset of presidio-research. The latter's context words were known when ours were written; its
numbers were not. A find counts where it covers the labelled span; it is false where it touches none
of its kind.

Speed is CPU time on one core over pages with personal data in one of twenty, against the same kinds
as expressions of the standard library's `re` in the form that presidio and others publish, and
against datatrove's `PIIFormatter`, which looks for e-mail and IP addresses only.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from machine import describe, figure, peer_environment
from pii_texts import Sample, labelled, look_alikes, positives
from texts import LANGUAGES, SHARED, bundled_words, compose, document_lengths

from datatools.kernels.personal import KINDS, find_personal
from datatools.steps.base import Batch, Context
from datatools.steps.safety.context_words import context_phrases
from datatools.steps.safety.pii import Pii

TARGET = 0.95
LABELLED = SHARED / "h_safety" / "presidio_synth_dataset_v2.json.gz"
MIN_LABELLED = 10  # a share of fewer says nothing

EXPRESSIONS = [
    re.compile(pattern)
    for pattern in (
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
        r"(?<![\d-])(?:\+82[-.\s]?(?:0)?|0)(?:10|11|1[6-9]|2|[3-6][1-5]|70|50\d?|80)[-.\s)]?"
        r"\d{3,4}[-.\s]?\d{4}(?![\d-])|(?<![\d-])1[568]\d{2}-\d{4}(?![\d-])",
        r"(?<!\d)(?:\+?1[-.\s]?)?\(?[2-9]\d{2}\)?[-.\s]?[2-9]\d{2}[-.\s]?\d{4}(?!\d)",
        r"(?<!\d)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-\s]?[1-8]\d{6}(?!\d)",
        r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b",
        r"\b(?:4\d{3}|5[0-5]\d{2}|6\d{3}|1\d{3}|3\d{3})[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3,5}\b",
        r"\b[A-Z]{2}\d{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?\b",
        r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])",
        r"\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b",
    )
]


def found_in(samples: Sequence[Sample]) -> list[list[tuple[str, int, int]]]:
    """Return per text the kinds found, with the characters at which they start and stop."""
    texts = [sample.text for sample in samples]
    batch = Batch(pl.DataFrame({"text": texts}))
    told: list[list[tuple[str, int, int]]] = [[] for _ in texts]
    for row, start, stop, kind in find_personal(*batch.buffers("text"), context_phrases()).tolist():
        raw = texts[row].encode()
        told[row].append((KINDS[kind], len(raw[:start].decode()), len(raw[:stop].decode())))
    return told


def quality(samples: Sequence[Sample]) -> dict[str, dict[str, float | int | None]]:
    """Return precision, recall and counts of each kind."""
    right, missed, false = Counter[str](), Counter[str](), Counter[str]()
    for sample, told in zip(samples, found_in(samples), strict=True):
        for kind, start, stop in sample.spans:
            covered = any(k == kind and a <= start and b >= stop for k, a, b in told)
            (right if covered else missed)[kind] += 1
        for kind, start, stop in told:
            touches = any(k == kind and a < stop and b > start for k, a, b in sample.spans)
            false[kind] += not touches
    return {
        kind: {
            "precision": _share(right[kind], false[kind]),
            "recall": _share(right[kind], missed[kind]),
            "right": right[kind],
            "missed": missed[kind],
            "false": false[kind],
        }
        for kind in KINDS
        if right[kind] + missed[kind] + false[kind]
    }


def _share(right: int, wrong: int) -> float | None:
    return round(right / (right + wrong), 4) if right + wrong else None


def pages(megabytes: float, seed: int) -> pl.DataFrame:
    """Return composed pages in both languages, personal data in one of twenty."""
    import numpy as np

    draw = random.Random(seed)
    rng = np.random.default_rng(seed)
    some = [sample.text for sample in positives(20, seed) + look_alikes(10, seed)]
    texts: list[str] = []
    for language in LANGUAGES:
        lengths = document_lengths(int(megabytes * 100), 600, rng)
        texts += compose(bundled_words(language), lengths, rng).texts().to_pylist()
    texts = [f"{text}\n{draw.choice(some)}" if draw.random() < 0.05 else text for text in texts]
    draw.shuffle(texts)
    frame = pl.DataFrame({"text": texts})
    size = frame["text"].str.len_bytes().cum_sum()
    return frame.filter(size <= megabytes * 1e6)


def seconds_of(work: Callable[[], object], rounds: int) -> float:
    """Return the median CPU time of some rounds, the first one left out."""
    work()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def speed(megabytes: float, rounds: int) -> dict[str, float]:
    """Return MB/s of each side, on one core."""
    frame = pages(megabytes, 5)
    size = int(frame["text"].str.len_bytes().sum()) / 1e6
    bound = Pii().bind(Context())
    batches = list(frame.iter_slices(1000))
    ours = seconds_of(lambda: [bound.map(Batch(one)) for one in batches], rounds)
    few = frame.head(max(1, frame.height // 10))
    few_size = int(few["text"].str.len_bytes().sum()) / 1e6
    texts = few["text"].to_list()

    def with_expressions() -> list[str]:
        masked = []
        for text in texts:
            for expression in EXPRESSIONS:
                text = expression.sub("[PII]", text)
            masked.append(text)
        return masked

    standard = seconds_of(with_expressions, 1)
    python = peer_environment("datatrove")
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "in.parquet"), Path(folder, "out.parquet")
        few.write_parquet(source)
        script = Path(__file__).parent / "peers" / "datatrove_pii.py"
        run = subprocess.run(
            [str(python), str(script), str(source), str(out)],
            check=True,
            capture_output=True,
            text=True,
        )
        peer = json.loads(run.stdout.splitlines()[-1])["cpu_seconds"]
    return {
        "ours": round(size / ours, 1),
        "re": round(few_size / standard, 2),
        "datatrove": round(few_size / peer, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples and pages")
    parser.add_argument("--json", action="store_true", help="only the last line, as JSON")
    arguments = parser.parse_args()
    count = 100 if arguments.quick else 1000
    made = positives(count, 1) + look_alikes(count, 2)
    sets = {"made": quality(made)}
    if LABELLED.exists():
        sets["labelled"] = quality(labelled(LABELLED))
    rates = speed(4 if arguments.quick else 40, 3)
    figures = {
        f"{name}_{kind}_{measure}": figure(one[measure], TARGET)  # type: ignore[arg-type]
        for name, kinds in sets.items()
        for kind, one in kinds.items()
        for measure in ("precision", "recall")
        if name == "made" or one["right"] + one["missed"] >= MIN_LABELLED  # type: ignore[operator]
    }
    figures["mb_per_s"] = figure(rates["ours"], 100)
    figures["times_re"] = figure(round(rates["ours"] / rates["re"], 1), 20)
    figures["times_datatrove"] = figure(round(rates["ours"] / rates["datatrove"], 1), 10)
    if not arguments.json:
        for name, kinds in sets.items():
            print(f"{name:18} precision  recall   right  missed  false")
            for kind, one in kinds.items():
                print(
                    f"  {kind:16} {one['precision'] or 0:9.3f} {one['recall'] or 0:7.3f}"
                    f" {one['right']:7} {one['missed']:7} {one['false']:6}"
                )
        print("MB/s per core:", ", ".join(f"{side} {rate}" for side, rate in rates.items()))
    result = {
        "benchmark": "pii",
        "quick": arguments.quick,
        "machine": describe(),
        "quality": sets,
        "mb_per_s": rates,
        "figures": figures,
    }
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if all(one["met"] for one in figures.values()) else 1)


if __name__ == "__main__":
    main()
