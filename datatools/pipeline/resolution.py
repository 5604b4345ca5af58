"""From a pipeline to what the engine runs: labels, order, and the checks that need no data.

Owns: refusing what is impossible (a step that gets the wrong kind of record, a column nobody makes)
or inert (a dataset nobody reads) before anything runs. Refuses: reading the file, and running.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from datatools.engine.chain import Link
from datatools.engine.decide import column_of
from datatools.engine.plan import DatasetPlan, Job, topological
from datatools.errors import ConfigError, suggestion
from datatools.pipeline.own_output import own_file
from datatools.pipeline.strict_yaml import Document
from datatools.records import SCHEMAS, Kind
from datatools.steps import STEPS, load_step
from datatools.steps.base import Context, Filter, Source, Step

if TYPE_CHECKING:
    from datatools.pipeline.definition import Dataset, Pipeline

__all__ = ["Places", "resolve"]

RESERVED = frozenset({"models", "trial", "verdicts"})
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class Places:
    """Where a value stands in the file, for messages.

    Args:
        lines: Lines by path, empty for a pipeline that was written in Python.
        where: The file's name, or the pipeline's.
    """

    def __init__(self, lines: Mapping[tuple[str | int, ...], int], where: str) -> None:
        self._document = Document(None, lines)
        self._where = where

    def __eq__(self, other: object) -> bool:
        """Any two are equal: where a pipeline is written down is no part of what it says."""
        return isinstance(other, Places)

    __hash__ = None  # type: ignore[assignment]

    def at(self, path: Sequence[str | int]) -> str:
        """Return the place of the value at a path, e.g. `web.yaml:12 datasets.pages.steps[1]`."""
        shown = ""
        for part in path:
            if isinstance(part, int):
                shown += f"[{part}]"
            else:
                shown += f".{part}" if shown else part
        line = f":{self._document.line(tuple(path))}" if self._document.lines else ""
        return f"{self._where}{line} {shown}".strip()


def _labels(steps: Sequence[Step]) -> list[str]:
    """Return each step's label: its name, numbered where the name occurs again."""
    seen: dict[str, int] = {}
    labels = []
    for step in steps:
        seen[step.name()] = seen.get(step.name(), 0) + 1
        count = seen[step.name()]
        labels.append(step.name() if count == 1 else f"{step.name()}#{count}")
    return labels


def resolve(pipeline: Pipeline, places: Places) -> Job:
    """Return the datasets as the engine runs them, after every check that needs no data.

    Args:
        pipeline: The pipeline.
        places: Where its values stand, for messages.

    Raises:
        ConfigError: The configuration is impossible or inert.
    """
    plans = []
    for name, dataset in pipeline.datasets.items():
        path = ("datasets", name)
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise ConfigError(
                places.at(path),
                "is not a usable dataset name",
                got=name,
                hint="Use small letters, digits, - and _; "
                "`models`, `trial` and `verdicts` are taken.",
            )
        _check_references(pipeline, places, name, dataset)
        links = tuple(
            Link(step, Context(pipeline.seed if step.draws else 0, label))
            for step, label in zip(dataset.steps, _labels(dataset.steps), strict=True)
        )
        plans.append(DatasetPlan(name, dataset.parents, links, dataset.export, dataset.publish))
    if not plans:
        raise ConfigError(places.at(("datasets",)), "there are no datasets")
    try:
        ordered = topological(plans)
    except ConfigError as error:
        raise error.at(places.at(("datasets",))) from None
    kinds: dict[str, Kind] = {}
    columns: dict[str, set[str]] = {}
    for plan in ordered:
        _check_flow(plan, places, kinds, columns)
    _check_uses(pipeline, places, kinds)
    _check_splits(pipeline, places, kinds)
    return Job(pipeline.name, ordered, pipeline.run.shard_bytes, pipeline.seed)


def _check_references(pipeline: Pipeline, places: Places, name: str, dataset: Dataset) -> None:
    def check(path: Sequence[str | int], named: str) -> None:
        if named not in pipeline.datasets:
            raise ConfigError(
                places.at(path),
                "there is no such dataset",
                got=named,
                hint=suggestion(named, pipeline.datasets),
            )

    for parent in dataset.parents:
        check(("datasets", name, "from"), parent)
    for index, step in enumerate(dataset.steps):
        path = ("datasets", name, "steps", index, step.name())
        for other in step.references():
            check(path, other)
        if isinstance(step, Source):
            if index or dataset.parents:
                raise ConfigError(
                    places.at(path),
                    "reads files, so it must be the first step of a dataset without `from:`",
                    hint="Give it a dataset of its own and name that in `from:`.",
                )
            _check_inputs(pipeline, places, path, step)
        elif not index and not dataset.parents:
            raise ConfigError(
                places.at(path),
                "has no records to work on",
                hint="Add `from:`, or start with a step that reads, such as ReadWarc.",
            )
    if not dataset.steps and not dataset.parents:
        raise ConfigError(places.at(("datasets", name)), "has neither `from:` nor `steps:`")


def _check_inputs(
    pipeline: Pipeline, places: Places, path: tuple[str | int, ...], source: Source
) -> None:
    """Check that a source does not read what the pipeline writes."""
    for field in ("path", "paths"):
        given = getattr(source, field, ())
        for pattern in (given,) if isinstance(given, str) else given:
            own = own_file(pipeline, str(pattern))
            if own is not None:
                raise ConfigError(
                    places.at((*path, field)),
                    f"takes in the pipeline's own output, {own}",
                    got=pattern,
                    hint="Name the input more narrowly, or choose another `output:`.",
                )


