"""The whole report: what it says of every dataset, and of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datatools.judge.verdict import Verdict
from datatools.report.model.chats import Conversation
from datatools.report.model.distributions import Histogram, LanguageCount, Measure
from datatools.report.model.duplicates import Clusters
from datatools.report.model.funnel import SplitFacts, StepLedger
from datatools.report.model.input import InputLedger
from datatools.report.model.pairs import Pair
from datatools.report.model.planted import Planted
from datatools.report.model.problems import StoppedRecord
from datatools.report.model.samples import ReasonSamples, Sample
from datatools.report.training import Training

__all__ = ["DatasetFacts", "NamedVerdict", "ReportData"]


@dataclass(frozen=True)
class NamedVerdict:
    """A verdict under the name the pipeline gives it."""

    name: str
    verdict: Verdict


@dataclass(frozen=True)
class DatasetFacts:
    """Everything about one published dataset.

    Attributes:
        name: Its name.
        kind: Its record kind.
        rows: Published records.
        parents: Datasets it was made from.
        splits: Its splits.
        steps: Its ledger.
        inputs: What became of input, if it reads any.
        origins: Sources and licences with their records.
        exports: Formats beside the records.
        limited: Most records read, if the run was a trial.
        measured_rows: Records that the distributions rest on; fewer than `rows` in a large dataset.
        languages: Records by language; empty for kinds without text of their own.
        lengths: Characters per record by language, or None.
        measures: Filters' measures against their limits.
        kept: Published records to look at.
        gone: Records that left, by reason.
        clusters: Duplicates, or None where no step names survivors.
        conversations: Conversations to look at.
        pairs: Pairs to look at.
        stopped: Records that the fence stopped; the first of them.
        stopped_total: How many there are.
    """

    name: str
    kind: str
    rows: int
    parents: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    steps: tuple[StepLedger, ...]
    inputs: tuple[InputLedger, ...] = ()
    origins: tuple[tuple[str, str, int], ...] = ()
    exports: tuple[str, ...] = ()
    limited: int | None = None
    measured_rows: int = 0
    languages: tuple[LanguageCount, ...] = ()
    lengths: Histogram | None = None
    measures: tuple[Measure, ...] = ()
    kept: tuple[Sample, ...] = ()
    gone: tuple[ReasonSamples, ...] = ()
    clusters: Clusters | None = None
    conversations: tuple[Conversation, ...] = ()
    pairs: tuple[Pair, ...] = ()
    stopped: tuple[StoppedRecord, ...] = ()
    stopped_total: int = 0

    @property
    def text_bytes(self) -> int | None:
        """UTF-8 bytes of published text, or None without a step."""
        return self.steps[-1].text_bytes if self.steps else None


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows.

    Attributes:
        title: Its title.
        output: The output folder, as it was given.
        pipeline: Name of the pipeline.
        published: When the newest dataset was published, UTC, `YYYY-MM-DD HH:MM`.
        seed: The pipeline's seed.
        versions: Versions that made the datasets, by name.
        datasets: The published datasets, parents before children.
        verdicts: The verdicts.
        training: The training result, or None.
        planted: Planted defects, or None where the crawl has no truth.
        problems: Why the run counts as failed.
        unread: What is on disk and could not be read.
        left_over: Datasets in the folder that the pipeline has no more; none of their numbers is
            shown.
        bytes_per_token: Bytes of text per token of the trained tokenizer, or None.
        resolved: The resolved pipeline as indented JSON, or None.
    """

    title: str
    output: str
    pipeline: str
    published: str
    seed: int
    versions: Mapping[str, str]
    datasets: tuple[DatasetFacts, ...]
    verdicts: tuple[NamedVerdict, ...] = ()
    training: Training | None = None
    planted: Planted | None = None
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    bytes_per_token: float | None = None
    resolved: str | None = None
