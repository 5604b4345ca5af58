import polars as pl
import pydantic
import pytest

from datatools.chat.templates import BUILTIN, SPECIAL_TOKENS, load_template
from datatools.errors import ConfigError
from datatools.records import SCHEMAS
from datatools.steps.base import Batch, Context
from datatools.steps.instruct.format_chat import FormatChat

MESSAGES = SCHEMAS["conversation"]["messages"]


def turns(*said, train=True):
    return [
        {"role": role, "content": content, "train": train and role == "assistant"}
        for role, content in said
    ]


def frame(*conversations) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": [str(row) for row in range(len(conversations))], "messages": list(conversations)},
        schema={"id": pl.String, "messages": MESSAGES},
    )


def run(*conversations, **fields):
    return FormatChat(**fields).bind(Context()).map(Batch(frame(*conversations)))


ENGLISH = turns(("system", "Be brief."), ("user", "Is it open?"), ("assistant", "Until nine."))
KOREAN = turns(
    ("user", "열었나요?"), ("assistant", "네."), ("user", "언제까지?"), ("assistant", "9시.")
)


@pytest.mark.parametrize("template", BUILTIN)
def test_text_and_spans_are_the_templates(template):
    mapped = run(ENGLISH, KOREAN, template=template)
    assert mapped.dropped.to_list() == [None, None]
    assert mapped.df["messages"].to_list() == frame(ENGLISH, KOREAN)["messages"].to_list()
    for row, messages in enumerate((ENGLISH, KOREAN)):
        rendered = load_template(template).render(messages)
        assert mapped.df["text"][row] == rendered.text
        spans = [(span["start"], span["end"]) for span in mapped.df["loss_spans"][row]]
        assert spans == list(rendered.spans)


def test_spans_count_characters_not_bytes():
    row = run(KOREAN).df.row(0, named=True)
    trained = [row["text"][span["start"] : span["end"]] for span in row["loss_spans"]]
    assert trained == ["네.<|im_end|>", "9시.<|im_end|>"]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no_messages"),
        (None, "no_messages"),
        (turns(("user", "a")), "last_turn_not_assistant"),
        (turns(("user", "a"), ("assistant", "b"), ("user", "c")), "last_turn_not_assistant"),
        (turns(("assistant", "a")), "roles_do_not_alternate"),
        (turns(("user", "가"), ("user", "나"), ("assistant", "다")), "roles_do_not_alternate"),
        (turns(("user", "a"), ("assistant", "b"), ("assistant", "c")), "roles_do_not_alternate"),
        (turns(("user", "a"), ("system", "b"), ("assistant", "c")), "roles_do_not_alternate"),
        (turns(("system", "a")), "roles_do_not_alternate"),
        (turns(("user", "a"), ("tool", "b")), "roles_do_not_alternate"),
        (turns(("user", "a"), ("assistant", " ")), "empty_message"),
        (turns(("user", "\u200b"), ("assistant", "네")), "empty_message"),
        (turns(("user", None), ("assistant", "네")), "empty_message"),
        (turns(("user", "a"), ("assistant", "b"), train=False), "nothing_trained"),
        (turns(("user", "끝<|im_end|>"), ("assistant", "b")), "special_token_in_text"),
        (turns(("user", "a"), ("assistant", "b<|endoftext|>")), "special_token_in_text"),
        (turns(("system", "<|im_start|>"), ("user", "a"), ("assistant", "b")),
         "special_token_in_text"),
        ([*turns(("user", "a")), {"role": "assistant", "content": "b", "tool_calls": "[]"}],
         "tool_calls_not_rendered"),
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_is_dropped_with_its_reason(messages, reason):
    mapped = run(messages)
    assert mapped.dropped.to_list() == [reason]
    assert mapped.df.select("text", "loss_spans").row(0) == (None, None)


def test_the_detail_names_the_token_and_the_turn():
    mapped = run(turns(("user", "a"), ("assistant", "b<|im_end|>")))
    assert mapped.detail.to_list() == ["<|im_end|> in turn 1"]


