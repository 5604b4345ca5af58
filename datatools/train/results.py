"""What training returns: numbers, typed and frozen, for the report to draw.

Owns: the result of each kind of training and how it becomes JSON. Refuses: computing any of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datatools.train.evaluate import Accuracy, AnswerScores, BitsPerByte
from datatools.train.loop import RunResult

__all__ = [
    "DpoResult",
    "PretrainResult",
    "ProbeShift",
    "RewardResult",
    "SftResult",
    "TokenizerResult",
    "TrainReport",
    "as_json",
]


@dataclass(frozen=True)
class TokenizerResult:
    """A trained tokenizer in numbers.

    Attributes:
        vocabulary: Token ids.
        bytes_per_token: UTF-8 bytes per token by language, on the pretraining text.
        text_bytes: Bytes it was trained on.
        seconds: Time to train it.
    """

    vocabulary: int
    bytes_per_token: Mapping[str, float]
    text_bytes: int
    seconds: float


@dataclass(frozen=True)
class ProbeShift:
    """What follows a prompt, before and after training.

    Attributes:
        prompt: The prompt.
        before: (token, probability) of the untrained model, likeliest first.
        after: The same of the trained model.
    """

    prompt: str
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PretrainResult:
    """Pretraining in numbers.

    Attributes:
        folder: Where the model is.
        run: Curve, tokens, time.
        documents: Training documents read; fewer than there are if the tokens did not reach.
        epochs: Times each of their tokens was read.
        before: Held-out bits per byte of the untrained model, or None without a held-out split.
        after: The same of the trained model.
        probes: Next tokens after the given prompts.
    """

    folder: str
    run: RunResult
    documents: int
    epochs: float
    before: BitsPerByte | None
    after: BitsPerByte | None
    probes: tuple[ProbeShift, ...]


@dataclass(frozen=True)
class SftResult:
    """Instruction tuning in numbers.

    Attributes:
        folder: Where the model is.
        run: Curve, tokens, time.
        conversations: Training conversations.
        untrained: Of them, those without a message to learn.
        utilisation: Share of row positions that held a token.
        before: Held-out scores of the base model, or None without a held-out split.
        after: The same of the trained model.
    """

    folder: str
    run: RunResult
    conversations: int
    untrained: int
    utilisation: float
    before: AnswerScores | None
    after: AnswerScores | None


@dataclass(frozen=True)
class RewardResult:
    """Reward modelling in numbers.

    Attributes:
        folder: Where the model is.
        run: Curve, tokens, time.
        pairs: Training pairs.
        truncated: Of them, those that lost the beginning of a prompt.
        on_train: Accuracy on the training pairs, after training.
        before: Held-out accuracy before training, 0.5 by construction; None without a held-out
            split.
        after: Held-out accuracy after training.
        length_only: Held-out accuracy of a rule that sees only lengths, learnt on the training
            pairs.
        margin: Mean held-out score of the chosen answers above the rejected.
    """

    folder: str
    run: RunResult
    pairs: int
    truncated: int
    on_train: Accuracy
    before: Accuracy | None
    after: Accuracy | None
    length_only: Accuracy | None
    margin: float | None


@dataclass(frozen=True)
class DpoResult:
    """Direct preference optimisation in numbers.

    Attributes:
        folder: Where the model is.
        run: Curve, tokens, time.
        pairs: Training pairs.
        truncated: Of them, those that lost the beginning of a prompt.
        reference: Held-out accuracy of the reference's own log-probabilities: how easy the pairs
            are.
        after: Held-out accuracy of the implicit reward; before training it ties on every pair.
        margin: Mean held-out implicit reward of the chosen answers above the rejected, in nats.
        chosen_shift: Mean change of the chosen answers' log-probability, in nats. Below 0, training
            made the preferred answers less likely too.
    """

    folder: str
    run: RunResult
    pairs: int
    truncated: int
    reference: Accuracy | None
    after: Accuracy | None
    margin: float | None
    chosen_shift: float | None


@dataclass(frozen=True)
class TrainReport:
    """Everything `train_all` did.

    Attributes:
        size: Name of the model's size.
        seed: The seed.
        tokenizer: The tokenizer.
        pretrain: Pretraining.
        instruct: Instruction tuning, or None if it was not asked for.
        preference: Reward modelling, or None if it was not asked for.
        seconds: Wall-clock time of everything.
    """

    size: str
    seed: int
    tokenizer: TokenizerResult
    pretrain: PretrainResult
    instruct: SftResult | None
    preference: RewardResult | None
    seconds: float


def as_json(result: Any) -> Any:
    """Return a result as what `json.dumps` takes; NaN and infinities become null.

    Example:
        >>> as_json(Accuracy(0.5, float("nan"), 1.0, 2, 2))
        {'value': 0.5, 'low': None, 'high': 1.0, 'pairs': 2, 'groups': 2}
    """
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {f.name: as_json(getattr(result, f.name)) for f in dataclasses.fields(result)}
    if isinstance(result, Mapping):
        return {str(key): as_json(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [as_json(value) for value in result]
    if isinstance(result, float) and not math.isfinite(result):
        return None
    return result
