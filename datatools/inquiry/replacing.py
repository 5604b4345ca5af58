"""The record that stayed in another's place: where it is now, and in which words the two differ.

Owns: following evidence from record to record, both ways. Refuses: reading evidence (`evidence`)
and single records (`looking_up`), and deciding what a duplicate is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from datatools.engine.fates import PREVIEW_CHARACTERS
from datatools.inquiry.evidence import replaced_records, with_evidence
from datatools.inquiry.looking_up import FATES, Standing, fate, manifest_of, reading, standing
from datatools.report.diff import Piece, compare_beginnings

__all__ = [
    "REPLACED_SHOWN",
    "Difference",
    "Replaced",
    "ReplacedRecord",
    "Survivor",
    "replaced_by",
    "survivor_of",
]

REPLACED_SHOWN: Final = 20
"""Replaced records that are listed; all are counted."""


@dataclass(frozen=True)
class Difference:
    """A removed record's text against that of the one that stayed.

    Attributes:
        text_of: Where the removed record's text was found: `preview`, what the step that removed it
            kept of it, or the name of a dataset that still holds the record.
        pieces: Words of both, of the removed record (`first`) and of the other (`second`).
        cut: Whether only the beginnings were compared.
    """

    text_of: str
    pieces: tuple[Piece, ...]
    cut: bool


@dataclass(frozen=True)
class Survivor:
    """The record that stayed in another's place, and what became of it.

    Attributes:
        id: Its id.
        outcome: `published`; `dropped` or `quarantined`, if it left later; `indexed`, if it is in
            an index; `unknown`, if its dataset is not published or does not know it.
        similarity: How similar the two are, from 0 to 1, if that was measured.
        url: Its address, if it is known.
        dataset: The dataset it is or was in; None in an index.
        where: The shard and row it became; None when it is not published.
        index: Address of the index it is in.
        added: The day on which it was added to the index.
        step: Label of the step that it left by.
        reason: The reason code.
        survivor: The record that stayed in its place, if it left as a duplicate, too.
        difference: The removed record's words against this one's; None where one of the texts is
            not there any more.
    """

    id: str
    outcome: Literal["published", "dropped", "quarantined", "indexed", "unknown"]
    similarity: float | None = None
    url: str | None = None
    dataset: str | None = None
    where: str | None = None
    index: str | None = None
    added: str | None = None
    step: str | None = None
    reason: str | None = None
    survivor: Survivor | None = None
    difference: Difference | None = None


@dataclass(frozen=True)
class ReplacedRecord:
    """A record that left because another one stayed.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        dataset: The dataset it left.
        step: Label of the step that removed it.
        similarity: How similar the two are, from 0 to 1, if that was measured.
    """

    id: str
    url: str | None
    dataset: str
    step: str
    similarity: float | None


@dataclass(frozen=True)
class Replaced:
    """What one record replaced.

    Attributes:
        total: How many records.
        records: The first `REPLACED_SHOWN` of them, in the order in which they left.
    """

    total: int
    records: tuple[ReplacedRecord, ...]


def survivor_of(folders: Mapping[str, Path], name: str, row: Mapping[str, Any]) -> Survivor | None:
    """Return who stayed in the place of a record, or None if nobody is named.

    Where that one left later as a duplicate, too, its own survivor is told with it, and so on.

    Args:
        folders: Published datasets by name.
        name: The dataset that the record left.
        row: The row of its fates.

    Raises:
        IntegrityError: A published file is damaged.
    """
    return _follow(folders, name, row, _text(folders, name, row), {(name, row["id"])})


def _follow(
    folders: Mapping[str, Path],
    name: str,
    row: Mapping[str, Any],
    text: tuple[str, str, bool] | None,
    passed: set[tuple[str, str]],
) -> Survivor | None:
    detail = pl.LazyFrame({"detail": [row["detail"]]}, schema={"detail": pl.String})
    evidence = with_evidence(detail).collect().to_dicts()
    if row["fate"] != "dropped" or not evidence:
        return None
    (told,) = evidence
    id_, similarity, home = told["survivor"], told["similarity"], told["dataset"] or name
    if told["added"] is not None:
        return Survivor(
            id_,
            "indexed",
            similarity,
            told["index_url"],
            index=_index(folders[name], row["step"]),
            added=told["added"],
        )
    unknown = Survivor(id_, "unknown", similarity, dataset=home)
    if home not in folders or (home, id_) in passed:
        return unknown
    passed.add((home, id_))
    stands = standing(folders[home], id_)
    if stands is not None:
        return Survivor(
            id_,
            "published",
            similarity,
            stands.url,
            home,
            stands.where,
            difference=_difference(text, stands),
        )
    left = fate(folders[home], id_)
    if left is None:
        return unknown
    return Survivor(
        id_,
        left["fate"],
        similarity,
        left["url"],
        home,
        step=left["step"],
        reason=left["reason"],
        survivor=_follow(folders, home, left, text, passed),
    )


def _index(folder: Path, label: str) -> str | None:
    """Return the address of the index that a step of a dataset reads."""
    fields = {step["label"]: step["fields"] for step in manifest_of(folder)["steps"]}
    address = fields.get(label, {}).get("index")
    return address if isinstance(address, str) else None


def _text(
    folders: Mapping[str, Path], name: str, row: Mapping[str, Any]
) -> tuple[str, str, bool] | None:
    """Return where a removed record's text is, the text or its beginning, and whether it goes on.

    The step that removed it keeps previews of the first few only. What a dataset that this one was
    made from published of the record is the next best.
    """
    preview = row["preview"]
    if preview is not None:
        return "preview", preview, len(preview) >= PREVIEW_CHARACTERS
    waiting = list(manifest_of(folders[name])["from"])
    while waiting:
        parent = waiting.pop(0)
        if parent not in folders:
            continue
        stands = standing(folders[parent], row["id"])
        if stands is not None and stands.text is not None:
            return parent, stands.text, stands.is_cut
        waiting += manifest_of(folders[parent])["from"]
    return None


def _difference(text: tuple[str, str, bool] | None, stands: Standing) -> Difference | None:
    if text is None or stands.text is None:
        return None
    place, removed, is_cut = text
    pieces = compare_beginnings(removed, stands.text, first_is_cut=is_cut)
    return Difference(place, tuple(pieces), is_cut or stands.is_cut)


def replaced_by(folders: Mapping[str, Path], ids: Iterable[str]) -> dict[tuple[str, str], Replaced]:
    """Return what records replaced, by the dataset they are or were in and their id.

    Only direct evidence counts: what a replaced record had itself replaced is told of that one.

    Args:
        folders: Published datasets by name.
        ids: Ids of records.

    Raises:
        IntegrityError: A published file is damaged.
    """
    wanted = sorted(set(ids))
    found: dict[tuple[str, str], Replaced] = {}
    for name, folder in folders.items():
        path = folder / FATES
        with reading(path):
            rows = (
                replaced_records(path, by=wanted)
                .filter(pl.col("added").is_null())
                .select(
                    pl.col("dataset").fill_null(name).alias("home"),
                    "survivor",
                    "id",
                    "url",
                    pl.lit(name).alias("dataset"),
                    "step",
                    "similarity",
                )
                .collect(engine="streaming")
            )
        for (home, id_), own in rows.group_by("home", "survivor", maintain_order=True):
            shown = own.head(REPLACED_SHOWN).drop("home", "survivor").rows()
            before = found.get((str(home), str(id_)), Replaced(0, ()))
            records = (*before.records, *(ReplacedRecord(*row) for row in shown))
            total = before.total + own.height
            found[str(home), str(id_)] = Replaced(total, records[:REPLACED_SHOWN])
    return found
