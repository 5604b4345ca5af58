import math

import numpy as np
import pytest
import torch
from train_corpora import TINY, conversations, documents, message

from datatools.train.data import Pairs, windows
from datatools.train.evaluate import (
    bits_per_byte,
    conditional_gain,
    document_nll,
    length_accuracy,
    pair_accuracy,
    probe,
    reference_logprobs,
    reward_scores,
    score_answers,
    score_documents,
    token_nll,
)
from datatools.train.model import Decoder, RewardModel
from datatools.train.tokenizer import train_tokenizer

TEXTS = [text for text, _ in documents(8)]
LANGUAGES = [language for _, language in documents(8)]


@pytest.fixture
def uniform():
    """A model whose embedding is 0: every token has the same probability everywhere."""
    model = Decoder(TINY)
    with torch.no_grad():
        model.embed_tokens.weight.zero_()
    return model


@pytest.mark.parametrize("length", [2, 40, 65, 66, 97, 300])
def test_each_token_is_scored_once_after_its_window(length, decoder):
    """One window at a time, one token at a time, in float64."""
    ids = np.random.default_rng(0).integers(3, TINY.vocabulary, length).astype(np.int32)
    expected = []
    for start, stop, fresh in windows(length, TINY.context):
        with torch.no_grad():
            read = torch.from_numpy(ids[start : stop - 1].astype(np.int64))[None]
            logits = decoder.logits(decoder(read))[0].double()
        for target in range(fresh, stop):
            row = logits[target - 1 - start]
            expected.append((torch.logsumexp(row, 0) - row[int(ids[target])]).item())
    np.testing.assert_allclose(token_nll(decoder, [ids])[0], expected, rtol=1e-5, atol=1e-5)


