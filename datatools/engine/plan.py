"""From datasets to stages: what runs together, what is kept, what needs which columns.

Owns: the `Job` (resolved datasets in an order in which they can run) and how a dataset's steps fall
into segments. A segment becomes one stage (two for filters: measure, then decide).

    Source + per-batch steps      one pass over the input
    per-batch steps               one pass over shards; ends after a step marked `checkpoint`
    adjacent filters              measured together; thresholds decide without reading text
    a Global                      its verbs, then one pass that aligns its decisions
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from datatools.code_digest import foreign_code
from datatools.engine.chain import Link
from datatools.errors import ConfigError
from datatools.records import UNPUBLISHED
from datatools.steps.base import Export, Filter, FlatMap, Global, Map, Source, Unit

__all__ = [
    "DatasetPlan",
    "Job",
    "Segment",
    "link_key",
    "measure_key",
    "segments",
    "topological",
]


@dataclass(frozen=True)
class DatasetPlan:
    """A dataset as the engine sees it.

    Attributes:
        name: Its name in the pipeline file.
        parents: Names of the datasets it is made from; empty when it starts with a Source.
        links: Its steps, labelled.
        exports: Formats written beside the records.
        publish: Whether it is written to the output.
    """

    name: str
    parents: tuple[str, ...]
    links: tuple[Link, ...]
    exports: tuple[Export, ...] = ()
    publish: bool = True

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of every dataset that must be there first."""
        named = [*self.parents]
        for link in self.links:
            named += [name for name in link.step.references() if name not in named]
        return tuple(named)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Units of its Source, as they were when they were first asked for; none without one.

        Raises:
            ConfigError: An input is not there.
        """
        first = self.links[0].step if self.links else None
        return tuple(first.units()) if isinstance(first, Source) else ()


@dataclass(frozen=True)
class Job:
    """Everything the engine runs, in an order in which it can run.

    Attributes:
        name: The pipeline's name.
        datasets: In topological order.
        shard_bytes: Target bytes of text in a published shard.
        seed: The pipeline's seed, told in manifests.
    """

    name: str
    datasets: tuple[DatasetPlan, ...]
    shard_bytes: int
    seed: int = 0

    def dataset(self, name: str) -> DatasetPlan:
        """Return the dataset of that name."""
        return next(dataset for dataset in self.datasets if dataset.name == name)

    def closure(self, names: Iterable[str]) -> set[str]:
        """Return the names of these datasets and of all that they need."""
        wanted: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            wanted.add(name)
            left += [n for n in self.dataset(name).needs if n not in wanted]
        return wanted


@dataclass(frozen=True)
class Segment:
    """Steps that become one stage.

    Attributes:
        kind: `source`, `chain`, `filters` or `global`.
        links: The steps; for `source` the first is the Source.
        prune: Columns that nothing below reads, dropped when the stage writes.
    """

    kind: str
    links: tuple[Link, ...]
    prune: tuple[str, ...] = ()


def topological(datasets: Sequence[DatasetPlan]) -> tuple[DatasetPlan, ...]:
    """Return the datasets so that each comes after what it needs, otherwise in their own order.

    Raises:
        ConfigError: They need each other in a circle.
    """
    left, done, ordered = list(datasets), set[str](), list[DatasetPlan]()
    while left:
        ready = next((d for d in left if all(name in done for name in d.needs)), None)
        if ready is None:
            circle = " -> ".join(_circle(left))
            raise ConfigError(
                "datasets",
                "they need each other in a circle",
                got=circle,
                hint="Break it: a dataset cannot be read before it is made.",
            )
        left.remove(ready)
        done.add(ready.name)
        ordered.append(ready)
    return tuple(ordered)


def _circle(left: Sequence[DatasetPlan]) -> list[str]:
    """Return the names on a way from a dataset over what it waits for back to itself."""
    waiting = {dataset.name: dataset for dataset in left}
    way = [left[0].name]
    while way[-1] not in way[:-1]:
        way.append(next(name for name in waiting[way[-1]].needs if name in waiting))
    return way[way.index(way[-1]) :]


def segments(job: Job, dataset: DatasetPlan) -> list[Segment]:
    """Return the dataset's segments, in order."""
    groups: list[tuple[str, list[Link]]] = []
    open_chain = False
    for link in dataset.links:
        step = link.step
        if isinstance(step, Source):
            groups.append(("source", [link]))
            open_chain = True
        elif isinstance(step, Map | FlatMap):
            if not open_chain:
                groups.append(("chain", []))
            groups[-1][1].append(link)
            open_chain = not step.checkpoint
        elif isinstance(step, Filter):
            if not groups or groups[-1][0] != "filters":
                groups.append(("filters", []))
            groups[-1][1].append(link)
            open_chain = False
        else:
            assert isinstance(step, Global)
            groups.append(("global", [link]))
            open_chain = False
    below = _read_below(job, dataset)
    found: list[Segment] = []
    for index, (kind, links) in enumerate(groups):
        later = below | _reads(link for _, group in groups[index + 1 :] for link in group)
        prune = tuple(sorted(UNPUBLISHED - later)) if kind in ("source", "chain") else ()
        found.append(Segment(kind, tuple(links), prune))
    return found


def _reads(links: Iterable[Link]) -> frozenset[str]:
    return frozenset().union(*(link.step.reads() for link in links))


def _read_below(job: Job, dataset: DatasetPlan) -> frozenset[str]:
    """Return the columns that datasets made from this one read."""
    read: frozenset[str] = frozenset()
    for other in job.datasets:
        if dataset.name in other.needs:
            read |= _reads(other.links) | _read_below(job, other)
    return read


@cache
def _library_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def link_key(link: Link, leave_out: frozenset[str] = frozenset()) -> Mapping[str, Any]:
    """Return what a step contributes to a stage's key.

    Args:
        link: The step with its context.
        leave_out: Fields that do not affect this stage (thresholds, when measuring).
    """
    step = link.step
    fields = {k: v for k, v in step.model_dump(mode="json").items() if k not in leave_out}
    return {
        "step": f"{type(step).__module__}.{step.name()}",
        "version": step.version,
        "fields": fields,
        "seed": link.context.seed,
        "label": link.context.label,
        "libraries": {name: _library_version(name) for name in step.libraries},
        "digests": dict(step.digests()),
        "code": foreign_code(type(step)),
    }


def measure_key(link: Link) -> Mapping[str, Any]:
    """Return what a filter contributes to the key of its measures: no thresholds."""
    assert isinstance(link.step, Filter)
    return link_key(link, link.step.threshold_fields())
