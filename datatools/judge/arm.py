"""One side of a comparison: its documents, and the subsets that paired runs train on.

Owns: reading an arm, and the one rule by which both arms draw their subsets. Refuses: models.

A draw gives every piece of a document a number from (seed, draw, document id, place) alone. Both
arms take pieces in the order of these numbers, so a page that cleaning left alone is drawn for both
or for neither, however the lists are ordered. The pieces of one document get numbers that are
spread evenly, so a draw of half an arm holds half of every long document.

A draw takes half an arm, so that draws differ and their spread shows how much the choice of text
matters. It is the spread within this arm: an interval made from draws speaks of these two datasets,
not of others that might be collected in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.errors import ConfigError, DataError
from datatools.judge.pieces import split_text
from datatools.records import make_id

__all__ = ["HALF", "Arm", "ArmLike", "Text", "read_arm"]

HALF: Final = 0.5
"""Share of an arm that one draw takes."""

PIECE_BYTES: Final = 2048
"""Bytes of UTF-8 that a piece aims at. In a sample of 565 pages, 4.7 MB, whose longest pages are a
hundred times as long as the others, two draws of one arm differ by 0.006 bits per byte; drawn by
whole pages they differ by 0.059."""


@dataclass(frozen=True)
class Text:
    """A training document of an arm.

    Attributes:
        id: The document's name; equal in both arms where both were made from one crawl.
        text: What a model trains on.
        source: Where it came from, or empty.
    """

    id: str
    text: str
    source: str = ""


ArmLike: TypeAlias = (
    str
    | PathLike[str]
    | pl.DataFrame
    | Sequence[str]
    | Sequence[Text]
    | Sequence[Mapping[str, Any]]
)
"""A published dataset's folder, a frame, or a list of documents or plain strings."""


@dataclass(frozen=True, eq=False)
class Arm:
    """The documents of one side, in canonical order (by id, then text).

    Attributes:
        name: What the verdict calls it.
        documents: Documents with text; the empty ones teach nothing and are left out.
    """

    name: str
    documents: tuple[Text, ...]

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """The texts in pieces of about 2 KiB, in canonical order."""
        return tuple(piece for pieces in self._cut for piece in pieces)

    @cached_property
    def _cut(self) -> tuple[list[str], ...]:
        return tuple(split_text(one.text, PIECE_BYTES) for one in self.documents)

    @cached_property
    def size(self) -> int:
        """Bytes of UTF-8 in all documents."""
        return sum(len(_encode(one.text)) for one in self.documents)

    @property
    def texts(self) -> list[str]:
        """The texts, in canonical order."""
        return [one.text for one in self.documents]

    def digest(self) -> str:
        """Return 32 hexadecimal digits that name the ids and texts, whatever their order was."""
        return make_id(*(part for one in self.documents for part in (one.id, one.text)))

    def numbers(self, seed: int, draw: int) -> npt.NDArray[np.uint64]:
        """Return the number that the draw gives each piece, shape (pieces,).

        The n pieces of a document take one number each from n equal parts of the range. Documents
        that share an id are told apart by how many of them come before in canonical order.
        """
        found: list[int] = []
        before: dict[str, int] = {}
        for one, pieces in zip(self.documents, self._cut, strict=True):
            copy = before.get(one.id, 0)
            before[one.id] = copy + 1
            words = [
                int(make_id("judge draw", seed, draw, one.id, copy, place)[:16], 16)
                for place in range(len(pieces))
            ]
            part = {
                place: rank
                for rank, place in enumerate(np.argsort(np.array(words, dtype=np.uint64)).tolist())
            }
            found += [
                ((part[place] << 64) + word) // len(words) for place, word in enumerate(words)
            ]
        return np.array(found, dtype=np.uint64)

    def take_bytes(self, budget: int, *, seed: int, draw: int) -> list[str]:
        """Draw exactly `budget` bytes, less what cutting between characters leaves over.

        The last piece is cut short. An arm with fewer bytes gives all it has: nothing repeats.

        Args:
            budget: Bytes of UTF-8.
            seed: The comparison's seed.
            draw: Number of the draw.

        Example:
            >>> arm = read_arm(["one", "two", "three"], "A")
            >>> sum(map(len, arm.take_bytes(7, seed=0, draw=0)))
            7
        """
        taken: list[str] = []
        left = budget
        for at in np.argsort(self.numbers(seed, draw), kind="stable"):
            data = _encode(self.pieces[at])
            if len(data) >= left:
                taken.append(data[:left].decode("utf-8", "ignore"))
                break
            taken.append(self.pieces[at])
            left -= len(data)
        return taken

    def take_share(self, share: float, *, seed: int, draw: int) -> list[str]:
        """Draw what this arm holds of a share of all pages, at a share of 1 everything.

        Two arms of one crawl thus get what either kept of the same pages.

        Args:
            share: In (0, 1].
            seed: The comparison's seed.
            draw: Number of the draw.
        """
        numbers = self.numbers(seed, draw)
        limit = share * 2.0**64
        order = np.argsort(numbers, kind="stable")
        return [self.pieces[at] for at in order if share >= 1 or float(numbers[at]) < limit]


def read_arm(arm: ArmLike, name: str) -> Arm:
    """Read one side of a comparison.

    Args:
        arm: A published dataset's folder (its `train` split; a held-out split never trains a
            judge), a frame with `text` and optionally `id` and `source`, or a list of `Text`, of
            dictionaries
            with the same keys, or of strings. A document without an id is named by its text.
        name: What the verdict calls it.

    Raises:
        ConfigError: The dataset has no split to train on, or no column `text`.
        DataError: A document has no text, or a list holds something else.

    Example:
        >>> read_arm(["a", "", "b"], "A").size
        2
    """
    if isinstance(arm, str | PathLike):
        arm = _open(arm)
    if isinstance(arm, pl.DataFrame):
        if "text" not in arm.columns:
            raise ConfigError(
                f"arm {name}", "needs a column `text`", got=arm.columns, hint="Compare documents."
            )
        present = [column for column in ("id", "text", "source") if column in arm.columns]
        arm = arm.select(present).to_dicts()
    documents = [_document(one, f"arm {name}[{at}]") for at, one in enumerate(arm)]
    kept = sorted((one for one in documents if one.text), key=lambda one: (one.id, one.text))
    return Arm(name, tuple(kept))


def _document(one: object, where: str) -> Text:
    if isinstance(one, Text):
        return one
    if isinstance(one, str):
        return Text(make_id("text", one), one)
    if isinstance(one, Mapping) and isinstance(one.get("text"), str):
        text = one["text"]
        name = one.get("id")
        return Text(
            make_id("text", text) if name is None else str(name),
            text,
            str(one.get("source") or ""),
        )
    raise DataError(where, "must be a text or have a string `text`", got=one)


def _open(path: str | PathLike[str]) -> pl.DataFrame:
    from datatools.dataset import open_dataset

    dataset = open_dataset(path)
    training = [split for split in dataset.splits if split != dataset.held_out]
    if not training:
        raise ConfigError(str(path), "has no split to train on", got=dataset.splits)
    split = "train" if "train" in training else training[0]
    shard = next(shard for shard in dataset.shards if shard.split == split)
    columns = pl.read_parquet_schema(dataset.path / shard.path)
    if "text" not in columns:
        return pl.DataFrame(schema=columns)  # refused by its columns; there is no need of its rows
    return dataset.frame(split, [name for name in ("id", "text", "source") if name in columns])


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
