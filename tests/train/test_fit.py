import numpy as np
import pytest
import torch
from train_corpora import TINY, documents

from datatools.errors import ConfigError, DataError
from datatools.train.fit import draw_documents, fit_language_model

TEXTS = [text for text, _ in documents()]


def _fit(texts, tokenizer, **changes):
    settings = {
        "size": TINY,
        "tokens": 4096,
        "seed": 0,
        "context": 64,
        "device": "cpu",
        "threads": 1,
    } | changes
    return fit_language_model(texts, tokenizer=tokenizer, **settings)


def test_equal_seeds_give_equal_weights_bit_for_bit(tokenizer):
    one, same, other = (_fit(TEXTS, tokenizer, seed=s).decoder.state_dict() for s in (3, 3, 4))
    for name, weight in one.items():
        assert torch.equal(weight, same[name]), name
    assert not torch.equal(one["norm.weight"], other["norm.weight"])


def test_a_model_fits_what_it_has_read_better_than_what_it_has_not(tokenizer):
    english = [text for text, language in documents() if language == "en"]
    korean = [text for text, language in documents() if language == "ko"]
    model = _fit(english[:80], tokenizer, tokens=16_000)
    size = np.array([len(text.encode()) for text in (english[90], korean[90])])
    nats = model.nll([english[90], korean[90]]) / size
    assert nats[0] < 0.5 * nats[1]


def test_documents_are_drawn_until_they_hold_the_tokens(tokenizer):
    chosen, encoded = draw_documents(TEXTS, tokenizer, 640, 1)
    sizes = [len(ids) + 1 for ids in encoded]
    assert sum(sizes[:-1]) < 640 <= sum(sizes)
    assert len(set(chosen)) == len(chosen)
    for number, ids in zip(chosen, encoded, strict=True):
        assert tokenizer.decode(ids) == TEXTS[number]
    assert draw_documents(TEXTS, tokenizer, 640, 1)[0] == chosen
    assert draw_documents(TEXTS, tokenizer, 640, 2)[0] != chosen


def test_with_fewer_texts_than_tokens_all_are_drawn(tokenizer):
    assert sorted(draw_documents(TEXTS, tokenizer, 10**6, 0)[0]) == list(range(len(TEXTS)))


def test_few_texts_are_read_again_until_the_tokens_are_reached(tokenizer):
    model = _fit(TEXTS[:3], tokenizer, tokens=2048, batch_tokens=64)
    # the last row of each pass is short, so passes count a little fewer tokens than asked
    assert 0.8 * 2048 < model.run.tokens <= 2048


def test_tokens_below_a_row_are_refused(tokenizer):
    with pytest.raises(ConfigError, match="must be at least one row"):
        _fit(TEXTS, tokenizer, tokens=63)


def test_no_text_is_an_error_with_a_name(tokenizer):
    with pytest.raises(DataError, match="there is none to train on"):
        _fit([], tokenizer)
