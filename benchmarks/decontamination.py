"""Decontamination: planted items found and look-alikes left, and the speed beside datatrove's.

    python benchmarks/decontamination.py [--quick] [--json]

Documents are composed from the prose that the package brings, in English and Korean, so that short
runs of words are everywhere the same. Items are passages of 12 to 60 words, composed from texts of
that prose which the documents are not made of. They are planted whole, with one word in twenty
edited, and in half; what must stay are documents with a third of an item, and those without any.

datatrove drops a document with one 12-gram of an item. Decisions are compared with ours set to the
same rule, on the English documents, where its words by `str.split` are ours; its speed is measured
with these and with spaCy's. Times are processor seconds from texts in memory to what was found,
without start, index and compiling; megabytes per second are of the documents without items, as
most of a crawl are. With --json the last line is one JSON object; exits 1 when a figure is
not met.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import describe, figure, peer_environment, version_of
from texts import LANGUAGES, Language, Words, bundled_words, compose, document_lengths, edited

from datatools.engine.chain import split_batches
from datatools.steps import Decontaminate
from datatools.steps.base import Batch
from datatools.steps.decontamination.evaluation_windows import EvaluationWindows, Search

HERE = Path(__file__).parent
PLANTED = ("whole", "edited", "half", "third")
REPEATS = 5


def prose(language: Language, *, items: bool) -> Words:
    """Return the package's prose: every fourth text for items, the others for documents."""
    words = bundled_words(language)
    return words.taken(np.flatnonzero((np.arange(len(words)) % 4 == 0) == items))


def passages(language: Language, count: int, rng: np.random.Generator) -> Words:
    """Return items: documents of 12 to 60 words."""
    return compose(prose(language, items=True), rng.integers(12, 60, count), rng)


