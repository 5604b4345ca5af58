import html
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.clean.html_text import find_title, strip_tags

any_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)


def strip(page: str) -> str:
    return strip_tags(page.encode())


def collapsed(text: str) -> str:
    return re.sub("[ \t\n\f\r]+", " ", text).strip(" \t\n\f\r")


@given(any_text)
def test_escaped_text_comes_back_with_its_white_space_collapsed(text):
    assert strip(html.escape(text)) == collapsed(text)


@given(any_text)
def test_preformatted_text_comes_back_as_it_was(text):
    assert strip("<p>a</p><pre>" + html.escape(text) + "z</pre>") == "a\n\n" + text + "z"


class SlowStripper(HTMLParser):
    """The standard library's tokenizer, for pages that leave no room for interpretation."""

    def __init__(self):
        super().__init__()
        self.words, self.hidden = "", 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style", "title")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "title")

    def handle_data(self, data):
        if not self.hidden:
            self.words += data


pages = st.recursive(
    st.sampled_from(
        ["한국어 ", "text ", "&amp; ", "a&lt;b ", "<!-- <p>no --> ", "<br/>", "<img alt='>'>"]
    ),
    lambda inner: (
        st.builds(
            lambda name, body: f"<{name} class='x > y'>{''.join(body)}</{name}>",
            st.sampled_from(["div", "p", "b", "td", "a", "section", "x-y"]),
            st.lists(inner, max_size=4),
        )
        | st.sampled_from(["<script>if (a<b) c()</script>", "<style>p > a {}</style>"])
    ),
    max_leaves=20,
)


@given(pages)
def test_the_words_are_those_of_the_standard_librarys_tokenizer(page):
    slow = SlowStripper()
    slow.feed(page)
    slow.close()
    assert re.sub(r"\s", "", strip(page)) == re.sub(r"\s", "", slow.words)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>하나<p>둘", "하나\n\n둘"),
        ("<li>a<li>b", "a\nb"),
        ("a<br>b<br><br>c", "a\nb\nc"),
        ("<tr><td>a</td><td>b</td></tr><tr><td>c</td></tr>", "a\tb\nc"),
        ("a<b>b</b>c", "abc"),
        ("a < b <3 </ c", "a < b <3"),  # "</ " opens a comment
        ("a<script>b</script >c<style>d</style>e", "ace"),
        ("a<script>b</scripty>c", "a"),  # the script does not end there, so it never ends
        ("a<!-- b > c -->d<!doctype x>e<?pi?>f", "adef"),
        ("<title>not text</title>text", "text"),
        ("<textarea>typed &amp; kept</textarea>", "typed & kept"),
        ("<plaintext>a<b>c", "a<b>c"),
        ("&#54620;&#xAE00; &nbsp;&copy", "한글 \xa0©"),
        ("<p title='a > b'>c", "c"),
        ("<p title='a", ""),
        ("<", "<"),
        ("", ""),
    ],
)
def test_hand_checked_texts(page, text):
    assert strip(page) == text


def test_bytes_that_are_not_utf_8_become_replacement_characters():
    assert strip_tags(b"<p>a\xffb") == "a\ufffdb"


def test_a_hundred_thousand_nested_elements_lose_no_text():
    assert strip("<div>" * 100_000 + "MARK 표시" + "</div>" * 100_000 + "END") == "MARK 표시\n\nEND"


def test_8_mib_of_broken_markup_are_stripped_in_a_second():
    strip("<p>")  # compiled before the clock starts
    began = time.process_time()
    for piece in ("<", "<!--", "<a b='", "</script", "<p>x", "&lt;"):
        strip(piece * ((8 << 20) // len(piece)))
    assert time.process_time() - began < 12


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>한국어 &amp; English</title>", "한국어 & English"),
        ("<TITLE lang=ko>\n a\n  b </TITLE>", "a b"),
        ("<svg><title>icon</title></svg><title>page</title>", "page"),
        ("<!-- <title>no</title> --><title>yes</title>", "yes"),
        ("<script>'<title>no</title>'</script><title>yes</title>", "yes"),
        ("<title>one</title><title>two</title>", "one"),
        ("<title>never closed", "never closed"),
        ("<title> </title>", None),
        ("<p>none", None),
        ("", None),
    ],
)
def test_hand_checked_titles(page, title):
    assert find_title(page.encode()) == title


def test_a_title_has_at_most_a_thousand_characters():
    assert find_title(("<title>" + "제목 " * 5000).encode()) == ("제목 " * 5000)[:1000].rstrip()
