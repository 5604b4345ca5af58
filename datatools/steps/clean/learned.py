"""The learned extractor: a page's blocks, what is known of them, and trees that choose.

Owns: the model in the package, its loading, and the way of a page through the kernels. Refuses:
training, which is `benchmarks/train_extractor.py`, and parsers: there is no tree, so there is
nothing that a page could make grow faster than itself, and no fence around it.

    page ─ html_blocks ─▶ blocks ─ html_features ─▶ numbers ─ html_trees ─▶ blocks kept ─▶ text

References:
    Christian Kohlschütter et al., "Boilerplate Detection using Shallow Text Features", WSDM 2010:
    blocks of text, classified by their own measures and their neighbours'.
    Matthew Peters and Dan Lecocq, "Content Extraction Using Diverse Feature Sets", WWW 2013: with
    the words of markup.
"""

from __future__ import annotations

import functools
import html as entities
import json
from collections.abc import Iterator
from importlib import resources
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from datatools.errors import DatatoolsError
from datatools.kernels.html_blocks import (
    BLOCKS,
    ELEMENTS_READ,
    LIMIT,
    TOO_DEEP,
    WORDS,
    make_tables,
    read_blocks,
    write_blocks,
)
from datatools.kernels.html_features import FEATURES, features_of, look_over, make_page
from datatools.kernels.html_keywords import markup_words, text_words
from datatools.kernels.html_trees import Trees, keep_best, score
from datatools.steps.clean.html_text import strip_tags

__all__ = ["MODEL", "Extracted", "LearnedExtractor", "PageReader", "load_trees"]

MODEL: Final = "learned_extractor.safetensors"
"""Name of the model's file beside this one."""

_MOST_BLOCKS: Final = 1 << 17
_MOST_ELEMENTS: Final = 1 << 18
_ROWS: Final = 256  # whose features fit the processor's second cache


class Extracted(NamedTuple):
    """What became of a page.

    Attributes:
        text: Its main text, or all its text if no block was chosen; empty with an excess.
        is_main: Whether blocks were chosen.
        excess: The limit that the page is over, in words; None within all.
    """

    text: str
    is_main: bool
    excess: str | None


@functools.cache
def load_trees() -> Trees:
    """Return the model of the package.

    Raises:
        DatatoolsError: It was trained on other features than this version computes.
    """
    from safetensors.numpy import load

    raw = resources.files(__package__).joinpath(MODEL).read_bytes()
    arrays = load(raw)
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    if json.loads(header["__metadata__"]["features"]) != list(FEATURES):
        raise DatatoolsError(
            MODEL,
            "the model was trained on other features than this version computes",
            hint="Train it again: python benchmarks/train_extractor.py",
        )
    return Trees(**{name: arrays[name] for name in Trees._fields})


class PageReader:
    """Reads pages into blocks and their features. Its tables are used again for every page.

    Args:
        max_depth: Most elements inside one another.
    """

    def __init__(self, max_depth: int = 512) -> None:
        self.tables = make_tables(_MOST_BLOCKS, _MOST_ELEMENTS, max_depth)
        self._max_depth = max_depth
        self._values = np.empty((_ROWS, len(FEATURES)), dtype=np.float32)

    def read(self, page: bytes) -> str | None:
        """Read a page in UTF-8 into the tables; return the limit that it is over, if it is."""
        start = 3 if page.startswith(b"\xef\xbb\xbf") else 0
        html = np.frombuffer(page, dtype=np.uint8)
        read_blocks(html, start, self.tables, markup_words(), text_words())
        limit = int(self.tables.state[LIMIT])
        if limit == TOO_DEEP:
            return f"more than {self._max_depth} elements inside one another"
        if limit:
            return f"more than {_MOST_BLOCKS} blocks or {_MOST_ELEMENTS} elements"
        return None

    def features(self, page: bytes) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield the features of the page just read.

        Yields:
            The number of a block, and f32[at most 256, features]: of it and those after it. All
            are parts of one buffer.
        """
        tables = self.tables
        blocks = int(tables.state[BLOCKS])
        whole = make_page(blocks, int(tables.state[ELEMENTS_READ]))
        look_over(tables, whole)
        for first in range(0, blocks, _ROWS):
            end = min(first + _ROWS, blocks)
            features_of(tables, whole, first, end, len(page), self._values)
            yield first, self._values[: end - first]

    def text(self, page: bytes, keep: npt.NDArray[np.bool_]) -> str:
        """Return the text of some blocks of the page just read."""
        out = np.empty(len(page) + 2, dtype=np.uint8)
        size = int(write_blocks(np.frombuffer(page, dtype=np.uint8), self.tables, keep, out))
        return entities.unescape(out[:size].tobytes().decode("utf-8", "replace"))


class LearnedExtractor:
    """Finds main texts. One instance per thread: see `PageReader`.

    Args:
        max_depth: Most elements inside one another.

    Example:
        >>> page = "<nav><a href=/>Home</a></nav><p>Salt, dried. 소금을 말린다."
        >>> LearnedExtractor().extract(page.encode()).text
        'Salt, dried. 소금을 말린다.'
    """

    def __init__(self, max_depth: int = 512) -> None:
        self._trees = load_trees()
        self._reader = PageReader(max_depth)
        self._nodes = np.empty(_ROWS, dtype=np.int32)

    def extract(self, page: bytes) -> Extracted:
        """Return the main text of a page in UTF-8.

        Complexity:
            O(bytes + tags x depth + blocks x (depth + trees)).
        """
        excess = self._reader.read(page)
        if excess is not None:
            return Extracted("", False, excess)
        keep = self._choose(page)
        if not len(keep):  # what shows may be in a drawing
            return Extracted(strip_tags(page), False, None)
        is_main = bool(keep.any())
        if not is_main:
            keep[:] = True
        return Extracted(self._reader.text(page, keep), is_main, None)

    def _choose(self, page: bytes) -> npt.NDArray[np.bool_]:
        """Return which blocks of the page just read are main text."""
        blocks = self._reader.tables.blocks[: int(self._reader.tables.state[BLOCKS])]
        chances = np.empty(len(blocks), dtype=np.int64)
        for first, values in self._reader.features(page):
            score(self._trees, values, len(values), self._nodes, chances[first:])
        keep = np.empty(len(blocks), dtype=np.bool_)
        keep_best(chances, np.ascontiguousarray(blocks[:, WORDS]), keep)
        return keep
