import random
import re

import datasketch
import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from datatools.errors import DataError
from datatools.kernels import compatible
from datatools.kernels.compatible import token_signatures
from datatools.kernels.words import split_words


def word_list(rows):
    encoded = [token.encode() for row in rows for token in row]
    return (
        np.cumsum([0, *map(len, rows)]),
        np.cumsum([0, *map(len, encoded)]),
        np.frombuffer(b"".join(encoded), np.uint8),
    )


def shingles(tokens, ngram):
    return [" ".join(tokens[i : i + ngram]).encode() for i in range(len(tokens) - ngram + 1)]


def datasketch_values(tokens, ngram, num_perm, seed, shingle_hash):
    function = None if shingle_hash == "sha1" else xxhash.xxh32_intdigest
    sketch = datasketch.MinHash(num_perm, seed=seed, hashfunc=function)
    for shingle in shingles(tokens, ngram):
        sketch.update(shingle)
    return sketch.hashvalues.tolist()


def datatrove_values(tokens, ngram, num_perm, seed):
    # datatrove 0.10.1: parameters and get_signature of pipeline/dedup/minhash.py, in Python's
    # integers.
    prime = 2**61 - 1
    generator = np.random.RandomState(seed)
    factors, shifts = (
        generator.randint(low, prime, dtype=np.uint64, size=(1, num_perm))[0].tolist()
        for low in (1, 0)
    )
    hashes = [xxhash.xxh64_intdigest(shingle) for shingle in shingles(tokens, ngram)]
    return [
        min(((h * a + b) % 2**64 % prime for h in hashes), default=2**64 - 1)
        for a, b in zip(factors, shifts, strict=True)
    ]


token_rows = st.lists(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
        | st.sampled_from(["the", "cat", "나는", "집에", "갔다", "漢字", "a" * 70, ""]),
        max_size=30,
    ),
    max_size=4,
)


@given(token_rows, st.integers(1, 6), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_any_tokens_give_the_signatures_of_datasketch_and_datatrove(rows, ngram, num_perm, seed):
    options = {"ngram": ngram, "num_perm": num_perm, "seed": seed}
    for shingle_hash in ("sha1", "xxh32"):
        signature, counts = token_signatures(
            *word_list(rows), compatible="datasketch", shingle_hash=shingle_hash, **options
        )
        assert signature.dtype == np.uint32
        assert signature.tolist() == [
            datasketch_values(tokens, ngram, num_perm, seed, shingle_hash) for tokens in rows
        ]
        assert counts.tolist() == [len(shingles(tokens, ngram)) for tokens in rows]
    signature, counts = token_signatures(*word_list(rows), compatible="datatrove", **options)
    assert signature.dtype == np.uint64
    assert signature.tolist() == [datatrove_values(row, ngram, num_perm, seed) for row in rows]


@given(st.data())
def test_our_words_give_what_datasketch_makes_of_the_words_of_re(buffers, any_text, data):
    texts = data.draw(st.lists(any_text, max_size=3))
    words = split_words(*buffers(texts))
    for shingle_hash in ("sha1", "xxh32"):
        signature, _ = token_signatures(
            *words, compatible="datasketch", shingle_hash=shingle_hash, ngram=2, num_perm=16
        )
        assert signature.tolist() == [
            datasketch_values(re.findall(r"\w+", text.lower()), 2, 16, 1, shingle_hash)
            for text in texts
        ]


def test_long_documents_in_both_languages_keep_to_datasketch_with_its_defaults():
    rng = random.Random(0)
    english = [rng.choice(["the", "of", "data", "don", "t", "naïve", "x1"]) for _ in range(1500)]
    korean = [rng.choice(["나는", "학교에서", "공부를", "했다", "데이터"]) for _ in range(1500)]
    signature, _ = token_signatures(*word_list([english, korean]), compatible="datasketch")
    for row, tokens in enumerate([english, korean]):
        sketch = datasketch.MinHash()
        sketch.update_batch(shingles(tokens, 5))
        assert (signature[row] == sketch.hashvalues).all()


@pytest.mark.parametrize(
    "wrong",
    [{"ngram": 0}, {"num_perm": 0}, {"compatible": "rensa"}, {"shingle_hash": "md5"}],
)
def test_a_signature_that_is_not_known_is_refused(wrong):
    with pytest.raises(ValueError, match=r"at least 1|is known"):
        token_signatures(*word_list([["a"]]), **{"compatible": "datasketch", **wrong})


def test_a_row_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(compatible, "MAX_ROW_BYTES", 10)
    with pytest.raises(DataError, match=r"got 11.*Split"):
        token_signatures(*word_list([["a" * 10]]), compatible="datasketch")
