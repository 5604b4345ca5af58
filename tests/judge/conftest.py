"""Small prose for the judge: English from docstrings, Korean from a grammar."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence

import numpy as np
import pytest

from datatools.judge.arm import Text
from datatools.judge.reference import ReferenceSet
from datatools.judge.tiers import TIERS, Tier

TRAIN_MODULES = [
    *("argparse", "asyncio", "collections", "csv", "datetime", "decimal", "difflib"),
    *("email.message", "fractions", "ftplib", "functools", "http.client", "imaplib"),
    *("inspect", "io", "ipaddress", "logging", "mailbox"),
]
NEUTRAL_MODULES = [
    *("pathlib", "random", "smtplib", "socket", "statistics", "string", "subprocess", "tarfile"),
]

SYLLABLES = "가나다라마바사아자차하고노도로모보소오조구누두루무부수우주기니리미비시이지강남동문산"
ADJECTIVES = ["오래된", "조용한", "작은", "새로운", "푸른", "따뜻한", "낯선", "깊은", "가벼운"]
VERBS = ["지나갔다", "바라보았다", "떠올렸다", "찾아냈다", "기다렸다", "옮겼다", "배웠다"]
LINKS = ["그래서", "그러나", "그리고", "이튿날", "마침내", "한참 뒤에", "그때"]


def docstrings(modules: list[str]) -> list[str]:
    """What a module documents itself, not what it imports."""
    found: dict[str, None] = {}
    for name in modules:
        module = importlib.import_module(name)
        members = [
            module,
            *(one for _, one in sorted(vars(module).items(), key=lambda item: item[0])),
        ]
        for one in list(members):
            if inspect.isclass(one):
                members += [
                    method for _, method in sorted(vars(one).items(), key=lambda item: item[0])
                ]
        for one in members:
            own = one is module or getattr(one, "__module__", None) == name
            if own and (inspect.isroutine(one) or inspect.isclass(one) or one is module):
                text = one.__doc__ or ""
                if len(text) > 120:
                    found[inspect.cleandoc(text)] = None
    return list(found)


def korean(count: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)

    def pick(words: Sequence[str]) -> str:
        return words[int(draw.integers(len(words)))]

    def noun() -> str:
        return pick(SYLLABLES) + pick(SYLLABLES)

    def sentence() -> str:
        link = pick(LINKS) + " " if draw.random() < 0.4 else ""
        return f"{link}{pick(ADJECTIVES)} {noun()}에서 {noun()}의 {noun()}을 {pick(VERBS)}."

    return [" ".join(sentence() for _ in range(int(draw.integers(5, 12)))) for _ in range(count)]


@pytest.fixture(scope="session")
def prose() -> list[Text]:
    """About 170 KB: 300 docstrings and 200 Korean stories."""
    texts = docstrings(TRAIN_MODULES)[:300] + korean(200, seed=1)
    return [Text(f"doc-{at}", text, f"source-{at % 40}") for at, text in enumerate(texts)]


@pytest.fixture(scope="session")
def neutral() -> ReferenceSet:
    """About 60 KB of the same kinds, from other modules and another seed."""
    rows = [
        {"id": f"en{at}", "text": text, "domain": "pydoc", "language": "en"}
        for at, text in enumerate(docstrings(NEUTRAL_MODULES)[:80])
    ]
    rows += [
        {"id": f"ko{at}", "text": text, "domain": "story", "language": "ko"}
        for at, text in enumerate(korean(60, seed=2))
    ]
    return ReferenceSet.of(rows)


@pytest.fixture(scope="session")
def ngram_tier() -> Tier:
    plan = TIERS["smoke"].ngram.model_copy(update={"draws": 3})
    return TIERS["smoke"].model_copy(update={"neural": None, "ngram": plan})


@pytest.fixture(scope="session")
def quick_tier(ngram_tier: Tier) -> Tier:
    """Two draws of one regime: enough where the size of an effect is not the question."""
    plan = ngram_tier.ngram.model_copy(update={"draws": 2, "regimes": ("token-matched",)})
    return ngram_tier.model_copy(update={"ngram": plan})
