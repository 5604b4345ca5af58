"""The text is what transformers renders; the mask is what a reader would draw."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.chat.sandbox import ConversationRefusedError
from datatools.chat.templates import (
    BUILTIN,
    SPECIAL_TOKENS,
    ChatTemplate,
    Rendered,
    find_special_token,
    is_prefix_preserving,
    load_template,
    only_assistant_is_trained,
    stop_token_is_trained,
    tokens,
)
from datatools.errors import ConfigError

ENGLISH = ["Which bus goes\nto the zoo?", "Bus 3. It leaves at ten.", "And back?", "Bus 3, too."]
KOREAN = ["동물원에 가는\n버스는요?", "3번이요. 10시에 출발해요.", "올 때는요?", "같은 3번이요."]
CONTENT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: text.strip() and find_special_token(text, SPECIAL_TOKENS) is None
)


def turns(contents, *, system=None, train=None):
    messages = [{"role": "system", "content": system}] if system else []
    for turn, content in enumerate(contents):
        role = ("user", "assistant")[turn % 2]
        messages.append({"role": role, "content": content, "train": train})
    return messages


def trained(rendered: Rendered) -> list[str]:
    return [rendered.text[start:end] for start, end in rendered.spans]


@pytest.fixture(scope="module")
def tokenizer():
    """A byte-level BPE of 400 merges with every template's special tokens, trained here."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    special = sorted({token for name in BUILTIN for token in load_template(name).special_tokens})
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        (ENGLISH + KOREAN) * 20,
        trainers.BpeTrainer(
            vocab_size=400 + len(special),
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return tokenizer


@pytest.fixture(scope="module")
def peer(tokenizer):
    from transformers import PreTrainedTokenizerFast

    def make(name: str):
        template = load_template(name)
        fast = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token=template.bos_token or None
        )
        fast.chat_template = template.source
        return fast

    return make


@pytest.mark.parametrize("name", BUILTIN)
@pytest.mark.parametrize("contents", [ENGLISH, KOREAN, ENGLISH[:2], KOREAN[:2]])
@pytest.mark.parametrize("system", [None, "짧게 답하세요. Be brief."])
def test_the_text_is_what_transformers_renders(peer, name, contents, system):
    template, fast = load_template(name), peer(name)
    for count in range(1, len(contents) + 1):
        messages = turns(contents[:count], system=system)
        plain = [{"role": m["role"], "content": m["content"]} for m in messages]
        for generate in (False, True):
            assert template.render(messages, add_generation_prompt=generate).text == (
                fast.apply_chat_template(plain, tokenize=False, add_generation_prompt=generate)
            )


@settings(deadline=None)
@given(st.sampled_from(BUILTIN), st.lists(CONTENT, min_size=2, max_size=6))
def test_the_text_is_what_transformers_renders_whatever_is_said(name, contents):
    from transformers.utils.chat_template_utils import render_jinja_template

    template = load_template(name)
    plain = [{"role": m["role"], "content": m["content"]} for m in turns(contents)]
    (text,), _ = render_jinja_template(
        [plain], chat_template=template.source, bos_token=template.bos_token
    )
    assert template.render(plain).text == text


@pytest.mark.parametrize(
    ("name", "peer_file"),
    [("qwen", "qwen2_5"), ("llama3", "llama3"), ("gemma", "gemma"), ("gemma", "gemma3")],
)
@pytest.mark.parametrize("contents", [ENGLISH, KOREAN])
def test_the_text_is_what_the_released_template_renders(name, peer_file, contents):
    from importlib.resources import files

    from transformers.utils.chat_template_utils import render_jinja_template

    source = (files("trl") / "chat_templates" / f"{peer_file}.jinja").read_text("utf-8")
    template = load_template(name)
    systems = [None] if peer_file == "gemma" else [None, "짧게."]
    for system in systems:
        plain = [
            {"role": m["role"], "content": m["content"]} for m in turns(contents, system=system)
        ]
        (text,), _ = render_jinja_template(
            [plain], chat_template=source, bos_token=template.bos_token
        )
        assert template.render(plain).text == text


