"""The public calls: train on texts or on published datasets, get a model and its numbers.

Owns: reading a dataset's rows, choosing defaults, running the loop and measuring before and after.
Refuses: building datasets; it reads what was published.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.dataset import Dataset, open_dataset
from datatools.errors import ConfigError, DataError
from datatools.train import evaluate
from datatools.train.chat import encode_conversations, encode_pair_side
from datatools.train.data import PackedConversations, PackedText, Pairs, shuffled
from datatools.train.export import save_model
from datatools.train.load import load_decoder
from datatools.train.loop import LoopConfig, RunResult, run_loop, threads
from datatools.train.model import (
    Decoder,
    ModelConfig,
    RewardModel,
    new_decoder,
    pick_device,
    resolve_size,
)
from datatools.train.results import (
    DpoResult,
    PretrainResult,
    ProbeShift,
    RewardResult,
    SftResult,
    TokenizerResult,
    TrainReport,
    as_json,
)
from datatools.train.tasks import DirectPreferenceTask, NextTokenTask, RewardTask
from datatools.train.tokenizer import Tokenizer, bytes_per_token, train_tokenizer

__all__ = [
    "LanguageModel",
    "RunOptions",
    "default_batch_tokens",
    "default_learning_rate",
    "fit_language_model",
    "train_all",
    "train_dpo",
    "train_pretrain",
    "train_reward",
    "train_sft",
]

TRAIN: Final = "train"
DEFAULT_PROBES: Final = ("Korea is", "한국은")
TOKENIZER_BYTES: Final = 16 << 20
"""Text a tokenizer is trained on at most. 16 MiB take about 4 s at a vocabulary of 8,192."""

Path_ = str | PathLike[str]


# --------------------------------------------------------------------------------------------------
# Settings


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where and how a run happens. Nothing here but `threads` and `device` changes its numbers.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads. A fixed number, because another one rounds differently.
        time_budget_s: Wall-clock seconds, or None; a guard, since a run it ends is not reproducible.
        checkpoints: Folder for checkpoints; a run that finds one there goes on from it.
        checkpoint_every: Steps between checkpoints; None saves one at the end.
        log: JSON Lines file with one line per step.
        progress: Called with (steps done, steps in all).
        held_out_rows: Most held-out records measured, drawn by a fixed key: the same for every seed.
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

    0.0018 (N / 124M)^(-1/8), N the parameters. The exponent is ours, from runs of 0.3 to 0.4 million
    tokens of Korean and English: 0.004 to 0.006 were best at 0.17M parameters, 0.0035 at 1.3M, and
    0.005 was already unstable there.

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
        (2500, 17428)
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
    def load(cls, folder: Path_, *, device: str = "auto", threads: int = 2) -> LanguageModel:
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

    def save(self, folder: Path_) -> None:
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

    Documents are drawn in an order that `seed` fixes until `tokens` are reached; if all of them hold
    fewer, they are read again, each time in another order. On one CPU type and thread count, equal
    arguments give equal weights.

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
    chosen, encoded = _draw(texts, tokenizer, tokens, seed)
    rows = PackedText.pack(encoded, context=context, end=tokenizer.end_of_text)
    ids = [str(number) for number in chosen]
    run = _fit(decoder, rows, ids, tokens, seed, learning_rate, batch_tokens, options)
    return LanguageModel(decoder, tokenizer, run, threads)


def _draw(
    texts: Sequence[str], tokenizer: Tokenizer, tokens: int, seed: int
) -> tuple[list[int], list[npt.NDArray[np.int32]]]:
    """Return documents in a keyed order until they hold `tokens`, by number and as ids."""
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


def _fit(
    decoder: Decoder,
    rows: PackedText,
    ids: Sequence[str],
    tokens: int,
    seed: int,
    learning_rate: float | None,
    batch_tokens: int | None,
    options: RunOptions,
) -> RunResult:
    if tokens < rows.context:
        raise ConfigError("tokens", f"must be at least one row ({rows.context})", got=tokens)
    batch = batch_tokens or default_batch_tokens(decoder.config, tokens)
    per_step = max(1, round(batch / rows.context))
    task = NextTokenTask(decoder, rows, per_step, seed, ids)
    steps = max(1, tokens // (per_step * rows.context))
    return _loop(task, steps, learning_rate or default_learning_rate(decoder.config), options)


def _loop(
    task: NextTokenTask | RewardTask | DirectPreferenceTask,
    steps: int,
    learning_rate: float,
    options: RunOptions,
) -> RunResult:
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


# --------------------------------------------------------------------------------------------------
# Published datasets


def train_pretrain(
    dataset_dir: Path_,
    out_dir: Path_,
    *,
    size: str | ModelConfig = "nano",
    tokens: int,
    seed: int,
    tokenizer: Tokenizer | None = None,
    learning_rate: float | None = None,
    batch_tokens: int | None = None,
    context: int | None = None,
    probes: Sequence[str] = DEFAULT_PROBES,
    options: RunOptions = RunOptions(),
) -> PretrainResult:
    """Train a language model from scratch on a published document dataset.

    Args:
        dataset_dir: Folder of the dataset.
        out_dir: Folder of the model, Hugging Face format.
        size: Name of a size or a configuration.
        tokens: Tokens to train on.
        seed: Seed of the weights, of the draw and of the order.
        tokenizer: The tokenizer; trained on the training split, with the size's vocabulary, if None.
        learning_rate: Highest rate; by size if None.
        batch_tokens: Tokens per step; by size if None.
        context: Tokens per row; the size's if None.
        probes: Prompts whose next tokens are compared before and after.
        options: Where and how.

    Raises:
        ConfigError: The dataset does not hold documents or has no `train` split; a value is wrong.
        DataError: The dataset is not there or empty, or training broke down.
        IntegrityError: The dataset's files differ from its manifest.
    """
    dataset = _open(dataset_dir, "document")
    frame = _documents(dataset, TRAIN)
    texts = frame["text"].to_list()
    shape = resolve_size(size)
    if tokenizer is None:
        tokenizer = train_tokenizer(_some_text(texts), vocabulary=shape.vocabulary)
    shape = replace(
        shape,
        vocabulary=tokenizer.vocabulary,
        context=shape.context if context is None else context,
    )
    decoder = new_decoder(shape, seed=seed, device=pick_device(options.device))
    chosen, encoded = _draw(texts, tokenizer, tokens, seed)
    rows = PackedText.pack(encoded, context=shape.context, end=tokenizer.end_of_text)
    all_ids = frame["id"].to_list()
    held_out = _held_out(dataset, ["text", "language"], options)

    def measure() -> tuple[evaluate.BitsPerByte | None, list[tuple[tuple[str, float], ...]]]:
        with threads(options.threads):
            score = None
            if held_out is not None:
                score = evaluate.score_documents(
                    decoder,
                    tokenizer,
                    held_out["text"].to_list(),
                    held_out["language"].fill_null("und").to_list(),
                )
            return score, [tuple(evaluate.probe(decoder, tokenizer, p)) for p in probes]

    before, first = measure()
    run = _fit(
        decoder,
        rows,
        [all_ids[number] for number in chosen],
        tokens,
        seed,
        learning_rate,
        batch_tokens,
        options,
    )
    after, last = measure()
    save_model(decoder, tokenizer, out_dir)
    return PretrainResult(
        folder=str(out_dir),
        run=run,
        documents=len(chosen),
        epochs=run.tokens / rows.tokens,
        before=before,
        after=after,
        probes=tuple(
            ProbeShift(prompt, old, new)
            for prompt, old, new in zip(probes, first, last, strict=True)
        ),
    )


def train_sft(
    dataset_dir: Path_,
    base_dir: Path_,
    out_dir: Path_,
    *,
    seed: int,
    epochs: float = 3.0,
    tokens: int | None = None,
    learning_rate: float | None = None,
    batch_tokens: int | None = None,
    options: RunOptions = RunOptions(),
) -> SftResult:
    """Tune a language model on a published conversation dataset.

    Only the trained messages and the stop token after each are learnt; see `chat`.

    Args:
        dataset_dir: Folder of the dataset.
        base_dir: Folder of the model to start from.
        out_dir: Folder of the tuned model.
        seed: Seed of the order.
        epochs: Times each row is read.
        tokens: Most positions to read, whatever `epochs` says.
        learning_rate: Highest rate; half the size's pretraining rate if None.
        batch_tokens: Positions per step; by size if None.
        options: Where and how.

    Raises:
        ConfigError: The dataset does not hold conversations or has no `train` split.
        DataError: A folder is not usable, or no message is to be learnt.
        IntegrityError: The dataset's files differ from its manifest.
    """
    dataset = _open(dataset_dir, "conversation")
    decoder, tokenizer = load_decoder(base_dir, device=options.device)
    frame = dataset.frame(TRAIN, ["id", "messages"])
    encoded = encode_conversations(frame["messages"].to_list(), tokenizer)
    rows = PackedConversations.pack(encoded, context=decoder.config.context)
    total = round(epochs * rows.rows * rows.context)
    total = total if tokens is None else min(tokens, total)
    batch = batch_tokens or default_batch_tokens(decoder.config, total)
    per_step = max(1, round(batch / rows.context))
    held_out = _held_out(dataset, ["messages"], options)

    def measure() -> evaluate.AnswerScores | None:
        if held_out is None:
            return None
        with threads(options.threads):
            return evaluate.score_answers(decoder, tokenizer, held_out["messages"].to_list())

    before = measure()
    task = NextTokenTask(decoder, rows, per_step, seed, frame["id"].to_list())
    run = _loop(
        task,
        max(1, total // (per_step * rows.context)),
        learning_rate or default_learning_rate(decoder.config) / 2,
        options,
    )
    after = measure()
    save_model(decoder, tokenizer, out_dir)
    return SftResult(
        folder=str(out_dir),
        run=run,
        conversations=len(frame),
        untrained=len(rows.untrained),
        utilisation=rows.utilisation,
        before=before,
        after=after,
    )


def train_reward(
    dataset_dir: Path_,
    base_dir: Path_,
    out_dir: Path_,
    *,
    seed: int,
    epochs: float = 2.0,
    tokens: int | None = None,
    learning_rate: float | None = None,
    pairs_per_step: int = 16,
    margin: float = 0.0,
    centre: float = 0.01,
    options: RunOptions = RunOptions(),
) -> RewardResult:
    """Train a reward model on a published preference dataset.

    Args:
        dataset_dir: Folder of the dataset.
        base_dir: Folder of the language model to start from.
        out_dir: Folder of the reward model.
        seed: Seed of the order.
        epochs: Times each pair is read.
        tokens: Most tokens to read, whatever `epochs` says.
        learning_rate: Highest rate; a tenth of the size's pretraining rate if None.
        pairs_per_step: Pairs per step.
        margin: Lead asked of the preferred answer.
        centre: Weight of the penalty on the level of scores.
        options: Where and how.

    Raises:
        ConfigError: The dataset does not hold preferences or has no `train` split.
        DataError: A folder is not usable, or training broke down.
        IntegrityError: The dataset's files differ from its manifest.
    """
    dataset = _open(dataset_dir, "preference")
    decoder, tokenizer = load_decoder(base_dir, device=options.device)
    model = RewardModel(decoder)
    frame = dataset.frame(TRAIN, _PAIR_COLUMNS)
    pairs = _pairs(frame, tokenizer, decoder.config.context)
    held_out = _held_out(dataset, _PAIR_COLUMNS, options)
    test = None if held_out is None else _pairs(held_out, tokenizer, decoder.config.context)
    groups = None if held_out is None else _groups(held_out)

    def scores(which: Pairs) -> npt.NDArray[np.float64]:
        with threads(options.threads):
            return evaluate.reward_scores(model, which)

    before = None if test is None else scores(test)
    task = RewardTask(model, pairs, pairs_per_step, seed, frame["id"].to_list(), margin, centre)
    steps = _pair_steps(pairs, pairs_per_step, epochs, tokens)
    run = _loop(task, steps, learning_rate or default_learning_rate(decoder.config) / 10, options)
    after = None if test is None else scores(test)
    on_train = scores(pairs)
    save_model(model, tokenizer, out_dir)
    return RewardResult(
        folder=str(out_dir),
        run=run,
        pairs=pairs.rows,
        truncated=pairs.truncated,
        on_train=evaluate.pair_accuracy(on_train[:, 0], on_train[:, 1], _groups(frame)),
        before=None if before is None else _accuracy(before, groups),
        after=None if after is None else _accuracy(after, groups),
        length_only=None
        if held_out is None
        else evaluate.length_accuracy(_lengths(frame), _lengths(held_out), groups),
        margin=None if after is None else float((after[:, 0] - after[:, 1]).mean()),
    )


def train_dpo(
    dataset_dir: Path_,
    base_dir: Path_,
    out_dir: Path_,
    *,
    seed: int,
    epochs: float = 1.0,
    tokens: int | None = None,
    learning_rate: float | None = None,
    pairs_per_step: int = 16,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    kind: Literal["sigmoid", "ipo"] = "sigmoid",
    options: RunOptions = RunOptions(),
) -> DpoResult:
    """Tune a language model on a published preference dataset, without a reward model.

    The model in `base_dir` is the reference; its log-probabilities are computed once.

    Args:
        dataset_dir: Folder of the dataset.
        base_dir: Folder of the model to start from, best an instruction-tuned one.
        out_dir: Folder of the tuned model.
        seed: Seed of the order.
        epochs: Times each pair is read.
        tokens: Most tokens to read, whatever `epochs` says.
        learning_rate: Highest rate; a hundredth of the size's pretraining rate if None.
        pairs_per_step: Pairs per step.
        beta: Strength of the pull to the reference.
        label_smoothing: Assumed share of flipped labels, in [0, 0.5).
        kind: `sigmoid` (DPO) or `ipo`.
        options: Where and how.

    Raises:
        ConfigError: The dataset does not hold preferences or has no `train` split; `beta` or
            `label_smoothing` is out of range.
        DataError: A folder is not usable, or training broke down.
        IntegrityError: The dataset's files differ from its manifest.
    """
    if not beta > 0:
        raise ConfigError("beta", "must be above 0", got=beta)
    if not 0 <= label_smoothing < 0.5:
        raise ConfigError("label_smoothing", "must be in [0, 0.5)", got=label_smoothing)
    dataset = _open(dataset_dir, "preference")
    decoder, tokenizer = load_decoder(base_dir, device=options.device)
    frame = dataset.frame(TRAIN, _PAIR_COLUMNS)
    pairs = _pairs(frame, tokenizer, decoder.config.context)
    held_out = _held_out(dataset, _PAIR_COLUMNS, options)
    test = None if held_out is None else _pairs(held_out, tokenizer, decoder.config.context)

    def logprobs(which: Pairs) -> npt.NDArray[np.float64]:
        with threads(options.threads):
            return evaluate.reference_logprobs(decoder, which)

    reference = logprobs(pairs)
    before = None if test is None else logprobs(test)
    task = DirectPreferenceTask(
        decoder,
        pairs,
        reference,
        pairs_per_step,
        seed,
        frame["id"].to_list(),
        beta,
        label_smoothing,
        kind,
    )
    steps = _pair_steps(pairs, pairs_per_step, epochs, tokens)
    run = _loop(task, steps, learning_rate or default_learning_rate(decoder.config) / 100, options)
    save_model(decoder, tokenizer, out_dir)
    result = DpoResult(
        folder=str(out_dir),
        run=run,
        pairs=pairs.rows,
        truncated=pairs.truncated,
        reference=None,
        after=None,
        margin=None,
        chosen_shift=None,
    )
    if held_out is None or test is None or before is None:
        return result
    shift = logprobs(test) - before  # (pairs, 2)
    return replace(
        result,
        reference=_accuracy(before, _groups(held_out)),
        after=_accuracy(shift, _groups(held_out)),
        margin=float(beta * (shift[:, 0] - shift[:, 1]).mean()),
        chosen_shift=float(shift[:, 0].mean()),
    )


def train_all(
    output_dir: Path_,
    *,
    pretrain: str,
    instruct: str | None = None,
    preference: str | None = None,
    size: str = "smoke",
    tokens: int,
    seed: int,
    probes: Sequence[str] = DEFAULT_PROBES,
    options: RunOptions = RunOptions(),
    progress: Callable[[str, int, int], None] | None = None,
) -> TrainReport:
    """Train a tokenizer, a language model, a tuned model and a reward model on a run's datasets.

    Each starts from the one before it. The models go to `OUT/models/<dataset>/`, the numbers to
    `OUT/models/train.json`.

    Args:
        output_dir: A finished run's output, with the published datasets.
        pretrain: Name of a document dataset.
        instruct: Name of a conversation dataset, or None to tune nothing.
        preference: Name of a preference dataset, or None to train no reward model.
        size: Name of a size.
        tokens: Tokens to pretrain on; tuning and reward modelling read at most half as many each.
        seed: Seed of weights and orders.
        probes: Prompts whose next tokens are compared before and after pretraining.
        options: Where and how; `checkpoints`, `log` and `progress` are set for each part.
        progress: Called with (dataset, steps done, steps in all).

    Raises:
        ConfigError: A dataset is of another kind or has no `train` split; a value is wrong.
        DataError: A dataset is not there or empty, or training broke down.
        IntegrityError: A dataset's files differ from its manifest.
    """
    began = time.monotonic()
    out = Path(output_dir)
    models = out / "models"

    def part(name: str) -> RunOptions:
        report = None if progress is None else (lambda done, end: progress(name, done, end))
        return replace(options, progress=report, log=models / f"{name}.jsonl")

    documents = _documents(_open(out / pretrain, "document"), TRAIN)
    texts = _some_text(documents["text"].to_list())
    extra: list[str] = []
    if instruct is not None:
        frame = _open(out / instruct, "conversation").frame(TRAIN, ["messages"])
        extra += _contents(frame, ["messages"])
    if preference is not None:
        frame = _open(out / preference, "preference").frame(TRAIN, list(_SIDES))
        extra += _contents(frame, list(_SIDES))
    extra = _some_text(extra)
    tokenizer = train_tokenizer(texts, extra, vocabulary=resolve_size(size).vocabulary)
    tokenizer_seconds = time.monotonic() - began
    languages = documents["language"].fill_null("und").to_list()
    by_language: dict[str, list[str]] = {}
    for text, language in zip(documents["text"].to_list(), languages, strict=True):
        by_language.setdefault(language, []).append(text)
    described = TokenizerResult(
        vocabulary=tokenizer.vocabulary,
        bytes_per_token=bytes_per_token(
            tokenizer, {tag: by_language[tag][:200] for tag in sorted(by_language)}
        ),
        text_bytes=sum(len(text.encode()) for text in [*texts, *extra]),
        seconds=tokenizer_seconds,
    )

    base = train_pretrain(
        out / pretrain,
        models / pretrain,
        size=size,
        tokens=tokens,
        seed=seed,
        tokenizer=tokenizer,
        probes=probes,
        options=part(pretrain),
    )
    tuned = reward = None
    start = models / pretrain
    if instruct is not None:
        tuned = train_sft(
            out / instruct,
            start,
            models / instruct,
            seed=seed,
            tokens=tokens // 2,
            options=part(instruct),
        )
        start = models / instruct
    if preference is not None:
        reward = train_reward(
            out / preference,
            start,
            models / preference,
            seed=seed,
            tokens=tokens // 2,
            options=part(preference),
        )
    report = TrainReport(
        size=size,
        seed=seed,
        tokenizer=described,
        pretrain=base,
        instruct=tuned,
        preference=reward,
        seconds=time.monotonic() - began,
    )
    text = json.dumps(as_json(report), ensure_ascii=False, allow_nan=False)
    (models / "train.json").write_text(text + "\n", "utf-8")
    return report


# --------------------------------------------------------------------------------------------------
# Rows of datasets

_SIDES: Final = ("prompt", "chosen", "rejected")
_PAIR_COLUMNS: Final = ("id", "group_id", *_SIDES)


def _open(folder: Path_, kind: str) -> Dataset:
    dataset = open_dataset(folder)
    if dataset.kind != kind:
        raise ConfigError(
            str(folder),
            f"must be a {kind} dataset",
            got=dataset.kind,
            hint="Name a dataset of this kind.",
        )
    return dataset


def _documents(dataset: Dataset, split: str) -> pl.DataFrame:
    return dataset.frame(split, ["id", "text", "language"])


def _held_out(dataset: Dataset, columns: Sequence[str], options: RunOptions) -> pl.DataFrame | None:
    """Return the rows to measure on: the same for every seed, in the dataset's order."""
    if dataset.held_out is None or not dataset.rows(dataset.held_out):
        return None
    frame = dataset.frame(dataset.held_out, columns)
    if len(frame) > options.held_out_rows:
        order = shuffled(np.arange(len(frame), dtype=np.int64), len(frame), seed=0, epoch=0)
        frame = frame[np.sort(order[: options.held_out_rows])]
    return frame


