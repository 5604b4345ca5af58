"""Language models over texts: settings, defaults, and fitting one from scratch.

Owns: `LanguageModel`, the draw of documents and the defaults by size. Refuses: published datasets
(`api`) and what is trained after the first model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datatools.errors import ConfigError
from datatools.train import evaluate
from datatools.train.data import PackedText, shuffled
from datatools.train.export import save_model
from datatools.train.load import load_decoder
from datatools.train.loop import LoopConfig, RunResult, Task, run_loop, threads
from datatools.train.model import Decoder, ModelConfig, new_decoder, pick_device, resolve_size
from datatools.train.tasks import NextTokenTask
from datatools.train.tokenizer import Tokenizer

__all__ = [
    "LanguageModel",
    "RunOptions",
    "default_batch_tokens",
    "default_learning_rate",
    "draw_documents",
    "fit_decoder",
    "fit_language_model",
    "run_task",
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and how a run happens. Nothing here but `threads` and `device` changes its numbers.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads. A fixed number, because another one rounds differently.
        time_budget_s: Wall-clock seconds, or None; a guard, since a run it ends is not
            reproducible.
        checkpoints: Folder for checkpoints; a run that finds one there goes on from it.
        checkpoint_every: Steps between checkpoints; None saves one at the end.
        log: JSON Lines file with one line per step.
        progress: Called with (steps done, steps in all).
        held_out_rows: Most held-out records measured, drawn by a fixed key: the same for every
            seed.
    """

    device: str = "auto"
    threads: int = 2
    time_budget_s: float | None = None
    checkpoints: Path | None = None
    checkpoint_every: int | None = None
    log: Path | None = None
    progress: Callable[[int, int], None] | None = None
    held_out_rows: int = 300


def default_learning_rate(config: ModelConfig) -> float:
    """Return the peak learning rate of AdamW for a model's size.

    0.0018 (N / 124M)^(-1/8), N the parameters. The exponent is ours, from runs of 0.3 to 0.4
    million tokens of Korean and English: 0.004 to 0.006 were best at 0.17M parameters, 0.0035 at
    1.3M, and 0.005 was already unstable there.

    References:
        Jordan et al., modded-nanogpt, AdamW baseline of 2024-06-06: 0.0018 for 124M parameters.

    Example:
        >>> from datatools.train.model import SIZES
        >>> [round(default_learning_rate(SIZES[size]), 4) for size in ("smoke", "nano", "base")]
        [0.0041, 0.0032, 0.0018]
    """
    return float(0.0018 * (config.parameters / 124e6) ** (-1 / 8))


