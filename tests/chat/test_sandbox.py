"""Templates that format, templates that try to leave, and templates that never end."""

from importlib.resources import files

import pytest
from endless import soon
from hypothesis import given
from hypothesis import strategies as st

from datatools.chat.sandbox import (
    MAX_OUTPUT_CHARS,
    ConversationRefusedError,
    TemplateLimitError,
    compile_template,
)
from datatools.errors import ConfigError

TURNS = [
    {"role": "user", "content": " 안녕? "},
    {"role": "assistant", "content": "네, hi"},
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": "끝"},
]


def render(source: str, **values) -> str:
    return compile_template(source, "test.jinja").render({"messages": TURNS, **values})[0]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for m in messages %}{{ m.role[0] }}{{ loop.index }} {% endfor %}", "u1 a2 u3 a4 "),
        ("{% for m in messages %}{% if loop.last %}{{ m['content'] }}{% endif %}{% endfor %}",
         "끝"),
        ("{{ messages[0].content | trim }}|{{ messages | length }}", "안녕?|4"),
        ("{{ messages[::-1][0].content }}", "끝"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
         "{% endfor %}{{ ns.n }}", "4"),
        ("{% macro say(m) %}<{{ m.content.strip() }}>{% endmacro %}{{ say(messages[0]) }}",
         "<안녕?>"),
        ("{{ messages[1].content.split(', ')[-1].upper() }}", "HI"),
        ("{{ 'a' ~ 1 ~ none }}{{ ['b', 'c'] | join('-') }}{{ 'aXa' | replace('X', 'yy') }}",
         "a1Noneb-cayya"),
        ("{{ {'k': ['가', 1.5, true, none]} | tojson }}", '{"k": ["가", 1.5, true, null]}'),
        ("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}",
         "[' 안녕? ', 'x']"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{% for i in range(5) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}"
         "{% endif %}{{ i }}{% endfor %}", "02"),
        ("{{ tools is defined }} {{ x is none }} {{ 'a' is string }} {{ strftime_now is defined }}",
         "False False True False"),
        ("{{ 7 // 2 }} {{ 7 % 2 }} {{ 2 * 3 - 1 }} {{ 'b' in 'abc' }}", "3 1 5 True"),
        ("{% set x %}a{{ 1 }}{% endset %}{{ x }}{% filter upper %}b{% endfilter %}", "a1B"),
    ],
)  # fmt: skip
def test_what_templates_need_works(source, text):
    assert render(source) == text


BREAKOUTS = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "computed name": "{{ messages[0]['role']['__cla' ~ 'ss__'] }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "format filter": "{{ '%s' | format(messages) }}",
    "attr filter": "{{ messages | attr('__class__') }}",
    "map to attribute": "{{ [messages] | map(attribute='__class__') | list }}",
    "globals of a global": "{{ namespace.__init__.__globals__['os'].popen('id').read() }}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "lipsum": "{{ lipsum.__globals__['os'] }}",
    "self": "{{ self._TemplateReference__context.environment }}",
    "raise_exception": "{{ raise_exception.__globals__ }}",
    "macro": "{% macro m() %}{% endmacro %}{{ m.__init__ }}",
    "loop": "{% for m in messages %}{{ loop._iterator }}{% endfor %}",
    "import": "{% import 'os' as os %}{{ os }}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "change": "{% set _ = messages.append(1) %}",
    "printed object": "{{ range }}",
    "namespace": "{% set ns = namespace(__class__=1) %}{{ ns }}",
    "namespace item": "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "type of a method": "{{ messages[0].content.upper.__self__ }}",
    "async": "{{ messages.__aiter__() }}",
    "generator frame": "{{ (messages | map('upper')).gi_frame.f_globals }}",
    "string format map": "{{ '{a}'.format_map({'a': 1}) }}",
}


@pytest.mark.parametrize("source", BREAKOUTS.values(), ids=BREAKOUTS.keys())
def test_attempts_to_leave_are_configuration_errors(source):
    with pytest.raises(ConfigError, match=r"test\.jinja"):
        render(source)


def test_an_attempt_hidden_behind_a_condition_is_found_before_anything_is_rendered():
    hidden = "{% if messages | length > 99 %}{{ ''.__class__ }}{% endif %}"
    with pytest.raises(ConfigError, match="underscore"):
        compile_template(hidden, "test.jinja")


