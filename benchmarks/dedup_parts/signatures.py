"""Signatures: text to 128 minima, megabytes a second of one core, ours beside every peer.

All sides start from texts in memory in the form they take: Arrow buffers for ours, Python strings
for the peers. Time is processor time, so that other work on the machine disturbs little. Imports,
reading and compiling are outside. Slow peers get the first part of the same texts.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import figure, peer_environment, timed, version_of
from near_duplicates import MEAN_WORDS
from texts import LANGUAGES, bundled_words, compose, document_lengths, real_texts

from dedup_parts.runs import PEER_SCRIPTS

__all__ = ["measure"]

OURS = Path(__file__).resolve().parent.parent / "own_signatures.py"
MODES: list[tuple[str, str, str, float, float | None]] = [
    # peer, mode, compared with, MB of text it gets, target of our ratio in English
    ("gaoya", "", "own", 20, 12),
    ("rensa", "", "own", 10, 30),
    ("datatrove", "default", "own", 1, 1000),
    ("datatrove", "split", "own", 4, 150),
    ("datasketch", "", "compatible", 5, 25),
    ("text-dedup", "", "own", 4, None),
    ("data-juicer", "", "own", 4, None),
]
OPTIONAL = ("text-dedup", "data-juicer")
TARGETS = {"own_en": 400, "own_ko": 250, "compatible_en": 150}
KOREAN = ("gaoya", "rensa", "datasketch")  # their tokens do not depend on the language


def measure(work: Path, *, quick: bool, real: bool, peers: bool) -> tuple[dict[str, Any], Any]:
    """Return the speeds and their figures."""
    megabytes, rounds = (16, 3) if quick else (40, 5)
    result: dict[str, Any] = {"unit": "MB/s of one core, processor time, median"}
    figures: dict[str, Any] = {}
    for language in LANGUAGES:
        source = work / f"signatures-{language}.parquet"
        _write(source, language, megabytes, real)
        ours = {mode: _ours(source, mode, rounds) for mode in ("own", "compatible")}
        firsts = {mode: speed.pop("first", None) for mode, speed in ours.items()}
        result[language] = {"datatools": ours}
        for mode, speed in ours.items():
            if f"{mode}_{language}" in TARGETS:
                name = f"signatures_{mode}_{language}_mb_per_s"
                figures[name] = figure(speed["mb_per_s"], TARGETS[f"{mode}_{language}"])
        for peer, mode, against, part, target in MODES if peers else ():
            if language == "ko" and peer not in KOREAN:
                continue
            name = f"{peer}_{mode}" if mode else peer
            try:
                speed = _peer(source, work, peer, mode, part if not quick else part / 5)
            except SystemExit as error:
                if peer not in OPTIONAL:
                    raise
                result[language][name] = {"unavailable": str(error)[-600:]}
                continue
            first = speed.pop("first")
            if peer == "datasketch":  # a compatible mode that makes other signatures is none
                same = firsts["compatible"] is not None and firsts["compatible"] == first
                figures[f"signatures_equal_datasketch_{language}"] = figure(int(same), 1)
            own = ours[against]["mb_per_s"]
            ratio = None if own is None else round(own / speed["mb_per_s"], 1)
            result[language][name] = {**speed, "ours": against, "ratio": ratio}
            if target is not None and language == "en":
                figures[f"signatures_ratio_to_{name}"] = figure(ratio, target)
    return result, figures


def _write(path: Path, language: Any, megabytes: float, real: bool) -> None:
    rng = np.random.default_rng(7)
    count = round(megabytes * (700 if language == "en" else 420))
    if real:  # pages of up to 3,000 characters
        texts = pl.Series("text", real_texts(language, count // 2))
    else:
        lengths = document_lengths(count, MEAN_WORDS, rng)
        texts = pl.Series("text", compose(bundled_words(language), lengths, rng).texts())
    texts.to_frame().write_parquet(path)


def _ours(source: Path, mode: str, rounds: int) -> dict[str, Any]:
    command = [sys.executable, str(OURS), str(source), str(rounds), mode]
    took = timed(command, check=False)
    if took.status:  # a mode that cannot run has no speed, and its figures are not met
        return {"mb_per_s": None, "unavailable": took.errors.strip()[-300:]}
    return json.loads(took.output.splitlines()[-1])


def _peer(source: Path, work: Path, peer: str, mode: str, megabytes: float) -> dict[str, Any]:
    python = peer_environment(peer)
    texts = pl.read_parquet(source)
    few = texts.filter(pl.col("text").str.len_bytes().cum_sum() <= megabytes * 1e6)
    path = work / f"signatures-{peer}.parquet"
    few.write_parquet(path)
    script = PEER_SCRIPTS / f"{peer.replace('-', '_')}_dedup.py"
    command = [str(python), str(script), "signatures", str(path), "3", *([mode] if mode else [])]
    printed = json.loads(timed(command).output.splitlines()[-1])
    seconds = printed["cpu_seconds"]
    size = int(few["text"].str.len_bytes().sum())
    distribution = {"data-juicer": "py-data-juicer"}.get(peer, peer)
    return {
        "mb_per_s": round(size / 1e6 / statistics.median(seconds), 2),
        "cpu_seconds": [round(one, 3) for one in seconds],
        "bytes": size,
        "version": version_of(python, distribution),
        "first": printed["first"],
    }
