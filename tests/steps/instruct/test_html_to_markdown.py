import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.instruct.html_to_markdown import html_to_markdown, text_to_markdown


@pytest.mark.parametrize(
    ("source", "markdown"),
    [
        ("<p>one</p>\n<p>둘</p>", "one\n\n둘"),
        ("<p>a<br>b <br/> c</p>", "a\nb\nc"),
        ("<p>a\n  b\tc&nbsp;d</p>", "a b c d"),
        ("<b>굵게</b> <em> slanted </em><del>out</del>", "**굵게** *slanted* ~~out~~"),
        ("<b><b>twice</b></b><b> </b>", "**twice**"),
        ("<a href='https://x.example'>이 링크</a>", "이 링크"),
        ("<img src=x><img src=y alt='a cat'>", "a cat"),
        ("<h2>제목 <i>x</i></h2><p>y", "## 제목 *x*\n\ny"),
        ("<hr>", "---"),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc"),
        ("x<sup>2</sup>, a<sub>n-1</sub>, e<sup>i π</sup>", "x^2, a_n-1, e^(i π)"),
        ("<script>alert(1)</script><style>p{}</style><p hidden>h</p>seen", "seen"),
        ("<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        ("<span>a<p>b</p></span>", "a\n\nb"),
        ("2 * 3 * 4 _ # not a heading", "2 * 3 * 4 _ # not a heading"),
        ("", ""),
    ],
)
def test_elements_become_their_markdown(source, markdown):
    assert html_to_markdown(source) == markdown


@pytest.mark.parametrize(
    ("source", "markdown"),
    [
        ("<ul><li>가<li>나</ul>", "- 가\n- 나"),
        ("<ol start=9><li>a<li>b</ol>", "9. a\n10. b"),
        ("<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>", "- a\n  - b\n    1. c\n- d"),
        ("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n\n  b"),
        ("<ul><li><pre>x\ny</pre></ul>", "- ```\n  x\n  y\n  ```"),
        ("<ul><li></li><li> </li></ul>", ""),
        ("<li>stray", "- stray"),
    ],
)
def test_lists_keep_their_nesting(source, markdown):
    assert html_to_markdown(source) == markdown


@pytest.mark.parametrize(
    ("source", "markdown"),
    [
        ("<pre><code>\n  a\n\n\n b\n</code></pre>", "```\n  a\n\n\n b\n```"),
        ("<pre class='lang-py prettyprint'>x</pre>", "```py\nx\n```"),
        ("<pre><code class='hljs language-c++'>x</code></pre>", "```c++\nx\n```"),
        ("<pre>a<br>b <span>c</span></pre>", "```\na\nb c\n```"),
        ("<pre>```\ninner\n```</pre>", "````\n```\ninner\n```\n````"),
        ("<code>a  b</code> <code>`</code> <kbd>Ctrl</kbd>", "`a b` `` ` `` `Ctrl`"),
        ("<pre>  </pre>x", "x"),
    ],
)
def test_code_is_kept_to_the_letter(source, markdown):
    assert html_to_markdown(source) == markdown


def test_a_table_of_data_stays_a_table_and_one_of_layout_does_not():
    data = "<table><thead><tr><th>이름<th>n<tbody><tr><td>a|b<td>1<tr><td>c</table>"
    assert html_to_markdown(data) == "| 이름 | n |\n| --- | --- |\n| a\\|b | 1 |\n| c |  |"
    layout = "<table><tr><td>menu<td><p>a</p><p>b</p></table>"
    assert html_to_markdown(layout) == "menu\n\na\n\nb"


@pytest.mark.parametrize(
    ("source", "markdown"),
    [
        ("<script type='math/tex'>x^2</script>", "$x^2$"),
        ("<script type='math/tex; mode=display'>x</script>", "$$x$$"),
        (
            "<span class=katex><math><semantics><mi>x</mi><annotation encoding='application/x-tex'>"
            "\\frac{x}{2}</annotation></semantics></math></span>"
            "<span class='katex-html' aria-hidden=true>x2</span>",
            "$\\frac{x}{2}$",
        ),
        ("<math><mi>x</mi><mo>+</mo><mn>1</mn></math>", "x+1"),
    ],
)
def test_mathematics_keeps_its_source(source, markdown):
    assert html_to_markdown(source) == markdown


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain\r\n  code\r\n\r\n\r\n끝 ", "plain\n  code\n\n끝"),
        ("a < b && c > d", "a < b && c > d"),
        ("a &lt; b &amp;&amp; 한글&#39;s", "a < b && 한글's"),
        ("<p>a &lt; b</p>", "a < b"),
        ("<p>a &amp;lt; b &amp;quot;c&amp;quot;</p>", 'a < b "c"'),
        ("&lt;p&gt;a &amp;lt; b&lt;/p&gt;", "a < b"),
        ("1행&lt;br&gt;2행", "1행\n2행"),
        ("use &lt;div&gt; here", "use <div> here"),
        # One entity escaped once says that the others are meant: this text is about `&lt;`.
        ("<p>write &amp;lt; for &lt;</p>", "write &lt; for <"),
    ],
)
def test_texts_of_markup_are_read_however_they_were_escaped(text, markdown):
    assert text_to_markdown(text) == markdown


# Without controls and rare blanks, which HTML itself changes.
WRITTEN = st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"])


@given(st.text(WRITTEN | st.sampled_from(" \n<>&"), max_size=60))
def test_escaped_text_comes_back_as_its_words(text):
    assert html_to_markdown(f"<p>{html.escape(text)}</p>").split() == text.split()


@pytest.mark.parametrize("tag", ["div", "ul><li", "blockquote", "b", "span", "table><tr><td"])
def test_deep_nesting_keeps_the_text(tag):
    assert "끝" in html_to_markdown(f"<{tag}>" * 3000 + "끝")
