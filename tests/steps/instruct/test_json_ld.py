import json

import pytest
from endless import soon
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.instruct.json_ld import load_json_ld

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TARGET = {"name": '왜 "그" \\ 산?', "items": [1, {"text": "a,]}b /* c */ <b>"}]}


@given(VALUES)
def test_valid_json_is_read_as_it_is(value):
    assert load_json_ld(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    "wrap",
    [
        "<!-- {} -->",
        "<!--{}//-->",
        "//<![CDATA[\n{}\n//]]>",
        "/* <![CDATA[ */{}/* ]]> */",
        "<![CDATA[{}]]>",
        "\ufeff {} ;\n",
        "// <!--\n{}\n// -->",
    ],
)
def test_wrappers_are_taken_off(wrap):
    assert load_json_ld(wrap.replace("{}", json.dumps(TARGET))) == TARGET


@pytest.mark.parametrize(
    ("block", "value"),
    [
        ('{"a": [1, 2,], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
        ('{"a": "한\n줄\t또"}', {"a": "한\n줄\t또"}),
        ('{"a": 1 /* eins, ] */, "b": "/* kept, ] */",}', {"a": 1, "b": "/* kept, ] */"}),
        (r'{"a": "it\'s \d \\ \u00e9"}' + "\n;", {"a": r"it's \d \ é"}),
        ("{&quot;a&quot;: &quot;b &amp;amp; c&quot;}", {"a": "b &amp; c"}),
        ('{"a": ",}"  , }', {"a": ",}"}),
    ],
)
def test_damage_is_mended_outside_strings_only(block, value):
    assert load_json_ld(block) == value


@pytest.mark.parametrize(
    "block", ["", "{", '{"a": "b" "c"}', '{"a": "그는 "왜" 갔나"}', '{"a": "open', "[" * 100_000]
)
def test_what_cannot_be_read_says_so(block):
    with pytest.raises(ValueError):
        load_json_ld(block)


@pytest.mark.parametrize("start", ['{"a": "', '{"a": '])
@pytest.mark.parametrize("pump", ['\\"', '"', ",", ", ", "/*", "\\", " ", "//<!--", "&quot;", "}"])
def test_damage_costs_linear_time(start, pump):
    with soon(), pytest.raises(ValueError):
        load_json_ld(start + pump * 100_000)
