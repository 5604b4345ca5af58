import random
import re

import datasketch
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.errors import ConfigError
from datatools.kernels.minhash import bands, choose_bands, predicted_recall, signatures
from datatools.kernels.shingles import jaccard, shingle_sets


@given(st.data(), st.integers(1, 5), st.sampled_from(["word", "char", "auto"]), st.integers(1, 9))
def test_a_signature_holds_the_minimum_of_each_permutation(
    buffers, any_text, data, ngram, unit, num_perm
):
    texts = data.draw(st.lists(any_text, max_size=3))
    signature, _ = signatures(*buffers(texts), ngram=ngram, unit=unit, num_perm=num_perm, seed=7)
    offsets, hashes = shingle_sets(*buffers(texts), ngram=ngram, unit=unit)
    factors, shifts = permutation_constants(num_perm, seed=7)
    for row in range(len(texts)):
        shingles = [int(h) >> 32 for h in hashes[offsets[row] : offsets[row + 1]]]
        for k in range(num_perm):
            values = [(h * factors[k] + shifts[k]) % 2**32 for h in shingles]
            assert signature[row, k] == min(values, default=2**32 - 1)


def permutation_constants(count, seed):
    def mix(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    stream = [mix((mix(seed) + k * 0x9E3779B97F4A7C15) % 2**64) for k in range(1, count + 1)]
    return [x >> 32 | 1 for x in stream], [x % 2**32 for x in stream]


def test_more_permutations_extend_a_signature(buffers):
    texts = buffers(["a b c d e f g", "가 나 다 라 마 바 사"])
    long, _ = signatures(*texts, num_perm=131)
    for shorter in (1, 3, 4, 128):
        assert (signatures(*texts, num_perm=shorter)[0] == long[:, :shorter]).all()


def test_signatures_do_not_depend_on_the_batch(buffers):
    texts = ["the quick brown fox jumps over", "", "나는 오늘 집에 가서 밥을 먹고 잤다", "short"]
    together, counts = signatures(*buffers(texts))
    for row, text in enumerate(texts):
        alone, count = signatures(*buffers([text]))
        assert (alone[0] == together[row]).all()
        assert count[0] == counts[row]


@pytest.mark.parametrize("unit", ["word", "char", "auto"])
def test_the_estimate_is_as_close_as_theory_says(buffers, edited_pairs, unit):
    texts, left, right = edited_pairs([0.002, 0.01, 0.03, 0.06, 0.1, 0.2] * 25, seed=0)
    both, either = jaccard(*buffers(texts), left, right, unit=unit)
    truth = both / either
    signature, _ = signatures(*buffers(texts), unit=unit)
    estimate = (signature[left] == signature[right]).mean(axis=1)
    theory = np.sqrt((truth * (1 - truth) / 128).mean())
    assert abs((estimate - truth).mean()) < 4 * theory / np.sqrt(len(left))
    assert np.sqrt(((estimate - truth) ** 2).mean()) < 1.25 * theory


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [
        ("a b c d", "word", 0),
        ("a b c d e", "word", 1),
        ("A a a a a a", "word", 2),
        ("가나다라", "char", 0),
        (" 가나다라마 ", "char", 1),
        ("가나 다라", "auto", 0),
        ("가나 다라 mat", "auto", 1),
        ("", "word", 0),
        ("", "char", 0),
    ],
)
def test_a_text_shorter_than_a_shingle_has_none(buffers, text, unit, count):
    assert signatures(*buffers([text]), unit=unit)[1].tolist() == [count]


@pytest.mark.slow
def test_a_text_of_200_megabytes_has_the_signature_of_its_shingles():
    rng = random.Random(0)
    words = [f"w{k}" for k in range(3000)] + ["집에", "Straße", "İ", "ΟΔΥΣΣΕΥΣ", "漢字"] * 20
    once = (" ".join(rng.sample(words, len(words))) + " ").encode()
    times = 200_000_000 // len(once)
    # Said twice or ten thousand times, the text has the same shingles.
    texts = [np.frombuffer(once * count, np.uint8) for count in (2, times)]
    short, long = (signatures(np.array([0, len(text)]), text) for text in texts)
    assert (short[0] == long[0]).all()
    assert long[1][0] == (short[1][0] + 4) // 2 * times - 4


def test_compatible_signatures_are_those_of_the_words(buffers):
    texts = [
        "The cat sat on the mat, and so did I.",
        "나는 오늘, 집에 가서 밥을 먹었다.",
        "short",
        "",
    ]
    signature, counts = signatures(*buffers(texts), compatible="datasketch", seed=3, num_perm=40)
    for row, text in enumerate(texts):
        words = re.findall(r"\w+", text.lower())
        sketch = datasketch.MinHash(40, seed=3)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
        assert (signature[row] == sketch.hashvalues).all()
    assert counts.tolist() == [6, 2, 0, 0]
    assert (signature[2:] == 2**32 - 1).all()


def test_compatible_signatures_of_characters_are_refused(buffers):
    with pytest.raises(ValueError, match="datatrove signatures are made of words"):
        signatures(*buffers(["a"]), compatible="datatrove", unit="char")


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_bands_take_both_widths(kind):
    signature = np.array([[1, 2, 3, 4], [1, 2, 3, 5]], np.uint32)
    assert (bands(signature.astype(kind), 2, 2) == bands(signature, 2, 2)).all()


def test_another_seed_gives_other_permutations(buffers):
    texts = buffers(["a b c d e f"])
    one, other = (signatures(*texts, seed=seed)[0] for seed in (1, 2))
    assert (one == other).mean() < 0.1


@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=8))
def test_documents_share_a_band_key_exactly_when_they_share_the_band(rows):
    signature = np.array(rows, np.uint32)
    keys = bands(signature, 2, 3)
    where = {}
    for d, row in enumerate(rows):
        for b in range(2):
            where.setdefault((b, *row[3 * b : 3 * b + 3]), set()).add(int(keys[d, b]))
    assert all(len(found) == 1 for found in where.values())
    assert len(set().union(*where.values())) == len(where)


def test_bands_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="17 bands of 8 rows do not fit a signature of 128"):
        bands(np.zeros((1, 128), np.uint32), 17, 8)


def test_predicted_recall_is_the_rate_at_which_independent_rows_agree():
    rng = np.random.default_rng(0)
    agree = rng.random((20_000, 5, 3)) < 0.6
    assert agree.all(axis=2).any(axis=1).mean() == pytest.approx(
        predicted_recall(0.6, 5, 3), abs=0.015
    )


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("num_perm", [64, 128, 256])
def test_chosen_bands_have_the_most_rows_then_the_fewest_bands(threshold, num_perm):
    enough = [
        (-rows, count)
        for rows in range(1, num_perm + 1)
        for count in range(1, num_perm // rows + 1)
        if 1 - (1 - threshold**rows) ** count >= 0.98
    ]
    count, rows = choose_bands(threshold, num_perm)
    assert (-rows, count) == min(enough)


def test_the_default_threshold_gets_17_bands_of_7_rows():
    assert choose_bands(0.8) == (17, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 80}, r"threshold: must be in \(0, 1\] \(got 80\)"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 0.8, "recall": 1}, "recall"),
        ({"threshold": 0.01}, r"no bands of 128 permutations.*Raise num_perm"),
    ],
)
def test_a_choice_that_cannot_be_made_says_why(arguments, message):
    with pytest.raises(ConfigError, match=message):
        choose_bands(**arguments)
