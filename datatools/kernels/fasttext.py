"""fastText's prediction: a text's likeliest labels by a supervised model with subwords.

Owns the sums over words and character n-grams, and the walk down the tree of labels. Refuses:
reading a model's file (`steps.language.fasttext_model`), training, and models without subwords or
with another loss than the hierarchical softmax.

The numbers are those of the library in the order in which it adds them: single floats, so that its
answers come out, at about eight times its speed. It makes a string and asks two hash maps for every
n-gram; here the rows are multiplied out beforehand and an n-gram's row is one look into an array.

References:
    Armand Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017, section 2.
    Armand Joulin et al., "FastText.zip: Compressing text classification models", 2016: the pruned
    and quantised form.
    Glenn Fowler, Landon Noll, Phong Vo, FNV-1a. fastText widens bytes with their sign.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.kernels.bits import count_ones
from datatools.kernels.jit import I64, U64, kernel

__all__ = ["BUCKETS", "DIMENSIONS", "Model", "hash_word", "top_labels"]

BUCKETS = 2_000_000
"""How many hashes of n-grams a model tells apart; known here, so that no division is needed."""
DIMENSIONS = 16
"""Numbers in a row; known here, so that rows are added without a loop."""

_BASIS, _PRIME = np.uint64(2166136261), np.uint64(16777619)
_BUCKETS, _ONE, _SIX, _LOW_SIX = np.uint64(BUCKETS), np.uint64(1), np.uint64(6), np.uint64(63)
_SIGN, _LOW = np.uint64(0xFFFFFF00), np.uint64(0xFFFFFFFF)
_OPEN, _CLOSE = np.uint8(ord("<")), np.uint8(ord(">"))
_LABEL = np.frombuffer(b"__label__", np.uint8)
_LOWEST = np.float32(math.log(1e-5))  # the library goes no further down the tree


class Model(NamedTuple):
    """What the kernel looks up.

    Attributes:
        rows: float32 of shape (words + n-grams, DIMENSIONS). Row 0 is that of the line's end.
        slots: int32, a power of two of them: the word whose hash leads here, or -1.
        word_offsets: int64 of shape (words + 1,), into `words`.
        words: uint8, the words one after the other as UTF-8.
        present: uint64 of shape (BUCKETS / 64,): a bit for each hash of n-grams that has a row.
        before: int32 of shape (BUCKETS / 64,): the row of the first bit of each 64; those of the
            next ones follow in order.
        ngram_sizes: int64 of shape (2,): characters of the shortest n-gram and of the longest.
        children: int32 of shape (2 * labels - 1, 2): left and right below each node, -1 below a
            label. Nodes from 0 are the labels, the last is the root.
        nodes: float32 of shape (labels - 1, DIMENSIONS): the inner nodes' weights.
    """

    rows: npt.NDArray[np.float32]
    slots: npt.NDArray[np.int32]
    word_offsets: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint8]
    present: npt.NDArray[np.uint64]
    before: npt.NDArray[np.int32]
    ngram_sizes: npt.NDArray[np.int64]
    children: npt.NDArray[np.int32]
    nodes: npt.NDArray[np.float32]


@kernel
def _mix(h: U64, byte: I64) -> U64:
    code = np.uint64(byte)
    if byte >= 0x80:
        code |= _SIGN
    return ((h ^ code) * _PRIME) & _LOW


@kernel
def hash_word(text: npt.NDArray[np.uint8], start: I64, end: I64) -> U64:
    """Return fastText's 32-bit hash of `text[start:end]`."""
    h = _BASIS
    for i in range(start, end):
        h = _mix(h, text[i])
    return h


@kernel
def _find_word(text: npt.NDArray[np.uint8], start: I64, end: I64, model: Model) -> I64:
    mask = np.uint64(len(model.slots) - 1)
    at = hash_word(text, start, end) & mask
    while model.slots[at] >= 0:
        word = model.slots[at]
        first = model.word_offsets[word]
        if model.word_offsets[word + 1] - first == end - start:
            k = 0
            while k < end - start and model.words[first + k] == text[start + k]:
                k += 1
            if k == end - start:
                return np.int64(word)
        at = (at + np.uint64(1)) & mask
    return -1


@kernel
def _add(rows: npt.NDArray[np.float32], row: I64, hidden: npt.NDArray[np.float32]) -> None:
    for j in range(DIMENSIONS):
        hidden[j] += rows[row, j]


