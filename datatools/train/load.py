"""Loading models from the Hugging Face format: ours, and any Qwen3 with tied embeddings.

Owns: reading the folder and refusing what the model cannot compute exactly. Nothing is unpickled
and no code of the folder runs.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from datatools.errors import DataError, UnsupportedFormatError
from datatools.train.model import Decoder, ModelConfig, RewardModel, pick_device
from datatools.train.tokenizer import Tokenizer

__all__ = ["load_decoder", "load_reward_model"]

_LANGUAGE = "Qwen3ForCausalLM"
_REWARD = "Qwen3ForSequenceClassification"


def load_decoder(folder: str | PathLike[str], *, device: str = "auto") -> tuple[Decoder, Tokenizer]:
    """Return the language model in a folder and its tokenizer.

    Args:
        folder: Folder with `config.json`, `tokenizer.json` and safetensors.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        DataError: A file is missing or broken, or weights do not fit the configuration.
        UnsupportedFormatError: The model is not a Qwen3 language model with tied embeddings.
    """
    path = Path(folder)
    config = _config(path, _LANGUAGE)
    decoder = Decoder(config)
    weights = _weights(path)
    weights.pop("lm_head.weight", None)  # tied: a second copy of the embedding
    _fill(decoder, {name.removeprefix("model."): tensor for name, tensor in weights.items()}, path)
    return decoder.to(pick_device(device)), Tokenizer.load(path / "tokenizer.json")


def load_reward_model(
    folder: str | PathLike[str], *, device: str = "auto"
) -> tuple[RewardModel, Tokenizer]:
    """Return the reward model in a folder and its tokenizer.

    Args:
        folder: Folder with `config.json`, `tokenizer.json` and safetensors.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        DataError: A file is missing or broken, or weights do not fit the configuration.
        UnsupportedFormatError: The model is not a Qwen3 classifier.
    """
    path = Path(folder)
    model = RewardModel(Decoder(_config(path, _REWARD)))
    _fill(model, _weights(path), path)
    return model.to(pick_device(device)), Tokenizer.load(path / "tokenizer.json")


def _config(folder: Path, architecture: str) -> ModelConfig:
    file = folder / "config.json"
    try:
        raw: dict[str, Any] = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(
            str(folder), f"is no model folder: config.json: {error.strerror}"
        ) from error
    except ValueError as error:
        raise DataError(str(file), f"is not JSON: {error}") from error
    rope = raw.get("rope_parameters") or {}
    scaling = raw.get("rope_scaling") or {}
    wanted = {
        "architectures": ([architecture], raw.get("architectures")),
        "hidden_act": ("silu", raw.get("hidden_act", "silu")),
        "attention_bias": (False, raw.get("attention_bias", False)),
        "tie_word_embeddings": (True, raw.get("tie_word_embeddings", False)),
        "use_sliding_window": (False, raw.get("use_sliding_window", False)),
        "rope_type": ("default", rope.get("rope_type", scaling.get("rope_type", "default"))),
    }
    for field, (only, got) in wanted.items():
        if got != only:
            raise UnsupportedFormatError(
                str(file), f"{field} must be {only!r} for this loader", got=got
            )
    try:
        heads = int(raw["num_attention_heads"])
        return ModelConfig(
            vocabulary=int(raw["vocab_size"]),
            layers=int(raw["num_hidden_layers"]),
            width=int(raw["hidden_size"]),
            heads=heads,
            kv_heads=int(raw.get("num_key_value_heads") or heads),
            head_width=int(raw.get("head_dim") or raw["hidden_size"] // heads),
            ffn_width=int(raw["intermediate_size"]),
            context=int(raw["max_position_embeddings"]),
            rope_base=float(rope.get("rope_theta") or raw["rope_theta"]),
            norm_epsilon=float(raw["rms_norm_eps"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(str(file), f"lacks or breaks a field: {error!r}") from error


def _weights(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    weights: dict[str, Tensor] = {}
    for name in names:
        file = folder / Path(name).name  # an index cannot point outside its folder
        try:
            weights |= load_file(file)
        except FileNotFoundError as error:
            raise DataError(str(file), "is missing") from error
        except (OSError, SafetensorError) as error:
            raise DataError(str(file), f"is not safetensors: {error}") from error
    return weights


def _fill(model: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    own = model.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or extra:
        raise DataError(
            str(folder), f"weights missing: {missing[:3]}; weights with no place: {extra[:3]}"
        )
    for name, tensor in weights.items():
        if tensor.shape != own[name].shape:
            raise DataError(
                str(folder),
                f"{name} should be {tuple(own[name].shape)}",
                got=tuple(tensor.shape),
            )
    with torch.no_grad():
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
