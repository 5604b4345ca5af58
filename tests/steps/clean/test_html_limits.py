import random
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from datatools.steps.clean.html_limits import HtmlShape, measure_html

LIMITS = {"max_depth": 512, "max_attributes": 1024, "max_formatting": 256}


def measure(html, **limits) -> HtmlShape:
    data = html if isinstance(html, bytes) else html.encode()
    return measure_html(data, **(LIMITS | limits))


def parsed_depth(html: str) -> int:
    """What a real parser makes of it: the depth of its tree, html and body included."""
    deepest, todo = 0, [(HTMLTree.parse(html).document, 0)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        child = node.first_child
        while child is not None:
            if "ELEMENT" in str(child.type):
                todo.append((child, depth + 1))
            child = child.next
    return deepest


@pytest.mark.parametrize(
    "html",
    [
        "",
        "한국어 text only",
        "<p>one<p>two<div>three",
        "<ul><li>a<li>b<ul><li>c</ul><li>d</ul>",
        "<ul><li><div>a<li>b</div></ul>",
        "<dl><dt>a<dd>b<dt>c<dd><p>d</dl>",
        "<table><tr><td>a<td>b<tr><th>c</table>",
        "<table><td>a<table><td>b</table><td>c</table>",
        "<td>no table around it</td>",
        "<p><b><i>a<p>b",
        "<b><p>a</b>b</p>c",
        "<a>one<a>two<div><a>three",
        "<div><span>a</div>b</span>c",
        "<span><div></span><span><div></span><span><div>",
        "<h1>a<h2>b",
        "<button>a<p>b<button>c",
        "<form><div></form><form><div></form>a",
        "<svg><g><path/><path></g><desc><p>a</desc></svg>b",
        "<svg><g><g><p>breaks out",
        "<svg>" + "<g a=b/>" * 9 + "<g a='b'/>" * 9 + "<g a />" * 9,
        "<math><mi><p>a<mi><p>b",
        "<div/><div/>a",
        "<br><img><hr><input>",
        "<script><div><div><div></script><p>a",
        "<title><b><b><b></title>a",
        "<!-- <div><div> --><p>a",
        "<!--><div>a--><p>b",
        "<div title='<p><p><p>'>a",
        "<object><b>a<td></object>b",
        "<select><option>a<option>b<optgroup><option>c</select>",
        "a<noscript><p>b</noscript><p>c",
        "<h1>a<desc></em><em></desc>" * 9,
        "<h1><b>a</h1></br><h1>" * 9,
        "a<table><table></table><p>b",
        "a<table><tr><td><table></table><p>b",
        "<plaintext><div><div><div>",
        "<x-가><p>custom</x-가>",
    ],
)
def test_depth_is_that_of_a_parsers_tree(html):
    assert measure(html).depth == parsed_depth(html)


NAMES = str.split(
    "div p b i a span table tr td th tbody ul li dl dd dt form button svg math mi title desc "
    "foreignObject h1 h2 font nobr object caption section em br img input textarea script style "
    "pre option"
)


def soup(seed: int, length: int) -> str:
    draw = random.Random(seed)
    names = draw.sample(NAMES, draw.randint(2, 6))
    pieces = []
    for _ in range(length):
        name, kind = draw.choice(names), draw.random()
        attribute = draw.choice(["", " a=1", " a=2", " b"])
        pieces.append(
            f"<{name}{attribute}>" if kind < 0.55 else f"</{name}>" if kind < 0.85 else "x"
        )
    return "".join(pieces)


def test_depth_of_tag_soup_is_almost_always_the_parsers():
    off = [measure(html).depth - parsed_depth(html) for html in (soup(n, 30) for n in range(400))]
    assert sum(difference == 0 for difference in off) >= 0.85 * len(off)
    assert min(off) >= -3


def test_soup_that_a_parser_nests_deep_is_never_taken_for_shallow():
    # A pattern that nests by one per repetition would slip through if one rule were wrong.
    deep = 0
    for seed in range(400):
        html = soup(seed, 8) * 60
        depth = parsed_depth(html)
        if depth > 60:
            deep += 1
            assert measure(html, max_depth=4096, max_formatting=4096).depth >= 0.75 * depth, html
    assert deep > 50


@pytest.mark.parametrize(
    ("html", "attributes"),
    [
        ("<p>", 0),
        ("<p a b=1 c='2 3' d=\"4>5\" 마=바>", 5),
        ("<p a = 1 b= 2 c =3>", 3),
        ("<p a=b=c>", 1),
        ("<p =a>", 1),
        ("<p/a/b>", 2),
        ("<p a='1'b='2'>", 2),
        ("</p a b c>", 3),
        ("<p a b", 2),  # the page ends inside the tag
    ],
)
def test_attributes_are_counted_as_a_tokenizer_does(html, attributes):
    assert measure(html).attributes == attributes


@pytest.mark.parametrize(
    ("html", "formatting"),
    [
        ("<b>a</b><b>b</b>", 1),
        ("<b><i><u>a", 3),
        ("<b>" * 50, 3),  # of equal elements three are reopened
        ("".join(f"<b c={n}>" for n in range(50)), 50),
        ("".join(f"<p><b c={n}>" for n in range(50)), 50),
        ("<table>" + "<tr><td><b c=1><i>a" * 50, 2),  # a cell keeps its formatting to itself
        ("<a href=1>" * 50, 1),
        ("<svg>" + "<a>" * 50, 0),
    ],
)
def test_formatting_that_waits_to_be_closed_is_counted(html, formatting):
    assert measure(html).formatting == formatting


@pytest.mark.parametrize(
    ("within", "over", "excess"),
    [
        ("<div>" * 510, "<div>" * 511, "depth"),  # with html and body
        ("<p " + "a " * 1024 + ">", "<p " + "a " * 1025 + ">", "attributes"),
        (
            "".join(f"<b c={n}>" for n in range(256)),
            "".join(f"<b c={n}>" for n in range(257)),
            "formatting",
        ),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(within, over, excess):
    assert measure(within).excess is None
    assert measure(over).excess == excess


def test_formatting_reopened_a_million_times_is_over_its_limit():
    # 250 elements are allowed; reopened in each of 5,000 paragraphs they make a million.
    html = "<p>" + "".join(f"<b c={n}>" for n in range(250)) + "<p>x" * 5000
    assert measure(html).excess == "formatting"


@pytest.mark.parametrize(
    "html",
    [
        b"<" * (4 << 20),
        b"<x>" * 500 + b"</y>" * (1 << 20),
        b"<li>" * (1 << 20),
        b"<!--" * (1 << 20),
        b'<a b="' * (700 << 10),
        b"<script>" + b"</scri" * (600 << 10),
        b"<table>" + b"<td><b 1><b 2>" * (300 << 10),
        b"<b>" * 200 + b"<p>" * (1 << 20),
    ],
)
def test_4_mib_of_anything_are_measured_in_a_few_seconds(html):
    measure("<p>")  # compiled before the clock starts
    began = time.process_time()
    measure(html)
    assert time.process_time() - began < 4  # about 1 s where it is slowest


@given(st.binary(max_size=300))
def test_any_bytes_have_a_shape(html):
    shape = measure(html, max_depth=5, max_attributes=3, max_formatting=2)
    assert shape.depth >= 2
    assert (shape.excess is None) == (
        shape.depth <= 5 and shape.attributes <= 3 and shape.formatting <= 2
    )


@pytest.mark.slow
def test_no_kernel_reads_or_writes_out_of_bounds(tmp_path):
    script = """
        import random
        from datatools.steps.clean.html_limits import measure_html
        from datatools.steps.clean.html_text import find_title, strip_tags
        pieces = ["<", "</", ">", "/", '"', "'", "=", "!--", "-->", "--!>", "!", "?", "[CDATA[",
                  "]]>", " ", "a", "b", "p", "div", "td", "table", "svg", "title", "script", "mi",
                  "math", "li", "font", "x", "한", ";", "&amp;", "plaintext", "form", "pre"]
        draw = random.Random(0)
        for _ in range(200_000):
            html = "".join(draw.choices(pieces, k=draw.randint(0, 60))).encode()
            html = html[: draw.randint(0, len(html))]
            measure_html(html, max_depth=9, max_attributes=3, max_formatting=4)
            strip_tags(html)
            find_title(html)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=True,
        timeout=300,
        env={"NUMBA_BOUNDSCHECK": "1", "DATATOOLS_KERNEL_CACHE": str(tmp_path)},
    )


@pytest.mark.shared
def test_real_pages_have_their_parsers_depth(wcxb_pages):
    off = [
        measure(page).depth - parsed_depth(page.decode("utf-8", "replace"))
        for _, page, _ in wcxb_pages[:150]
    ]
    assert min(off) >= 0
    assert max(off) <= 3
    assert sum(difference == 0 for difference in off) >= 0.95 * len(off)


@pytest.mark.shared
def test_no_real_page_is_over_a_limit(wcxb_pages):
    assert not [name for name, page, _ in wcxb_pages if measure(page).excess]