def test_tokens_of_other_templates_are_only_text():
    messages = turns(("user", "<|eot_id|> 가 뭔가요?"), ("assistant", "Llama의 끝 표시예요."))
    assert run(messages, template="chatml").dropped.to_list() == [None]
    assert run(messages, template="llama3").dropped.to_list() == ["special_token_in_text"]


CONTROL_TEXTS = [
    text.replace("{}", token)
    for token in SPECIAL_TOKENS[:20]
    for text in ("{}", "네, {} 맞아요", "ok{}\n{}assistant\nNo!")
]


@pytest.mark.parametrize("template", BUILTIN)
def test_no_text_opens_or_closes_a_turn(template):
    assert len(CONTROL_TEXTS) == 60
    conversations = [turns(("user", text), ("assistant", "네")) for text in CONTROL_TEXTS]
    plain = run(turns(("user", "a"), ("assistant", "네")), template=template).df["text"][0]
    mapped = run(*conversations, template=template)
    special = load_template(template).special_tokens
    for text, reason, rendered in zip(
        CONTROL_TEXTS, mapped.dropped, mapped.df["text"], strict=True
    ):
        assert (reason is not None) == any(token in text for token in special)
        for token in special:
            assert rendered is None or rendered.count(token) == plain.count(token)
    assert mapped.dropped.null_count() not in (0, 60)


def test_a_template_of_ones_own_is_read_from_its_file(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        "utf-8",
    )
    step = FormatChat(template=str(path), stop_token="</s>")
    mapped = step.bind(Context()).map(Batch(frame(KOREAN)))
    text = "user: 열었나요?</s>\nassistant: 네.</s>\nuser: 언제까지?</s>\nassistant: 9시.</s>\n"
    assert mapped.df["text"].to_list() == [text]
    trained = [text[span["start"] : span["end"]] for span in mapped.df["loss_spans"][0]]
    assert trained == ["네.</s>", "9시.</s>"]
    before = step.digests()
    path.write_text(path.read_text("utf-8").replace("\n", " "), "utf-8")
    assert step.digests() != before


def test_a_template_that_refuses_or_runs_over_costs_its_row(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text(
        "{% for m in messages %}"
        "{% if '거절' in m.content %}{{ raise_exception('싫어요') }}{% endif %}"
        "{% if '반복' in m.content %}{% for i in range(99999) %}{% for j in range(99999) %}"
        "{% endfor %}{% endfor %}{% endif %}"
        "{{ m.role }}: {{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        "utf-8",
    )
    rows = [turns(("user", text), ("assistant", "네")) for text in ("좋아", "거절", "반복")]
    mapped = run(*rows, template=str(path), stop_token="</s>")
    assert mapped.dropped.to_list() == [None, "template_refused", None]
    assert mapped.quarantined.to_list() == [None, None, "template_over_limit"]
    assert "싫어요" in mapped.detail[1]


def test_a_misspelt_template_is_refused_with_the_nearest_name():
    with pytest.raises(pydantic.ValidationError, match="Did you mean 'chatml'"):
        FormatChat(template="chat-ml")


def test_a_file_without_a_stop_token_is_refused_when_bound(tmp_path):
    path = tmp_path / "own.jinja"
    path.write_text("{{ messages[0].content }}", "utf-8")
    with pytest.raises(ConfigError, match="needs its stop token"):
        FormatChat(template=str(path)).bind(Context())


def test_batches_may_be_cut_anywhere():
    rows = [ENGLISH, turns(("user", "a")), KOREAN]
    whole = run(*rows)
    parts = [run(row) for row in rows]
    assert pl.concat([part.df.drop("id") for part in parts]).equals(whole.df.drop("id"))
    assert pl.concat([part.dropped for part in parts]).equals(whole.dropped)


def test_the_columns_it_declares_are_the_columns_it_adds():
    added = run(KOREAN).df.drop("id", "messages").schema
    assert dict(added) == dict(FormatChat().adds())
