import math

import numpy as np
import pytest
import torch

from datatools.train.data import IGNORED
from datatools.train.objectives import (
    bradley_terry_loss,
    dpo_loss,
    next_token_loss,
    sequence_logprob,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _slow_logprob(row, label):
    top = max(row)
    return row[label] - top - math.log(sum(math.exp(value - top) for value in row))


def _log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


def test_the_next_token_loss_is_the_mean_over_labelled_tokens(rng):
    logits = rng.normal(size=(5, 7)) * 3
    labels = [2, IGNORED, 0, 6, IGNORED]
    expected = -np.mean(
        [_slow_logprob(row, label) for row, label in zip(logits, labels, strict=True) if label >= 0]
    )
    got = next_token_loss(torch.tensor(logits), torch.tensor(labels))
    assert got.item() == pytest.approx(expected, rel=1e-6)


def test_positions_without_a_label_get_no_gradient(rng):
    """What the user wrote must not move a weight, whatever the model thinks of it."""
    logits = torch.tensor(rng.normal(size=(4, 7)), requires_grad=True)
    next_token_loss(logits, torch.tensor([IGNORED, 3, IGNORED, 5])).backward()
    assert logits.grad is not None
    assert logits.grad[[0, 2]].abs().max() == 0
    assert (logits.grad[[1, 3]].abs().sum(dim=1) > 0).all()


def test_the_log_probability_of_a_sequence_is_the_sum_over_its_labels(rng):
    logits = rng.normal(size=(2, 3, 5)) * 2
    labels = np.array([[1, IGNORED, 4], [IGNORED, IGNORED, IGNORED]])
    got = sequence_logprob(torch.tensor(logits), torch.tensor(labels))
    expected = _slow_logprob(logits[0, 0], 1) + _slow_logprob(logits[0, 2], 4)
    assert got.tolist() == pytest.approx([expected, 0.0], rel=1e-6)


@pytest.mark.parametrize(("margin", "centre"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.05), (0.3, 0.2)])
def test_the_bradley_terry_loss_equals_a_slow_one(margin, centre, rng):
    chosen, rejected = rng.normal(size=6) * 3, rng.normal(size=6) * 3
    expected = 0.0
    for c, r in zip(chosen, rejected, strict=True):
        expected += (-_log_sigmoid(c - r - margin) + centre * (c + r) ** 2) / 6
    got = bradley_terry_loss(
        torch.tensor(chosen), torch.tensor(rejected), margin=margin, centre=centre
    )
    assert got.item() == pytest.approx(expected, rel=1e-9)


def test_a_margin_may_differ_from_pair_to_pair():
    chosen, rejected = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0])
    got = bradley_terry_loss(chosen, rejected, margin=torch.tensor([0.0, 1.0]))
    assert got.item() == pytest.approx(-_log_sigmoid(1.0))


def test_scores_far_apart_do_not_overflow():
    far = torch.tensor([1e4])
    assert bradley_terry_loss(far, -far).item() == 0.0
    assert bradley_terry_loss(-far, far).item() == pytest.approx(2e4)


def test_the_centre_pulls_both_scores_to_zero():
    chosen = torch.tensor([5.0], requires_grad=True)
    rejected = torch.tensor([5.0], requires_grad=True)
    bradley_terry_loss(chosen, rejected, centre=10.0).backward()
    assert chosen.grad.item() > 0
    assert rejected.grad.item() > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_the_dpo_loss_equals_a_slow_one(beta, smoothing, rng):
    c, r, rc, rr = rng.normal(size=(4, 5)) * 10 - 20
    expected = []
    for n in range(5):
        h = (c[n] - r[n]) - (rc[n] - rr[n])
        expected.append(
            -(1 - smoothing) * _log_sigmoid(beta * h) - smoothing * _log_sigmoid(-beta * h)
        )
    got = dpo_loss(*map(torch.tensor, (c, r, rc, rr)), beta=beta, label_smoothing=smoothing)
    assert got.item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_the_ipo_loss_equals_a_slow_one(rng):
    c, r, rc, rr = rng.normal(size=(4, 5))
    expected = np.mean([((c[n] - r[n]) - (rc[n] - rr[n]) - 1 / 0.4) ** 2 for n in range(5)])
    got = dpo_loss(*map(torch.tensor, (c, r, rc, rr)), beta=0.2, kind="ipo")
    assert got.item() == pytest.approx(expected, rel=1e-9)


def test_a_policy_that_is_its_reference_loses_ln_2():
    c, r = torch.tensor([-3.0, -50.0]), torch.tensor([-4.0, -1.0])
    for smoothing in (0.0, 0.3):
        loss = dpo_loss(c, r, c, r, beta=0.3, label_smoothing=smoothing)
        assert loss.item() == pytest.approx(math.log(2))


def test_smoothed_labels_are_best_met_short_of_certainty():
    """With a share e of flipped labels the loss is least where s(beta h) = 1 - e."""
    best = math.log(0.8 / 0.2) / 0.5
    zero = torch.zeros(1)

    def loss(h):
        return dpo_loss(torch.tensor([h]), zero, zero, zero, beta=0.5, label_smoothing=0.2).item()

    assert loss(best) < loss(best - 0.5)
    assert loss(best) < loss(best + 0.5)


def test_gradients_are_those_of_finite_differences(rng):
    inputs = [torch.tensor(rng.normal(size=3), requires_grad=True) for _ in range(4)]
    assert torch.autograd.gradcheck(lambda a, b: bradley_terry_loss(a, b, centre=0.1), inputs[:2])
    for kind in ("sigmoid", "ipo"):
        assert torch.autograd.gradcheck(
            lambda *x, kind=kind: dpo_loss(*x, beta=0.3, label_smoothing=0.1, kind=kind), inputs
        )
