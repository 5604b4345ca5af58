import random

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from datatools.steps.base import Batch

# The first example of a test may compile a kernel, which takes seconds.
settings.register_profile("compiling", parent=settings(), deadline=None)
settings.load_profile("compiling")

PIECES = [
    *("the ", "The", "cat", "a", "A", "zoo ", "x_1", "42", " ", "  ", "\t", "\n", "\n\n", "\r\n"),
    *("나는 ", "집에", " 갔다.", "한국어", "ㅋㅋㅋ", "ㅠ", "\u1112\u1161\u11ab", "에서 ", "으로"),
    *("...", "…", ".", "#", "- ", "* ", "• ", "·", "○ ", "'", '"', "!", ",", "\u00ad"),
    *("İ", "I", "ı", "Σ", "ΑΣ", "Σ.", "ẞ", "Ⱥ", "K", "Å", "ǅ", "\u0307", "𐐀", "é", "ᾼ"),
    *(
        "😀",
        "👩‍👩‍👧",
        "\0",
        "\u2028",
        "\u3000",
        "\x85",
        "\x1c",
        "\ufffd",
        "\ufeff",
        "עברית",
        "漢字",
    ),
    *("a" * 17, "B" * 70, "word " * 30, "가" * 40),
]


@pytest.fixture(scope="session")
def buffers():
    """Offsets and bytes of a list of texts, as a step's batch gives them."""

    def make(texts):
        frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
        return Batch(frame).buffers("text")

    return make


@pytest.fixture(scope="session")
def any_text():
    """Texts of English, Korean, emoji, odd whitespace, odd case, repetition; or anything."""
    pieces = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
    few = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).flatmap(
        lambda some: st.lists(st.sampled_from(some), max_size=80).map("".join)
    )
    return pieces | few | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture
def edited_pairs():
    """Make texts of Korean and English words, each followed by a copy with some words changed."""

    def make(rates, seed):
        rng = random.Random(seed)
        vocabulary = [f"w{k}" for k in range(500)] + [f"말{chr(0xAC00 + k)}" for k in range(500)]
        texts = []
        for rate in rates:
            one = rng.choices(vocabulary, k=200)
            other = [rng.choice(vocabulary) if rng.random() < rate else word for word in one]
            texts += [" ".join(one), " ".join(other)]
        return texts, np.arange(0, len(texts), 2), np.arange(1, len(texts), 2)

    return make
