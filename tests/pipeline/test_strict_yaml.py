import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.errors import ConfigError
from datatools.pipeline.strict_yaml import MAX_BYTES, MAX_DEPTH, parse

# --------------------------------------------------------------------------------------------------
# Scalars: YAML 1.2's core schema, where PyYAML reads YAML 1.1

SCALARS = {
    # the Norway problem: words stay words
    "no": "no",
    "NO": "NO",
    "yes": "yes",
    "on": "on",
    "off": "off",
    "y": "y",
    "true": True,
    "True": True,
    "FALSE": False,
    "tRUE": "tRUE",
    "null": None,
    "~": None,
    "": None,
    "nil": "nil",
    # numbers
    "10": 10,
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "+5": 5,
    "-0": 0,
    "1_000": "1_000",
    "0b11": "0b11",
    "1e-5": 1e-5,
    "1E5": 1e5,
    "1.": 1.0,
    ".5": 0.5,
    "-.5e2": -50.0,
    "1.5.2": "1.5.2",
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775807": -(2**63) + 1,
    # sexagesimals and dates stay as they are
    "12:30": "12:30",
    "1:30:00": "1:30:00",
    "2026-09-01": "2026-09-01",
    # what only YAML 1.1 or other tools know
    "=": "=",
    ".inf": ".inf",
    ".nan": ".nan",
    "0x": "0x",
    "0o8": "0o8",
    "한국어": "한국어",
    "'10'": "10",
    '"true"': "true",
    '"\\u0041\\n"': "A\n",
    "!!str 10": "10",
}


@pytest.mark.parametrize("text", list(SCALARS))
def test_a_scalar_is_what_yaml_1_2_says(text):
    got = parse(f"key: {text}", "f.yaml").value["key"]
    assert got == SCALARS[text]
    assert type(got) is type(SCALARS[text])


def test_a_float_that_is_too_large_is_infinite_and_not_an_error():
    assert math.isinf(parse("a: 1e999", "f.yaml").value["a"])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"], exclude_characters="\ufeff")
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc가", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_json_is_read_as_json(value):
    # YAML 1.2 holds JSON. PyYAML cannot take what lies beyond the basic plane in escapes, so plain.
    text = json.dumps(value, ensure_ascii=False)
    got = parse(text, "f.yaml").value
    assert json.dumps(got, sort_keys=True) == json.dumps(value, sort_keys=True)


# --------------------------------------------------------------------------------------------------
# Lines

TEXT = """\
# a comment
name: x

steps:
  - Read: {paths: [a,
      b]}
  -
    Split:
      validation: 0.1
text: |
  two
  lines
last: {a: {b: 1}}
"""


def test_every_value_has_its_line_and_a_mappings_value_that_of_its_key():
    document = parse(TEXT, "f.yaml")
    expected = {
        (): 2,
        ("name",): 2,
        ("steps",): 4,
        ("steps", 0): 5,
        ("steps", 0, "Read"): 5,
        ("steps", 0, "Read", "paths"): 5,
        ("steps", 0, "Read", "paths", 0): 5,
        ("steps", 0, "Read", "paths", 1): 6,
        ("steps", 1): 8,
        ("steps", 1, "Split"): 8,
        ("steps", 1, "Split", "validation"): 9,
        ("text",): 10,
        ("last",): 13,
        ("last", "a"): 13,
        ("last", "a", "b"): 13,
    }
    assert dict(document.lines) == expected
    assert document.line(("steps", 1, "Split", "valdation")) == 8
    assert document.line(("nowhere", 7)) == 2


# --------------------------------------------------------------------------------------------------
# What is refused

