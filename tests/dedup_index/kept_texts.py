"""Near duplicates of every degree in Korean and English, and a slow index to compare with."""

from __future__ import annotations

import random

import numpy as np
import polars as pl

from datatools.steps.base import Batch

_ENGLISH = ["river", "stone", "bridge", "market", "winter", "garden", "letter", "window", "engine"]
_KOREAN = ["강물", "돌다리", "시장", "겨울", "정원", "편지", "창문", "아침", "기차", "골목"]


def texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of which many are edited copies of others, and some are short or empty."""
    draw = random.Random(seed)
    made: list[str] = []
    for number in range(count):
        words = _KOREAN if number % 2 else _ENGLISH
        kind = draw.random()
        if made and kind < 0.5:
            copied = draw.choice(made).split()
            for _ in range(draw.randint(0, 4)):
                if copied:
                    copied[draw.randrange(len(copied))] = draw.choice(words)
            made.append(" ".join(copied))
        elif kind < 0.6:
            made.append(" ".join(draw.choices(words, k=draw.randint(0, 4))))
        else:
            made.append(" ".join(f"{w}{draw.randint(0, 30)}" for w in draw.choices(words, k=80)))
    return made


def edited(made: list[str], seed: int) -> list[str]:
    """Return a copy of each text with up to six words changed."""
    draw = random.Random(seed)
    copies = []
    for text in made:
        words = text.split()
        for _ in range(draw.randint(0, 6)):
            if words:
                words[draw.randrange(len(words))] = draw.choice(_KOREAN)
        copies.append(" ".join(words))
    return copies


def frame(made: list[str], prefix: str = "doc") -> pl.DataFrame:
    """Return texts as documents."""
    return pl.DataFrame(
        {
            "id": [f"{prefix}-{n}" for n in range(len(made))],
            "text": made,
            "url": [f"https://example.org/{prefix}/{n}" for n in range(len(made))],
        },
        schema={"id": pl.String, "text": pl.String, "url": pl.String},
    )


def slowly_matched(index, kept: pl.DataFrame, asked: pl.DataFrame) -> list[tuple]:
    """Compare everything with everything: `(id, match, similarity)` of each row of `asked`."""
    parameters = index.parameters
    there, new = (parameters.sketches(Batch(one)) for one in (kept, asked))
    keys = [set(row[:n].tolist()) for row, n in zip(there.keys, there.count, strict=True)]
    found = []
    for row, id in enumerate(asked["id"]):
        own = set(new.keys[row][: new.count[row]].tolist())
        best, best_id = 0.0, None
        for doc, doc_id in enumerate(kept["id"]):
            if own & keys[doc]:
                equal = int(np.sum(there.sketch[doc] == new.sketch[row]))
                chance = 1 / 256
                similarity = (equal / parameters.num_perm - chance) / (1 - chance)
                if similarity > best + 1e-9:
                    best, best_id = similarity, doc_id
        matched = best_id is not None and best >= parameters.threshold - 1e-9
        found.append((id, best_id if matched else None, round(best, 6) if matched else None))
    return found


def told(matches: pl.DataFrame) -> list[tuple]:
    """Return what `slowly_matched` returns, of what an index found."""
    return matches.select("id", "match", pl.col("similarity").round(6)).rows()
