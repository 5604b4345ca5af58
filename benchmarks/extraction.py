"""Main text of real pages: the learned extractor beside resiliparse, trafilatura and their cascade.

    python benchmarks/extraction.py [--quick] [--json]

F1 is over words, as the Web Content Extraction Benchmark counts it, per type of page and over the
benchmark's own mix of types. Ours is cross-validated: the model that reads a page was fitted
without any page of its site. Speed is that of the model in the package, in processor time of one
core: imports, compiling and reading files are left out for all, as is the fence around the others.
The Korean pages are our own (tests/steps/clean/main_text_pages); no model was fitted to them.

Labelled pages are read from ../shared/data. Without them only our own pages are scored, and the
figures that need the others are not met. `--quick` takes every sixth page for the peers and speed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from labelled_pages import SHARED, LabelledPage, by_type, over_mix, word_f1
from machine import describe, figure
from train_extractor import Rows, cross_scores, fit_trees, labelled_pages

from datatools.steps.clean.extractors import FencedEngine, build_extractor
from datatools.steps.clean.learned import LearnedExtractor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "steps" / "clean"))

from labelled import PAGES, labelled  # noqa: E402 - the pages are the tests'

PEERS: tuple[FencedEngine, ...] = ("resiliparse", "cascade", "trafilatura")
RIVALS = ("resiliparse", "cascade")
"""Those that ours is held to beat on every type."""


def own_pages() -> list[LabelledPage]:
    """Return our own pages, of type `ko` or `en`."""
    pages = []
    for path in PAGES:
        html, text = labelled(path)
        pages.append(LabelledPage(path.stem, "", path.stem[:2], html.encode(), text))
    return pages


def finder(engine: str):
    """Return the function from a page to its main text."""
    if engine == "learned":
        extractor = LearnedExtractor()
        return lambda page: extractor.extract(page).text
    extract = build_extractor(engine)
    return lambda page: extract(page)[1:].decode()


def measure(engine: str, pages: list[LabelledPage], runs: int = 1) -> dict[str, object]:
    """Return scores per type and speed, the median of some runs."""
    find = finder(engine)
    find(pages[0].html)  # compiles, fills caches
    seconds = []
    for _ in range(runs):
        began = time.process_time()
        texts = [find(page.html) for page in pages]
        seconds.append(time.process_time() - began)
    taken = float(np.median(seconds))
    scored = [(p.type, word_f1(text, p.text)) for p, text in zip(pages, texts, strict=True)]
    return {
        "pages": len(pages),
        "pages_per_s": round(len(pages) / taken, 1),
        "mb_per_s": round(sum(len(page.html) for page in pages) / taken / 1e6, 1),
        "f1": by_type(scored),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every sixth page for peers and speed")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on the last line"
    )
    args = parser.parse_args()
    own = own_pages()
    result: dict[str, object] = {
        "machine": describe(),
        "own_pages": {engine: measure(engine, own)["f1"] for engine in ("learned", *PEERS)},
    }
    ko = {engine: f1["ko"] for engine, f1 in result["own_pages"].items()}
    figures = {
        "korean_over_the_best_peer": figure(ko["learned"] - max(ko[peer] for peer in PEERS), 0.0)
    }
    ours: dict[str, float] = {}
    speed = None
    peers: dict[str, dict[str, object]] = {}
    if SHARED.exists():
        every = labelled_pages()
        rows = Rows(every)
        _, chances = fit_trees(rows, "--cross-validate")
        scores = cross_scores(rows, chances)
        step = 6 if args.quick else 1
        pages = every[::step]
        ours = by_type(scores[::step])
        peers = {peer: measure(peer, pages) for peer in PEERS}
        speed = measure("learned", pages, runs=3)
        result |= {
            "cross_validated": ours,
            "peers": peers,
            "speed": {name: speed[name] for name in ("pages", "pages_per_s", "mb_per_s")},
            "unseen_sites_mix": {
                "learned": over_mix(ours),
                **{peer: over_mix(found["f1"]) for peer, found in peers.items()},
            },
        }
    figures["f1_over_the_mix"] = figure(over_mix(ours) if ours else None, 0.86)
    for kind in sorted(ours or {"article": 0}):
        if kind == "news":  # not one of the benchmark's types
            continue
        best = max((peers[peer]["f1"][kind] for peer in RIVALS), default=None) if peers else None
        margin = ours[kind] - best if best is not None else None
        figures[f"{kind}_over_the_best_peer"] = figure(margin, 0.0)
    figures["mb_per_s"] = figure(speed["mb_per_s"] if speed else None, 80.0)
    result["figures"] = figures
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))
    return 0 if all(one["met"] for one in figures.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