REFUSED = {
    "twice": ("a: 1\nb: 2\na: 3", "f.yaml:3: has the key 'a' twice. Remove one of them."),
    "twice by escape": (
        'a: 1\n"\\u0061": 3',
        "f.yaml:2: has the key 'a' twice. Remove one of them.",
    ),
    "deep twice": ("x:\n  a: 1\n  a: 1", "f.yaml:3: has the key 'a' twice. Remove one of them."),
    "anchor": ("a: &x 1", "f.yaml:1: uses an anchor or alias. Write the value out."),
    "alias": ("a: *x", "f.yaml:1: uses an anchor or alias. Write the value out."),
    "merge": ("a: {<<: *x}", "f.yaml:1: uses an anchor or alias. Write the value out."),
    "anchored list": ("a: &x [1]", "f.yaml:1: uses an anchor or alias. Write the value out."),
    "two documents": (
        "a: 1\n---\nb: 2",
        "f.yaml:2: holds more than one document. Keep one pipeline per file.",
    ),
    "python tag": (
        "a: !!python/object/apply:os.system [ls]",
        "f.yaml:1: uses the tag 'tag:yaml.org,2002:python/object/apply:os.system'. Plain values "
        "need no tag.",
    ),
    "own tag": ("a: !x 1", "f.yaml:1: uses the tag '!x'. Plain values need no tag."),
    "bare tag": ("a: ! 1", "f.yaml:1: uses the tag '!'. Plain values need no tag."),
    "int tag": (
        "a: !!int 1",
        "f.yaml:1: uses the tag 'tag:yaml.org,2002:int'. Plain values need no tag.",
    ),
    "redefined tag": (
        "%TAG ! tag:x,2000:\n--- !a b",
        "f.yaml:2: uses the tag 'tag:x,2000:a'. Plain values need no tag.",
    ),
    "number as key": ("1: a", "f.yaml:1: has a key that is not a word (got 1). Quote it."),
    "true as key": ("true: a", "f.yaml:1: has a key that is not a word (got True). Quote it."),
    "empty key": ("~: a", "f.yaml:1: has a key that is not a word (got None). Quote it."),
    "list as key": ("? [a]\n: b", "f.yaml:1: has a key that is not a word (got []). Quote it."),
    "map as key": ("{a: 1}: b", "f.yaml:1: has a key that is not a word (got {}). Quote it."),
    "tab": ("a:\n\tb: 1", "f.yaml:2: is not valid YAML: found character '\\t' that cannot start"),
    "unclosed": ("a: [1, 2\nb: 3", "f.yaml:2: is not valid YAML: expected ',' or ']', but got ':'"),
    "unclosed quote": (
        'a: "x\nb: 1\n',
        "f.yaml:3: is not valid YAML: found unexpected end of stream.",
    ),
    "bad indent": ("a: 1\n  b: 2", "f.yaml:2: is not valid YAML: mapping values are not allowed"),
    "nul": ("a: 1\0", "f.yaml: is not valid YAML: unacceptable character #x0000"),
    "lone surrogate": ("a: \ud800", "f.yaml: is not valid YAML: unacceptable character #xd800"),
    "escaped surrogate": (
        'a:\n- "\\uD800"',
        "f.yaml:2: holds half of a surrogate pair, which is no character. Write a value that can "
        "be stored.",
    ),
    "no character": ('a: "\\U00110000"', "f.yaml: is not valid YAML: chr() arg not in range"),
    "far from a character": (
        'a: "\\UFFFFFFFF"',
        "f.yaml: is not valid YAML: Python int too large to convert to C int.",
    ),
    "large integer": (
        "a: 1\nseed: 9223372036854775808",
        "f.yaml:2: holds an integer of more than 64 bits. Write a value that can be stored.",
    ),
    "huge integer": (
        "a: " + "9" * 5000,
        "f.yaml:1: holds an integer of more than 64 bits. Write a value that can be stored.",
    ),
    "huge hexadecimal": (
        "a: 0x" + "f" * 90_000,
        "f.yaml:1: holds an integer of more than 64 bits. Write a value that can be stored.",
    ),
    "wrong version": (
        "%YAML 2.0\n---\na: 1",
        "f.yaml:1: is not valid YAML: found incompatible YAML document",
    ),
    "huge version": ("%YAML " + "9" * 5000 + ".1\n---\na: 1", "f.yaml: is not valid YAML: "),
    "large": ("a: " + "x" * MAX_BYTES, "f.yaml: is larger than 1048576 bytes. Is it a pipeline"),
    "deep list": ("[" * 100_000, f"f.yaml:1: is not valid YAML: nests deeper than {MAX_DEPTH}"),
    "deep map": ('{"a":' * 100_000, f"f.yaml:1: is not valid YAML: nests deeper than {MAX_DEPTH}"),
    "deep blocks": ("- " * 5000, f"f.yaml:1: nests deeper than {MAX_DEPTH} levels. A pipeline is"),
    "deep keys": (
        "\n".join(" " * i + "a:" for i in range(200)),
        f"f.yaml:{MAX_DEPTH + 1}: nests deeper than {MAX_DEPTH} levels. A pipeline is flat.",
    ),
}
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED["alias bomb"] = (BOMB, "f.yaml:1: uses an anchor or alias. Write the value out.")


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_a_pipeline_does_not_need_is_refused_with_its_line_and_at_once(name):
    text, message = REFUSED[name]
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert time.process_time() - started < 0.2
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 400


def test_nesting_at_the_limit_is_read():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(text, "f.yaml").value == json.loads(text)
    with pytest.raises(ConfigError):
        parse("[" + text + "]", "f.yaml")


def test_brackets_in_a_text_are_no_nesting():
    assert parse(f"a: '{'[' * 500}'", "f.yaml").value == {"a": "[" * 500}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "--- ~\n...\n"])
def test_an_empty_file_is_nothing(text):
    assert parse(text, "f.yaml").value is None


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert parse("\ufeffname: x", "f.yaml").value == {"name": "x"}


def outcome(text, name):
    """Return the value of a text, or the error that refuses it."""
    try:
        return parse(text, name).value
    except ConfigError as error:
        return error


@given(st.text(max_size=60) | st.text("[]{}:,-?&*!|>'\"%@` \n\t#a1~\\<", max_size=40))
def test_any_text_is_a_value_or_a_config_error(text):
    value = outcome(text, "f.yaml")
    if isinstance(value, ConfigError):
        assert str(value).startswith("f.yaml")
    else:
        json.dumps(value)


def drawn(text):
    """Undo the marks that the YAML test suite draws invisible characters with."""
    for mark, meant in (("␣", " "), ("↵", ""), ("←", "\r"), ("⇔", "\ufeff"), ("∎\n", "")):
        text = text.replace(mark, meant)
    while "—»" in text:
        text = text.replace("—»", "»")
    return text.replace("»", "\t")


@pytest.mark.shared
def test_no_hostile_file_is_anything_but_a_value_or_a_config_error(shared_dir):
    files = sorted((shared_dir / "badinputs/yaml-test-suite/src").glob("*.yaml"))
    files += sorted((shared_dir / "badinputs/generated/files").glob("yaml_*"))
    assert len(files) > 350
    texts = []
    for file in files:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        texts.append((file.name, text))
        if file.parent.name == "src":
            cases = parse(text, file.name).value
            texts += [(file.name, drawn(case["yaml"])) for case in cases if "yaml" in case]
    assert len(texts) > 700
    refused = 0
    for name, text in texts:
        started = time.process_time()
        value = outcome(text, name)
        if isinstance(value, ConfigError):
            refused += 1
            assert str(value).startswith(name)
        else:
            json.dumps(value)
        assert time.process_time() - started < 0.2, name
    assert refused > 100