def _some_text(texts: Sequence[str]) -> list[str]:
    """Return texts in a fixed keyed order until they hold `TOKENIZER_BYTES`."""
    out, size = [], 0
    for number in shuffled(np.arange(len(texts)), len(texts), seed=0, epoch=0).tolist():
        if size >= TOKENIZER_BYTES:
            break
        out.append(texts[number])
        size += len(texts[number].encode())
    return out


def _contents(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    return [
        message["content"]
        for column in columns
        for messages in frame[column].to_list()
        for message in messages
        if message["content"]
    ]


def _pairs(frame: pl.DataFrame, tokenizer: Tokenizer, context: int) -> Pairs:
    if not len(frame):
        raise DataError("preference", "there is no pair to train on")
    prompts = frame["prompt"].to_list()
    return Pairs(
        chosen=tuple(encode_pair_side(prompts, frame["chosen"].to_list(), tokenizer)),
        rejected=tuple(encode_pair_side(prompts, frame["rejected"].to_list(), tokenizer)),
        context=context,
    )


def _pair_steps(pairs: Pairs, per_step: int, epochs: float, tokens: int | None) -> int:
    steps = max(1, round(epochs * pairs.rows / per_step))
    if tokens is None:
        return steps
    sides = (*pairs.chosen, *pairs.rejected)
    per_pair = sum(min(len(ids), pairs.context) for ids, _ in sides) / pairs.rows
    return max(1, min(steps, int(tokens / (per_pair * per_step))))


def _lengths(frame: pl.DataFrame) -> tuple[list[int], list[int]]:
    def side(column: str) -> list[int]:
        rows: list[list[dict[str, Any]]] = frame[column].to_list()
        return [sum(len(message["content"] or "") for message in messages) for messages in rows]

    return side("chosen"), side("rejected")


def _groups(frame: pl.DataFrame) -> list[str]:
    """Return each pair's group; a pair without one is its own."""
    ids = frame["id"].to_list()
    groups = frame["group_id"].to_list()
    return [group or one for group, one in zip(groups, ids, strict=True)]


def _accuracy(scores: npt.NDArray[np.float64], groups: Sequence[str] | None) -> evaluate.Accuracy:
    return evaluate.pair_accuracy(scores[:, 0], scores[:, 1], groups)
