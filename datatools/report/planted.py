"""Planted defects: what a crawl with a known truth should have come to, and what it came to.

Owns: reading `truth.jsonl` beside the crawl and judging each of its rows by what is on disk.
Refuses: guessing; a row whose steps are not in the pipeline counts as not tested.

A row says what should happen in `expect`, as `Step[|Step] what`:

    drop [word]      the page is not published by one of the datasets that have such a step; of a
                     `duplicate`, the page or its twin `pair_url` is not; a defect of a pair
                     (`identical`, `empty`, `special_token`) is in no published pair
    kept             a dataset with such a step publishes the page, and in its text the `marker`
    same_group       the page's question and that of `pair_url` have one `group_id`
    no_pair          no published pair of the page has equally many votes on both sides
    incomplete       a damaged range of the input covers the row's `file` and `offset`
    anything else    a record of the page left one of the steps for a reason of that name
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from datatools.dataset import Dataset
from datatools.errors import DataError
from datatools.report.fates import FATES
from datatools.report.model import APART, DatasetFacts, DefectCount, Planted, PlantedMiss
from datatools.templates import SPECIAL_TOKENS, find_special_token

__all__ = ["find_truth", "judge_planted"]

_MAGIC: Final = re.compile(r"[*?\[]")
TRUTH: Final = "truth.jsonl"


@dataclass(frozen=True)
class _Row:
    """One row of truth."""

    defect: str
    url: str
    steps: tuple[str, ...]
    what: str
    word: str
    pair_url: str | None
    marker: str | None
    file: str | None
    offset: int | None


@dataclass(frozen=True)
class _Outcome:
    """What came of a row: `how` in words; `tested` is False if no such step ran."""

    caught: bool
    how: str
    tested: bool = True


@dataclass
class _Known:
    """What one dataset knows of the planted pages."""

    facts: DatasetFacts
    classes: frozenset[str]
    published: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    gone: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def find_truth(manifests: Sequence[Mapping[str, Any]]) -> Path | None:
    """Return the `truth.jsonl` beside the files that a pipeline reads, if there is one.

    The fixed part of each source's path patterns is searched, relative to the working directory.
    """
    for manifest in manifests:
        for step in manifest["steps"]:
            paths = step["fields"].get("paths") or ()
            for pattern in [paths] if isinstance(paths, str) else paths:
                folder = Path(pattern)
                while _MAGIC.search(str(folder)):
                    folder = folder.parent
                for candidate in (folder / TRUTH, folder.parent / TRUTH):
                    if candidate.is_file():
                        return candidate
    return None


def judge_planted(
    path: Path,
    datasets: Sequence[tuple[DatasetFacts, Dataset, Mapping[str, Any]]],
) -> Planted:
    """Say of every planted defect whether the run treated it as it should.

    Args:
        path: The truth file.
        datasets: Every published dataset: its facts, its files, its manifest.

    Raises:
        DataError: The file does not hold rows of truth.
    """
    rows = _read(path)
    urls = sorted({url for row in rows for url in (row.url, row.pair_url) if url})
    known = [_know(facts, dataset, manifest, urls) for facts, dataset, manifest in datasets]
    by_defect: dict[str, list[tuple[_Row, _Outcome]]] = {}
    for row in rows:
        by_defect.setdefault(row.defect, []).append((row, _judge(row, known)))
    return Planted(
        path=str(path),
        defects=tuple(_count(defect, found) for defect, found in sorted(by_defect.items())),
    )


def _count(defect: str, found: Sequence[tuple[_Row, _Outcome]]) -> DefectCount:
    how = Counter(outcome.how for _, outcome in found if outcome.caught)
    return DefectCount(
        defect=defect,
        expect=" or ".join(sorted({_expected(row) for row, _ in found})),
        planted=len(found),
        caught=sum(outcome.caught for _, outcome in found),
        untested=sum(not outcome.tested for _, outcome in found),
        how=dict(sorted(how.items(), key=lambda item: (-item[1], item[0]))),
        misses=tuple(
            PlantedMiss(row.url, outcome.how)
            for row, outcome in found
            if outcome.tested and not outcome.caught
        ),
    )


def _expected(row: _Row) -> str:
    what = {
        "drop": "dropped",
        "kept": "kept, text whole",
        "same_group": "one group",
        "no_pair": "no pair",
        "incomplete": "reported as damaged",
    }.get(row.what, row.what.replace("_", " "))
    return f"{what} ({' or '.join(row.steps)})"


# --------------------------------------------------------------------------------------------------
# Reading


def _read(path: Path) -> list[_Row]:
    rows = []
    try:
        for line in path.read_text("utf-8").split("\n"):
            if line.strip():
                value = json.loads(line)
                steps, what, *word = value["expect"].split(" ")
                rows.append(
                    _Row(
                        defect=value["defect"],
                        url=value["url"],
                        steps=tuple(steps.split("|")),
                        what=what,
                        word=" ".join(word),
                        pair_url=value.get("pair_url"),
                        marker=value.get("marker"),
                        file=value.get("file"),
                        offset=value.get("offset"),
                    )
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(str(path), f"holds no planted defects: {error!r}") from error
    return rows


_TEXTS: Final = {
    "document": ("text",),
    "thread": ("question", "answers", "group_id"),
    "conversation": ("messages", "group_id"),
    "preference": ("prompt", "chosen", "rejected", "strength", "group_id"),
}


def _know(
    facts: DatasetFacts, dataset: Dataset, manifest: Mapping[str, Any], urls: Sequence[str]
) -> _Known:
    known = _Known(facts, frozenset(step["step"] for step in manifest["steps"]))
    columns = ["url", *_TEXTS[dataset.kind]]
    files = [(shard.path, columns, known.published) for shard in dataset.shards]
    if (dataset.path / FATES).is_file():
        files.append((FATES, ["url", "step", "fate", "reason"], known.gone))
    for name, wanted, into in files:
        frame = (
            pl.scan_parquet(dataset.path / name, glob=False)
            .filter(pl.col("url").is_in(list(urls)))
            .select(wanted)
            .collect()
        )
        for row in frame.iter_rows(named=True):
            into.setdefault(row["url"], []).append(row)
    return known


# --------------------------------------------------------------------------------------------------
# Judging


def _judge(row: _Row, known: Sequence[_Known]) -> _Outcome:
    own = [one for one in known if one.classes & set(row.steps)]
    if not own:
        return _Outcome(False, "no such step in this pipeline", tested=False)
    judge = _JUDGES.get(row.what, _by_reason)
    if row.what == "drop" and row.word in _IN_PAIR and _with_pairs(own):
        judge = _drop_from_pairs
    return judge(row, own)


def _drop(row: _Row, own: Sequence[_Known]) -> _Outcome:
    # Which of two duplicates stays is the pipeline's choice.
    urls = [row.url, *([row.pair_url] if row.word == "duplicate" and row.pair_url else [])]
    for one in own:
        if any(url not in one.published for url in urls):
            return _Outcome(True, _reason(row, own, urls) or "passed over by the reader")
    return _Outcome(False, f"published in {own[-1].facts.name}")


def _reason(row: _Row, own: Sequence[_Known], urls: Sequence[str] = ()) -> str | None:
    """Return the step and reason for which a page's record left, that of an expected step first."""
    lost = [
        gone
        for url in urls or (row.url,)
        for one in own
        for gone in one.gone.get(url, ())
        if gone["reason"] not in APART
    ]
    labels = {
        step.label for one in own for step in one.facts.steps if _class_of(step.label) in row.steps
    }
    lost.sort(key=lambda gone: gone["step"] not in labels)
    return f"{lost[0]['step']}: {lost[0]['reason']}" if lost else None


