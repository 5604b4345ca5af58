"""Planted defects: what a crawl with a known truth should have come to, and what it came to.

Owns: reading `truth.jsonl` beside the crawl and judging each of its rows by what is on disk.
Refuses: guessing; a row whose steps are not in the pipeline counts as not tested.

A row says what should happen in `expect`, as `Step[|Step] verdict`:

    kept         a dataset with such a step publishes the page, and in its text the `marker`
    drop         the page is not published by one of the datasets with such a step; of two pages
                 that make the defect, one is not; of pairs, none with a flaw is published
    skip         a dataset with such a step neither publishes the page nor knows that it left
    quarantine   a record of the page was quarantined by such a step
    incomplete   a damaged range of the input covers the row's `file` and `offset`
    no_pair      no pair of the page with a flaw is published
    same_group   the page's question and that of `pair_url` have one `group_id`

A pair has a flaw if a side is blank or holds a control token, both sides read the same, or it is a
tie.
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

from datatools.chat.templates import SPECIAL_TOKENS, find_special_token
from datatools.dataset import Dataset
from datatools.errors import DataError
from datatools.report.fates import FATES
from datatools.report.model.funnel import APART
from datatools.report.model.planted import DefectCount, Planted, PlantedMiss
from datatools.report.model.whole import DatasetFacts

__all__ = ["find_truth", "judge_planted"]

_MAGIC: Final = re.compile(r"[*?\[]")
TRUTH: Final = "truth.jsonl"


@dataclass(frozen=True)
class _Row:
    """One row of truth."""

    defect: str
    url: str
    steps: tuple[str, ...]
    verdict: str
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
    return f"{_WORDS.get(row.verdict, row.verdict)} ({' or '.join(row.steps)})"


_WORDS: Final = {
    "kept": "kept, text whole",
    "drop": "dropped",
    "skip": "skipped",
    "quarantine": "quarantined",
    "incomplete": "reported as damaged",
    "no_pair": "no pair",
    "same_group": "one group",
}


# --------------------------------------------------------------------------------------------------
# Reading


def _read(path: Path) -> list[_Row]:
    rows = []
    try:
        for line in path.read_text("utf-8").split("\n"):
            if line.strip():
                value = json.loads(line)
                steps, verdict = value["expect"].split(" ")
                rows.append(
                    _Row(
                        defect=value["defect"],
                        url=value["url"],
                        steps=tuple(steps.split("|")),
                        verdict=verdict,
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
    judge: Callable[[_Row, Sequence[_Known]], _Outcome]
    if row.verdict == "no_pair" or set(row.steps) <= _PAIR_STEPS:
        own = [one for one in own if one.facts.kind == "preference"]
        judge = _no_flawed_pair
    else:
        judge = _JUDGES.get(row.verdict, _unknown)
    if not own:
        return _Outcome(False, "no such step in this pipeline", tested=False)
    return judge(row, own)


_PAIR_STEPS: Final = frozenset({"PairChecks"})
"""Steps that drop single pairs, while other pairs of the same page may stay."""


def _unknown(row: _Row, own: Sequence[_Known]) -> _Outcome:
    return _Outcome(False, "this version does not know the verdict", tested=False)


def _drop(row: _Row, own: Sequence[_Known]) -> _Outcome:
    # Which of two duplicates stays is the pipeline's choice.
    urls = [url for url in (row.url, row.pair_url) if url is not None]
    for one in own:
        if any(url not in one.published for url in urls):
            return _Outcome(True, _reason(row, own, urls) or _PASSED_OVER)
    return _Outcome(False, f"published in {own[-1].facts.name}")


def _skip(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        if row.url not in one.published and row.url not in one.gone:
            return _Outcome(True, _PASSED_OVER)
    return _Outcome(False, _reason(row, own) or f"published in {own[-1].facts.name}")


_PASSED_OVER: Final = "passed over by the reader"


def _quarantine(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        for gone in one.gone.get(row.url, ()):
            if gone["fate"] == "quarantined" and _class_of(gone["step"]) in row.steps:
                return _Outcome(True, f"{gone['step']}: {gone['reason']}")
    return _Outcome(False, _reason(row, own) or f"published in {own[-1].facts.name}")


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


def _no_flawed_pair(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        for pair in one.published.get(row.url, ()):
            flaw = _flaw(pair)
            if flaw is not None:
                return _Outcome(False, f"a published pair in {one.facts.name} {flaw}")
    return _Outcome(True, _reason(row, own) or "no pair made of it")


def _flaw(pair: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a pair, or None."""
    one, other = _said(pair["chosen"]), _said(pair["rejected"])
    if not (_plain(one) and _plain(other)):
        return "has a blank side"
    if _plain(one) == _plain(other):
        return "has equal sides"
    if any(find_special_token(text, SPECIAL_TOKENS) is not None for text in (one, other)):
        return "holds a control token"
    return None if (pair["strength"] or 0) > 0 else "is a tie"


def _said(messages: Sequence[Mapping[str, Any]] | None) -> str:
    return "\n".join(message["content"] or "" for message in messages or ())


def _plain(text: str) -> str:
    return " ".join(text.split())


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


def _incomplete(row: _Row, own: Sequence[_Known]) -> _Outcome:
    for one in own:
        for source in one.facts.inputs:
            for gap in source.gaps:
                if gap.path == row.file and gap.start <= (row.offset or 0) < gap.end:
                    return _Outcome(True, "reported as damaged")
    return _Outcome(False, "not reported as damaged")


_JUDGES: Final[Mapping[str, Callable[[_Row, Sequence[_Known]], _Outcome]]] = {
    "kept": _kept,
    "drop": _drop,
    "skip": _skip,
    "quarantine": _quarantine,
    "incomplete": _incomplete,
    "same_group": _same_group,
}
