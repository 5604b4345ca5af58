"""The training loop: the one place in this room with state.

Owns: the optimiser, the learning-rate schedule, clipping, skipped steps, the log, checkpoints and
resuming. A task gives the loss of step n as a pure function of the model and n, so a run that stops
anywhere and starts again is the run that never stopped: on one CPU type and thread count the
weights are equal bit for bit. Refuses: knowing what is trained.

References:
    Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019. Hu et al., MiniCPM, 2024
    (warm-up, stable, decay). The 6-sigma skip over 128 steps is OLMo-core's SkipStepOptimizer
    (Allen Institute for AI, 2025); the factor of 10 is ours.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from datatools.errors import ConfigError, DataError
from datatools.train.folder import whole_folder

__all__ = [
    "CurvePoint",
    "LoopConfig",
    "RunResult",
    "StepLoss",
    "Task",
    "learning_rate_at",
    "run_loop",
    "threads",
]

SPIKE_WINDOW: Final = 128
SPIKE_SIGMA: Final = 6.0
SPIKE_RATIO: Final = 10.0
MOST_SKIPS_IN_A_ROW: Final = 10


@dataclass(frozen=True)
class StepLoss:
    """What a task says about one step.

    Attributes:
        loss: Scalar to minimise.
        tokens: Tokens read.
    """

    loss: Tensor
    tokens: int


class Task(Protocol):
    """What is trained: the loss of each step, and where its rows came from."""

    @property
    def model(self) -> nn.Module:
        """What is trained, in place."""

    @property
    def fingerprint(self) -> str:
        """Digest of the data, the order and the loss."""

    def loss(self, step: int) -> StepLoss:
        """Return the loss of step `step`, a pure function of the weights and the number."""

    def documents(self, step: int) -> Sequence[str]:
        """Return the ids of the records that step `step` reads."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how fast.

    Attributes:
        steps: Steps in all.
        learning_rate: Highest learning rate.
        schedule: `wsd` warms up, stays, and falls linearly to 0; `cosine` falls from the warm-up
            on.
        warmup: Share of the steps that warms up, in [0, 1].
        decay: Share of the steps that falls, in [0, 1]; `wsd` only.
        betas: Decay rates of AdamW's two moments.
        weight_decay: Pull of matrices to 0, per step and unit of learning rate.
        clip: Largest gradient norm; a larger gradient is scaled down to it.
        time_budget_s: Wall-clock seconds, or None. `wsd` starts to fall in time to finish; any
            schedule stops when they are over. Runs under a budget that binds are not reproducible.
        checkpoint_every: Steps between checkpoints, or None for one at the end only.
        keep_last: Checkpoints that stay.
        threads: CPU threads. Part of the result: another number rounds differently.
    """

    steps: int
    learning_rate: float
    schedule: Literal["wsd", "cosine"] = "wsd"
    warmup: float = 0.05
    decay: float = 0.4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    time_budget_s: float | None = None
    checkpoint_every: int | None = None
    keep_last: int = 2
    threads: int = 2

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError("steps", "must be at least 1", got=self.steps)
        if not self.learning_rate > 0:
            raise ConfigError("learning_rate", "must be above 0", got=self.learning_rate)


@dataclass(frozen=True)
class CurvePoint:
    """One logged step.

    Attributes:
        step: Steps done, from 1.
        tokens: Tokens read so far.
        loss: Loss before the update, nats per token or per pair; None if it was not finite.
        learning_rate: Rate of the update.
        gradient_norm: Norm before clipping; None if it was not finite.
        skipped: Whether the update was left out.
    """

    step: int
    tokens: int
    loss: float | None
    learning_rate: float
    gradient_norm: float | None
    skipped: bool


@dataclass(frozen=True)
class RunResult:
    """What a run of the loop did.

    Attributes:
        curve: Every step.
        steps: Steps done.
        tokens: Tokens read.
        seconds: Wall-clock time of all parts of the run, resumed ones included.
        tokens_per_s: Tokens over seconds.
        skipped: Steps whose update was left out.
        stopped: `finished`, or `time_budget` if the clock ended it.
        device: Where it ran.
        threads: CPU threads.
        parameters: Weights of the model.
    """

    curve: tuple[CurvePoint, ...]
    steps: int
    tokens: int
    seconds: float
    tokens_per_s: float
    skipped: int
    stopped: Literal["finished", "time_budget"]
    device: str
    threads: int
    parameters: int


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block with `count` CPU threads, and put the old number back after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def learning_rate_at(step: int, end: int, config: LoopConfig) -> float:
    """Return the learning rate of step `step` (from 0) of a run of `end` steps.

    Example:
        >>> config = LoopConfig(steps=10, learning_rate=1.0, warmup=0.2, decay=0.5)
        >>> [round(learning_rate_at(step, 10, config), 2) for step in range(10)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    warm = round(config.warmup * config.steps)
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    if config.schedule == "cosine":
        return config.learning_rate * (1 + math.cos(math.pi * (step - warm) / (end - warm))) / 2
    falling = round(config.decay * end)
    if step < end - falling:
        return config.learning_rate
    return config.learning_rate * (end - step) / falling


def run_loop(
    task: Task,
    config: LoopConfig,
    *,
    log: Path | None = None,
    checkpoints: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Train until the steps or the time are over.

    A step whose loss or gradient is not finite changes no weight, nor does one whose gradient norm
    lies above `clip` and both 6 standard deviations and 10 times above the mean of the last 128
    applied steps, unless the step before it was left out too. The log names the records of each.

    Args:
        task: What is trained. Its model is changed in place.
        config: How long and how fast.
        log: JSON Lines file, one line per step. A resumed run continues it, any other starts it
            anew.
        checkpoints: Folder for checkpoints. If it holds one, the run goes on from the newest.
        progress: Called with (steps done, steps in all) after every step.

    Raises:
        ConfigError: The newest checkpoint belongs to other data or another configuration.
        DataError: 10 steps in a row were not finite, or the disk has no room for a checkpoint.
    """
    with threads(config.threads):
        state = _State.start(task, config)
        if checkpoints is not None:
            _resume(state, task, config, checkpoints)
        if log is not None and log.exists():
            os.truncate(log, state.log_bytes)  # lines of another run, or of steps to be run again
        return _run(state, task, config, log, checkpoints, progress)


# --------------------------------------------------------------------------------------------------
# State


@dataclass
class _State:
    """Everything a step changes, apart from the weights."""

    optimizer: torch.optim.AdamW
    end: int
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    log_bytes: int = 0
    skipped_in_a_row: int = 0
    curve: list[CurvePoint] = field(default_factory=list)

    @classmethod
    def start(cls, task: Task, config: LoopConfig) -> _State:
        weights = list(task.model.parameters())
        groups = [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=config.betas, fused=True
        )
        return cls(optimizer=optimizer, end=config.steps)

    def is_spike(self, norm: float, clip: float) -> bool:
        """Return whether a gradient lies far above those of the applied steps before it.

        Far in every sense: clipping already bounds a row that is merely unusual, and to leave such
        rows out would flatter dirty data. Below the clipping norm nothing is a spike: once a model
        knows its data by heart, usual gradients are so small that any new one is large beside them.
        Right after a step that was left out nothing is one either: if the next batch is as bad, the
        weights are to blame, and only a step leads away from them.
        """
        if self.skipped_in_a_row:
            return False
        applied = [p for p in self.curve[-2 * SPIKE_WINDOW :] if not p.skipped][-SPIKE_WINDOW:]
        if len(applied) < SPIKE_WINDOW:
            return False
        past = np.array([point.gradient_norm for point in applied], dtype=np.float64)
        mean, deviation = past.mean(), past.std()
        return bool(norm > max(mean + SPIKE_SIGMA * deviation, SPIKE_RATIO * mean, clip))


def _run(
    state: _State,
    task: Task,
    config: LoopConfig,
    log: Path | None,
    checkpoints: Path | None,
    progress: Callable[[int, int], None] | None,
) -> RunResult:
    weights = list(task.model.parameters())
    before, began = state.seconds, time.monotonic()
    stopped: Literal["finished", "time_budget"] = "finished"
    with _open_log(log) as lines:
        while state.step < state.end:
            if config.time_budget_s is not None:
                if state.seconds >= config.time_budget_s:
                    stopped = "time_budget"
                    break
                state.end = _affordable_end(state, config)
            rate = learning_rate_at(state.step, state.end, config)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            result = task.loss(state.step)
            result.loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.get_total_norm(
                [weight.grad for weight in weights if weight.grad is not None]
            )
            loss_value, norm_value = result.loss.item(), norm.item()
            finite = math.isfinite(loss_value) and math.isfinite(norm_value)
            skipped = not finite or state.is_spike(norm_value, config.clip)
            if not skipped:
                nn.utils.clip_grads_with_norm_(weights, config.clip, norm)
                state.optimizer.step()
            state.optimizer.zero_grad()

            state.tokens += result.tokens
            point = CurvePoint(
                step=state.step + 1,
                tokens=state.tokens,
                loss=loss_value if math.isfinite(loss_value) else None,
                learning_rate=rate,
                gradient_norm=norm_value if math.isfinite(norm_value) else None,
                skipped=skipped,
            )
            state.curve.append(point)
            state.seconds = before + time.monotonic() - began
            if lines is not None:
                extra = {"documents": list(task.documents(state.step))} if skipped else {}
                line = asdict(point) | {"seconds": round(state.seconds, 3)} | extra
                state.log_bytes += lines.write(
                    json.dumps(line, ensure_ascii=False).encode() + b"\n"
                )
            state.skipped_in_a_row = state.skipped_in_a_row + 1 if skipped else 0
            if state.skipped_in_a_row >= MOST_SKIPS_IN_A_ROW:
                raise DataError(
                    f"step {state.step + 1}",
                    f"{MOST_SKIPS_IN_A_ROW} steps in a row had no finite gradient; the last read "
                    f"{', '.join(list(task.documents(state.step))[:5])}",
                    got=loss_value,
                    hint="Lower the learning rate, or look at these records.",
                )
            state.step += 1
            if progress is not None:
                progress(state.step, state.end)
            if checkpoints is not None and _is_due(state, config):
                if lines is not None:
                    lines.flush()
                _save(state, task, config, checkpoints)
    device = weights[0].device
    return RunResult(
        curve=tuple(state.curve),
        steps=state.step,
        tokens=state.tokens,
        seconds=state.seconds,
        tokens_per_s=state.tokens / state.seconds if state.seconds else 0.0,
        skipped=sum(point.skipped for point in state.curve),
        stopped=stopped,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=config.threads,
        parameters=sum(weight.numel() for weight in weights),
    )


def _affordable_end(state: _State, config: LoopConfig) -> int:
    """Return the last step a `wsd` run can afford; the falling part, once begun, keeps its end."""
    falling = state.step >= state.end - round(config.decay * state.end)
    if config.schedule != "wsd" or falling or state.step < 5 or config.time_budget_s is None:
        return state.end
    affordable = int(0.95 * config.time_budget_s * state.step / state.seconds)
    soonest = math.ceil(state.step / (1 - config.decay)) if config.decay < 1 else state.end
    return min(state.end, max(affordable, soonest))


@contextmanager
def _open_log(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        yield file


# --------------------------------------------------------------------------------------------------
# Checkpoints

_NOT_COMPARED: Final = ("time_budget_s", "checkpoint_every", "keep_last")
_MOMENTS: Final = ("step", "exp_avg", "exp_avg_sq")


def _is_due(state: _State, config: LoopConfig) -> bool:
    every = config.checkpoint_every
    return state.step == state.end or (every is not None and state.step % every == 0)


def _comparable(config: LoopConfig) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return {name: value for name, value in plain.items() if name not in _NOT_COMPARED}


def _save(state: _State, task: Task, config: LoopConfig, checkpoints: Path) -> None:
    weights = dict(task.model.named_parameters())
    moments = {
        f"{moment}/{name}": state.optimizer.state[weight][moment].detach().cpu().contiguous()
        for name, weight in weights.items()
        if weight in state.optimizer.state
        for moment in _MOMENTS
    }
    facts = {
        "fingerprint": task.fingerprint,
        "config": _comparable(config),
        "end": state.end,
        "step": state.step,
        "tokens": state.tokens,
        "seconds": state.seconds,
        "log_bytes": state.log_bytes,
        "skipped_in_a_row": state.skipped_in_a_row,
        "curve": [asdict(point) for point in state.curve],
    }
    need = 3 * sum(4 * weight.numel() for weight in weights.values()) + (8 << 20)
    with whole_folder(checkpoints / f"step-{state.step:08d}", need_bytes=need) as fresh:
        save_file(
            {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
            fresh / "model.safetensors",
        )
        save_file(moments, fresh / "optimizer.safetensors")
        (fresh / "state.json").write_text(json.dumps(facts, sort_keys=True), "utf-8")
    for old in sorted(checkpoints.glob("step-*"))[: -config.keep_last]:
        shutil.rmtree(old)


def _resume(state: _State, task: Task, config: LoopConfig, checkpoints: Path) -> None:
    found = sorted(checkpoints.glob("step-*"))
    if not found:
        return
    newest = found[-1]
    facts = json.loads((newest / "state.json").read_bytes())
    for what, mine in (("fingerprint", task.fingerprint), ("config", _comparable(config))):
        if facts[what] != mine:
            subject = "other data" if what == "fingerprint" else "another configuration"
            raise ConfigError(
                str(newest),
                f"was made with {subject}",
                hint=f"Remove {checkpoints} to start anew, or restore what was changed.",
            )
    weights = dict(task.model.named_parameters())
    saved = load_file(newest / "model.safetensors")
    moments = load_file(newest / "optimizer.safetensors")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[name])
    for name, weight in weights.items():
        if f"step/{name}" in moments:
            state.optimizer.state[weight] = {
                moment: moments[f"{moment}/{name}"].to(weight.device) for moment in _MOMENTS
            }
    state.end, state.step, state.tokens = facts["end"], facts["step"], facts["tokens"]
    state.seconds, state.log_bytes = facts["seconds"], facts["log_bytes"]
    state.skipped_in_a_row = facts["skipped_in_a_row"]
    state.curve = [CurvePoint(**point) for point in facts["curve"]]
