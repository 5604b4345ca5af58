import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.c4_lines import (
    LINE_REASONS,
    PAGE_REASONS,
    POLICIES,
    c4_lines,
    join_lines,
    sentences,
)

CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
PIECES = [
    *("We walked to the sea", "바다로 갔다", "우리는", "the", "x" * 12, "[1]", "[edit]", " [٣] "),
    *("[citation needed]", "[a]", "[", "]", ".", "...", "!", "?”", '"', "'", " ", "  ", "\t"),
    *("\n", "\n\n", "\r\n", "\u2028", "\x85", "Lorem Ipsum", "JavaScript", "cooKies", "{", "}"),
    *("Use Cookies", "privacy policy", "terms of use", "İ", "javascrİpt", "漢字。"),
]
pages = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
settings = st.fixed_dictionaries(
    {
        "max_word_length": st.sampled_from([None, 11, 20]),
        "cut_citations": st.booleans(),
        "strip_again": st.booleans(),
        "end_marks": st.sampled_from([None, ".!?", '.!?"”。']),
        "min_words": st.sampled_from([0, 2, 5]),
        "min_words_hangul": st.sampled_from([0, 1, 2]),
        "count_after_citations": st.booleans(),
        **dict.fromkeys(("lorem_ipsum", "javascript", "curly_bracket", "policy"), st.booleans()),
    }
)


def mostly_hangul(text):
    letters = [c for c in text if c.isalpha()]
    return 2 * sum("가" <= c <= "힣" for c in letters) > len(letters)


def slow_lines(text, how):
    """C4's rules one line after the other: lines kept, reason for the page, characters removed."""
    kept, removed = [], dict.fromkeys(LINE_REASONS, 0)
    for line in text.splitlines():
        line = line.strip()
        counted = line
        chars = len(line)
        longest = max(map(len, line.split()), default=0)
        if how["max_word_length"] is not None and longest > how["max_word_length"]:
            removed["too_long_word"] += chars
            continue
        if how["cut_citations"]:
            line = CITATION.sub("", line)
        cited = chars - len(line)
        if how["strip_again"] and cited:
            line = line.strip()
        marks = how["end_marks"]
        if marks is not None and (not line.endswith(tuple(marks)) or line.endswith("...")):
            removed["no_terminal_punct"] += chars
            continue
        counted = line if how["count_after_citations"] else counted
        least = how["min_words_hangul"] if mostly_hangul(counted) else how["min_words"]
        if len(counted.split()) < least:
            removed["too_few_words"] += chars
            continue
        low = line.lower()
        if how["lorem_ipsum"] and "lorem ipsum" in low:
            return kept, "lorem_ipsum", removed
        if how["javascript"] and "javascript" in low:
            removed["javascript"] += chars
            continue
        if how["curly_bracket"] and "{" in line:
            return kept, "curly_bracket", removed
        if how["policy"] and any(policy in low for policy in POLICIES):
            removed["policy"] += chars
            continue
        removed["citation"] += cited
        if chars:
            kept.append(line)
    return kept, "", removed


@given(st.lists(pages, max_size=4), settings)
def test_lines_equal_those_of_plain_python(buffers, texts, how):
    found = c4_lines(*buffers(texts), **how)
    data = bytes(found.data)
    joined = join_lines(found)
    for row, text in enumerate(texts):
        kept, reason, removed = slow_lines(text, how)
        bounds = found.offsets[found.rows[row] : found.rows[row + 1] + 1].tolist()
        lines = [data[a:b].decode() for a, b in itertools.pairwise(bounds)]
        assert lines == kept
        assert PAGE_REASONS[found.page[row]] == reason
        assert dict(zip(LINE_REASONS, found.removed[row].tolist(), strict=True)) == removed
        start, end = joined[0][row], joined[0][row + 1]
        assert bytes(joined[1][start:end]).decode() == "\n".join(kept).strip()


def test_a_page_goes_only_for_a_line_that_no_rule_before_took(buffers):
    on = dict.fromkeys(("lorem_ipsum", "javascript", "curly_bracket", "policy"), True)
    how = {
        "max_word_length": None,
        "cut_citations": True,
        "strip_again": False,
        "end_marks": ".",
        "min_words": 2,
        "min_words_hangul": 2,
        "count_after_citations": False,
        **on,
    }
    pages = ["lorem ipsum", "lorem ipsum.", "javascript { }.", "a { b.", "{"]
    assert c4_lines(*buffers(pages), **how).page.tolist() == [0, 1, 0, 2, 0]


def test_sentences_end_at_a_mark_before_whitespace(buffers):
    texts = [
        "Version 3.5 is out. Try it!",
        "“Stop.” he said",
        "비가 온다… 우산은? 없다。",
        "a.b.c",
        "? ! .",
        " \n ",
        "",
    ]
    found = sentences(*buffers(texts), marks=".!?…。")
    assert found.tolist() == [2, 2, 3, 1, 3, 0, 0]
