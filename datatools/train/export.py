"""Saving models in the Hugging Face format, so that they load anywhere with equal logits.

Owns: the folder's files. Weights are safetensors, everything else is JSON or text; nothing is
pickled. `datatools.train.load` reads the folder back.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from datatools.train import chat
from datatools.train.folder import whole_folder
from datatools.train.model import Decoder, ModelConfig, RewardModel
from datatools.train.tokenizer import END_OF_TEXT, MESSAGE_END, MESSAGE_START, Tokenizer

__all__ = ["save_model"]


def save_model(
    model: Decoder | RewardModel, tokenizer: Tokenizer, folder: str | PathLike[str]
) -> None:
    """Write a model and its tokenizer to a folder, whole or not at all.

    A language model becomes a `Qwen3ForCausalLM`, a reward model a `Qwen3ForSequenceClassification`
    with one label. Equal weights and tokenizers give equal bytes.

    Args:
        model: The model; its weights are written in fp32.
        tokenizer: The tokenizer it was trained with.
        folder: Where to. A folder that is already there is replaced.

    Raises:
        DataError: The disk has too little room.
    """
    weights = {
        name if name.startswith(("model.", "score.")) else f"model.{name}": tensor.detach()
        .float()
        .cpu()
        .contiguous()
        for name, tensor in sorted(model.state_dict().items())
    }
    is_reward = isinstance(model, RewardModel)
    config = _config(model.config, tokenizer, is_reward=is_reward)
    need = 4 * model.config.parameters + (8 << 20)
    with whole_folder(Path(folder), need_bytes=need) as fresh:
        save_file(weights, fresh / "model.safetensors", metadata={"format": "pt"})
        _write_json(fresh / "config.json", config)
        if not is_reward:
            _write_json(fresh / "generation_config.json", _generation(tokenizer))
        (fresh / "tokenizer.json").write_text(tokenizer.to_json(), "utf-8")
        _write_json(fresh / "tokenizer_config.json", _tokenizer_config(model.config))
        (fresh / "chat_template.jinja").write_text(chat.template().source, "utf-8")


def _config(shape: ModelConfig, tokenizer: Tokenizer, *, is_reward: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "architectures": ["Qwen3ForSequenceClassification" if is_reward else "Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": tokenizer.end_of_text,
        "dtype": "float32",
        "eos_token_id": tokenizer.end_of_text,
        "head_dim": shape.head_width,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.ffn_width,
        "max_position_embeddings": shape.context,
        "max_window_layers": shape.layers,
        "model_type": "qwen3",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "pad_token_id": tokenizer.end_of_text,
        "rms_norm_eps": shape.norm_epsilon,
        # transformers 4 reads the first, transformers 5 the second
        "rope_theta": shape.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_base},
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": shape.vocabulary,
    }
    if is_reward:
        config |= {"id2label": {"0": "reward"}, "label2id": {"reward": 0}}
    return config


def _generation(tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "bos_token_id": tokenizer.end_of_text,
        # a document ends with the first, an answer with the second
        "eos_token_id": [tokenizer.end_of_text, tokenizer.message_end],
        "pad_token_id": tokenizer.end_of_text,
        "do_sample": False,
    }


def _tokenizer_config(shape: ModelConfig) -> dict[str, Any]:
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "additional_special_tokens": [MESSAGE_START, MESSAGE_END],
        "bos_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "model_max_length": shape.context,
        "pad_token": END_OF_TEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
