"""The small-model trainer: a tokenizer, a decoder, four objectives, one loop.

The public names load their modules, and torch with them, when they are first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datatools.train.api import (
        LanguageModel,
        RunOptions,
        fit_language_model,
        train_all,
        train_dpo,
        train_pretrain,
        train_reward,
        train_sft,
    )
    from datatools.train.model import SIZES, ModelConfig
    from datatools.train.results import TrainReport, as_json
    from datatools.train.tokenizer import Tokenizer, bytes_per_token, train_tokenizer

# OpenMP reads this once, when torch loads it. Its threads otherwise spin while they wait for each
# other: beside other work on the same two cores, the smallest model trained at 1,800 tokens/s
# spinning and at 26,000 sleeping.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "LanguageModel": "api",
    "ModelConfig": "model",
    "RunOptions": "api",
    "SIZES": "model",
    "Tokenizer": "tokenizer",
    "TrainReport": "results",
    "as_json": "results",
    "bytes_per_token": "tokenizer",
    "fit_language_model": "api",
    "train_all": "api",
    "train_dpo": "api",
    "train_pretrain": "api",
    "train_reward": "api",
    "train_sft": "api",
    "train_tokenizer": "tokenizer",
}

__all__ = [
    "SIZES",
    "LanguageModel",
    "ModelConfig",
    "RunOptions",
    "Tokenizer",
    "TrainReport",
    "as_json",
    "bytes_per_token",
    "fit_language_model",
    "train_all",
    "train_dpo",
    "train_pretrain",
    "train_reward",
    "train_sft",
    "train_tokenizer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
