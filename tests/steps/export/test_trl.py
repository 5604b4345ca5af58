"""What TRL reads: checked by TRL's own rules, and by its trainers taking two steps each."""

import numpy as np
import polars as pl
import pytest

from datatools.errors import DataError
from datatools.records import SCHEMAS
from datatools.steps.export.trl import Trl


def turn(role, content, **fields):
    return {"role": role, "content": content, "train": role == "assistant", **fields}


CONVERSATIONS = [
    [turn("user", "몇 시에 여나요?"), turn("assistant", "9시에 열어요.")],
    [turn("system", "Be brief."), turn("user", "Is it open?"), turn("assistant", "Yes, till ten.")],
    [
        turn("user", "버스는요?"),
        turn("assistant", "3번이요."),
        turn("user", "올 때는요?"),
        turn("assistant", "그것도 3번이요."),
    ],
    [turn("user", "Where is the key?"), turn("assistant", "Under the mat.")],
] * 2
PAIRS = [
    ("몇 시에 여나요?", "9시에 열어요.", "글쎄요."),
    ("Is it open?", "Yes, till ten.", "Yes?"),
    ("열쇠는 어디 있나요?", "매트 아래에 있어요.", "모르겠어요."),
    ("Where is the key?", "Under the mat.", "No idea."),
] * 2


def conversations(rows=CONVERSATIONS) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [str(row) for row in range(len(rows))],
            "messages": rows,
            "url": ["https://site.example"] * len(rows),
            "text": ["rendered"] * len(rows),
        },
        schema_overrides={"messages": SCHEMAS["conversation"]["messages"]},
    )


def preferences(rows=PAIRS) -> pl.DataFrame:
    schema = SCHEMAS["preference"]
    return pl.DataFrame(
        {
            "id": [str(row) for row in range(len(rows))],
            "prompt": [[turn("user", prompt)] for prompt, _, _ in rows],
            "chosen": [[turn("assistant", chosen)] for _, chosen, _ in rows],
            "rejected": [[turn("assistant", rejected)] for _, _, rejected in rows],
            "strength": [1.0] * len(rows),
            "weight": [0.5] * len(rows),
        },
        schema_overrides={name: schema[name] for name in ("prompt", "chosen", "rejected")},
    )


def test_a_conversation_becomes_messages_of_role_and_content_and_nothing_else():
    converted = Trl().convert(conversations(), "conversation")
    assert converted.to_dicts() == [
        {"messages": [{"role": m["role"], "content": m["content"]} for m in messages]}
        for messages in CONVERSATIONS
    ]


def test_a_preference_keeps_its_prompt_apart_from_its_continuations():
    converted = Trl().convert(preferences(), "preference")
    assert converted.to_dicts() == [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        for prompt, chosen, rejected in PAIRS
    ]


def test_a_document_becomes_its_text():
    frame = pl.DataFrame({"id": ["1", "2"], "text": ["가", "b"], "url": ["x", "y"]})
    assert Trl().convert(frame, "document").to_dicts() == [{"text": "가"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("frame", "kind"), [(conversations([]), "conversation"), (preferences([]), "preference")]
)
def test_no_rows_have_the_same_columns_as_many(frame, kind):
    many = {"conversation": conversations(), "preference": preferences()}[kind]
    assert Trl().convert(frame, kind).schema == Trl().convert(many, kind).schema
    assert Trl().convert(frame, kind).height == 0


def test_the_kinds_it_accepts_are_the_kinds_it_converts():
    assert Trl().accepts() == {"document", "conversation", "preference"}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (turn("assistant", "b", tool_calls="[]"), "tool calls"),
        ({"role": "assistant", "content": "b", "train": False}, "untrained"),
    ],
)
def test_what_the_format_cannot_say_stops_the_export_and_names_the_row(message, problem):
    rows = [*CONVERSATIONS[:2], [turn("user", "a"), message]]
    with pytest.raises(DataError, match=rf"1 of 3 rows.*{problem}.*'2'"):
        Trl().convert(conversations(rows), "conversation")


@pytest.mark.slow
def test_trl_sniffs_the_rows_as_what_they_are():
    from trl import data_utils

    for converted in (
        Trl().convert(conversations(), "conversation"),
        Trl().convert(preferences(), "preference"),
    ):
        assert all(data_utils.is_conversational(row) for row in converted.to_dicts())


# -------------------------------------------------------------------------------------------------
# The trainers


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from datatools.chat.templates import load_template

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    template = load_template("chatml")
    tokenizer.train_from_iterator(
        [message["content"] for messages in CONVERSATIONS for message in messages],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=list(template.special_tokens),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = template.source
    return fast


@pytest.fixture
def config(tokenizer):
    from transformers import Qwen3Config

    return Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=256,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
    )


@pytest.fixture
def dataset(tmp_path):
    """Write rows as a published file and read it as a user would."""

    def load(frame: pl.DataFrame, kind):
        import datasets

        Trl().convert(frame, kind).write_parquet(tmp_path / "train-00000-of-00001.parquet")
        return datasets.load_dataset(
            "parquet",
            data_files=str(tmp_path / "*.parquet"),
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )

    return load


@pytest.fixture
def settings(tmp_path):
    return {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "max_length": 128,
        "seed": 0,
    }


def losses(trainer) -> list[float]:
    result = trainer.train()
    assert result.global_step == 2
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(logged) == 2
    assert all(0 < loss < 20 for loss in logged)
    return logged


@pytest.mark.slow
def test_sft_trains_on_the_files_with_the_mask_of_our_template(
    dataset, tokenizer, config, settings
):
    from transformers import Qwen3ForCausalLM
    from trl import SFTConfig, SFTTrainer

    from datatools.chat.templates import load_template, tokens

    trainer = SFTTrainer(
        model=Qwen3ForCausalLM(config),
        args=SFTConfig(assistant_only_loss=True, **settings),
        train_dataset=dataset(conversations(), "conversation"),
        processing_class=tokenizer,
    )
    losses(trainer)
    # What TRL made of the rows is what we say it is, token for token.
    assert len(trainer.train_dataset) == len(CONVERSATIONS)
    template = load_template("chatml")
    for row, messages in zip(trainer.train_dataset, CONVERSATIONS, strict=True):
        ids, mask = tokens(template.render(messages), tokenizer.backend_tokenizer)
        assert row["input_ids"] == ids.tolist()
        assert row["labels"] == np.where(mask, ids, -100).tolist()


@pytest.mark.slow
def test_dpo_trains_on_the_files(dataset, tokenizer, config, settings):
    from transformers import Qwen3ForCausalLM
    from trl import DPOConfig, DPOTrainer

    folder = settings["output_dir"] + "/policy"
    Qwen3ForCausalLM(config).save_pretrained(folder)
    trainer = DPOTrainer(
        model=folder,
        args=DPOConfig(**settings),
        train_dataset=dataset(preferences(), "preference"),
        processing_class=tokenizer,
    )
    # Before the first step policy and reference agree: the loss is ln 2.
    assert losses(trainer)[0] == pytest.approx(0.6931, abs=1e-3)
    assert len(trainer.train_dataset) == len(PAIRS)


@pytest.mark.slow
def test_reward_modelling_trains_on_the_files(dataset, tokenizer, config, settings):
    from transformers import Qwen3ForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    trainer = RewardTrainer(
        model=Qwen3ForSequenceClassification(config),
        args=RewardConfig(**settings),
        train_dataset=dataset(preferences(), "preference"),
        processing_class=tokenizer,
    )
    losses(trainer)
    assert len(trainer.train_dataset) == len(PAIRS)
