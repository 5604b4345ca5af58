import html as entities
import subprocess
import sys
import textwrap
from html.parser import HTMLParser

import numpy as np
import pytest
from endless import soon
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels import html_blocks as hb
from datatools.kernels.html_keywords import MARKUP_GROUPS, TEXT_GROUPS, markup_words, text_words

LIMITS = {"most_blocks": 1 << 12, "most_elements": 1 << 13, "most_depth": 64}


def read(page, **limits):
    """Return the page's bytes and the tables that it fills."""
    raw = np.frombuffer(page if isinstance(page, bytes) else page.encode(), dtype=np.uint8)
    tables = hb.make_tables(**(LIMITS | limits))
    hb.read_blocks(raw, 0, tables, markup_words(), text_words())
    return raw, tables


def texts(page) -> list[str]:
    """Return the text of each block."""
    raw, tables = read(page)
    out = np.empty(raw.size + 2, dtype=np.uint8)
    found = []
    for block in range(int(tables.state[hb.BLOCKS])):
        keep = np.arange(int(tables.state[hb.BLOCKS])) == block
        size = hb.write_blocks(raw, tables, keep, out)
        found.append(entities.unescape(out[:size].tobytes().decode()))
    return found


def whole(page) -> str:
    raw, tables = read(page)
    out = np.empty(raw.size + 2, dtype=np.uint8)
    size = hb.write_blocks(raw, tables, np.ones(int(tables.state[hb.BLOCKS]), dtype=bool), out)
    return entities.unescape(out[:size].tobytes().decode())


def column(page, *columns):
    _, tables = read(page)
    rows = tables.blocks[: int(tables.state[hb.BLOCKS])]
    return rows[:, columns[0]].tolist() if len(columns) == 1 else rows[:, columns].tolist()


def chain(page, block=0) -> list[str]:
    """Return the names of the elements around a block, innermost first."""
    _, tables = read(page)
    element, names = tables.blocks[block, hb.ELEMENT], []
    while element >= 0:
        names.append(hb.KINDS[tables.elements[element, hb.KIND]])
        element = tables.elements[element, hb.PARENT]
    return names


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("", []),
        (" \n<p> </p>&nbsp;<b></b>", []),
        ("하나 one", ["하나 one"]),
        ("<p>하나<p>둘", ["하나", "둘"]),
        ("<p>a <b>b</b><i>c</i>\n d</p>", ["a bc d"]),
        ("<div>a<div>b</div>c</div>", ["a", "b", "c"]),
        ("a<br>b<br/>c", ["a\nb\nc"]),
        ("<ul><li>a<li>b</ul>", ["a", "b"]),
        ("<table><tr><td>a<td>b<tr><td>c</table>", ["a", "b", "c"]),
        ("<a href=1>처음</a><a href=2>Home</a>", ["처음 Home"]),
        ("<select><option>a<option>b</select>", ["a", "b"]),
        ("a<script>if (x<y) '<p>'</script>b<style>p{}</style>", ["ab"]),
        ("a<!-- <p>x -->b", ["ab"]),
        ("<noscript><p>읽힌다</p></noscript>", ["읽힌다"]),
        ("<iframe><p>x</p></iframe>y", ["y"]),
        ("<title>t</title>b", ["b"]),
        ("a<svg><title>x</title><g><text>y</text></g></svg>b", ["ab"]),
        ("<svg><path><p>a</p>b", ["a", "b"]),  # a block ends svg
        ("<div><svg><g>x</div>a", ["a"]),  # so does the end of one around it
        ("<svg/>a", ["a"]),
        ("<math><mi>x<![CDATA[ + y]]></math>", ["x + y]]>"]),  # kept with its end
        ("a<![CDATA[b]]>c", ["ac"]),
        ("<textarea>a <b> c</textarea>d", ["a <b> c", "d"]),
        ("<pre>a\n  b</pre>", ["a\n  b"]),
        ("1 < 2 <3 </ x>y", ["1 < 2 <3 y"]),
        ("<plaintext>a<p>b", ["a<p>b"]),
        ("a<p title='x", ["a"]),  # the page ends inside a tag
        ("<x-가>a</x-가>b", ["a", "b"]),
        ("&#54620;&#xae00; &lt;p&gt; &copy", ["한글 <p> ©"]),
    ],
)
def test_hand_checked_blocks(page, found):
    assert texts(page) == found


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("<div><p>a", ["p", "div", "html"]),
        ("<p><span>a", ["span", "p", "html"]),
        ("<p>x<div>a", ["div", "html"]),
        ("<ul><li>x<ul><li>x</ul><li>a", ["li", "ul", "html"]),
        ("<dl><dt>x<dd>a", ["dd", "dl", "html"]),
        ("<table><tr><td>x<tr><td>a", ["td", "tr", "table", "html"]),
        ("<a>x<a>a", ["a", "html"]),
        ("<b><div>x</b>a", ["div", "?", "html"]),  # ended in name only
        ("<div></span></p></td>a", ["div", "html"]),
        ("<table><tr><td></div>a", ["td", "tr", "table", "html"]),
        ("<div><table><tr><td>x</div>a", ["td", "tr", "table", "div", "html"]),
        ("<BODY><DIV>x</DIV>a", ["html"]),
        ("<x-a><x-b>x</x-b>a", ["?", "html"]),
    ],
)
def test_elements_close_as_readers_see_them(page, names):
    assert chain(page, len(texts(page)) - 1) == names