def _class_of(label: str) -> str:
    return label.partition("#")[0]


def _with_pairs(own: Sequence[_Known]) -> list[_Known]:
    return [one for one in own if one.facts.kind == "preference"]


def _drop_from_pairs(row: _Row, own: Sequence[_Known]) -> _Outcome:
    shows = _IN_PAIR[row.word]
    for one in _with_pairs(own):
        for pair in one.published.get(row.url, ()):
            if shows(_said(pair["chosen"]), _said(pair["rejected"])):
                return _Outcome(False, f"a published pair in {one.facts.name} has it")
    return _Outcome(True, _reason(row, own) or "no pair made of it")


def _said(messages: Sequence[Mapping[str, Any]] | None) -> str:
    return "\n".join(message["content"] or "" for message in messages or ())


def _plain(text: str) -> str:
    return " ".join(text.split())


_IN_PAIR: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "identical": lambda one, other: _plain(one) == _plain(other),
    "empty": lambda one, other: not (_plain(one) and _plain(other)),
    "special_token": lambda one, other: any(
        find_special_token(text, SPECIAL_TOKENS) is not None for text in (one, other)
    ),
}
"""Whether a pair of texts shows a defect."""


def _kept(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        texts = [_whole(record) for record in one.published.get(row.url, ())]
        if texts and row.marker is None:
            return _Outcome(True, "published")
        if any(_plain(row.marker or "") in text for text in texts):
            return _Outcome(True, "published, text whole")
        if texts:
            return _Outcome(False, f"published in {one.facts.name}, but not with its text")
    return _Outcome(False, _reason(row, own) or "not read")


def _whole(record: Mapping[str, Any]) -> str:
    parts = [record.get("text") or "", record.get("question") or ""]
    parts += [answer["text"] or "" for answer in record.get("answers") or ()]
    for column in ("messages", "prompt", "chosen", "rejected"):
        parts.append(_said(record.get(column)))
    return _plain("\n".join(parts))


def _same_group(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        first, second = (
            {record["group_id"] for record in one.published.get(url or "", ())}
            for url in (row.url, row.pair_url)
        )
        if first & second:
            return _Outcome(True, "one group")
    return _Outcome(False, "two groups")


def _no_pair(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in _with_pairs(own):
        for pair in one.published.get(row.url, ()):
            sides = (_said(pair["chosen"]), _said(pair["rejected"]))
            meant = row.marker is None or any(_plain(row.marker) in _plain(side) for side in sides)
            if meant and not (pair["strength"] or 0) > 0:
                return _Outcome(False, f"a published pair in {one.facts.name} is a tie")
    return _Outcome(True, _reason(row, own) or "no pair made of it")


def _incomplete(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        for source in one.facts.inputs:
            for gap in source.gaps:
                if gap.path == row.file and gap.start <= (row.offset or 0) < gap.end:
                    return _Outcome(True, "reported as damaged")
    return _Outcome(False, "not reported as damaged")


def _by_reason(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        for gone in one.gone.get(row.url, ()):
            if _class_of(gone["step"]) in row.steps and row.what in gone["reason"]:
                return _Outcome(True, f"{gone['step']}: {gone['reason']}")
    return _Outcome(False, _reason(row, own) or f"published in {own[-1].facts.name}")


_JUDGES: Final[Mapping[str, Callable[[_Row, Sequence[_Known]], _Outcome]]] = {
    "drop": _drop,
    "kept": _kept,
    "same_group": _same_group,
    "no_pair": _no_pair,
    "incomplete": _incomplete,
}