def test_chatml_written_out():
    text = load_template("chatml").render(turns(["몇 시?", "9시."], system="짧게.")).text
    assert text == (
        "<|im_start|>system\n짧게.<|im_end|>\n<|im_start|>user\n몇 시?<|im_end|>\n"
        "<|im_start|>assistant\n9시.<|im_end|>\n"
    )


@pytest.mark.parametrize("name", BUILTIN)
@pytest.mark.parametrize("contents", [ENGLISH, KOREAN])
def test_the_loss_covers_each_answer_with_its_stop_token_and_nothing_else(name, contents):
    template = load_template(name)
    rendered = template.render(turns(contents, system="시스템 system"))
    stop = {"llama3": "<|eot_id|>", "gemma": "<end_of_turn>"}.get(name, "<|im_end|>")
    assert trained(rendered) == [contents[1] + stop, contents[3] + stop]


@pytest.mark.parametrize("name", BUILTIN)
def test_a_message_that_is_not_trained_is_left_out_of_the_loss(name):
    messages = turns(KOREAN)
    messages[1]["train"] = False
    assert [text[: len(KOREAN[3])] for text in trained(load_template(name).render(messages))] == [
        KOREAN[3]
    ]


@settings(deadline=None)
@given(st.sampled_from(BUILTIN), st.lists(CONTENT, min_size=2, max_size=6))
def test_every_claim_holds_for_the_built_in_templates(name, contents):
    template = load_template(name)
    messages = turns(contents[: len(contents) // 2 * 2])
    assert stop_token_is_trained(template, template.render(messages))
    assert only_assistant_is_trained(template, messages)
    assert is_prefix_preserving(template, messages)


@pytest.mark.parametrize("name", BUILTIN)
@pytest.mark.parametrize("contents", [ENGLISH, KOREAN])
def test_token_masks_are_those_of_transformers(tokenizer, peer, name, contents):
    messages = turns(contents)
    ids, mask = tokens(load_template(name).render(messages), tokenizer)
    expected = peer(name).apply_chat_template(
        [{"role": m["role"], "content": m["content"]} for m in messages],
        return_assistant_tokens_mask=True,
        return_dict=True,
    )
    assert ids.tolist() == expected["input_ids"]
    assert mask.astype(int).tolist() == expected["assistant_masks"]
    assert tokenizer.decode(ids[mask].tolist(), skip_special_tokens=True) == (
        contents[1] + contents[3]
    )


def test_a_token_that_straddles_the_boundary_is_not_trained():
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"ab": 0, "c": 1, "d": 2}, unk_token="d"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    _, mask = tokens(Rendered("ab c d", ((1, 4),)), tokenizer)
    assert mask.tolist() == [False, True, False]


def test_a_blank_token_before_the_answer_is_not_trained_and_one_inside_is():
    class Encoding:
        ids = [0, 1, 2, 3, 4]  # noqa: RUF012
        offsets = [(0, 4), (5, 5), (5, 8), (9, 9), (9, 10)]  # noqa: RUF012

    class Trimming:
        def encode(self, text, add_special_tokens):
            return Encoding

    # "user\nyes x" with offsets trimmed of white space, as RoBERTa's tokenizer gives them.
    _, mask = tokens(Rendered("user\nyes x", ((5, 10),)), Trimming())
    assert mask.tolist() == [False, False, True, True, True]


# -------------------------------------------------------------------------------------------------
# Templates from files

HEAD = "{% for m in messages %}<|{{ m.role }}|>"
MARKED = HEAD + (
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</s>{% endgeneration %}"
    "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
UNMARKED = HEAD + (
    "{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def template_file(tmp_path):
    def write(source: str) -> str:
        path = tmp_path / "own.jinja"
        path.write_text(source, "utf-8")
        return str(path)

    return write


@pytest.mark.parametrize("source", [MARKED, UNMARKED])
def test_a_file_is_masked_with_and_without_marks(template_file, source):
    template = load_template(template_file(source), "</s>")
    assert trained(template.render(turns(KOREAN))) == [
        "3번이요. 10시에 출발해요.</s>",
        "같은 3번이요.</s>",
    ]
    messages = turns(ENGLISH)
    messages[3]["train"] = False
    assert trained(template.render(messages)) == [ENGLISH[1] + "</s>"]


def released(name: str) -> str:
    from importlib.resources import files

    return str(files("trl") / "chat_templates" / f"{name}.jinja")


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("qwen3_training", True),
        ("qwen3_instruct_2507", False),
        ("llama3_training", True),
        ("diffusion_gemma_training", True),  # marks the answer and its end in two blocks
    ],
)
@pytest.mark.parametrize("contents", [ENGLISH, KOREAN])
def test_released_templates_that_can_be_masked_are(name, marked, contents):
    stop = {"llama3": "<|eot_id|>", "diffusion": "<turn|>"}.get(name.split("_")[0], "<|im_end|>")
    template = load_template(released(name), stop)
    assert template.marked == marked
    said = [text.rstrip() for text in trained(template.render(turns(contents)))]
    assert len(said) == 2
    for text, content in zip(said, contents[1::2], strict=True):
        assert text.endswith(content + stop)


def test_a_released_template_that_drops_old_thoughts_cannot_be_masked():
    with pytest.raises(ConfigError, match="is not a prefix of the whole"):
        load_template(released("qwen3"), "<|im_end|>")


def test_special_tokens_are_found_in_the_file(template_file):
    template = load_template(template_file(MARKED), "</s>")
    assert template.special_tokens == ("</s>", "<|assistant|>")
    opened = MARKED.replace("<|{{ m.role }}|>", "<start_of_turn>{{ m.role }}[INST]")
    opened = opened.replace("<|assistant|>", "<start_of_turn>assistant[INST]")
    template = load_template(template_file(opened), "</s>")
    assert template.special_tokens == ("</s>", "<start_of_turn>", "[INST]")


@pytest.mark.parametrize(
    ("source", "stop", "problem"),
    [
        (MARKED, None, "needs its stop token"),
        (MARKED, "<|im_end|>", "does not end every assistant turn with the stop token"),
        (
            MARKED.replace("</s>{% endgeneration %}", "{% endgeneration %}</s>"),
            "</s>",
            "does not end every assistant turn with the stop token",
        ),
        (
            HEAD + "{% generation %}{{ m.content }}</s>{% endgeneration %}{% endfor %}",
            "</s>",
            "marks 4 ranges in 2 assistant turns",
        ),
        (
            MARKED.replace(
                "{{ m.content }}</s>{% endgen", "{{ messages[0].content }}</s>{% endgen"
            ),
            "</s>",
            "trains on what the user wrote",
        ),
        ("{{ messages | length }}" + MARKED, "</s>", "does not render the beginning"),
        ("{{ messages | length }}" + UNMARKED, "</s>", "is not a prefix of the whole"),
        ("{{ raise_exception('no Korean') }}", "</s>", "no Korean"),
        ("{{ ''.__class__ }}" + MARKED, "</s>", "underscore"),
        ("{% for %}", "</s>", "cannot be compiled"),
    ],
)
def test_a_file_that_fails_a_check_is_refused_before_any_row(template_file, source, stop, problem):
    with pytest.raises(ConfigError, match=problem):
        load_template(template_file(source), stop)


def test_names_and_paths_that_do_not_exist_are_named():
    with pytest.raises(ConfigError, match="Did you mean chatml"):
        load_template("chatmll")
    with pytest.raises(ConfigError, match="No such file"):
        load_template("nowhere/own.jinja", "</s>")


def test_a_file_that_changed_is_read_again(template_file):
    assert load_template(template_file(MARKED), "</s>").marked
    assert not load_template(template_file(UNMARKED), "</s>").marked


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_bytes("가".encode("cp949"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_template(str(path), "</s>")


def test_gemma_refuses_roles_that_do_not_alternate():
    with pytest.raises(ConversationRefusedError, match="alternate"):
        load_template("gemma").render([{"role": "user", "content": "a"}] * 2)


def test_a_template_travels_between_processes():
    import pickle

    template = load_template("gemma")
    copy = pickle.loads(pickle.dumps(template))
    assert isinstance(copy, ChatTemplate)
    assert copy.render(turns(KOREAN)) == template.render(turns(KOREAN))


def test_the_folder_of_templates_holds_the_built_in_ones():
    import datatools

    folder = Path(datatools.__file__).parent / "chat" / "chat_templates"
    assert {path.stem for path in folder.glob("*.jinja")} == set(BUILTIN)