def test_counts_of_a_block_in_korean_and_english():
    page = "<p><b>안녕</b>, World 2. <a href=/>Click</a> here! 소금은 <br>짜다."
    assert dict(
        zip(
            ["width", "linked", "words", "sentences", "commas", "digits", "uppers", "cased", "bold",
             "links", "breaks"],
            column(page, hb.WIDTH, hb.LINKED, hb.WORDS, hb.SENTENCES, hb.COMMAS, hb.DIGITS,
                   hb.UPPERS, hb.CASED, hb.BOLD, hb.LINKS, hb.BREAKS)[0],
            strict=True,
        )
    ) == {
        # 4 + , + World + 2. + Click + here! + 6 + 4 + .
        "width": 4 + 1 + 5 + 2 + 5 + 5 + 6 + 4 + 1, "linked": 5, "words": 7, "sentences": 3,
        "commas": 1, "digits": 1, "uppers": 2, "cased": 3, "bold": 4, "links": 1, "breaks": 1,
    }  # fmt: skip


def test_han_and_kana_count_two_to_a_word_and_korean_by_spaces():
    assert column("<p>日本語です。<p>한국어입니다 좋다", hb.WORDS) == [3, 2]


@pytest.mark.parametrize("text", ["한글", "é", "日本"])
def test_references_count_as_what_they_stand_for(text):
    counted = (hb.WIDTH, hb.WORDS, hb.SYMBOLS, hb.SENTENCES)
    written = "".join(f"&#{ord(c)};" for c in text)
    assert column(f"<p>{written}", *counted) == column(f"<p>{text}", *counted)


def test_words_of_markup_are_found_across_cases_and_only_whole_where_a_blank_says_so():
    _, tables = read("<div class='Main-Content' id=x><div class='badge ads' style='display:none'>a")

    def groups(element):
        return {words[0] for bit, words in enumerate(MARKUP_GROUPS)
                if int(tables.marks[element, hb.MARKUP]) >> bit & 1}  # fmt: skip

    assert groups(1) == {"content", "main"}
    assert groups(2) == {" tag", "vote", "promo", "hidden"}
    _, tables = read("<div class='loads padding'>a")
    assert groups(1) == set()


@given(
    st.lists(st.sampled_from([w for g in MARKUP_GROUPS for w in g] + ["x", "-", "q9"]), max_size=6)
)
def test_the_automaton_finds_what_a_search_for_each_word_finds(words):
    value = "".join(words).replace(" ", "-")
    _, tables = read(f"<p class='{value}'>a")
    padded = " " + "".join(c if c.isalpha() else " " for c in value) + " "
    padded = (
        " ".join(padded.split(" ")) if "  " not in padded else " " + " ".join(padded.split()) + " "
    )
    expected = sum(
        1 << bit for bit, group in enumerate(MARKUP_GROUPS) if any(word in padded for word in group)
    )
    assert int(tables.marks[1, hb.MARKUP]) == expected


def test_text_words_of_both_languages_share_their_bits():
    _, tables = read("<p>Leave a COMMENT<p>댓글 남기기<p>comments3<p>©")
    comment = 1 << next(bit for bit, group in enumerate(TEXT_GROUPS) if "댓글" in group)
    assert [int(bits) & comment for bits in tables.said[:4, hb.BITS]] == [comment, comment, 0, 0]
    assert int(tables.said[3, hb.BITS]) == 1


def test_a_word_of_references_is_the_same_word():
    texts = ("댓글", "éa", "文字", "𐐀b")
    written = ["".join(f"&#{ord(c)};" for c in text) for text in texts]
    _, tables = read("".join(f"<p>{text}" for text in (*texts, *written)))
    assert tables.said[:4].tolist() == tables.said[4:8].tolist()
    assert tables.said[0, hb.BITS] != 0


def test_words_of_the_title_are_counted():
    assert column("<title>소금 Bread</title><p>bread and 소금<p>none", hb.TITLED) == [2, 0]


@pytest.mark.parametrize(
    ("page", "limit"),
    [
        ("<p>x" * 5000, hb.OUT_OF_ROOM),
        ("<b></b>" * 9000, hb.OUT_OF_ROOM),
        ("<div>" * 65, hb.TOO_DEEP),
        ("<div>" * 62, 0),
        ("<p>x" * 4000, 0),
    ],
)
def test_a_limit_that_is_met_is_named(page, limit):
    assert int(read(page)[1].state[hb.LIMIT]) == limit


class Words(HTMLParser):
    """The standard library's tokenizer, for pages that leave no room for interpretation."""

    def __init__(self):
        super().__init__()
        self.text, self.hidden = "", 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style", "title")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style", "title")

    def handle_data(self, data):
        if not self.hidden:
            self.text += data


