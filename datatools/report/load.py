"""From an output folder to everything a report shows.

Owns: which files are read and in what order they are told. What is there and cannot be read is said
in `ReportData.unread`, never passed over. Refuses: drawing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from datatools.dataset import Dataset, open_dataset
from datatools.engine.rule_counts import RuleCount
from datatools.errors import DataError, DatatoolsError
from datatools.inquiry.verifying import left_over, published
from datatools.job.gaps import counted_in
from datatools.judge.verdict import Verdict
from datatools.records import KINDS
from datatools.report import fates, shards
from datatools.report.duplicates import clusters
from datatools.report.model.funnel import APART, SplitFacts, StepLedger
from datatools.report.model.input import Gap, InputLedger
from datatools.report.model.planted import Planted
from datatools.report.model.problems import StoppedRecord
from datatools.report.model.whole import DatasetFacts, NamedVerdict, ReportData
from datatools.report.planted import find_truth, judge_planted
from datatools.report.training import Training
from datatools.steps.base import Tally

__all__ = ["load_report"]

STOPPED_SHOWN: Final = 20
"""Records stopped by the fence that a page names for each dataset."""

_Manifest = Mapping[str, Any]


def load_report(output: Path, *, title: str | None = None) -> ReportData:
    """Read everything a report shows.

    Args:
        output: A pipeline's output folder.
        title: Title of the page; the pipeline's name by default.

    Raises:
        DataError: The folder holds no published dataset.
    """
    unread: list[str] = []
    found: list[tuple[DatasetFacts, Dataset, _Manifest]] = []
    old = left_over(output)
    for name, folder in published(output).items():
        if name in old:
            continue
        try:
            dataset = open_dataset(folder)
            found.append((_dataset(dataset), dataset, dataset.manifest))
        except DatatoolsError as error:
            unread.append(str(error))
        except (KeyError, TypeError, AttributeError) as error:
            unread.append(f"{folder / 'manifest.json'}: is not one of datatools: {error!r}.")
    if not found:
        hint = " ".join(unread) or f"Left over from another pipeline: {', '.join(old)}."
        raise DataError(str(output), "holds no dataset that can be read", hint=hint)
    found = _ordered(found)
    training = _training(output, unread)
    run = _json(output / "run.json", unread) or {}
    manifests = [manifest for _, _, manifest in found]
    facts = tuple(fact for fact, _, _ in found)
    pipeline = str(manifests[0].get("pipeline", output.name))
    return ReportData(
        title=pipeline if title is None else title,
        output=str(output),
        pipeline=pipeline,
        published=_newest(output, [dataset for _, dataset, _ in found]),
        seed=int(manifests[0].get("seed", 0)),
        versions=dict(manifests[0].get("versions", {})),
        datasets=facts,
        verdicts=_verdicts(output, unread),
        training=training,
        planted=_planted(found, unread),
        problems=tuple(str(problem) for problem in run.get("problems", ())),
        unread=tuple(unread),
        left_over=tuple(old),
        bytes_per_token=_bytes_per_token(training, facts),
        resolved=json.dumps(run["pipeline"], ensure_ascii=False, indent=2)
        if "pipeline" in run
        else None,
    )


def _json(path: Path, unread: list[str]) -> Any:
    """Return the value of a JSON file, None if it is absent or broken, which is then said."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        unread.append(f"{path}: is not JSON: {error}.")
        return None


def _newest(output: Path, datasets: Sequence[Dataset]) -> str:
    newest = max((dataset.path / "manifest.json").stat().st_mtime for dataset in datasets)
    return datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%d %H:%M")


def _ordered(
    found: Sequence[tuple[DatasetFacts, Dataset, _Manifest]],
) -> list[tuple[DatasetFacts, Dataset, _Manifest]]:
    """Return datasets with parents before children, else by kind and name."""
    left = sorted(found, key=lambda one: (KINDS.index(one[1].kind), one[0].name))
    names = {facts.name for facts, _, _ in found}
    done: list[tuple[DatasetFacts, Dataset, _Manifest]] = []
    while left:
        told = {facts.name for facts, _, _ in done}
        ready = [one for one in left if not (set(one[0].parents) & names) - told]
        done.append((ready or left)[0])
        left.remove(done[-1])
    return done


# --------------------------------------------------------------------------------------------------
# Datasets


