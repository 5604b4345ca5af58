"""What the loop can train: a model, its rows and a loss, bound together.

Owns: turning the rows of a step into tensors and calling the objective. Refuses: the loop's state
and reading files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datatools.train.data import IGNORED, PackedConversations, PackedText, Pairs, rows_of_step
from datatools.train.loop import StepLoss
from datatools.train.model import Decoder, RewardModel
from datatools.train.objectives import (
    bradley_terry_loss,
    dpo_loss,
    next_token_loss,
    sequence_logprob,
)

__all__ = ["DirectPreferenceTask", "NextTokenTask", "RewardTask", "pair_logprobs"]


@dataclass
class NextTokenTask:
    """Pretraining and instruction tuning: the mean loss over a step's labelled tokens.

    Attributes:
        model: The language model.
        rows: Packed documents or conversations.
        per_step: Rows per step.
        seed: Seed of the order.
        ids: Record ids, by the document numbers of the rows' spans.
    """

    model: Decoder
    rows: PackedText | PackedConversations
    per_step: int
    seed: int
    ids: Sequence[str]

    @property
    def fingerprint(self) -> str:
        """Digest of the data and of the order."""
        return f"{self.rows.fingerprint}/{self.per_step}/{self.seed}"

    def loss(self, step: int) -> StepLoss:
        """Return the step's loss in nats per labelled token."""
        batch = self.rows.batch(self._rows(step))
        inputs, labels = _tensor(batch.inputs, self.model), _tensor(batch.labels, self.model)
        if batch.segments is None:
            hidden, wanted = self.model(inputs).flatten(0, 1), labels.flatten()  # (B T, D), (B T,)
            tokens = int(np.count_nonzero(batch.labels != IGNORED))
        else:
            hidden = self.model(inputs, _tensor(batch.segments, self.model))
            counted = labels != IGNORED
            hidden, wanted = hidden[counted], labels[counted]  # (N, D), (N,): most labels are unset
            tokens = int(np.count_nonzero(batch.segments))
        return StepLoss(next_token_loss(self.model.logits(hidden), wanted), tokens)

    def documents(self, step: int) -> list[str]:
        """Return the ids of the records in the step's rows, each once."""
        spans = [span for row in self._rows(step).tolist() for span in self.rows.spans(row)]
        return [self.ids[number] for number in dict.fromkeys(span.document for span in spans)]

    def _rows(self, step: int) -> npt.NDArray[np.int64]:
        return rows_of_step(step, per_step=self.per_step, rows=self.rows.rows, seed=self.seed)


@dataclass
class RewardTask:
    """Reward modelling: the Bradley-Terry loss of a step's pairs.

    Attributes:
        model: The reward model.
        rows: The pairs.
        per_step: Pairs per step.
        seed: Seed of the order.
        ids: Record ids of the pairs.
        margin: Lead asked of the preferred answer.
        centre: Weight of the penalty on the level of scores.
    """

    model: RewardModel
    rows: Pairs
    per_step: int
    seed: int
    ids: Sequence[str]
    margin: float = 0.0
    centre: float = 0.01

    @property
    def fingerprint(self) -> str:
        """Digest of the data, the order and the loss."""
        return (
            f"{self.rows.fingerprint}/{self.per_step}/{self.seed}/{self.margin!r}/{self.centre!r}"
        )

    def loss(self, step: int) -> StepLoss:
        """Return the step's loss in nats per pair."""
        tokens, _, lengths = self.rows.batch(self._rows(step))
        scores = self.model(_tensor(tokens, self.model.model), _tensor(lengths, self.model.model))
        chosen, rejected = scores.chunk(2)  # (B,) each
        loss = bradley_terry_loss(chosen, rejected, margin=self.margin, centre=self.centre)
        return StepLoss(loss, int(lengths.sum()))

    def documents(self, step: int) -> list[str]:
        """Return the ids of the step's pairs."""
        return [self.ids[row] for row in self._rows(step).tolist()]

    def _rows(self, step: int) -> npt.NDArray[np.int64]:
        return rows_of_step(step, per_step=self.per_step, rows=self.rows.rows, seed=self.seed)


@dataclass
class DirectPreferenceTask:
    """Direct preference optimisation against a reference scored once, beforehand.

    Attributes:
        model: The policy.
        rows: The pairs.
        reference: (pairs, 2) log-probabilities of chosen and rejected under the reference.
        per_step: Pairs per step.
        seed: Seed of the order.
        ids: Record ids of the pairs.
        beta: Strength of the pull to the reference.
        label_smoothing: Assumed share of flipped labels.
        kind: Which loss.
    """

    model: Decoder
    rows: Pairs
    reference: npt.NDArray[np.float64]
    per_step: int
    seed: int
    ids: Sequence[str]
    beta: float = 0.1
    label_smoothing: float = 0.0
    kind: Literal["sigmoid", "ipo"] = "sigmoid"

    @property
    def fingerprint(self) -> str:
        """Digest of the data, the order and the loss."""
        loss = f"{self.beta!r}/{self.label_smoothing!r}/{self.kind}"
        return f"{self.rows.fingerprint}/{self.per_step}/{self.seed}/{loss}"

    def loss(self, step: int) -> StepLoss:
        """Return the step's loss per pair."""
        rows = self._rows(step)
        chosen, rejected, tokens = pair_logprobs(self.model, self.rows, rows)
        reference = torch.from_numpy(self.reference[rows]).to(chosen)  # (B, 2)
        loss = dpo_loss(
            chosen,
            rejected,
            reference[:, 0],
            reference[:, 1],
            beta=self.beta,
            label_smoothing=self.label_smoothing,
            kind=self.kind,
        )
        return StepLoss(loss, tokens)

    def documents(self, step: int) -> list[str]:
        """Return the ids of the step's pairs."""
        return [self.ids[row] for row in self._rows(step).tolist()]

    def _rows(self, step: int) -> npt.NDArray[np.int64]:
        return rows_of_step(step, per_step=self.per_step, rows=self.rows.rows, seed=self.seed)


def pair_logprobs(
    model: Decoder, pairs: Pairs, rows: npt.NDArray[np.int64]
) -> tuple[Tensor, Tensor, int]:
    """Return the answers' log-probabilities, chosen and rejected, (B,) each, and tokens read."""
    tokens, labels, lengths = pairs.batch(rows)
    logits = model.logits(model(_tensor(tokens, model)))  # (2 B, T, V)
    chosen, rejected = sequence_logprob(logits, _tensor(labels, model)).chunk(2)
    return chosen, rejected, int(lengths.sum())


def _tensor(array: npt.NDArray[np.int64], model: Decoder) -> Tensor:
    return torch.from_numpy(array).to(model.device, non_blocking=True)
