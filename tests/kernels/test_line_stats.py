import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.line_stats import COUNTS, line_stats

BULLETS, MARKS, SHORT = "-•○", ".!?”", 5


def hangul(line):
    blocks = [(0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3)]
    return sum(any(a <= ord(c) <= b and c.isalpha() for a, b in blocks) for c in line)


def slow_stats(text, cut, stripped, ellipses):
    lines = text.splitlines() if cut == "splitlines" else text.split("\n")
    if cut == "filled":
        lines = [line for line in lines if line.strip()]
    seen, copied = set(), 0
    shown = [line.strip() if stripped else line for line in lines]
    filled = [line for line in shown if line.strip()]
    for line in filled:
        copied += len(line) if line in seen else 0
        seen.add(line)
    return {
        "lines": len(lines),
        "filled_lines": len(filled),
        "bullet_lines": sum(line.startswith(tuple(BULLETS)) for line in filled),
        "ellipsis_lines": sum(line.endswith(ellipses) for line in filled),
        "ended_lines": sum(line.endswith(tuple(MARKS)) for line in filled),
        "short_lines": sum(len(line) + hangul(line) <= SHORT for line in shown),
        "copied_chars": copied,
        "chars": len(text.replace("\n", "")),
        "line_feeds": text.count("\n"),
    }


@given(
    st.data(),
    st.sampled_from(["filled", "line_feeds", "splitlines"]),
    st.booleans(),
    st.sampled_from([("...", "…"), ("…",), ("...", ". . .", "…")]),
)
def test_counts_equal_those_of_plain_python(buffers, any_text, data, cut, stripped, ellipses):
    odd = st.lists(
        st.sampled_from(["a...", "나…", ". . .", "\r", "\x0b", "\x85", "\n", "- x", " ", "끝.”"])
    ).map("".join)
    texts = data.draw(st.lists(any_text | odd, max_size=4))
    stats = line_stats(
        *buffers(texts),
        cut=cut,
        stripped=stripped,
        bullets=BULLETS,
        ellipses=ellipses,
        terminals=MARKS,
        short=SHORT,
        hangul_width=2,
        copies=True,
    )
    assert tuple(stats) == COUNTS
    for row, text in enumerate(texts):
        expected = slow_stats(text, cut, stripped, ellipses)
        assert {name: int(stats[name][row]) for name in COUNTS} == expected


@pytest.mark.parametrize(
    ("cut", "lines"), [("filled", [2, 0]), ("line_feeds", [4, 1]), ("splitlines", [3, 0])]
)
def test_what_a_line_is_differs_at_blank_lines_and_at_the_end(buffers, cut, lines):
    stats = line_stats(*buffers(["가\n\n나\n", ""]), cut=cut, stripped=False)
    assert stats["lines"].tolist() == lines


def test_copies_are_looked_for_within_one_text(buffers):
    stats = line_stats(
        *buffers(["가나\n가나\n가나", "가나"]), cut="filled", stripped=True, copies=True
    )
    assert stats["copied_chars"].tolist() == [4, 0]
