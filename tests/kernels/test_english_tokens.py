import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.english_rules import special_cases
from datatools.kernels.english_tokens import english_sentences, english_tokens

# Texts of ours, cut by spaCy (`spacy.blank("en")` with its sentencizer, as datatrove 0.10 calls
# it); `benchmarks/parity.py` compares all tokens of real documents.
CASES = json.loads(Path(__file__).with_name("english_tokens.json").read_text("utf-8"))["cases"]
TEXTS = [case["text"] for case in CASES]


def cut(buffers, texts):
    found = english_tokens(*buffers(texts))
    for row, text in enumerate(texts):
        data = text.encode()
        bounds = found.bounds[found.rows[row] : found.rows[row + 1]].tolist()
        yield [data[start:end].decode() for start, end, _ in bounds]


@pytest.fixture(scope="module")
def tokens(buffers):
    return dict(zip(TEXTS, cut(buffers, TEXTS), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:25])
def test_tokens_are_those_of_spacy(tokens, case):
    assert tokens[case["text"]] == case["tokens"]


def test_sentences_are_those_of_spacy(buffers):
    counts = english_sentences(*buffers(TEXTS)).tolist()
    assert counts == [case["sentences"] for case in CASES]


def test_tokens_of_a_text_do_not_depend_on_its_neighbours(buffers, tokens):
    for text in TEXTS[::7]:
        assert list(cut(buffers, [text])) == [tokens[text]]
    assert list(cut(buffers, TEXTS[::-1])) == [tokens[text] for text in TEXTS[::-1]]


def test_every_special_case_is_cut_into_its_pieces(buffers):
    cases = special_cases()
    # Each alone and between words, where nothing touches it.
    found = cut(buffers, [f"see {case} here" for case in cases])
    assert list(found) == [["see", *pieces, "here"] for pieces in cases.values()]


@given(st.data())
def test_tokens_and_whitespace_make_up_the_text(buffers, any_text, data):
    text = data.draw(any_text)
    (found,) = cut(buffers, [text])
    assert "".join(found) == "".join(text.split())


def test_a_long_chunk_without_spaces_is_cut_in_linear_time(buffers):
    # A pass over the chunk for every mark would take hours.
    for piece in ("(", "a@", "x.", "-", "1,", "://", "'s"):
        (found,) = cut(buffers, [piece * 100_000])
        assert "".join(found) == piece * 100_000
