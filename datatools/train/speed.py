"""How fast a size of model trains on this machine, measured by a few steps on made-up tokens.

Owns: the measurement, and the time of `train_all` that follows from it. Refuses: training on data.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from datatools.train.data import PackedText
from datatools.train.fit import default_batch_tokens, default_learning_rate
from datatools.train.loop import LoopConfig, run_loop
from datatools.train.model import new_decoder, pick_device, resolve_size
from datatools.train.tasks import NextTokenTask

__all__ = ["Speed", "measure_speed", "training_seconds"]

BESIDE_STEPS: Final = 1.2
"""Time of `train_all` over that of its steps: tokenizer, encoding, and held-out scores before and
after. The sample crawl's 400,000 tokens took 36.8 s, of which 31.7 s were steps."""


@dataclass(frozen=True)
class Speed:
    """What a measurement found.

    Attributes:
        tokens_per_s: Tokens read per second of training steps.
        memory_bytes: Most memory this process has held, on a GPU what the steps allocated; None if
            the steps were cut short, whose full batch needs more.
        seconds: Time the measurement took.
    """

    tokens_per_s: float
    memory_bytes: int | None
    seconds: float


def measure_speed(size: str, tokens: int, *, budget_s: float = 1.5, threads: int = 2) -> Speed:
    """Train a model of this size for a moment and say how fast that was.

    Steps are as large as a run over `tokens` makes them, or as many rows of them as the budget
    allows; a size whose single row outlasts the budget is measured by that row.

    Args:
        size: Name of a size.
        tokens: Tokens of the run to be forecast.
        budget_s: Seconds to measure for, beside a few rows to warm up.
        threads: CPU threads, as in `RunOptions`.

    Raises:
        ConfigError: There is no such size.

    Example:
        >>> measure_speed("smoke", 100_000, budget_s=0.1).tokens_per_s > 0
        True
    """
    began = time.monotonic()
    config = resolve_size(size)
    decoder = new_decoder(config, seed=0, device=pick_device("auto"))
    full = max(1, round(default_batch_tokens(config, tokens) / config.context))
    ids = np.random.default_rng(0).integers(1, config.vocabulary, size=4 * config.context)
    rows = PackedText.pack([ids.astype(np.int32)], context=config.context, end=0)

    def steps(count: int, per_step: int) -> float:
        """Return the seconds that steps took."""
        task = NextTokenTask(decoder, rows, per_step, 0, ["made up"])
        rate = default_learning_rate(config)
        return run_loop(task, LoopConfig(steps=count, learning_rate=rate, threads=threads)).seconds

    one = steps(1, 1)
    if one < budget_s:
        # The first step also started threads; of three more the fastest was disturbed the least.
        one = min(steps(1, 1) for _ in range(3))
    per_step = max(1, min(full, int(budget_s / one)))
    if one * per_step < budget_s:
        count = max(1, min(50, int(budget_s / (one * per_step))))
        one = steps(count, per_step) / (count * per_step)
    memory = _most_memory(decoder.device.type) if per_step == full else None
    return Speed(config.context / one, memory, time.monotonic() - began)


def _most_memory(device: str) -> int:
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def training_seconds(tokens_per_s: float, tokens: int, tuned: int) -> float:
    """Return about how long `train_all` takes at most.

    Args:
        tokens_per_s: Speed of its steps.
        tokens: Tokens of pretraining.
        tuned: Models that are tuned after it; each reads at most half as many tokens, fewer if its
            dataset is small.

    Example:
        >>> training_seconds(1000.0, 10_000, 2)
        24.0
    """
    return BESIDE_STEPS * tokens * (1 + tuned / 2) / tokens_per_s
