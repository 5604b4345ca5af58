"""The public calls: train on texts or on published datasets, get a model and its numbers.

Owns: running each kind of training on a dataset and measuring before and after. Refuses: building
datasets; it reads what was published.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from datatools.errors import ConfigError
from datatools.train import evaluate
from datatools.train.chat import encode_conversations
from datatools.train.data import PackedConversations, PackedText, Pairs
from datatools.train.export import save_model
from datatools.train.fit import (
    LanguageModel,
    RunOptions,
    default_batch_tokens,
    default_learning_rate,
    draw_documents,
    fit_decoder,
    fit_language_model,
    run_task,
)
from datatools.train.load import load_decoder
from datatools.train.loop import threads
from datatools.train.model import ModelConfig, RewardModel, new_decoder, pick_device, resolve_size
from datatools.train.reading import (
    PAIR_COLUMNS,
    SIDES,
    TRAIN,
    answer_lengths,
    group_names,
    held_out_documents,
    held_out_frame,
    message_texts,
    open_kind,
    read_documents,
    read_pairs,
    sample_rows,
    tokenizer_text,
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
    "DEFAULT_PROBES",
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

DEFAULT_PROBES: Final = ("Korea is", "한국은")

Path_ = str | PathLike[str]
_DEFAULTS: Final = RunOptions()


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
    options: RunOptions = _DEFAULTS,
) -> PretrainResult:
    """Train a language model from scratch on a published document dataset.

    Args:
        dataset_dir: Folder of the dataset.
        out_dir: Folder of the model, Hugging Face format.
        size: Name of a size or a configuration.
        tokens: Tokens to train on.
        seed: Seed of the weights, of the draw and of the order.
        tokenizer: The tokenizer; trained on the training split, with the size's vocabulary, if
            None.
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
    dataset = open_kind(dataset_dir, "document")
    frame = read_documents(dataset, TRAIN)
    texts = frame["text"].to_list()
    shape = resolve_size(size)
    if tokenizer is None:
        tokenizer = train_tokenizer(tokenizer_text(texts), vocabulary=shape.vocabulary)
    shape = replace(
        shape,
        vocabulary=tokenizer.vocabulary,
        context=shape.context if context is None else context,
    )
    decoder = new_decoder(shape, seed=seed, device=pick_device(options.device))
    chosen, encoded = draw_documents(texts, tokenizer, tokens, seed)
    rows = PackedText.pack(encoded, context=shape.context, end=tokenizer.end_of_text)
    all_ids = frame["id"].to_list()
    held_out = held_out_documents(dataset, options.held_out_rows)

    def measure() -> tuple[evaluate.BitsPerByte | None, list[tuple[tuple[str, float], ...]]]:
        with threads(options.threads):
            score = None
            if held_out is not None:
                score = evaluate.score_documents(
                    decoder,
                    tokenizer,
                    held_out["text"].to_list(),
                    held_out["language"].to_list(),
                )
            return score, [tuple(evaluate.probe(decoder, tokenizer, p)) for p in probes]

    before, first = measure()
    run = fit_decoder(
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
    options: RunOptions = _DEFAULTS,
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
    dataset = open_kind(dataset_dir, "conversation")
    decoder, tokenizer = load_decoder(base_dir, device=options.device)
    frame = dataset.frame(TRAIN, ["id", "messages"])
    encoded = encode_conversations(frame["messages"].to_list(), tokenizer)
    rows = PackedConversations.pack(encoded, context=decoder.config.context)
    total = round(epochs * rows.rows * rows.context)
    total = total if tokens is None else min(tokens, total)
    batch = batch_tokens or default_batch_tokens(decoder.config, total)
    per_step = max(1, round(batch / rows.context))
    held_out = held_out_frame(dataset, ["messages"], options.held_out_rows)

    def measure() -> evaluate.AnswerScores | None:
        if held_out is None:
            return None
        with threads(options.threads):
            return evaluate.score_answers(decoder, tokenizer, held_out["messages"].to_list())

    before = measure()
    task = NextTokenTask(decoder, rows, per_step, seed, frame["id"].to_list())
    run = run_task(
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
    options: RunOptions = _DEFAULTS,
) -> RewardResult:
    """Train a reward model on a published preference dataset.

    Args:
        dataset_dir: Folder of the dataset.
        base_dir: Folder of the language model to start from.
        out_dir: Folder of the reward model.
        seed: Seed of the order.
        epochs: Times each pair is read.
        tokens: Most tokens to read, whatever `epochs` says.
        learning_rate: Highest rate; a quarter of the size's pretraining rate if None.
        pairs_per_step: Pairs per step.
        margin: Lead asked of the preferred answer.
        centre: Weight of the penalty on the level of scores.
        options: Where and how.

    Raises:
        ConfigError: The dataset does not hold preferences or has no `train` split.
        DataError: A folder is not usable, or training broke down.
        IntegrityError: The dataset's files differ from its manifest.
    """
    dataset = open_kind(dataset_dir, "preference")
    decoder, tokenizer = load_decoder(base_dir, device=options.device)
    model = RewardModel(decoder)
    frame = dataset.frame(TRAIN, PAIR_COLUMNS)
    pairs = read_pairs(frame, tokenizer, decoder.config.context)
    held_out = held_out_frame(dataset, PAIR_COLUMNS, options.held_out_rows)
    test = None if held_out is None else read_pairs(held_out, tokenizer, decoder.config.context)
    groups = None if held_out is None else group_names(held_out)

    def scores(which: Pairs) -> npt.NDArray[np.float64]:
        with threads(options.threads):
            return evaluate.reward_scores(model, which)

    before = None if test is None else scores(test)
    task = RewardTask(model, pairs, pairs_per_step, seed, frame["id"].to_list(), margin, centre)
    steps = _pair_steps(pairs, pairs_per_step, epochs, tokens)
    run = run_task(task, steps, learning_rate or default_learning_rate(decoder.config) / 4, options)
    after = None if test is None else scores(test)
    seen = sample_rows(frame, options.held_out_rows)
    on_train = scores(read_pairs(seen, tokenizer, decoder.config.context))
    save_model(model, tokenizer, out_dir)
    return RewardResult(
        folder=str(out_dir),
        run=run,
        pairs=pairs.rows,
        truncated=pairs.truncated,
        on_train=_accuracy(on_train, group_names(seen)),
        before=None if before is None else _accuracy(before, groups),
        after=None if after is None else _accuracy(after, groups),
        length_only=None
        if held_out is None
        else evaluate.length_accuracy(answer_lengths(frame), answer_lengths(held_out), groups),
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
    options: RunOptions = _DEFAULTS,
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
        learning_rate: Highest rate; a twentieth of the size's pretraining rate if None.
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
    dataset = open_kind(dataset_dir, "preference")
    decoder, tokenizer = load_decoder(base_dir, device=options.device)
    frame = dataset.frame(TRAIN, PAIR_COLUMNS)
    pairs = read_pairs(frame, tokenizer, decoder.config.context)
    held_out = held_out_frame(dataset, PAIR_COLUMNS, options.held_out_rows)
    test = None if held_out is None else read_pairs(held_out, tokenizer, decoder.config.context)

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
    run = run_task(
        task, steps, learning_rate or default_learning_rate(decoder.config) / 20, options
    )
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
        reference=_accuracy(before, group_names(held_out)),
        after=_accuracy(shift, group_names(held_out)),
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
    options: RunOptions = _DEFAULTS,
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

    documents = read_documents(open_kind(out / pretrain, "document"), TRAIN)
    texts = tokenizer_text(documents["text"].to_list())
    extra: list[str] = []
    if instruct is not None:
        frame = open_kind(out / instruct, "conversation").frame(TRAIN, ["messages"])
        extra += message_texts(frame, ["messages"])
    if preference is not None:
        frame = open_kind(out / preference, "preference").frame(TRAIN, list(SIDES))
        extra += message_texts(frame, list(SIDES))
    extra = tokenizer_text(extra)
    tokenizer = train_tokenizer(texts, extra, vocabulary=resolve_size(size).vocabulary)
    tokenizer_seconds = time.monotonic() - began
    languages = documents["language"].to_list()
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


def _pair_steps(pairs: Pairs, per_step: int, epochs: float, tokens: int | None) -> int:
    steps = max(1, round(epochs * pairs.rows / per_step))
    if tokens is None:
        return steps
    sides = (*pairs.chosen, *pairs.rejected)
    per_pair = sum(min(len(ids), pairs.context) for ids, _ in sides) / pairs.rows
    return max(1, min(steps, int(tokens / (per_pair * per_step))))


def _accuracy(scores: npt.NDArray[np.float64], groups: Sequence[str] | None) -> evaluate.Accuracy:
    return evaluate.pair_accuracy(scores[:, 0], scores[:, 1], groups)
