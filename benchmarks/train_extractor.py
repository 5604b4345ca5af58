"""Trains the model of the learned extractor and writes it into the package.

    python benchmarks/train_extractor.py [--cross-validate]

Reads the labelled pages of ../shared/data (see `labelled_pages.py`). With `--cross-validate` it
writes nothing: it prints the F1 of models that never saw the page's site (five folds by registered
domain). The same pages and the same wheels give the same model, byte for byte.

A block's label is the share of its words that the main text has in runs of three; its weight is
its share of the page's words, to the power of 0.8, so that every page counts alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
from labelled_pages import (
    LabelledPage,
    by_type,
    news_pages,
    over_mix,
    wcxb_pages,
    word_f1,
    words_of,
)
from machine import peer_environment
from safetensors.numpy import save

from datatools.kernels.html_blocks import BLOCKS
from datatools.kernels.html_features import FEATURES
from datatools.kernels.html_trees import (
    LEAF_UNIT,
    PROBABILITY_STEP,
    PROBABILITY_UNIT,
    keep_best,
)
from datatools.steps.clean import learned
from datatools.steps.clean.learned import PageReader

HERE = Path(__file__).resolve().parent
MODEL = Path(learned.__file__).with_name(learned.MODEL)

FOLDS = 5
RUN = 3
DAMPING = 0.8
NEWS_WEIGHT = 0.5
CAUTION = 1.25
"""Chances are raised to this power before the cut: it keeps less of what is doubtful. 1 to 1.5 are
equally good over the benchmark's mix; more is better on news and products, less on listings."""


def labelled_pages() -> list[LabelledPage]:
    """Return the pages that the model is trained on."""
    return [*wcxb_pages(), *news_pages()]


class Rows:
    """The blocks of pages: their features, texts and labels."""

    def __init__(self, pages: list[LabelledPage]) -> None:
        reader = PageReader()
        self.pages, self.texts, values = pages, [], []
        for page in pages:
            excess = reader.read(page.html)
            assert excess is None, (page.name, excess)
            values += [rows.copy() for _, rows in reader.features(page.html)]
            self.texts.append(_texts(reader, page.html))
        self.x = np.concatenate(values)
        self.counts = np.array([len(texts) for texts in self.texts])
        self.page = np.repeat(np.arange(len(pages)), self.counts)
        labels = [_labels(texts, page.text) for texts, page in zip(self.texts, pages, strict=True)]
        words = np.concatenate([words for words, _ in labels])
        hits = np.concatenate([hits for _, hits in labels])
        self.y = hits / np.maximum(words, 1)
        length = np.array([max(len(words_of(page.text)), 30) for page in pages])
        weight = (np.maximum(words, 0.3) / length[self.page]) ** DAMPING
        weight *= 200 / np.bincount(self.page, weights=weight)[self.page]
        news = np.array([page.type == "news" for page in pages])
        empty = np.array([not page.text for page in pages])
        self.weight = weight * np.where(news, NEWS_WEIGHT, 1.0)[self.page]
        self.weight[empty[self.page]] = 0
        self.fold = np.array([zlib.crc32(page.site.encode()) % FOLDS for page in pages])[self.page]


def _texts(reader: PageReader, page: bytes) -> list[str]:
    """Return the text of each block of the page just read."""
    keep = np.zeros(int(reader.tables.state[BLOCKS]), dtype=np.bool_)
    texts = []
    for block in range(len(keep)):
        keep[block] = True
        texts.append(reader.text(page, keep))
        keep[block] = False
    return texts


