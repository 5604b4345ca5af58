import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.english_tokens import english_tokens
from datatools.kernels.repetition import COUNTS, repetition_counts


def copies(pieces):
    seen, count, chars = set(), 0, 0
    for piece in pieces:
        if piece in seen:
            count, chars = count + 1, chars + len(piece)
        seen.add(piece)
    return count, chars


def slow_counts(text, words=None, raw=False, joined=False, once=False):
    if raw:
        lines = re.split("\n+", text) if text else []
        paragraphs = re.split("\n{2,}", text.strip()) if text else []
    else:
        lines = [line.strip() for line in text.split("\n")]
        paragraphs = [p for p in re.split(r"\n{2,}", "\n".join(lines).strip("\n")) if p]
        lines = [line for line in lines if line]
    words = text.split() if words is None else words
    dup_lines, dup_line_chars = copies(lines)
    dup_paras, dup_para_chars = copies(paragraphs)
    counts = {
        "chars": len(text),
        "lines": len(lines),
        "dup_lines": dup_lines,
        "dup_line_chars": dup_line_chars,
        "paras": len(paragraphs),
        "dup_paras": dup_paras,
        "dup_para_chars": dup_para_chars,
    }
    for n in (2, 3, 4):
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        gram, times = grams.most_common(1)[0] if grams else ((), 0)
        counts[f"top_{n}_gram_chars"] = len(" ".join(gram)) * times if times > 1 or once else 0
    for n in (5, 6, 7, 8, 9, 10):
        seen, repeated, i = set(), 0, 0
        while i <= len(words) - n:
            gram = "".join(words[i : i + n]) if joined else tuple(words[i : i + n])
            if gram in seen:
                repeated += len("".join(gram))
                i += n
            else:
                seen.add(gram)
                i += 1
        counts[f"dup_{n}_gram_chars"] = repeated
    return counts


def counted(buffers, texts):
    counts = repetition_counts(*buffers(texts))
    assert tuple(counts) == COUNTS
    return [{name: int(counts[name][row]) for name in COUNTS} for row in range(len(texts))]


@given(st.data())
def test_counts_equal_those_of_plain_python(buffers, any_text, data):
    texts = data.draw(st.lists(any_text, max_size=4))
    assert counted(buffers, texts) == [slow_counts(text) for text in texts]


@given(st.data(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_other_readings_equal_those_of_plain_python(
    buffers, any_text, data, english, raw, joined, once
):
    few = st.lists(st.sampled_from(["ab", "c", "a", "bc", "가", "나.", "다,", "\n", "\n\n"]))
    texts = data.draw(st.lists(any_text | few.map(" ".join), max_size=3))
    tokens = english_tokens(*buffers(texts)) if english else None
    counts = repetition_counts(
        *buffers(texts),
        tokens=tokens,
        lines="raw" if raw else "filled",
        compare="joined" if joined else "words",
        once=once,
    )
    for row, text in enumerate(texts):
        words = None
        if tokens is not None:
            bounds = tokens.bounds[tokens.rows[row] : tokens.rows[row + 1]].tolist()
            words = [text.encode()[start:end].decode() for start, end, _ in bounds]
        expected = slow_counts(text, words, raw, joined, once)
        assert {name: int(counts[name][row]) for name in COUNTS} == expected


@given(
    st.lists(st.sampled_from(["가", "a", "나다"]), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([" ", "\n", "\n\n", " \r\n"]),
)
def test_the_cascade_equals_hashing_every_ngram(buffers, words, cuts, separator):
    # Few distinct words, and whole stretches said again: n-grams repeat at every length.
    for cut in cuts:
        words = words[:cut] + words[: cut // 2] + words[cut:]
    text = separator.join(words)
    assert counted(buffers, [text]) == [slow_counts(text)]


def test_the_tables_of_one_row_do_not_leak_into_the_next(buffers):
    texts = ["a b c d e f " * 20, "a b", "a b c d e f", "가\n" * 300, "가", "x " * 3000, "x x"]
    assert counted(buffers, texts) == [slow_counts(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("to be or not to be", "top_2_gram_chars", 10),
        ("one two three", "top_2_gram_chars", 0),  # said once is not repeated
        ("a b c d e\n\na b c d e", "dup_5_gram_chars", 5),
        ("a b c d e a b c d e a b c d e", "dup_5_gram_chars", 10),
        ("a\n\n\n\nb\n", "lines", 2),
        (" x \r\nx\r\n\r\nx", "dup_lines", 2),
        ("x y\r\nz\r\n\r\n x y\nz", "dup_para_chars", 5),
        ("나\n \n나\n\t\n나", "dup_paras", 2),
        ("a\rb\rb", "lines", 1),
        ("ab c ab c", "top_2_gram_chars", 8),
        ("ab c a bc", "top_2_gram_chars", 0),
    ],
)
def test_hand_checked_counts(buffers, text, name, count):
    assert counted(buffers, [text])[0][name] == count


@pytest.mark.parametrize("text", ["", " ", "\n\n\r\n\u3000"])
def test_nothing_but_whitespace_repeats_nothing(buffers, text):
    counts = counted(buffers, [text])[0]
    assert counts.pop("chars") == len(text)
    assert set(counts.values()) == {0}
