import math

import numpy as np
import pytest
import torch
from train_corpora import TINY, conversations, documents, pairs

from datatools.train.chat import encode_conversations, encode_pair_side
from datatools.train.data import PackedConversations, PackedText, Pairs, rows_of_step
from datatools.train.evaluate import reference_logprobs, reward_scores, token_nll
from datatools.train.model import RewardModel
from datatools.train.tasks import DirectPreferenceTask, NextTokenTask, RewardTask


def _all_rows(rows, per_step=3):
    return rows_of_step(0, per_step=per_step, rows=rows.rows, seed=5).tolist()


def test_the_loss_of_a_text_step_is_the_mean_over_its_rows_tokens(decoder, tokenizer):
    texts = [text for text, _ in documents(6)]
    rows = PackedText.pack(tokenizer.encode(texts), context=32, end=tokenizer.end_of_text)
    task = NextTokenTask(decoder, rows, 3, 5, [f"d{n}" for n in range(6)])
    result = task.loss(0)
    scores = []
    for row in _all_rows(rows):
        piece = rows.stream[row * 32 : (row + 1) * 32].astype(np.int32)
        scores += token_nll(decoder, [np.concatenate(([tokenizer.end_of_text], piece))])[0].tolist()
    assert result.loss.item() == pytest.approx(np.mean(scores), rel=1e-5)
    assert result.tokens == len(scores)


def test_the_loss_of_a_tuning_step_is_the_mean_over_what_the_assistant_wrote(decoder, tokenizer):
    """Each conversation on its own, scored only where it is learnt; the step must agree."""
    encoded = encode_conversations(conversations(12), tokenizer)
    rows = PackedConversations.pack(encoded, context=TINY.context)
    task = NextTokenTask(decoder, rows, 3, 5, [f"c{n}" for n in range(12)])
    read = [span.document for row in _all_rows(rows) for span in rows.spans(row)]
    learnt = []
    for number in read:
        ids, trained = encoded[number]
        learnt += token_nll(decoder, [ids])[0][trained[1:]].tolist()
    assert task.loss(0).loss.item() == pytest.approx(np.mean(learnt), rel=1e-5)
    assert task.documents(0) == [f"c{number}" for number in dict.fromkeys(read)]


def test_documents_of_a_step_are_those_of_its_rows(decoder, tokenizer):
    texts = [text for text, _ in documents(6)]
    rows = PackedText.pack(tokenizer.encode(texts), context=32, end=tokenizer.end_of_text)
    task = NextTokenTask(decoder, rows, 3, 5, [f"d{n}" for n in range(6)])
    expected = {f"d{span.document}" for row in _all_rows(rows) for span in rows.spans(row)}
    assert set(task.documents(0)) == expected


@pytest.fixture
def some_pairs(tokenizer):
    prompts, chosen, rejected = zip(*pairs(10), strict=True)
    return Pairs(
        tuple(encode_pair_side(prompts, chosen, tokenizer)),
        tuple(encode_pair_side(prompts, rejected, tokenizer)),
        TINY.context,
    )


def test_the_loss_of_a_reward_step_prefers_the_chosen(decoder, some_pairs):
    model = RewardModel(decoder)
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(3))
    task = RewardTask(model, some_pairs, 3, 5, [f"p{n}" for n in range(10)], 0.5, 0.02)
    rows = _all_rows(some_pairs)
    scores = reward_scores(model, some_pairs)[rows]
    expected = np.mean(
        [math.log1p(math.exp(-(c - r - 0.5))) + 0.02 * (c + r) ** 2 for c, r in scores]
    )
    assert task.loss(0).loss.item() == pytest.approx(expected, rel=1e-4)
    assert task.documents(0) == [f"p{row}" for row in rows]


@pytest.mark.parametrize("kind", ["sigmoid", "ipo"])
def test_the_loss_of_a_direct_preference_step_is_against_its_reference(decoder, some_pairs, kind):
    policy = reference_logprobs(decoder, some_pairs)
    reference = policy + np.random.default_rng(0).normal(size=policy.shape)
    ids = [f"p{n}" for n in range(10)]
    task = DirectPreferenceTask(decoder, some_pairs, reference, 3, 5, ids, 0.3, 0.1, kind)
    expected = []
    for row in _all_rows(some_pairs):
        h = (policy[row, 0] - policy[row, 1]) - (reference[row, 0] - reference[row, 1])
        if kind == "ipo":
            expected.append((h - 1 / 0.6) ** 2)
        else:
            expected.append(
                0.9 * math.log1p(math.exp(-0.3 * h)) + 0.1 * math.log1p(math.exp(0.3 * h))
            )
    assert task.loss(0).loss.item() == pytest.approx(np.mean(expected), rel=1e-3)


def test_fingerprints_tell_data_order_and_loss_apart(decoder, some_pairs):
    model = RewardModel(decoder)
    fewer = Pairs(some_pairs.chosen[:9], some_pairs.rejected[:9], TINY.context)
    swapped = Pairs(some_pairs.rejected, some_pairs.chosen, TINY.context)
    reference = np.zeros((10, 2))
    tasks = [
        RewardTask(model, some_pairs, 3, 5, []),
        RewardTask(model, fewer, 3, 5, []),
        RewardTask(model, swapped, 3, 5, []),
        RewardTask(model, some_pairs, 4, 5, []),
        RewardTask(model, some_pairs, 3, 6, []),
        RewardTask(model, some_pairs, 3, 5, [], margin=1.0),
        RewardTask(model, some_pairs, 3, 5, [], centre=0.0),
        DirectPreferenceTask(decoder, some_pairs, reference, 3, 5, []),
        DirectPreferenceTask(decoder, some_pairs, reference, 3, 5, [], beta=0.2),
        DirectPreferenceTask(decoder, some_pairs, reference, 3, 5, [], label_smoothing=0.2),
        DirectPreferenceTask(decoder, some_pairs, reference, 3, 5, [], kind="ipo"),
    ]
    assert len({task.fingerprint for task in tasks}) == len(tasks)
