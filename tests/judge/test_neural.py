from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from datatools.judge.arm import Text
from datatools.judge.neural import NeuralVoice, shared_tokenizer
from datatools.train import api
from datatools.train.model import SIZES


def test_both_arms_make_the_tokenizer_whichever_comes_first(prose: list[Text]) -> None:
    a, b = [one.text for one in prose[:40]], [one.text for one in prose[-40:]]
    one, other = shared_tokenizer(a, b, "smoke"), shared_tokenizer(b, a, "smoke")
    assert one.to_json() == other.to_json()
    assert one.vocabulary == SIZES["smoke"].vocabulary
    assert one.to_json() != shared_tokenizer(a, a, "smoke").to_json()


def test_a_rate_is_a_factor_on_the_sizes_own(
    prose: list[Text], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    own: list[float] = []
    fit = api.fit_language_model

    class Silent:
        def nll(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
            return np.zeros(len(texts))

    def spy(texts: Sequence[str], **settings: Any) -> Silent:
        asked.append(settings)
        return Silent()

    texts = [one.text for one in prose[:20]]
    tokenizer = shared_tokenizer(texts, texts, "smoke")
    model = fit(texts, tokenizer=tokenizer, size="smoke", tokens=512, seed=0)
    assert model.run is not None
    own.append(max(point.learning_rate for point in model.run.curve))
    monkeypatch.setattr(api, "fit_language_model", spy)
    for rate in (1.0, 0.3):
        NeuralVoice(tokenizer, "smoke", 512, rate).fit(texts, seed=5)
    assert asked[0]["learning_rate"] == pytest.approx(own[0], rel=0.05)
    assert asked[1]["learning_rate"] == pytest.approx(0.3 * asked[0]["learning_rate"])
    assert {one["seed"] for one in asked} == {5}


def test_a_little_training_teaches_more_than_none(prose: list[Text]) -> None:
    texts = [one.text for one in prose]
    tokenizer = shared_tokenizer(texts, texts, "smoke")
    little = NeuralVoice(tokenizer, "smoke", 256).fit(texts[::2], seed=1)
    more = NeuralVoice(tokenizer, "smoke", 8_000).fit(texts[::2], seed=1)
    read = texts[1:40:2]
    assert more.nll(read).sum() < 0.9 * little.nll(read).sum()
    assert little.nll([""]).tolist() == [0.0]
