import json

import numpy as np
import pytest

from datatools.kernels.html_tokens import END, START, code_of, find, raw_end, read_token


def array(text: str):
    return np.frombuffer(text.encode(), dtype=np.uint8)


def tags(text: str) -> list[tuple]:
    """Return the tags of a text: kind, code of the name, attributes, whether self-closed."""
    html, found, at = array(text), [], 0
    while (at := find(html, at, ord("<"))) < len(html):
        kind, code, _, attributes, self_closed, at = read_token(html, at, False)
        if kind in (START, END):
            found.append((kind, code, attributes, self_closed))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>", [(START, "p", 0, False)]),
        ("<P\n>", [(START, "p", 0, False)]),
        ("</p >", [(END, "p", 0, False)]),
        ("<br/>", [(START, "br", 0, True)]),
        ("<br / >", [(START, "br", 0, False)]),
        ("<a href=x/>", [(START, "a", 1, False)]),  # the slash is part of the value
        ("<a href='x'/>", [(START, "a", 1, True)]),
        ("<a b='>' c=\">\">", [(START, "a", 2, False)]),
        ("<x-글 이름=값>", [(START, "x-글", 1, False)]),
        ("<!-- <p> --><b>", [(START, "b", 0, False)]),
        ("<!--><b>-->", [(START, "b", 0, False)]),
        ("<!-- --!><b>", [(START, "b", 0, False)]),
        ("<!doctype html '<p'><?xml <p?><b>", [(START, "b", 0, False)]),
        ("< p></ p><3<b>", [(START, "b", 0, False)]),
        ("<p", []),
        ("<p a='", []),
        ("</", []),
        ("<", []),
    ],
)
def test_hand_checked_tags(text, expected):
    assert tags(text) == [(kind, code_of(name), *rest) for kind, name, *rest in expected]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a</script>", 1),
        ("a</SCRIPT >", 1),
        ("</scripts></script/>", 10),
        ("a</script", 1),  # the page may end there
        ("a</scri", 7),
        ("", 0),
    ],
)
def test_raw_text_ends_at_its_own_end_tag(text, end):
    page = array("<script>" + text)
    assert raw_end(page, 8, 1, 7) == 8 + end


def test_no_two_html_elements_share_a_code():
    from datatools.kernels.html_tokens import _FLAGS_BY_CODE, _FOREIGN_ELEMENTS, ELEMENTS

    names = {name for names in ELEMENTS.values() for name in names.split()}
    foreign = {name for names in _FOREIGN_ELEMENTS.values() for name in names.split()}
    assert len(_FLAGS_BY_CODE) == len(names) + len(foreign)


@pytest.mark.shared
def test_the_html5lib_tokenizer_tests_find_the_same_tags(shared_dir):
    cases = 0
    for path in sorted((shared_dir / "badinputs/html5lib-tests/tokenizer").glob("*.test")):
        for case in json.loads(path.read_text("utf-8")).get("tests", []):
            states = case.get("initialStates", ["Data state"])
            if case.get("doubleEscaped") or "Data state" not in states or "\r" in case["input"]:
                continue
            try:
                got = tags(case["input"])
            except UnicodeEncodeError:
                continue  # lone surrogates are no UTF-8
            wanted = [token for token in case["output"] if token[0] in ("StartTag", "EndTag")]
            cases += 1
            names = [token[1].replace("\ufffd", "\0") for token in wanted]
            kinds = [START if token[0] == "StartTag" else END for token in wanted]
            assert [(kind, code) for kind, code, *_ in got] == [
                (kind, code_of(name)) for kind, name in zip(kinds, names, strict=True)
            ], case
            for (kind, _, attributes, self_closed), token in zip(got, wanted, strict=True):
                if kind == START:
                    # The parser drops repeated attributes; what they cost it, they have cost.
                    assert attributes >= len(token[2]), case
                    assert self_closed == (len(token) > 3), case
    assert cases > 5000
