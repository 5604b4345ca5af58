import hashlib
import math
import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_corpora import documents

from datatools.errors import ConfigError, DataError
from datatools.train.tokenizer import (
    SPECIAL_TOKENS,
    Tokenizer,
    bytes_per_token,
    train_tokenizer,
)

ODD_TEXTS = [
    "",
    " \n\t\u3000 ",
    "a\x00b",
    "�",
    unicodedata.normalize("NFD", "한국어 각각"),
    "ㅋㅋㅋ ㅠㅠ",
    "שלום مرحبا",
    "👩‍👩‍👧 e\u0301",
    "x" * 5000,
    "한" * 3000,
]


def test_training_is_the_same_in_another_process_with_another_hash_seed(tmp_path):
    """Merges that tie must not be broken by a hash table's order, nor by threads."""
    script = (
        "import sys, hashlib; sys.path[:0] = sys.argv[1:]\n"
        "from train_corpora import documents\n"
        "from datatools.train.tokenizer import train_tokenizer\n"
        "made = train_tokenizer((t for t, _ in documents()), vocabulary=400)\n"
        "print(hashlib.sha256(made.to_json().encode()).hexdigest())\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1", "RAYON_NUM_THREADS": "1"}
    there = subprocess.run(
        [sys.executable, "-c", script, os.path.dirname(__file__)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    here = train_tokenizer((text for text, _ in documents()), vocabulary=400)
    assert there.stdout.strip() == hashlib.sha256(here.to_json().encode()).hexdigest()


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_comes_back_exactly(text, tokenizer):
    ids = tokenizer.encode([text])[0]
    assert tokenizer.token_bytes(ids) == text.encode()
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_text_comes_back_exactly(text, tokenizer):
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text


def test_a_lone_surrogate_is_read_as_the_replacement_character(tokenizer):
    ids = tokenizer.encode(["a\ud83db"])[0]
    assert tokenizer.decode(ids) == "a�b"
    spans = tokenizer.encode_with_offsets(["a\ud83db"])[0][1]
    assert spans.max() == 3


def test_a_batch_gives_what_its_texts_give_alone(tokenizer):
    texts = [text for text, _ in documents(6)]
    for together, text in zip(tokenizer.encode(texts), texts, strict=True):
        np.testing.assert_array_equal(together, tokenizer.encode([text])[0])


def test_special_tokens_in_text_are_ordinary_characters(tokenizer):
    for token in SPECIAL_TOKENS:
        ids = tokenizer.encode([f"before {token} 뒤"])[0]
        assert tokenizer.special_id(token) not in ids
        assert tokenizer.decode(ids) == f"before {token} 뒤"


def test_special_tokens_come_first_and_stand_for_no_text(tokenizer):
    assert [tokenizer.special_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2]
    assert tokenizer.token_bytes([0, 1, 2]) == b""
    assert [tokenizer.special_text(n) for n in (0, 3)] == ["<|endoftext|>", None]


@pytest.mark.parametrize("text", ["garden 시장에 walks", "각e\u0301👩‍👧 2026년"])
def test_offsets_name_the_characters_of_each_token(text, tokenizer):
    ids, spans = tokenizer.encode_with_offsets([text])[0]
    for token, (start, end) in zip(ids, spans, strict=True):
        assert tokenizer.token_bytes([token]) in text[start:end].encode()
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)


def test_words_that_recur_become_single_tokens_in_both_languages():
    made = train_tokenizer(["the garden " * 50], ["우리 정원에 " * 50], vocabulary=300)
    for word in (" garden", " 정원에"):
        assert len(made.encode([word])[0]) == 1


def test_no_token_spans_two_words():
    """`ab ab ab ...` would merge across spaces at once without the split pattern."""
    made = train_tokenizer(["ab 가나 " * 500], vocabulary=320)
    for token in range(3, made.vocabulary):
        assert b" " not in made.token_bytes([token])[1:]


def test_numbers_are_cut_into_at_most_three_digits():
    made = train_tokenizer(["20262026 " * 500], vocabulary=300)
    longest = max(
        (made.token_bytes([token]) for token in range(3, made.vocabulary)),
        key=lambda data: sum(48 <= byte < 58 for byte in data),
    )
    assert sum(48 <= byte < 58 for byte in longest) == 3


def test_saving_and_loading_keeps_every_id(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_json(), "utf-8")
    text = "The farmer 농부는 <|im_end|>"
    np.testing.assert_array_equal(
        Tokenizer.load(path).encode([text])[0], tokenizer.encode([text])[0]
    )


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(DataError, match="cannot be read"):
        Tokenizer.load(path)
    path.write_text("{}")
    with pytest.raises(DataError, match=r"is not a tokenizer\.json"):
        Tokenizer.load(path)


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(ConfigError, match="must be at least 259"):
        train_tokenizer(["text"], vocabulary=258)


def test_bytes_per_token_is_counted_by_language():
    plain = train_tokenizer([], vocabulary=259)  # no merges: one token per byte
    ratios = bytes_per_token(plain, {"ko": ["가나", "다"], "en": ["abc"], "ja": []})
    assert ratios["ko"] == ratios["en"] == 1.0
    assert math.isnan(ratios["ja"])
    merged = train_tokenizer(["aa aa " * 50], vocabulary=261)  # learns `aa` and ` aa`
    assert bytes_per_token(merged, {"en": ["aa aa aa"]})["en"] == pytest.approx(8 / 3)
