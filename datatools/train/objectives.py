"""What training minimises: pure functions of scores, in nats.

Owns: the losses of pretraining, instruction tuning, reward models and direct preference
optimisation. Each is a mean over what it counts and differentiable in its first arguments. Refuses:
models and data.

Reinforcement learning (PPO) is not here yet.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from datatools.train.data import IGNORED

__all__ = [
    "bradley_terry_loss",
    "dpo_loss",
    "next_token_loss",
    "sequence_logprob",
]


def next_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of the labelled tokens.

    The loss of pretraining, where every position has a label, and of instruction tuning, where only
    the tokens of trained messages and the stop token that ends each have one.

    Args:
        logits: (N, V) scores.
        labels: (N,) ids, or -100 where the position does not count.

    Returns:
        A scalar, at least 0; NaN if nothing is labelled.

    Example:
        >>> import torch
        >>> round(next_token_loss(torch.zeros(2, 4), torch.tensor([3, -100])).item(), 4)
        1.3863
    """
    return functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED)


def sequence_logprob(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed log-probability of each row's labelled tokens.

    Args:
        logits: (B, T, V) scores.
        labels: (B, T) ids, or -100 where the position does not count.

    Returns:
        (B,) at most 0; 0 for a row without labels.

    Example:
        >>> import torch
        >>> sequence_logprob(torch.zeros(1, 2, 4), torch.tensor([[3, 1]])).tolist()
        [-2.7725887298583984]
    """
    nll = functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return -nll.view(labels.shape).sum(dim=-1)


def bradley_terry_loss(
    chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0, centre: float = 0.0
) -> Tensor:
    """Return the mean of -log P(chosen beats rejected), P a logistic of the score difference.

    Args:
        chosen: (B,) scores of the preferred answers.
        rejected: (B,) scores of the others.
        margin: Lead the preferred answer must have, per pair or for all; 0 asks for none.
        centre: Weight of the mean squared sum of both scores, which keeps scores near 0. Pairs
            alone leave the level of scores free.

    Returns:
        A scalar; ln 2 when all scores are equal and `margin` is 0.

    References:
        Bradley and Terry, Rank Analysis of Incomplete Block Designs, 1952. Touvron et al., Llama 2,
        2023, equation 2 (margin). Eisenstein et al., Helping or Herding?, 2023, section 2
        (centring).

    Example:
        >>> import torch
        >>> equal = torch.zeros(3)
        >>> round(bradley_terry_loss(equal, equal).item(), 4)
        0.6931
    """
    loss = -functional.logsigmoid(chosen - rejected - margin).mean()
    if centre:
        loss = loss + centre * (chosen + rejected).square().mean()
    return loss


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    kind: Literal["sigmoid", "ipo"] = "sigmoid",
) -> Tensor:
    """Return the direct-preference loss of a policy against a frozen reference.

    With h = (log pi(chosen) - log pi(rejected)) minus the same of the reference, `sigmoid` is
    -(1 - e) log s(beta h) - e log s(-beta h) with e the label smoothing, and `ipo` is
    (h - 1 / (2 beta))^2.

    Args:
        chosen: (B,) summed log-probabilities of the preferred answers under the policy.
        rejected: (B,) the same of the other answers.
        reference_chosen: (B,) the same as `chosen` under the reference.
        reference_rejected: (B,) the same as `rejected` under the reference.
        beta: Strength of the pull to the reference, above 0. Larger stays closer.
        label_smoothing: Assumed share of flipped labels, in [0, 0.5). `sigmoid` only.
        kind: Which loss.

    Returns:
        A scalar; ln 2 for `sigmoid` when the policy is the reference.

    References:
        Rafailov et al., Direct Preference Optimization, 2023, equation 7. Mitchell, A Note on DPO
        with Noisy Preferences, 2023. Azar et al., A General Theoretical Paradigm to Understand
        Learning from Human Preferences, 2023, equation 17.

    Example:
        >>> import torch
        >>> same = torch.tensor([-3.0]), torch.tensor([-4.0])
        >>> round(dpo_loss(*same, *same).item(), 4)
        0.6931
    """
    h = (chosen - rejected) - (reference_chosen - reference_rejected)
    if kind == "ipo":
        return (h - 1 / (2 * beta)).square().mean()
    right = functional.logsigmoid(beta * h)
    wrong = functional.logsigmoid(-beta * h)
    return -((1 - label_smoothing) * right + label_smoothing * wrong).mean()
