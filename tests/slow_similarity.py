"""Near duplicates by the book: every pair, exact sets, plain Python. And texts to try it on."""

from __future__ import annotations

import itertools
import random
import re


def tokens(text: str, unit: str) -> list[str]:
    """Return the words, or the characters with runs of blanks as one."""
    lowered = text.lower()
    return re.findall(r"\w+", lowered) if unit == "word" else list(" ".join(lowered.split()))


def shingles(text: str, n: int = 5, unit: str = "word") -> set[tuple[str, ...]]:
    """Return the set of runs of `n` tokens."""
    parts = tokens(text, unit)
    return {tuple(parts[i : i + n]) for i in range(len(parts) - n + 1)}


def normalised(text: str) -> str:
    """Return the words in order, or for a text without words its characters."""
    words = tokens(text, "word")
    return " ".join(words) if words else " ".join(text.lower().split())


def similarity(a: str, b: str, n: int = 5, unit: str = "word") -> float:
    """Return the Jaccard similarity; of two texts shorter than a shingle, whether they are
    equal."""
    left, right = shingles(a, n, unit), shingles(b, n, unit)
    if not left and not right:
        return float(normalised(a) == normalised(b))
    return len(left & right) / len(left | right)


def similar_pairs(
    texts: list[str], threshold: float, **how: object
) -> dict[tuple[int, int], float]:
    """Return every pair of positions that reaches the threshold, with its similarity."""
    found = {}
    for i, j in itertools.combinations(range(len(texts)), 2):
        jaccard = similarity(texts[i], texts[j], **how)  # type: ignore[arg-type]
        if jaccard >= threshold:
            found[i, j] = jaccard
    return found


SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후"


def corpus(seed: int, families: int, words: int = 60) -> list[str]:
    """Return texts in families of near duplicates, English and Korean by turns, shuffled.

    Each family is a text and two to four copies with none to an eighth of their words changed, so
    that similarities spread from 0.2 to 1.
    """
    draw = random.Random(seed)

    def word(korean: bool) -> str:
        alphabet, least = (SYLLABLES, 2) if korean else ("abcdefghijklmnopqrstuvwxyz", 3)
        return "".join(draw.choices(alphabet, k=draw.randint(least, least + 3)))

    texts = []
    for family in range(families):
        korean = family % 2 == 1
        base = [word(korean) for _ in range(draw.randint(words // 2, words))]
        texts.append(" ".join(base))
        for _ in range(draw.randint(2, 4)):
            copy = list(base)
            for _ in range(draw.choice([0, 1, 1, 2, len(base) // 8])):
                copy[draw.randrange(len(copy))] = word(korean)
            copy += [word(korean) for _ in range(draw.choice([0, 0, 1]))]
            text = " ".join(copy)
            texts.append(text.title() + "!" if draw.random() < 0.3 else text)
    draw.shuffle(texts)
    return texts