@kernel
def _add_ngrams(
    text: npt.NDArray[np.uint8],
    start: I64,
    end: I64,
    model: Model,
    hidden: npt.NDArray[np.float32],
) -> I64:
    # The n-grams of `<word>`, shorter ones first from each character on; how many have a row. The
    # two signs around the word are read from no buffer: position -1 and the word's length.
    size = end - start
    shortest, longest = model.ngram_sizes[0], model.ngram_sizes[1]
    found = 0
    for i in range(-1, size + 1):
        if 0 <= i < size and text[start + i] & 0xC0 == 0x80:
            continue
        h = _BASIS
        j = i
        n = 1
        while j <= size and n <= longest:
            if j < 0:
                h = _mix(h, _OPEN)
                j += 1
            elif j == size:
                h = _mix(h, _CLOSE)
                j += 1
            else:
                h = _mix(h, text[start + j])
                j += 1
                while j < size and text[start + j] & 0xC0 == 0x80:
                    h = _mix(h, text[start + j])
                    j += 1
            if n >= shortest and not (n == 1 and (i < 0 or j > size)):
                bucket = h % _BUCKETS
                bits = model.present[bucket >> _SIX]
                bit = _ONE << (bucket & _LOW_SIX)
                if bits & bit != 0:
                    row = model.before[bucket >> _SIX] + count_ones(bits & (bit - _ONE))
                    _add(model.rows, row, hidden)
                    found += 1
            n += 1
    return found


@kernel
def _is_space(byte: I64) -> bool:
    return bool(byte == 0x20 or 0x09 <= byte <= 0x0D or byte == 0)


@kernel
def _embed(text: npt.NDArray[np.uint8], model: Model, hidden: npt.NDArray[np.float32]) -> None:
    # The mean of the rows of the text's words and their n-grams, and of the line's end.
    hidden[:] = 0
    count = 0
    i = 0
    while i < len(text):
        if _is_space(text[i]):
            i += 1
            continue
        start = i
        while i < len(text) and not _is_space(text[i]):
            i += 1
        k = 0
        while k < len(_LABEL) and start + k < i and text[start + k] == _LABEL[k]:
            k += 1
        if k == len(_LABEL):
            continue  # to the library, a label is no text
        word = _find_word(text, start, i, model)
        if word == 0:
            break  # the line's end, spelled out
        if word > 0:
            _add(model.rows, word, hidden)
            count += 1
        count += _add_ngrams(text, start, i, model, hidden)
    _add(model.rows, 0, hidden)
    share = np.float32(1.0 / (count + 1))
    for j in range(DIMENSIONS):
        hidden[j] *= share


@kernel
def top_labels(
    text: npt.NDArray[np.uint8],
    model: Model,
    labels: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
) -> I64:
    """Find a text's likeliest labels.

    Args:
        text: UTF-8 on one line, in lower case if the model was trained so.
        model: The model.
        labels: Written: the labels' numbers, likeliest first. As many as are wanted.
        scores: Written: their log-probabilities, each a hundred-thousandth too high, as in the
            library; so a probability can exceed 1.

    Returns:
        How many were found; those less likely than a hundred-thousandth are not.
    """
    hidden = np.empty(DIMENSIONS, np.float32)
    _embed(text, model, hidden)
    stack = np.empty(len(model.children) + 1, np.int32)
    reached = np.empty(len(model.children) + 1, np.float32)
    leaves = len(model.children) - len(model.nodes)
    stack[0] = len(model.children) - 1
    reached[0] = np.float32(0.0)
    depth = 1
    found = 0
    while depth > 0:
        depth -= 1
        node, score = stack[depth], reached[depth]
        if score < _LOWEST or (found == len(labels) and score < scores[found - 1]):
            continue
        if node < leaves:
            at = min(found, len(labels) - 1)
            found = at + 1
            while at > 0 and scores[at - 1] < score:
                labels[at], scores[at] = labels[at - 1], scores[at - 1]
                at -= 1
            labels[at], scores[at] = node, score
            continue
        dot = np.float32(0.0)
        for j in range(DIMENSIONS):
            dot += model.nodes[node - leaves, j] * hidden[j]
        right = np.float32(1.0 / np.float64(np.float32(1.0) + np.exp(-dot)))
        left = np.float32(1.0 - np.float64(right))
        # The left side is walked first: it lies on top.
        stack[depth] = model.children[node, 1]
        reached[depth] = score + np.float32(math.log(np.float64(right) + 1e-5))
        stack[depth + 1] = model.children[node, 0]
        reached[depth + 1] = score + np.float32(math.log(np.float64(left) + 1e-5))
        depth += 2
    return found