pages = st.recursive(
    st.sampled_from(
        [
            "한국어 ",
            "text ",
            "&amp; ",
            "a&lt;b ",
            "<!-- <p>no --> ",
            "<br/>",
            "<img alt='>'>",
            "1 < 2 ",
        ]
    ),
    lambda inner: (
        st.builds(
            lambda name, body: f"<{name} class='x > y'>{''.join(body)}</{name}>",
            st.sampled_from(
                ["div", "p", "b", "td", "a", "section", "x-y", "noscript", "li", "form"]
            ),
            st.lists(inner, max_size=4),
        )
        | st.sampled_from(["<script>if (a<b) c()</script>", "<style>p > a {}</style>"])
    ),
    max_leaves=20,
)


@given(pages)
def test_no_visible_text_is_in_no_block(page):
    slow = Words()
    slow.feed(page)
    slow.close()
    assert "".join(whole(page).split()) == "".join(slow.text.split())


@given(st.lists(st.sampled_from(["<", "</", ">", "/", "'", '"', "=", "!--", "-->", "a", "p ", "div",
    "td", "table", "svg", "title", "script", "li", "한", "&#1", ";", "textarea", "pre", "class"]),
    max_size=40).map("".join))  # fmt: skip
def test_tables_of_tag_soup_hold_together(page):
    raw, tables = read(page)
    blocks, elements = int(tables.state[hb.BLOCKS]), int(tables.state[hb.ELEMENTS_READ])
    ends = 0
    for block in tables.blocks[:blocks]:
        assert ends <= block[hb.START] < block[hb.STOP] <= raw.size
        ends = block[hb.STOP]
        assert 0 <= block[hb.ELEMENT] < elements
        assert 0 < block[hb.WIDTH] >= block[hb.LINKED]
    for row, element in enumerate(tables.elements[:elements]):
        assert element[hb.PARENT] < row
        assert 0 <= element[hb.FIRST_BLOCK] <= element[hb.END_BLOCK] <= blocks
        if row:
            parent = tables.elements[element[hb.PARENT]]
            assert parent[hb.FIRST_BLOCK] <= element[hb.FIRST_BLOCK]
            assert element[hb.END_BLOCK] <= parent[hb.END_BLOCK]


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<!--",
        "<a b='",
        "<script>",
        "</x>",
        "<li>",
        "<b><p>",
        "<svg>",
        "&#",
        "<textarea>",
        "<a>",
    ],
)
def test_a_mebibyte_of_anything_is_read_at_once(piece):
    read("<p>x")
    with soon():
        read("<div>" * 60 + piece * ((1 << 20) // len(piece)), most_depth=512)


FUZZ = """
    import random
    import sys
    import numpy as np
    from datatools.kernels import html_blocks as hb, html_features as hf
    from datatools.kernels.html_keywords import markup_words, text_words
    rounds = int(sys.argv[1])
    pieces = ["<", "</", ">", "/", '"', "'", "=", "!--", "-->", "!", "?", "[CDATA[", " ", "a", "p",
              "div", "td", "tr", "table", "svg", "title", "script", "li", "x", "\\ud55c", "\\u65e5",
              ";", "&amp;", "&#", "&#x", "plaintext", "form", "pre", "textarea", "class", "style",
              "hidden", "display:none", "h1", "main", "article", ".", "option", "br", "\\u00e9"]
    draw = random.Random(0)
    tables = hb.make_tables(12, 12, 6)
    for _ in range(rounds):
        page = "".join(draw.choices(pieces, k=draw.randint(0, 60))).encode()
        page = page[draw.randint(0, 2) : draw.randint(0, len(page))]
        if draw.random() < 0.3:  # broken UTF-8 and any byte at all
            page = bytearray(page)
            for _ in range(min(len(page), 4)):
                page[draw.randrange(len(page))] = draw.randrange(256)
        html = np.frombuffer(bytes(page), dtype=np.uint8)
        hb.read_blocks(html, 0, tables, markup_words(), text_words())
        blocks, elements = int(tables.state[hb.BLOCKS]), int(tables.state[hb.ELEMENTS_READ])
        out = np.empty(html.size + 2, dtype=np.uint8)
        hb.write_blocks(html, tables, np.ones(blocks, dtype=np.bool_), out)
        if tables.state[hb.LIMIT] == 0:
            whole = hf.make_page(blocks, elements)
            hf.look_over(tables, whole)
            values = np.empty((blocks, len(hf.FEATURES)), dtype=np.float32)
            hf.features_of(tables, whole, 0, blocks, max(html.size, 1), values)
            assert np.isfinite(values).all()
"""


@pytest.mark.slow
def test_no_kernel_reads_or_writes_out_of_bounds(tmp_path):
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FUZZ), "100000"],
        check=True,
        env={"NUMBA_BOUNDSCHECK": "1", "DATATOOLS_KERNEL_CACHE": str(tmp_path)},
    )


def test_kernels_run_as_python_find_no_end_to_step_over():
    # Python refuses an index past the end, where machine code would read on.
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FUZZ), "150"],
        check=True,
        env={"NUMBA_DISABLE_JIT": "1"},
    )