ENDLESS = {
    "ranges": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "large range": "{% for a in range(10 ** 9) %}x{% endfor %}",
    "large range without a loop": "{{ range(1000000000) | list }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "branching recursion": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}"
    "{% endmacro %}{{ f(60) }}",
    "recursive loop": "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
    "repeated string": "{{ 'a' * 10000000000 }}",
    "repeated list": "{{ [1] * 10000000000 }}",
    "doubling string": "{% set ns = namespace(s='x') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "doubling string by tilde": "{% set ns = namespace(s='x') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "doubling list": "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}"
    "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "doubling nest": "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}"
    "{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
    "doubling dict": "{% set ns = namespace(s=1) %}{% for i in range(60) %}"
    "{% set ns.s = {'a': ns.s, 'b': ns.s} %}{% endfor %}{{ ns.s | tojson }}",
    "doubling block": "{% set ns = namespace(s='x') %}{% for i in range(60) %}"
    "{% set b %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = b %}{% endfor %}",
    "replace": "{% set ns = namespace(s='aa') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}",
    "join": "{% set ns = namespace(s='aa') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s.join([ns.s, ns.s, ns.s]) %}{% endfor %}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "growing integer": "{% set ns = namespace(n=7) %}{% for i in range(99999) %}"
    "{% set ns.n = ns.n * ns.n %}{% endfor %}",
    "padding": "{{ 'a'.ljust(10000000000) }}",
    "padding filter": "{{ 'a' | center(10000000000) }}",
    "batch filter": "{{ [1] | batch(10000000000, 0) | list }}",
    "output": "{% for i in range(99999) %}" + "x" * 9000 + "{% endfor %}",
    "comparisons": "{% set x = 'ab' * 1 %}{% for i in range(99999) %}{% for j in range(9999) %}"
    "{{ x in x }}{% endfor %}{% endfor %}",
    "indent of json": "{{ messages | tojson(indent=1000000000) }}",
    "self-holding namespace": "{% set ns = namespace() %}{% set ns.s = ns %}{{ ns }}",
}  # fmt: skip


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_templates_that_never_end_or_blow_up_are_stopped_soon(source):
    with soon(), pytest.raises((ConfigError, TemplateLimitError)):
        render(source)


def test_the_same_template_is_stopped_at_the_same_place_every_time():
    source = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    errors = []
    for _ in range(2):
        with pytest.raises(TemplateLimitError) as stopped:
            render(source)
        errors.append(str(stopped.value))
    assert errors[0] == errors[1]


def test_a_long_conversation_is_not_endless():
    turns = [{"role": "user", "content": "한" * 1000}] * 10_000
    source = "{% for m in messages %}{{ '<' + m.content | trim + '>' }}{% endfor %}"
    text = compile_template(source, "t").render({"messages": turns})[0]
    assert len(text) == 10_000 * 1002


def test_one_message_may_fill_the_output_and_not_more():
    source = "{{ messages[0].content }}"
    template = compile_template(source, "t")
    for length, fits in ((MAX_OUTPUT_CHARS, True), (MAX_OUTPUT_CHARS + 1, False)):
        values = {"messages": [{"content": "x" * length}]}
        if fits:
            assert len(template.render(values)[0]) == length
        else:
            with pytest.raises(TemplateLimitError):
                template.render(values)


def test_a_template_may_refuse_a_conversation():
    with pytest.raises(ConversationRefusedError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{% for %}", "cannot be compiled"),
        ("{{ x | nosuchfilter }}", "cannot be compiled"),
        ("{{ messages[0].nosuch.further }}", "fails"),
        ("{{ none + 'a' }}", "fails"),
        ("{{ strftime_now('%Y') }}", "strftime_now"),
        ("x" * (64 * 1024 + 1), "longer than 65,536 bytes"),
        ("{{" + "(" * 400 + ")" * 400 + "}}", "cannot be compiled"),
        (
            "{% macro m() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ m() }}",
            "inside a macro",
        ),
        ("{% set b %}{% generation %}x{% endgeneration %}{% endset %}{{ b }}", "a macro"),
    ],
)
def test_templates_that_cannot_work_say_what_is_wrong(source, problem):
    with pytest.raises(ConfigError, match=problem):
        render(source)


def test_generation_blocks_are_found_where_they_land():
    source = (
        "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content }}.{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n"
        "{% endfor %}"
    )
    text, spans = compile_template(source, "t").render({"messages": TURNS})
    assert [text[start:end] for start, end in spans] == ["네, hi.", "끝."]


@given(st.text())
def test_text_is_a_value_and_never_a_template(text):
    turns = [{"role": "user", "content": text + "{{ 7 * 7 }}{% for %}"}]
    rendered = compile_template("{{ messages[0].content }}", "t").render({"messages": turns})[0]
    assert rendered == turns[0]["content"]


def _peer_templates():
    folder = files("trl") / "chat_templates"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".jinja"))
    return [(name, (folder / name).read_text("utf-8")) for name in names]


# Their text holds today's date, which a reproducible dataset must not.
CLOCKED = {"gptoss", "llama3_2", "muse_glimmer"}
# They read images: neither side renders plain text with them.
VISUAL = {"llava_next"}


def test_released_templates_render_as_transformers_renders_them():
    from transformers.utils.chat_template_utils import render_jinja_template

    compared = 0
    for file_name, source in _peer_templates():
        if file_name.removesuffix(".jinja").removesuffix("_training") in CLOCKED | VISUAL:
            continue
        marked = "{% generation" in source or "{%- generation" in source
        for add_generation_prompt in (False, True):
            turns = TURNS[:3] if add_generation_prompt else TURNS
            options = {
                "bos_token": "<bos>",
                "eos_token": "<eos>",
                "add_generation_prompt": add_generation_prompt,
            }
            peer_texts, peer_spans = render_jinja_template(
                [turns], chat_template=source, return_assistant_tokens_mask=marked, **options
            )
            values = {"messages": turns, "tools": None, "documents": None, **options}
            text, spans = compile_template(source, file_name).render(values)
            assert text == peer_texts[0], file_name
            if marked:
                assert [tuple(span) for span in peer_spans[0]] == list(spans), file_name
            compared += 1
    assert compared >= 120