def default_batch_tokens(config: ModelConfig, tokens: int) -> int:
    """Return the tokens of a step: what the size wants, few enough for 400 steps.

    Never below 1,024, where steps cost more than their tokens, nor above 65,536, which fill a GPU.

    References:
        Magnusson et al., DataDecide, 2025, hyperparameters: 160 (N / 108M)^(2/3) rows of 2,048.

    Example:
        >>> from datatools.train.model import SIZES
        >>> nano = SIZES["nano"]
        >>> default_batch_tokens(nano, 1_000_000), default_batch_tokens(nano, 100_000_000)
        (2500, 17463)
    """
    wanted = int(160 * float((config.parameters / 108e6) ** (2 / 3)) * 2048)
    return max(1024, min(wanted, tokens // 400, 65_536))


# --------------------------------------------------------------------------------------------------
# A language model over texts


@dataclass(frozen=True)
class LanguageModel:
    """A trained language model with its tokenizer.

    Attributes:
        decoder: The model.
        tokenizer: Its tokenizer.
        run: How it was trained; None for one that was loaded.
        threads: CPU threads it computes with.
    """

    decoder: Decoder
    tokenizer: Tokenizer
    run: RunResult | None = None
    threads: int = 2

    @classmethod
    def load(
        cls, folder: str | PathLike[str], *, device: str = "auto", threads: int = 2
    ) -> LanguageModel:
        """Return the model in a folder of the Hugging Face format.

        Raises:
            DataError: A file is missing or broken.
            UnsupportedFormatError: The model is not a Qwen3 language model with tied embeddings.
        """
        decoder, tokenizer = load_decoder(folder, device=device)
        return cls(decoder, tokenizer, None, threads)

    def nll(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return nats per text, float64 of shape (texts,); 0 for an empty text."""
        with threads(self.threads):
            return evaluate.document_nll(self.decoder, self.tokenizer, texts)

    def probe(self, prompt: str, *, k: int = 10) -> list[tuple[str, float]]:
        """Return the `k` likeliest next tokens and their probabilities; see `evaluate.probe`."""
        with threads(self.threads):
            return evaluate.probe(self.decoder, self.tokenizer, prompt, k=k)

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the model in the Hugging Face format; see `export.save_model`."""
        save_model(self.decoder, self.tokenizer, folder)


def fit_language_model(
    texts: Sequence[str],
    *,
    tokenizer: Tokenizer,
    size: str | ModelConfig = "smoke",
    tokens: int,
    seed: int,
    learning_rate: float | None = None,
    batch_tokens: int | None = None,
    context: int = 256,
    device: str = "auto",
    threads: int = 2,
    log: Path | None = None,
) -> LanguageModel:
    """Train a language model from scratch on texts.

    Documents are drawn in an order that `seed` fixes until `tokens` are reached; if all of them
    hold fewer, they are read again, each time in another order. On one CPU type and thread count,
    equal arguments give equal weights.

    Args:
        texts: Documents.
        tokenizer: The tokenizer. For a comparison, train one on the union of both sides.
        size: Name of a size or a configuration; its vocabulary and context are replaced.
        tokens: Tokens to train on.
        seed: Seed of the weights, of the draw and of the order.
        learning_rate: Highest rate; by size if None.
        batch_tokens: Tokens per step, rounded to rows; by size if None.
        context: Tokens per row.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads.
        log: JSON Lines file with one line per step.

    Raises:
        ConfigError: `tokens` is below one row, or the size has no such name.
        DataError: There is no text, or training broke down.

    Example:
        >>> from datatools.train.tokenizer import train_tokenizer
        >>> texts = ["the cat sat on the mat", "고양이가 매트에 앉았다"] * 20
        >>> tokenizer = train_tokenizer(texts, vocabulary=300)
        >>> model = fit_language_model(
        ...     texts, tokenizer=tokenizer, tokens=2048, seed=0, context=32, threads=1
        ... )
        >>> model.nll(["the cat", "고양이", ""]).shape
        (3,)
    """
    options = RunOptions(device=device, threads=threads, log=log)
    config = replace(resolve_size(size), vocabulary=tokenizer.vocabulary, context=context)
    decoder = new_decoder(config, seed=seed, device=pick_device(device))
    chosen, encoded = draw_documents(texts, tokenizer, tokens, seed)
    rows = PackedText.pack(encoded, context=context, end=tokenizer.end_of_text)
    ids = [str(number) for number in chosen]
    run = fit_decoder(decoder, rows, ids, tokens, seed, learning_rate, batch_tokens, options)
    return LanguageModel(decoder, tokenizer, run, threads)


def draw_documents(
    texts: Sequence[str], tokenizer: Tokenizer, tokens: int, seed: int
) -> tuple[list[int], list[npt.NDArray[np.int32]]]:
    """Draw documents in the order that `seed` fixes until they hold `tokens`.

    Returns:
        Their positions in `texts`, and their token ids.
    """
    order = shuffled(np.arange(len(texts), dtype=np.int64), len(texts), seed=seed, epoch=0)
    chosen: list[int] = []
    encoded: list[npt.NDArray[np.int32]] = []
    missing = tokens
    for at in range(0, len(order), 256):
        piece = order[at : at + 256].tolist()
        for number, ids in zip(piece, tokenizer.encode([texts[n] for n in piece]), strict=True):
            if missing <= 0:
                return chosen, encoded
            chosen.append(number)
            encoded.append(ids)
            missing -= len(ids) + 1
    return chosen, encoded


def fit_decoder(
    decoder: Decoder,
    rows: PackedText,
    ids: Sequence[str],
    tokens: int,
    seed: int,
    learning_rate: float | None,
    batch_tokens: int | None,
    options: RunOptions,
) -> RunResult:
    """Train a decoder in place on packed documents; see `fit_language_model` for the arguments.

    Raises:
        ConfigError: `tokens` is below one row.
    """
    if tokens < rows.context:
        raise ConfigError("tokens", f"must be at least one row ({rows.context})", got=tokens)
    batch = batch_tokens or default_batch_tokens(decoder.config, tokens)
    per_step = max(1, round(batch / rows.context))
    task = NextTokenTask(decoder, rows, per_step, seed, ids)
    steps = max(1, tokens // (per_step * rows.context))
    return run_task(task, steps, learning_rate or default_learning_rate(decoder.config), options)


def run_task(task: Task, steps: int, learning_rate: float, options: RunOptions) -> RunResult:
    """Run the loop with what the options say."""
    config = LoopConfig(
        steps=steps,
        learning_rate=learning_rate,
        time_budget_s=options.time_budget_s,
        checkpoint_every=options.checkpoint_every,
        threads=options.threads,
    )
    return run_loop(
        task,
        config,
        log=options.log,
        checkpoints=options.checkpoints,
        progress=options.progress,
    )
