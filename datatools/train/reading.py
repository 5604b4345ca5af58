"""Rows of published datasets as training needs them.

Owns: which rows are read, held out and measured, and the columns they need. Refuses: training.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Final

import numpy as np
import polars as pl

from datatools.dataset import Dataset, open_dataset
from datatools.errors import ConfigError, DataError
from datatools.train.chat import encode_pair_side
from datatools.train.data import Pairs, shuffled
from datatools.train.tokenizer import Tokenizer

__all__ = [
    "PAIR_COLUMNS",
    "SIDES",
    "TRAIN",
    "answer_lengths",
    "group_names",
    "held_out_documents",
    "held_out_frame",
    "message_texts",
    "open_kind",
    "read_documents",
    "read_pairs",
    "sample_rows",
    "tokenizer_text",
]

TRAIN: Final = "train"
SIDES: Final = ("prompt", "chosen", "rejected")
PAIR_COLUMNS: Final = ("id", "group_id", *SIDES)
TOKENIZER_BYTES: Final = 16 << 20
"""Text of one kind that a tokenizer is trained on at most. 16 MiB take about 4 s at a vocabulary of
8,192."""


def open_kind(folder: str | PathLike[str], kind: str) -> Dataset:
    """Open a dataset that must be of a kind and hold records.

    Raises:
        ConfigError: It is of another kind.
        DataError: The folder is no published dataset, or one without records.
        IntegrityError: The dataset's files differ from its manifest.
    """
    dataset = open_dataset(folder)
    if dataset.kind != kind:
        raise ConfigError(
            str(folder),
            f"must be a {kind} dataset",
            got=dataset.kind,
            hint="Name a dataset of this kind.",
        )
    if not any(shard.rows for shard in dataset.shards):
        raise DataError(
            f"dataset {dataset.name}",
            f"holds no records to train on: {dataset.empty_because}",
            hint="Loosen the step that leaves none, or give it more input.",
        )
    return dataset


def read_documents(dataset: Dataset, split: str) -> pl.DataFrame:
    """Return `id`, `text` and `language` of a split; a language that nobody knows is `und`."""
    if "language" not in dataset.columns:
        frame = dataset.frame(split, ["id", "text"])
        return frame.with_columns(language=pl.lit("und"))
    frame = dataset.frame(split, ["id", "text", "language"])
    return frame.with_columns(pl.col("language").fill_null("und"))


def held_out_documents(dataset: Dataset, most: int) -> pl.DataFrame | None:
    """Return at most `most` held-out documents, or None where there is none to hold out."""
    if dataset.held_out is None or not dataset.rows(dataset.held_out):
        return None
    return sample_rows(read_documents(dataset, dataset.held_out), most)


def held_out_frame(dataset: Dataset, columns: Sequence[str], most: int) -> pl.DataFrame | None:
    """Return at most `most` held-out rows, or None where there is none to hold out."""
    if dataset.held_out is None or not dataset.rows(dataset.held_out):
        return None
    return sample_rows(dataset.frame(dataset.held_out, columns), most)


def sample_rows(frame: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return at most `most` rows, the same for every seed, in the frame's order."""
    if len(frame) <= most:
        return frame
    order = shuffled(np.arange(len(frame), dtype=np.int64), len(frame), seed=0, epoch=0)
    return frame[np.sort(order[:most])]


def tokenizer_text(texts: Sequence[str]) -> list[str]:
    """Return texts in a fixed keyed order until they hold `TOKENIZER_BYTES`."""
    out, size = [], 0
    order = shuffled(np.arange(len(texts), dtype=np.int64), len(texts), seed=0, epoch=0)
    for number in order.tolist():
        if size >= TOKENIZER_BYTES:
            break
        out.append(texts[number])
        size += len(texts[number].encode())
    return out


def message_texts(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the contents of all messages in the given columns, empty ones left out."""
    return [
        message["content"]
        for column in columns
        for messages in frame[column].to_list()
        for message in messages
        if message["content"]
    ]


def read_pairs(frame: pl.DataFrame, tokenizer: Tokenizer, context: int) -> Pairs:
    """Return the pairs of a preference frame as tokens.

    Raises:
        DataError: There is no pair.
    """
    if not len(frame):
        raise DataError("preference", "there is no pair to train on")
    prompts = frame["prompt"].to_list()
    return Pairs(
        chosen=tuple(encode_pair_side(prompts, frame["chosen"].to_list(), tokenizer)),
        rejected=tuple(encode_pair_side(prompts, frame["rejected"].to_list(), tokenizer)),
        context=context,
    )


def answer_lengths(frame: pl.DataFrame) -> tuple[list[int], list[int]]:
    """Return the characters of the chosen and of the rejected answers."""

    def side(column: str) -> list[int]:
        rows: list[list[dict[str, Any]]] = frame[column].to_list()
        return [sum(len(message["content"] or "") for message in messages) for messages in rows]

    return side("chosen"), side("rejected")


def group_names(frame: pl.DataFrame) -> list[str]:
    """Return each pair's group; a pair without one is its own."""
    ids, groups = frame["id"].to_list(), frame["group_id"].to_list()
    return [group or one for group, one in zip(groups, ids, strict=True)]
