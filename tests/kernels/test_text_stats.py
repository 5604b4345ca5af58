import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.text_stats import COUNTS, text_stats

BULLETS = "•●◦‣▪■□○-*·ㆍ"
STOP_WORDS = ("the", "a", "zoo", "집에", "i̇", "ας", "k")
ENDINGS = ("는", "에", "에서", "다", "로", "으로", "어")


def is_hangul(char):
    return char.isalpha() and any(
        first <= ord(char) <= last
        for first, last in [
            (0x1100, 0x11FF),
            (0x3130, 0x318F),
            (0xA960, 0xA97F),
            (0xAC00, 0xD7FF),
            (0xFFA0, 0xFFDC),
        ]
    )


def slow_stats(text):
    words = text.split()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    endings = set()
    for word in words:
        core = re.sub(r"\W+$", "", word)
        if core and is_hangul(core[-1]):
            endings.add(max((e for e in ENDINGS if core.endswith(e)), key=len, default=None))
    return {
        "chars": len(text),
        "words": len(words),
        "word_chars": sum(map(len, words)),
        "alpha_words": sum(any(c.isalpha() for c in word) for word in words),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "lines": len(lines),
        "bullet_lines": sum(line.startswith(tuple(BULLETS)) for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "letters": sum(c.isalpha() for c in text),
        "hangul_letters": sum(map(is_hangul, text)),
        "stop_words": len(set(STOP_WORDS) & {word.lower() for word in words}),
        "endings": len(endings - {None}),
    }


@given(st.data())
def test_counts_equal_those_of_plain_python(buffers, any_text, data):
    texts = data.draw(st.lists(any_text, max_size=4))
    stats = text_stats(*buffers(texts), stop_words=STOP_WORDS, endings=ENDINGS, bullets=BULLETS)
    assert tuple(stats) == COUNTS
    for row, text in enumerate(texts):
        assert {name: int(stats[name][row]) for name in COUNTS} == slow_stats(text)


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        (".... ......", "ellipses", 3),
        (".. .", "ellipses", 0),
        ("a.. .\n", "ellipsis_lines", 0),
        ("a...  \r\nb… \n\n", "ellipsis_lines", 2),
        ("a...b", "ellipsis_lines", 0),
        ("a\u2028- b", "lines", 1),
        ("  - a\n\t○ 나\n─ c", "bullet_lines", 2),
        ("_ 1 ² Ⅷ a", "alpha_words", 1),
        ("학교에서 학교에 .", "endings", 2),
        ('"갔다."', "endings", 1),
        ("으로", "endings", 1),
        ("로1", "endings", 0),
        ("THE the The", "stop_words", 1),
        ("\u212a", "stop_words", 1),  # the kelvin sign lowers to k
    ],
)
def test_hand_checked_counts(buffers, text, name, count):
    stats = text_stats(*buffers([text]), stop_words=STOP_WORDS, endings=ENDINGS, bullets=BULLETS)
    assert stats[name].tolist() == [count]


def test_distinct_words_are_counted_anew_in_each_row(buffers):
    stats = text_stats(
        *buffers(["the the", "the"]), stop_words=STOP_WORDS, endings=ENDINGS, bullets=BULLETS
    )
    assert stats["stop_words"].tolist() == [1, 1]