def _labels(texts: list[str], truth: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return each block's words, and how many of them the truth has in runs of three.

    Runs go over the ends of blocks, so that a heading of one word can match; each run of the truth
    is matched once, by the first that has it.
    """
    sequence = [word for text in texts for word in words_of(text)]
    owner = np.array(
        [block for block, text in enumerate(texts) for _ in words_of(text)], dtype=np.int64
    )
    wanted = words_of(truth)
    left = Counter(tuple(wanted[at : at + RUN]) for at in range(len(wanted) - RUN + 1))
    hit = np.zeros(len(sequence))
    for at in range(len(sequence) - RUN + 1):
        run = tuple(sequence[at : at + RUN])
        if left[run] > 0:
            left[run] -= 1
            hit[at : at + RUN] = 1
    blocks = len(texts)
    return np.bincount(owner, minlength=blocks), np.bincount(owner, hit, minlength=blocks)


def fit_trees(rows: Rows, *arguments: str) -> tuple[dict, npt.NDArray[np.float64]]:
    python = peer_environment("lightgbm")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "rows.npz", Path(folder) / "trees.npz"
        np.savez(given, x=rows.x, y=rows.y, weight=rows.weight, fold=rows.fold)
        command = [python, HERE / "peers" / "lightgbm_fit.py", given, made, *arguments]
        subprocess.run([str(part) for part in command], check=True)
        with np.load(made) as found:
            return json.loads(str(found["trees"])), found["chances"]


def _flat(model: dict) -> dict[str, npt.NDArray]:
    """Return LightGBM's trees as the arrays of `Trees`."""
    features, thresholds, children, leaves, roots, depths = [], [], [], [], [], []

    def add(node: dict) -> tuple[int, int]:
        """Add a node and what is below; return its number and the steps to its deepest leaf."""
        at = len(features)
        if "split_feature" not in node:
            features.append(0)
            thresholds.append(np.float32(np.inf))
            children.append([at, at])
            leaves.append(round(node["leaf_value"] * LEAF_UNIT))
            return at, 0
        assert node["decision_type"] == "<=", node
        features.append(node["split_feature"])
        # Values are float32: the greatest of them that is no more than the threshold decides alike.
        limit = np.float32(node["threshold"])
        if float(limit) > node["threshold"]:
            limit = np.nextafter(limit, np.float32(-np.inf))
        thresholds.append(limit)
        children.append([at, at])
        leaves.append(0)
        below = [add(node["left_child"]), add(node["right_child"])]
        children[at] = [child for child, _ in below]
        return at, 1 + max(depth for _, depth in below)

    for tree in model["tree_info"]:
        root, depth = add(tree["tree_structure"])
        roots.append(root)
        depths.append(depth)
    span = 16 * LEAF_UNIT
    odds = (np.arange(-span, span, PROBABILITY_STEP) + PROBABILITY_STEP / 2) / LEAF_UNIT
    chances = (1 / (1 + np.exp(-odds))) ** CAUTION
    return {
        "features": np.array(features, dtype=np.int16),
        "thresholds": np.array(thresholds, dtype=np.float32),
        "children": np.array(children, dtype=np.int32),
        "leaves": np.array(leaves, dtype=np.int32),
        "roots": np.array(roots, dtype=np.int32),
        "depths": np.array(depths, dtype=np.int32),
        "probabilities": np.round(chances * PROBABILITY_UNIT).astype(np.int32),
        "lowest": np.array([-span], dtype=np.int64),
    }


def cross_scores(rows: Rows, chances: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    scored = []
    ends = np.cumsum(rows.counts)
    for page, texts, end in zip(rows.pages, rows.texts, ends, strict=True):
        part = slice(end - len(texts), end)
        keep = np.zeros(len(texts), dtype=np.bool_)
        units = np.round(chances[part] ** CAUTION * PROBABILITY_UNIT).astype(np.int64)
        keep_best(units, np.ascontiguousarray(rows.x[part, 1].astype(np.int32)), keep)
        found = "\n".join(text for text, kept in zip(texts, keep, strict=True) if kept)
        scored.append((page.type, word_f1(found, page.text)))
    return scored


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cross-validate", action="store_true", help="print F1, write nothing")
    args = parser.parse_args()
    rows = Rows(labelled_pages())
    assert FEATURES[1] == "words"
    if args.cross_validate:
        _, chances = fit_trees(rows, "--cross-validate")
        means = by_type(cross_scores(rows, chances))
        news = means.pop("news")
        print(json.dumps({"mix": over_mix(means), "news": news, **means}, indent=1))
        return 0
    model, _ = fit_trees(rows)
    # One entry: safetensors writes several in any order.
    metadata = {"features": json.dumps(FEATURES)}
    MODEL.write_bytes(save(_flat(model), metadata=metadata))
    print(f"{MODEL.name}: {MODEL.stat().st_size} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
