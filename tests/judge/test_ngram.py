from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.judge.arm import Text
from datatools.judge.ngram import CODE_POINTS, NgramVoice

small_text = st.text(alphabet="ab가 ", max_size=30)


class SlowKneserNey:
    """The definitions, in dictionaries."""

    def __init__(self, texts: list[str], order: int) -> None:
        self.order = order
        counts: dict[int, Counter[tuple[str, ...]]] = {n: Counter() for n in range(1, order + 1)}
        grams: dict[int, set[tuple[str, ...]]] = {n: set() for n in range(1, order + 1)}
        for text in texts:
            padded = ["<s>"] * (order - 1) + list(text)
            for end in range(order - 1, len(padded)):
                for n in range(1, order + 1):
                    gram = tuple(padded[end - n + 1 : end + 1])
                    grams[n].add(gram)
                    if n == order:
                        counts[n][gram] += 1
        for n in range(1, order):  # distinct predecessors
            for gram in grams[n + 1]:
                counts[n][gram[1:]] += 1
        self.counts = counts
        self.discount = {}
        for n in range(1, order + 1):
            seen = Counter(counts[n].values())
            self.discount[n] = (0.5, 1.0, 1.5)
            if all(seen[k] for k in (1, 2, 3, 4)):
                y = seen[1] / (seen[1] + 2 * seen[2])
                d = tuple(k - (k + 1) * y * seen[k + 1] / seen[k] for k in (1, 2, 3))
                if all(0 < d[k - 1] <= k for k in (1, 2, 3)):
                    self.discount[n] = d
        self.followers: dict[int, dict[tuple[str, ...], list[int]]] = {}
        for n in range(1, order + 1):
            followers = defaultdict(list)
            for gram, count in counts[n].items():
                followers[gram[:-1]].append(count)
            self.followers[n] = followers

    def probability(self, symbol: str, context: tuple[str, ...]) -> float:
        found = 1 / CODE_POINTS
        for n in range(1, self.order + 1):
            short = context[len(context) - n + 1 :]
            followers = self.followers[n].get(short)
            if not followers:
                return found
            d = self.discount[n]
            back = sum(d[min(count, 3) - 1] for count in followers) / sum(followers)
            count = self.counts[n][(*short, symbol)]
            own = (count - d[min(count, 3) - 1]) / sum(followers) if count else 0.0
            found = own + back * found
        return found

    def nll(self, text: str) -> float:
        padded = ["<s>"] * (self.order - 1) + list(text)
        return -sum(
            math.log(self.probability(padded[at], tuple(padded[at - self.order + 1 : at])))
            for at in range(self.order - 1, len(padded))
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(small_text, max_size=6), small_text, st.integers(1, 6))
def test_it_equals_the_definitions_in_dictionaries(texts: list[str], text: str, order: int) -> None:
    found = NgramVoice(order).fit(texts).nll([text])[0]
    assert found == pytest.approx(SlowKneserNey(texts, order).nll(text), rel=1e-12, abs=1e-12)


def test_it_equals_the_definitions_on_prose(prose: list[Text]) -> None:
    texts = [one.text for one in prose[:30] + prose[-30:]]
    read = [one.text[:120] for one in prose[30:34] + prose[-34:-30]]
    slow = SlowKneserNey(texts, 5)
    assert slow.discount[3] != (0.5, 1.0, 1.5)
    found = NgramVoice(5).fit(texts).nll(read)
    assert found == pytest.approx([slow.nll(text) for text in read], rel=1e-12)


@pytest.mark.parametrize("context", ["", "ab", "가나", "zz", "ab" * 9])
def test_probabilities_of_all_code_points_sum_to_one(context: str) -> None:
    model = NgramVoice(4).fit(["abracadabra", "가나다가나", "abab가"])
    everything = model.probabilities(context, np.arange(CODE_POINTS))
    assert float(everything.min()) > 0
    assert math.fsum(everything) == pytest.approx(1.0, abs=1e-9)


def test_no_text_is_impossible() -> None:
    model = NgramVoice(6).fit(["only latin letters"])
    nasty = ["\0", "\ufffd", "\ud800", "😀" * 50, "שלום", "가", "x" * 10_000, "한글"]
    found = model.nll(nasty)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_nothing_to_learn_makes_every_character_equally_likely() -> None:
    expected = 3 * math.log(CODE_POINTS)
    assert NgramVoice(6).fit([]).nll(["abc", ""]) == pytest.approx([expected, 0.0])
    assert NgramVoice(6).fit(["", ""]).nll(["abc"]) == pytest.approx([expected])


def test_neither_the_order_of_texts_nor_the_seed_matters() -> None:
    texts = ["first text", "second 글", "third", "first text"]
    read = ["a text", "글 text"]
    one = NgramVoice(5).fit(texts, seed=0).nll(read)
    other = NgramVoice(5).fit(texts[::-1], seed=7).nll(read)
    assert one.tolist() == other.tolist()


def test_texts_do_not_run_into_each_other() -> None:
    apart = NgramVoice(4).fit(["aaaa", "bbbb"]).probabilities("aaa", [ord("b")])[0]
    joined = NgramVoice(4).fit(["aaaabbbb"]).probabilities("aaa", [ord("b")])[0]
    assert apart < joined / 2


def test_tables_grow_without_losing_ngrams(prose: list[Text]) -> None:
    model = NgramVoice(6).fit([one.text for one in prose])
    grams = set()
    for text in (one.text for one in prose):
        padded = "\0" * 5 + text
        for end in range(6, len(padded) + 1):
            grams |= {padded[end - n : end] for n in range(1, 7)}
    assert len(model.keys) > 1 << 16  # the size they start with
    assert int((model.keys != 0).sum()) == len(grams)


def test_shuffled_words_teach_less_in_korean_and_in_english(prose: list[Text]) -> None:
    draw = np.random.default_rng(0)
    for part in (prose[:300], prose[300:]):
        texts = [one.text for one in part]
        train, read = texts[::2], texts[1::2]
        broken = [" ".join(draw.permutation(text.split())) for text in train]
        clean = NgramVoice().fit([" ".join(text.split()) for text in train])
        assert clean.nll(read).sum() < NgramVoice().fit(broken).nll(read).sum()
