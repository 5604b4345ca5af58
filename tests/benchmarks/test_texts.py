"""Documents as numbered words: nothing is lost, and edits are as many and of the kinds said."""

import difflib

import numpy as np
import pytest
from texts import bundled_words, compose, document_lengths, edited, split_words

TEXTS = ["One two,  three.\n\nFour", "하나 둘 셋", "", "마지막 문서."]


def test_split_texts_come_back_as_they_were():
    assert split_words(TEXTS).texts().to_pylist() == TEXTS


def test_texts_of_some_documents_are_those_documents():
    words = split_words(TEXTS)
    assert words.taken(np.array([3, 0])).texts().to_pylist() == [TEXTS[3], TEXTS[0]]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_composed_documents_have_the_lengths_asked_for(language):
    rng = np.random.default_rng(0)
    lengths = document_lengths(50, 80, rng)
    words = compose(bundled_words(language), lengths, rng)
    assert [len(text.split()) for text in words.texts().to_pylist()] == lengths.tolist()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.4])
def test_as_many_words_are_edited_as_the_share_says(share):
    # Every word is distinct and new words cannot be told from the old, so a difference of the two
    # lists counts the edits.
    words = split_words([" ".join(f"w{number}" for number in range(2000))])
    (text,) = edited(words, share, np.random.default_rng(1)).texts().to_pylist()
    matcher = difflib.SequenceMatcher(
        None, [f"w{number}" for number in range(2000)], text.split(), autojunk=False
    )
    kept = sum(block.size for block in matcher.get_matching_blocks())
    # An insertion, a fifth of the edits, loses no word.
    assert kept == pytest.approx(2000 * (1 - 0.8 * share), rel=0.03)
    assert len(text.split()) == pytest.approx(2000, rel=0.05 * share + 0.01)


def test_every_document_is_edited_and_none_leaks_into_the_next():
    words = split_words([f"a{number} b{number} c{number} d{number} " for number in range(300)])
    copies = edited(words, 0.01, np.random.default_rng(2)).texts().to_pylist()
    for number, copy in enumerate(copies):
        own = [word for word in copy.split() if word[1:] == str(number)]
        assert copy.strip() != f"a{number} b{number} c{number} d{number}"
        assert len(own) >= 3