def test_a_text_scores_the_same_in_any_company(decoder, tokenizer):
    together = document_nll(decoder, tokenizer, TEXTS)
    alone = [document_nll(decoder, tokenizer, [text])[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_nothing_to_score_scores_0(decoder, tokenizer):
    assert document_nll(decoder, tokenizer, [""]).tolist() == [0.0]
    assert document_nll(decoder, tokenizer, []).shape == (0,)


def test_only_counted_tokens_are_scored(decoder):
    ids = np.arange(3, 90, dtype=np.int32)
    counted = np.zeros(len(ids), dtype=bool)
    counted[[5, 80]] = True
    every = token_nll(decoder, [ids])[0]
    some = token_nll(decoder, [ids], counted=[counted])[0]
    assert np.flatnonzero(some).tolist() == [4, 79]
    # token 80 may have been read in a window of its own, so with less before it
    assert some[4] == pytest.approx(every[4], rel=1e-6)


def test_a_uniform_model_needs_the_logarithm_of_the_vocabulary_per_token(uniform):
    plain = train_tokenizer([], vocabulary=259)  # one token per byte
    score = score_documents(uniform, plain, ["abc", "가나"], ["en", "ko"])
    bits = math.log2(TINY.vocabulary)
    assert score.all == pytest.approx(bits, rel=1e-6)
    assert score.by_language == pytest.approx({"en": bits, "ko": bits}, rel=1e-6)
    assert (score.documents, score.bytes) == (2, 9)


def test_languages_are_weighted_by_their_bytes(decoder, tokenizer):
    score = score_documents(decoder, tokenizer, TEXTS, LANGUAGES)
    size = {
        tag: sum(len(t.encode()) for t, one in zip(TEXTS, LANGUAGES, strict=True) if one == tag)
        for tag in ("ko", "en")
    }
    mean = sum(score.by_language[tag] * size[tag] for tag in size) / sum(size.values())
    assert score.all == pytest.approx(mean)
    per_text = bits_per_byte(document_nll(decoder, tokenizer, TEXTS), TEXTS)
    korean = [n for n, tag in enumerate(LANGUAGES) if tag == "ko"]
    assert min(per_text[korean]) <= score.by_language["ko"] <= max(per_text[korean])


def test_a_prompt_tells_a_uniform_model_nothing(uniform, tokenizer):
    alone, given = conditional_gain(uniform, tokenizer, conversations(6))
    np.testing.assert_allclose(alone, given, rtol=1e-6)
    scores = score_answers(uniform, tokenizer, conversations(6))
    assert scores.gain == pytest.approx(0, abs=1e-6)
    assert scores.shuffled_gain == pytest.approx(0, abs=1e-6)
    assert scores.stop_probability == pytest.approx(1 / TINY.vocabulary, rel=1e-5)


def test_the_answer_alone_is_a_conversation_of_one_message(decoder, tokenizer):
    turns = [message("user", "풀의 색은?"), message("assistant", "초록색입니다.")]
    alone, _ = conditional_gain(decoder, tokenizer, [turns])
    _, given_nothing = conditional_gain(decoder, tokenizer, [turns[1:]])
    assert alone[0] == pytest.approx(given_nothing[0])


def test_answers_are_measured_by_their_own_bytes(uniform, tokenizer):
    turns = [message("user", "a long question"), message("assistant", "하얀색")]
    scores = score_answers(uniform, tokenizer, [turns])
    tokens = len(tokenizer.encode(["하얀색"])[0]) + 1  # and the stop token
    assert scores.bytes == 9
    assert scores.bits_per_byte == pytest.approx(math.log2(TINY.vocabulary) * tokens / 9, rel=1e-5)


def test_conversations_without_an_answer_do_not_count(decoder, tokenizer):
    silent = [message("user", "?"), message("assistant", "no", False)]
    assert score_answers(decoder, tokenizer, [silent]).conversations == 0
    assert math.isnan(score_answers(decoder, tokenizer, [silent]).bits_per_byte)


# --------------------------------------------------------------------------------------------------
# Pairs


def test_a_tie_counts_half():
    assert pair_accuracy([1, 0, 2], [0, 1, 2]).value == 0.5


def test_the_interval_is_wilsons():
    """8 of 10: the interval of Wilson's paper, 0.4902 to 0.9433 at 95%."""
    got = pair_accuracy([1] * 8 + [0] * 2, [0] * 8 + [1] * 2)
    assert (got.low, got.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert (got.pairs, got.groups) == (10, 10)


def test_pairs_of_one_prompt_count_once_in_the_interval():
    grouped = pair_accuracy([1] * 40, [0] * 40, ["a"] * 20 + ["b"] * 20)
    two = pair_accuracy([1, 1], [0, 0])
    assert (grouped.low, grouped.high) == (two.low, two.high)
    assert (grouped.pairs, grouped.groups) == (40, 2)


def test_without_pairs_nothing_is_claimed():
    assert math.isnan(pair_accuracy([], []).value)


def test_the_length_rule_learns_its_direction_from_the_training_pairs():
    test = ([9, 9, 1], [1, 1, 9])  # the longer answer won twice
    assert length_accuracy(([5, 5], [1, 1]), test).value == pytest.approx(2 / 3)
    assert length_accuracy(([1, 1], [5, 5]), test).value == pytest.approx(1 / 3)


def _pairs():
    rng = np.random.default_rng(1)
    sides = []
    for _ in range(2):
        sides.append(
            tuple(
                (rng.integers(3, 300, n).astype(np.int32), np.arange(n) >= n // 2)
                for n in rng.integers(4, 30, 300)
            )
        )
    return Pairs(sides[0], sides[1], TINY.context)


def test_scores_come_back_in_the_pairs_order(decoder):
    model, pairs = RewardModel(decoder), _pairs()
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(3))
    scores = reward_scores(model, pairs)
    for row in (0, 1, 150, 299):
        for side, (ids, _) in enumerate((pairs.chosen[row], pairs.rejected[row])):
            with torch.no_grad():
                tokens = torch.from_numpy(ids.astype(np.int64))[None]
                alone = model(tokens, torch.tensor([len(ids)])).item()
            assert scores[row, side] == pytest.approx(alone, rel=1e-4, abs=1e-5)


def test_the_log_probability_of_an_answer_is_that_of_its_tokens(decoder):
    pairs = _pairs()
    logprobs = reference_logprobs(decoder, pairs)
    for row in (0, 299):
        ids, trained = pairs.rejected[row]
        nll = token_nll(decoder, [ids], counted=[trained])[0].sum()
        assert logprobs[row, 1] == pytest.approx(-nll, rel=1e-5)


# --------------------------------------------------------------------------------------------------
# Probing


def _favouring(tokens):
    """A model that, after anything, finds `tokens` likeliest, in this order."""
    model = Decoder(TINY)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.zero_()
        model.norm.weight.fill_(1.0)
        model.embed_tokens.weight[:, 0] = 0.01
        for place, token in enumerate(tokens):
            model.embed_tokens.weight[token, 0] = 3.0 - place
    return model


def test_a_probe_shows_the_likeliest_tokens_and_their_probabilities(decoder, tokenizer):
    shown = probe(decoder, tokenizer, "The farmer", k=400)
    ids = [tokenizer.end_of_text, *tokenizer.encode(["The farmer"])[0].tolist()]
    with torch.no_grad():
        expected = torch.softmax(decoder.logits(decoder(torch.tensor([ids])))[0, -1].double(), 0)
    chances = [chance for _, chance in shown]
    assert chances == pytest.approx(sorted(expected.tolist(), reverse=True))
    assert sum(chances) == pytest.approx(1.0)


def test_part_of_a_korean_character_is_shown_as_the_character_it_begins():
    plain = train_tokenizer([], vocabulary=259)
    ids = plain.encode(["한"])[0].tolist()  # ed 95 9c, one token each

    class Spelling(Decoder):
        """Spells 한 whatever it is asked."""

        def forward(self, tokens, segments=None):
            done = [t for t in tokens[0].tolist() if t != 0]
            out = torch.zeros(1, tokens.shape[1], TINY.width)
            out[0, :, 1 + len(done)] = 5.0
            return out

    model = Spelling(TINY)
    with torch.no_grad():
        model.embed_tokens.weight.zero_()
        for place, token in enumerate(ids):
            model.embed_tokens.weight[token, 1 + place] = 1.0
    assert probe(model, plain, "", k=1)[0][0] == "한[ed]"


def test_a_token_that_ends_one_character_and_begins_another_completes_the_first():
    """Following the likeliest tokens here would never come to the end of a character."""

    class Straddling:
        end_of_text = 0

        def encode(self, texts):
            return [np.zeros(0, dtype=np.int32) for _ in texts]

        def special_text(self, token):
            return None

        def token_bytes(self, ids):
            return b"".join({3: b"\xed", 4: b"\x95\x9c\xed"}.get(t, b"") for t in ids)

    shown = probe(_favouring([4, 3]), Straddling(), "", k=2)
    assert [text for text, _ in shown] == ["[959ced]", "한[ed]"]


def test_tokens_that_are_no_text_are_shown_by_their_bytes(tokenizer):
    stray = tokenizer.inner.token_to_id("ħ")  # the letter for byte 85
    model = _favouring([stray, tokenizer.end_of_text])
    shown = [text for text, _ in probe(model, tokenizer, "가", k=2)]
    assert shown == ["[85]", "<|endoftext|>"]