def _dataset(dataset: Dataset) -> DatasetFacts:
    manifest = dataset.manifest
    steps = tuple(_step(step) for step in manifest["steps"])
    classes = {step["label"]: step["step"] for step in manifest["steps"]}
    is_document = dataset.kind == "document"
    measured = shards.texts(dataset) if is_document else shards.Texts(0, (), None)
    return DatasetFacts(
        name=dataset.name,
        kind=dataset.kind,
        rows=manifest["rows"],
        parents=tuple(manifest["from"]),
        splits=tuple(
            SplitFacts(
                split,
                dataset.rows(split),
                sum(shard.split == split for shard in dataset.shards),
                sum(shard.bytes for shard in dataset.shards if shard.split == split),
            )
            for split in dataset.splits
        ),
        steps=steps,
        inputs=tuple(
            _input(label, counts, classes.get(label, ""))
            for label, counts in manifest["inputs"].items()
        ),
        origins=tuple(
            (origin["source"], origin["license"], origin["rows"])
            for origin in manifest.get("origins", ())
        ),
        exports=tuple(manifest.get("exports", ())),
        limited=manifest.get("limited"),
        measured_rows=measured.rows,
        languages=measured.languages,
        lengths=measured.lengths,
        measures=fates.measures(dataset, steps),
        kept=shards.samples(dataset) if dataset.kind in ("document", "thread") else (),
        gone=fates.gone(dataset.path, steps),
        clusters=clusters(dataset) if is_document else None,
        conversations=shards.conversations(dataset) if dataset.kind == "conversation" else (),
        pairs=shards.pairs(dataset) if dataset.kind == "preference" else (),
        stopped=tuple(
            StoppedRecord(one["id"], one["step"], one["reason"], one["detail"] or "")
            for one in manifest["fence"]["records"][:STOPPED_SHOWN]
        ),
        stopped_total=manifest["fence"]["total"],
    )


def _step(step: Mapping[str, Any]) -> StepLedger:
    counts = step["counts"]
    dropped: Mapping[str, int] = counts["dropped"]
    return StepLedger(
        label=step["label"],
        version=step["version"],
        settings={
            name: json.dumps(value, ensure_ascii=False) for name, value in step["fields"].items()
        },
        read=counts["read"],
        created=counts["created"],
        kept=counts["kept"],
        dropped={reason: n for reason, n in dropped.items() if reason not in APART},
        apart={reason: n for reason, n in dropped.items() if reason in APART},
        quarantined=dict(counts["quarantined"]),
        removed=dict(counts["removed"]),
        text_bytes=counts["text_bytes"],
        notes={name: number for name, number in step.get("notes", {}).items() if number},
        rules=tuple(RuleCount(**rule) for rule in step["rules"]),
        tallies=tuple(Tally(**tally) for tally in step.get("tallies", ())),
    )


def _input(label: str, counts: Mapping[str, Any], step: str) -> InputLedger:
    return InputLedger(
        label=label,
        unit=counted_in(step),
        size=counts["size"],
        consumed=counts["consumed"],
        skipped=dict(counts["skipped"]),
        gaps=tuple(
            Gap(str(gap["path"]), gap["start"], gap["end"], str(gap["detail"]))
            for gap in counts["incomplete"]
        ),
    )


# --------------------------------------------------------------------------------------------------
# Training, verdicts, planted defects


def _training(output: Path, unread: list[str]) -> Training | None:
    path = output / "models" / "train.json"
    value = _json(path, unread)
    if value is None:
        return None
    try:
        return Training.of(value)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        unread.append(f"{path}: is not a training result: {error!r}.")
        return None


def _bytes_per_token(training: Training | None, datasets: Sequence[DatasetFacts]) -> float | None:
    """Return the bytes per token over the languages of the first dataset that has them all.

    Each language's bytes make their own number of tokens. Where no dataset has these languages, the
    plain mean of the tokenizer's ratios is taken.
    """
    if training is None:
        return None
    ratios = {tag: ratio for tag, ratio in training.bytes_per_token.items() if ratio}
    if not ratios:
        return None
    for facts in datasets:
        sizes = {one.language: one.text_bytes for one in facts.languages}
        if set(sizes) == set(ratios) and all(sizes.values()):
            tokens = sum(size / ratios[tag] for tag, size in sizes.items())
            return sum(sizes.values()) / tokens
    return sum(ratios.values()) / len(ratios)


def _verdicts(output: Path, unread: list[str]) -> tuple[NamedVerdict, ...]:
    found = []
    for path in sorted((output / "verdicts").glob("*.json")):
        value = _json(path, unread)
        if value is None:
            continue
        try:
            found.append(NamedVerdict(path.stem, Verdict.model_validate(value, strict=False)))
        except ValidationError as error:
            first = error.errors()[0]
            unread.append(
                f"{path}: is not a verdict of this version: "
                f"{'.'.join(map(str, first['loc']))} {first['msg']}."
            )
    return tuple(found)


def _planted(
    found: Sequence[tuple[DatasetFacts, Dataset, _Manifest]], unread: list[str]
) -> Planted | None:
    path = find_truth([manifest for _, _, manifest in found])
    # A trial reads a part of the crawl: what it did not read it neither caught nor missed.
    if path is None or any(facts.limited is not None for facts, _, _ in found):
        return None
    try:
        return judge_planted(path, found)
    except DataError as error:
        unread.append(str(error))
        return None
