"""Saving and loading, against the library whose format it is."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from train_corpora import TINY, conversations, documents, message

from datatools.errors import DataError, UnsupportedFormatError
from datatools.train.chat import encode_conversations
from datatools.train.export import save_model
from datatools.train.load import load_decoder, load_reward_model
from datatools.train.model import RewardModel


@pytest.fixture
def folder(decoder, tokenizer, tmp_path):
    save_model(decoder, tokenizer, tmp_path / "model")
    return tmp_path / "model"


def _tokens(rows, length):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(3, TINY.vocabulary, (rows, length), generator=generator)


def test_transformers_computes_the_same_logits(decoder, folder):
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert type(theirs).__name__ == "Qwen3ForCausalLM"
    tokens = _tokens(3, TINY.context)
    with torch.no_grad():
        ours = decoder.logits(decoder(tokens))
        assert ours.std() > 0.5  # or every model would agree
        assert (theirs(tokens).logits - ours).abs().max() < 1e-4


def test_transformers_computes_the_same_rewards(decoder, tokenizer, tmp_path):
    from transformers import AutoModelForSequenceClassification

    model = RewardModel(decoder)
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(3))
    save_model(model, tokenizer, tmp_path / "reward")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward")
    assert theirs.config.num_labels == 1
    tokens, lengths = _tokens(3, 20), torch.tensor([20, 7, 13])
    for row, length in enumerate(lengths.tolist()):
        tokens[row, length:] = tokenizer.end_of_text
    with torch.no_grad():
        ours = model(tokens, lengths)
        assert ours.std() > 0.1
        assert (theirs(tokens).logits[:, 0] - ours).abs().max() < 1e-4


def test_transformers_tokenises_and_renders_the_same(folder, tokenizer):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    for text, _ in documents(6):
        assert theirs(text)["input_ids"] == tokenizer.encode([text])[0].tolist()
        assert theirs.decode(tokenizer.encode([text])[0]) == text
    turns = [message("system", "짧게 답하세요."), *conversations(8)[7], message("user", " \n끝?")]
    ids, _ = encode_conversations([turns], tokenizer)[0]
    plain = [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    assert theirs.apply_chat_template(plain)["input_ids"] == ids.tolist()
    assert theirs.eos_token_id == theirs.pad_token_id == tokenizer.end_of_text


def test_loading_gives_back_what_was_saved(decoder, tokenizer, folder):
    loaded, same_tokenizer = load_decoder(folder, device="cpu")
    assert loaded.config == TINY
    for name, weight in decoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)
    assert same_tokenizer.to_json() == tokenizer.to_json()


def test_a_reward_model_comes_back_too(decoder, tokenizer, tmp_path):
    model = RewardModel(decoder)
    with torch.no_grad():
        model.score.weight.fill_(0.5)
    save_model(model, tokenizer, tmp_path / "reward")
    loaded, _ = load_reward_model(tmp_path / "reward", device="cpu")
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


def test_equal_models_are_saved_as_equal_bytes(decoder, tokenizer, folder, tmp_path):
    save_model(decoder, tokenizer, tmp_path / "again")
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_weights_in_several_files_and_half_precision_load(decoder, folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    index = {}
    for number, some in enumerate((names[::2], names[1::2])):
        file = f"model-{number}.safetensors"
        save_file({name: weights[name].bfloat16() for name in some}, folder / file)
        index |= dict.fromkeys(some, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    loaded, _ = load_decoder(folder, device="cpu")
    for name, weight in decoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight.bfloat16().float())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("architectures", ["LlamaForCausalLM"]),
        ("tie_word_embeddings", False),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("use_sliding_window", True),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 10000.0}),
    ],
)
def test_a_model_that_would_compute_something_else_is_refused(field, value, folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(UnsupportedFormatError, match="for this loader"):
        load_decoder(folder)


def test_the_base_of_the_older_library_is_read(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    config["rope_theta"] = 500.0
    (folder / "config.json").write_text(json.dumps(config))
    assert load_decoder(folder, device="cpu")[0].config.rope_base == 500.0


def _no_config(folder):
    (folder / "config.json").unlink()


def _broken_config(folder):
    (folder / "config.json").write_text("{")


def _no_weights(folder):
    (folder / "model.safetensors").unlink()


def _broken_weights(folder):
    (folder / "model.safetensors").write_bytes(b"\x80\x04pickle")


def _missing_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors")


def _misshapen_weight(folder):
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(3)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_config, "is no model folder"),
        (_broken_config, "is not JSON"),
        (_no_weights, "is missing"),
        (_broken_weights, "is not safetensors"),
        (_missing_weight, r"weights missing: \['norm.weight'\]"),
        (_misshapen_weight, r"norm.weight should be \(32,\) \(got \(3,\)\)"),
    ],
)
def test_a_damaged_folder_is_an_error_with_a_name(spoil, said, folder):
    spoil(folder)
    with pytest.raises(DataError, match=said):
        load_decoder(folder)


def test_a_reward_model_is_not_taken_for_a_language_model(decoder, tokenizer, tmp_path):
    save_model(RewardModel(decoder), tokenizer, tmp_path / "reward")
    with pytest.raises(UnsupportedFormatError, match="Qwen3ForCausalLM"):
        load_decoder(tmp_path / "reward")
    np.testing.assert_array_equal(
        load_reward_model(tmp_path / "reward", device="cpu")[0].score.weight.detach().numpy(), 0.0
    )