def _check_flow(
    plan: DatasetPlan, places: Places, kinds: dict[str, Kind], columns: dict[str, set[str]]
) -> None:
    """Check that each step gets the record kind and the columns it needs."""
    kind: Kind | None = None
    have: set[str] = set()
    if plan.parents:
        parent_kinds = {kinds[parent] for parent in plan.parents}
        if len(parent_kinds) > 1:
            raise ConfigError(
                places.at(("datasets", plan.name, "from")),
                "the datasets hold different kinds of records",
                got=sorted(parent_kinds),
            )
        (kind,) = parent_kinds
        have = set.intersection(*(columns[parent] for parent in plan.parents))
    for index, link in enumerate(plan.links):
        step = link.step
        path = ("datasets", plan.name, "steps", index, step.name())
        if step.takes is not None and kind != step.takes:
            raise ConfigError(
                places.at(path),
                f"takes {step.takes} records, but gets {kind} records",
                hint=_makes(step.takes),
            )
        if not isinstance(step, Source):
            missing = sorted(step.reads() - have)
            if missing:
                raise ConfigError(
                    places.at(path),
                    f"needs the column {missing[0]!r}, which no earlier step makes",
                    hint=f"There are: {', '.join(sorted(have))}.",
                )
        for other in step.references():
            lacking = sorted(step.reads_of(other) - columns[other])
            if lacking:
                raise ConfigError(
                    places.at(path),
                    f"needs the column {lacking[0]!r} of {other}, which has none",
                    got=f"{kinds[other]} records",
                    hint=f"There are: {', '.join(sorted(columns[other]))}.",
                )
        if step.gives is not None and step.gives != kind:
            kind = step.gives
            have = set()
        assert kind is not None
        have |= set(SCHEMAS[kind]) | set(step.adds())
        if isinstance(step, Filter):
            have |= {column_of(link.context.label, measure) for measure in step.measures}
    assert kind is not None
    for export in plan.exports:
        if kind not in export.accepts():
            raise ConfigError(
                places.at(("datasets", plan.name, "export")),
                f"{export.folder} cannot carry {kind} records",
                hint=f"It carries {', '.join(sorted(export.accepts()))}.",
            )
    kinds[plan.name] = kind
    columns[plan.name] = have


def _makes(kind: Kind) -> str:
    makers = []
    for name in STEPS:
        try:
            if load_step(name).gives == kind:
                makers.append(name)
        except ImportError:
            continue
    return f"Made by: {', '.join(makers)}."


def _check_uses(pipeline: Pipeline, places: Places, kinds: Mapping[str, Kind]) -> None:
    """Check that every dataset is of use, and that training and verdicts name what they can use."""
    read = {parent for dataset in pipeline.datasets.values() for parent in dataset.parents}
    for dataset in pipeline.datasets.values():
        read |= {name for step in dataset.steps for name in step.references()}
    for name, dataset in pipeline.datasets.items():
        if not dataset.publish and name not in read:
            raise ConfigError(
                places.at(("datasets", name)),
                "is neither published nor read by another dataset",
                hint="Remove it, or set publish: true.",
            )

    def check(path: Sequence[str | int], name: str, kind: Kind) -> None:
        if name not in pipeline.datasets:
            hint = suggestion(name, pipeline.datasets)
            raise ConfigError(places.at(path), "there is no such dataset", got=name, hint=hint)
        if kinds[name] != kind:
            raise ConfigError(
                places.at(path), f"needs {kind} records, but {name} holds {kinds[name]} records"
            )
        if not pipeline.datasets[name].publish:
            raise ConfigError(
                places.at(path), f"{name} is not published", hint="Set publish: true there."
            )

    if pipeline.train is not None:
        check(("train", "pretrain"), pipeline.train.pretrain, "document")
        if pipeline.train.instruct is not None:
            check(("train", "instruct"), pipeline.train.instruct, "conversation")
        if pipeline.train.preference is not None:
            check(("train", "preference"), pipeline.train.preference, "preference")
    for name, settings in pipeline.validate_.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(
                places.at(("validate", name)),
                "is not a usable name of a verdict",
                got=name,
                hint="Use small letters, digits, - and _.",
            )
        if settings.compare[0] == settings.compare[1]:
            raise ConfigError(
                places.at(("validate", name, "compare")),
                "must name two different datasets",
                got=list(settings.compare),
            )
        for index, arm in enumerate(settings.compare):
            check(("validate", name, "compare", index), arm, "document")


def _check_splits(pipeline: Pipeline, places: Places, kinds: Mapping[str, Kind]) -> None:
    """Check that datasets that split by group hold out one fraction, or one side would leak."""
    fractions: dict[float, str] = {}
    for name, dataset in pipeline.datasets.items():
        for index, step in enumerate(dataset.steps):
            if step.name() != "Split":
                continue
            for other in step.references():
                if "doc_id" not in SCHEMAS[kinds[other]]:
                    raise ConfigError(
                        places.at(("datasets", name, "steps", index, "Split", "hold_with")),
                        f"{other} holds {kinds[other]} records, which do not say what page they "
                        "came from",
                        got=other,
                        hint="Name datasets of threads, conversations or pairs.",
                    )
            grouped = kinds[name] != "document" or step.references()
            fraction = getattr(step, "validation", None)
            if grouped and isinstance(fraction, float):
                other = fractions.setdefault(fraction, name)
                if len(fractions) > 1:
                    first = next(n for f, n in fractions.items() if f != fraction)
                    raise ConfigError(
                        places.at(("datasets", name, "steps", index, "Split", "validation")),
                        f"differs from that of {first}, so a question could be held out in one "
                        "dataset and trained on in the other",
                        got=fraction,
                        hint=f"Use one fraction in {first} and {other}.",
                    )
