import lxml.html
from hypothesis import given
from hypothesis import strategies as st

from datatools.sample.prose import is_rich, prose_html


def test_paragraphs_lists_and_code_become_their_elements():
    text = "첫 문단 & more\nsame\n\n- 하나\n- two `x<y`\n\n"
    text += "```sql\nSELECT 1 < 2;\n\n- no list\n```\n\nend"
    tree = lxml.html.fromstring(f"<div>{prose_html(text)}</div>")
    assert [child.tag for child in tree] == ["p", "ul", "pre", "p"]
    assert tree[0].text == "첫 문단 & more\nsame"
    assert [item.text_content() for item in tree[1]] == ["하나", "two x<y"]
    assert tree[2][0].get("class") == "language-sql"
    assert tree[2][0].text == "SELECT 1 < 2;\n\n- no list"


def test_empty_text_gives_nothing():
    assert prose_html("") == ""
    assert prose_html(" \n\n ") == ""


def test_a_list_needs_a_dash_on_every_line():
    assert prose_html("- one\ntwo") == "<p>- one\ntwo</p>"


def test_rich_text_is_text_that_plain_text_would_flatten():
    assert is_rich("a\n\n```\ncode\n```")
    assert is_rich("a\n- b")
    assert not is_rich("a - b, `c`")


@given(st.text(alphabet="ab<>&`-가\n \"'|", max_size=80))
def test_no_text_can_open_an_element_of_its_own(text):
    tree = lxml.html.fromstring(f"<div>{prose_html(text)}</div>")
    assert {node.tag for node in tree.iter()} <= {"div", "p", "ul", "li", "pre", "code"}