def documents(language: Language, count: int, items: Words, seed: int) -> pl.DataFrame:
    """Return documents with what is planted in each: `text`, `language`, `planted`, `item`."""
    rng = np.random.default_rng(seed)
    base = compose(prose(language, items=False), document_lengths(count, 300, rng), rng)
    changed = edited(items, 0.05, rng)
    texts: list[np.ndarray[Any, Any]] = []
    planted: list[str | None] = []
    which: list[int | None] = []
    for number in range(count):
        own = base.document(number)
        kind, item = PLANTED[number // 8 % 4], number // 8 % len(items)
        if number % 8:
            texts.append(own)
            planted.append(None)
            which.append(None)
            continue
        copy = (changed if kind == "edited" else items).document(item)
        share = {"half": 0.6, "third": 0.3}.get(kind, 1.0)
        copy = copy[: int(np.ceil(share * len(copy)))]
        at = int(rng.integers(0, len(own)))
        texts.append(np.concatenate([own[:at], copy, own[at:]]))
        planted.append(kind)
        which.append(item)
    text = pl.Series("text", base.of(texts).texts(), dtype=pl.String)
    frame = pl.DataFrame({"text": text, "planted": planted, "item": which})
    return frame.with_columns(pl.lit(language).alias("language"))


def found(step: Decontaminate, frame: pl.DataFrame) -> pl.Series:
    """Return which documents the step drops."""
    numbered = frame.select("text").with_row_index("id").cast({"id": pl.String})
    _, dropped = step.apply(numbered)
    return numbered["id"].is_in(dropped["id"].implode())


def seconds(items: pl.DataFrame, frame: pl.DataFrame, ngram: int) -> float:
    """Return the least processor seconds of a few searches of the documents."""
    size = 2 * ngram
    made = items.with_columns(benchmark=pl.lit("b"), item=pl.lit("i"), field=pl.lit("f"))
    search = Search(size, size)(EvaluationWindows(size, size)(made))
    batches = [Batch(one) for one in split_batches(frame.select("text"), "document")]
    rows = np.arange(frame.height, dtype=np.uint64)
    search(batches[0], rows[: len(batches[0])])
    best = float("inf")
    for _ in range(REPEATS):
        fresh = [Batch(one.df) for one in batches]
        started = time.process_time()
        for batch in fresh:
            search(batch, rows[: len(batch)])
        best = min(best, time.process_time() - started)
    return best


def peer(folder: Path, items: pl.DataFrame, frame: pl.DataFrame, mode: str) -> dict[str, Any]:
    items.write_parquet(folder / "items.parquet")
    frame.select("text").write_parquet(folder / "texts.parquet")
    command = [str(peer_environment("datatrove")), str(HERE / "peers/datatrove_decontamination.py")]
    paths = [str(folder / name) for name in ("items.parquet", "texts.parquet", "out.parquet")]
    done = subprocess.run([*command, *paths, mode], check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**told, "gone": pl.read_parquet(folder / "out.parquet")["gone"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    given = parser.parse_args()
    count, asked = (2_000, 60) if given.quick else (20_000, 400)
    result: dict[str, Any] = {
        "benchmark": "decontamination",
        "machine": describe(),
        "quick": given.quick,
        "peers": {"datatrove": version_of(peer_environment("datatrove"), "datatrove")},
    }
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="decontamination-") as name:
        folder = Path(name)
        for language in LANGUAGES:
            items = passages(language, asked, np.random.default_rng(7))
            frame = documents(language, count, items, 11)
            texts = pl.DataFrame({"text": pl.Series(items.texts(), dtype=pl.String)})
            path = folder / f"{language}.jsonl"
            texts.write_ndjson(path)
            sets = {language: {"path": str(path), "fields": ["text"]}}
            gone = found(Decontaminate(benchmarks=sets), frame)
            megabytes = int(frame["text"].str.len_bytes().sum()) / 1e6
            shares = {kind: gone.filter(frame["planted"] == kind).mean() for kind in PLANTED}
            clean = gone.filter(frame["planted"].is_null())
            apart = frame.filter(pl.col("planted").is_null())
            speed = int(apart["text"].str.len_bytes().sum()) / 1e6 / seconds(texts, apart, 8)
            dense = megabytes / seconds(texts, frame, 8)
            result[language] = {
                "documents": frame.height,
                "megabytes": round(megabytes, 1),
                "mb_per_cpu_second": round(speed),
                "mb_per_cpu_second_with_every_eighth_planted": round(dense),
                "dropped": {kind: round(float(share), 4) for kind, share in shares.items()},
                "dropped_clean": int(clean.sum()),
            }
            for kind, target in (("whole", 1.0), ("half", 0.95), ("edited", 0.75)):
                figures[f"{language}_{kind}_found"] = figure(round(shares[kind], 4), target)
            figures[f"{language}_third_found"] = figure(
                round(shares["third"], 4), 0.02, at_most=True
            )
            figures[f"{language}_clean_dropped"] = figure(int(clean.sum()), 0, at_most=True)
            figures[f"{language}_mb_per_cpu_second"] = figure(
                round(speed), 200 if language == "en" else 100
            )
            if language == "en":
                fewer = frame.head(2_000)
                same = Decontaminate(
                    benchmarks=sets, ngram=12, min_found=1e-9, min_share=None, max_documents=None
                )
                ours = found(same, fewer)
                own = seconds(texts, fewer, 12)
                rows = {}
                for mode in ("split", "default"):
                    theirs = peer(folder, texts, fewer, mode)
                    agree = float((theirs["gone"] == ours).mean())
                    rows[mode] = {
                        "cpu_seconds": round(theirs["cpu_seconds"], 2),
                        "ours_cpu_seconds": round(own, 4),
                        "agreement": round(agree, 4),
                        "dropped": int(theirs["gone"].sum()),
                        "ours_dropped": int(ours.sum()),
                    }
                    ratio = round(theirs["cpu_seconds"] / own, 1)
                    target = 30 if mode == "split" else 300
                    figures[f"datatrove_{mode}_cpu_ratio"] = figure(ratio, target)
                    figures[f"datatrove_{mode}_agreement"] = figure(round(agree, 4), 0.995)
                result["datatrove"] = rows
    result["figures"] = figures
    if not given.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return 0 if all(one["met"] for one in figures.values()) else 1
    print(json.dumps(result, ensure_ascii=False))
    return 0 if all(one["met"] for one in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
