"""Texts of known language: cut where words end, joined in order, ours where there are no others."""

import language_texts
import pytest
from language_texts import cut_to, documents, labelled_sentences, same_language


@pytest.mark.parametrize(
    ("sentence", "chars", "start"),
    [
        ("one two three", 3, "one"),
        ("one two three", 4, "one two"),
        ("one two three", 99, "one two three"),
        ("하나 둘 셋", 1, "하나"),
        ("酱缸放在院子里", 3, "酱缸放"),
    ],
)
def test_the_start_of_a_sentence_ends_with_a_word(sentence, chars, start):
    assert cut_to(sentence, chars) == start


def test_documents_are_sentences_in_a_row_until_they_are_long_enough():
    assert list(documents(["aaaa", "bb", "cc", "dd"], 6)) == ["aaaa bb", "cc dd"]
    assert list(documents(["aaaa", "bb", "cc"], 6, "\n")) == ["aaaa\nbb"]  # the rest is too short


def test_names_of_one_language_are_the_same_language():
    assert same_language("no", "nb")
    assert same_language("yue", "zh")
    assert not same_language("nn", "nb")


def test_without_real_data_there_are_sentences_of_ours_in_both_languages(monkeypatch, tmp_path):
    monkeypatch.setattr(language_texts, "SENTENCES", tmp_path / "none")
    sentences = labelled_sentences()
    assert set(sentences) == {"en", "ko"}
    for language, texts in sentences.items():
        assert len(texts) > 100
        hangul = sum("가" <= char <= "힣" for text in texts for char in text)
        letters = sum(char.isalpha() for text in texts for char in text)
        assert (hangul > 0.5 * letters) is (language == "ko")
