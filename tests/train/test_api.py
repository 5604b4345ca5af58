"""Training end to end, on datasets small enough to know what must be learnt."""

import json
import math
from dataclasses import replace

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from train_corpora import (
    TINY,
    documents,
    publish,
    publish_conversations,
    publish_documents,
    publish_pairs,
)

from datatools.errors import ConfigError
from datatools.train.api import (
    LanguageModel,
    RunOptions,
    train_all,
    train_dpo,
    train_pretrain,
    train_reward,
    train_sft,
)

OPTIONS = RunOptions(device="cpu", threads=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model pretrained on the documents, and what training it said."""
    root = tmp_path_factory.mktemp("base")
    dataset = publish_documents(root / "pretrain")
    result = train_pretrain(
        dataset,
        root / "model",
        size=TINY,
        tokens=24_000,
        seed=0,
        batch_tokens=512,
        probes=["The farmer walks", "농부는"],
        options=OPTIONS,
    )
    return root / "model", result


# --------------------------------------------------------------------------------------------------
# Pretraining


def test_pretraining_learns_both_languages(base):
    result = base[1]
    assert result.before.by_language.keys() == {"ko", "en"}
    for language in ("ko", "en"):
        assert result.after.by_language[language] < 0.4 * result.before.by_language[language]
    assert (result.after.documents, result.run.skipped) == (40, 0)
    assert result.run.curve[-1].loss < 0.5 * result.run.curve[0].loss


def test_pretraining_counts_what_it_read(base):
    run = base[1].run
    assert run.steps == 24_000 // 512 == len(run.curve)
    assert run.tokens == run.curve[-1].tokens
    assert run.tokens_per_s == pytest.approx(run.tokens / run.seconds)
    # every token of the 160 documents is read before any is read twice as often
    assert base[1].documents == 160
    assert base[1].epochs > 1


def test_probes_show_what_training_changed(base):
    english, korean = base[1].probes
    assert english.prompt == "The farmer walks"
    before, after = dict(english.before), dict(english.after)
    assert after[" to"] > 0.5
    assert before.get(" to", 0.0) < 0.1
    assert korean.after[0][0][:2] in {" 아", " 비", " 일", " 조"}  # what follows 농부는 there
    assert korean.before[0][0] not in dict(korean.after)


def test_a_saved_model_predicts_as_it_was_measured(base):
    folder, result = base
    model = LanguageModel.load(folder, device="cpu", threads=1)
    assert model.nll([text for text, _ in documents(2)]).shape == (2,)
    assert tuple(model.probe("The farmer walks")) == result.probes[0].after


def test_a_checkpointed_run_ends_with_the_weights_of_a_plain_one(tmp_path):
    dataset = publish_documents(tmp_path / "pretrain", count=40)

    def train(name, **options):
        train_pretrain(
            dataset,
            tmp_path / name,
            size=TINY,
            tokens=2048,
            seed=0,
            probes=[],
            options=replace(OPTIONS, **options),
        )
        return load_file(tmp_path / name / "model.safetensors")

    def stop(done, _end):
        if done == 2:
            raise KeyboardInterrupt

    plain = train("plain")
    kept = {"checkpoints": tmp_path / "checkpoints", "checkpoint_every": 1}
    with pytest.raises(KeyboardInterrupt):
        train("stopped", **kept, progress=stop)
    assert not (tmp_path / "stopped").exists()
    resumed = train("stopped", **kept)
    assert all(torch.equal(weight, resumed[name]) for name, weight in plain.items())


# --------------------------------------------------------------------------------------------------
# Instruction tuning


def test_tuning_learns_to_answer_and_to_stop(base, tmp_path):
    dataset = publish_conversations(tmp_path / "instruct")
    result = train_sft(
        dataset,
        base[0],
        tmp_path / "model",
        seed=0,
        epochs=12,
        batch_tokens=256,
        options=OPTIONS,
    )
    assert result.after.bits_per_byte < 0.3 * result.before.bits_per_byte
    assert result.before.stop_probability < 0.1 < 0.8 < result.after.stop_probability
    # the answer follows from the question, so swapping questions must cost the gain
    assert result.after.gain > result.after.shuffled_gain + 0.1
    assert (result.conversations, result.untrained) == (96, 0)
    assert result.utilisation > 0.7
    assert LanguageModel.load(tmp_path / "model", device="cpu").nll(["하늘"]).shape == (1,)


# --------------------------------------------------------------------------------------------------
# Preferences


@pytest.mark.parametrize("flipped", [False, True])
def test_a_reward_model_learns_the_labels_it_is_given(flipped, base, tmp_path):
    """Flipping the training labels must turn the held-out accuracy around."""
    dataset = publish_pairs(tmp_path / "preference", flipped=flipped)
    result = train_reward(dataset, base[0], tmp_path / "model", seed=0, epochs=5, options=OPTIONS)
    assert result.before.value == 0.5
    assert result.on_train.value > 0.95
    if flipped:
        assert result.after.value < 0.1
        assert result.margin < 0
    else:
        assert result.after.value > 0.9
        assert result.after.low > 0.5
        assert result.margin > 0
    assert (result.pairs, result.truncated, result.after.pairs) == (96, 0, 24)


def test_a_length_rule_is_measured_beside_the_reward_model(base, tmp_path):
    """Both answers are 9 or 6 or 11 characters long here, except in Korean: 5 and 5."""
    turn = {"name": None, "tool_calls": None, "train": None}
    long = [{"role": "assistant", "content": "아주 긴 대답입니다", **turn}]
    short = [{"role": "assistant", "content": "짧다", **turn}]
    rows = [
        {
            "id": str(n),
            "group_id": None,
            "prompt": [{"role": "user", "content": f"{n}?", **turn}],
            "chosen": short if n % 4 else long,
            "rejected": long if n % 4 else short,
        }
        for n in range(40)
    ]
    example = publish_pairs(tmp_path / "example", count=5)
    schema = pl.read_parquet_schema(example / "train-00000-of-00001.parquet")
    dataset = publish(
        tmp_path / "preference",
        "preference",
        {
            "train": pl.DataFrame(rows[:20], schema=schema),
            "validation": pl.DataFrame(rows[20:], schema=schema),
        },
    )
    result = train_reward(dataset, base[0], tmp_path / "model", seed=0, epochs=1, options=OPTIONS)
    assert result.length_only.value == 0.75


def test_direct_preference_begins_at_ln_2_and_learns(base, tmp_path):
    dataset = publish_pairs(tmp_path / "preference")
    result = train_dpo(
        dataset,
        base[0],
        tmp_path / "model",
        seed=0,
        epochs=3,
        learning_rate=5e-4,
        options=OPTIONS,
    )
    assert result.run.curve[0].loss == pytest.approx(math.log(2), abs=1e-5)
    assert result.run.curve[-1].loss < 0.5
    assert result.after.value > 0.9
    assert result.margin > 0.5


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"beta": 0.0}, "beta: must be above 0"), ({"label_smoothing": 0.5}, "label_smoothing")],
)
def test_settings_outside_their_range_are_refused(setting, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        train_dpo(tmp_path, tmp_path, tmp_path / "out", seed=0, **setting)


def test_a_dataset_of_another_kind_is_refused(base, tmp_path):
    dataset = publish_documents(tmp_path / "pretrain", count=10)
    with pytest.raises(ConfigError, match=r"must be a conversation dataset \(got 'document'\)"):
        train_sft(dataset, base[0], tmp_path / "model", seed=0)


def test_without_a_held_out_split_nothing_is_measured(base, tmp_path):
    whole = pl.read_parquet(publish_pairs(tmp_path / "x") / "train-00000-of-00001.parquet")
    dataset = publish(tmp_path / "preference", "preference", {"train": whole})
    result = train_reward(dataset, base[0], tmp_path / "model", seed=0, options=OPTIONS)
    assert (result.before, result.after, result.length_only, result.margin) == (None,) * 4
    result = train_dpo(dataset, base[0], tmp_path / "model2", seed=0, options=OPTIONS)
    assert (result.reference, result.after) == (None, None)


# --------------------------------------------------------------------------------------------------
# Everything


def test_everything_is_trained_from_one_output_folder(tmp_path):
    publish_documents(tmp_path / "texts", count=100)
    publish_conversations(tmp_path / "chats", count=60)
    publish_pairs(tmp_path / "prefs", count=60)
    heard = []
    report = train_all(
        tmp_path,
        pretrain="texts",
        instruct="chats",
        preference="prefs",
        size="smoke",
        tokens=8192,
        seed=0,
        probes=["농부는"],
        options=OPTIONS,
        progress=lambda name, done, end: heard.append((name, done, end)),
    )
    models = tmp_path / "models"
    for name in ("texts", "chats", "prefs"):
        config = json.loads((models / name / "config.json").read_text())
        assert config["architectures"][0].startswith("Qwen3For")
        steps = [(done, end) for which, done, end in heard if which == name]
        assert steps[-1][0] == steps[-1][1] == len(steps)
        assert len((models / f"{name}.jsonl").read_text().splitlines()) == len(steps)

    written = json.loads((models / "train.json").read_text("utf-8"))
    assert written["pretrain"]["after"]["all"] == report.pretrain.after.all
    assert written["instruct"]["after"]["gain"] == report.instruct.after.gain
    assert written["preference"]["length_only"]["value"] == report.preference.length_only.value
    assert written["pretrain"]["probes"][0]["prompt"] == "농부는"
    assert set(written["tokenizer"]["bytes_per_token"]) == {"en", "ko"}
    assert report.pretrain.after.all < report.pretrain.before.all
    assert report.seconds > report.pretrain.run.seconds


def test_a_run_without_conversations_or_pairs_trains_the_base_alone(tmp_path):
    publish_documents(tmp_path / "texts", count=20)
    report = train_all(
        tmp_path, pretrain="texts", size="smoke", tokens=2048, seed=0, options=OPTIONS
    )
    assert (report.instruct, report.preference) == (None, None)
    assert json.loads((tmp_path / "models" / "train.json").read_text())["instruct"] is None
