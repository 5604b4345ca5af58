"""What a report shows: frozen numbers and texts, read from disk, ready to draw.

Owns: the types between reading and drawing. Refuses: both. Texts are as they are in the crawl;
drawing makes them safe. Every text is at most as long as it is shown, with its whole length beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from datatools.engine.rule_counts import RuleCount
from datatools.judge.verdict import Verdict
from datatools.report.diff import Piece
from datatools.report.training import Training

__all__ = [
    "APART",
    "Across",
    "Cluster",
    "Clusters",
    "Conversation",
    "DatasetFacts",
    "DefectCount",
    "Difference",
    "Gap",
    "GoneSample",
    "Histogram",
    "InputLedger",
    "LanguageCount",
    "Measure",
    "Message",
    "NamedVerdict",
    "Pair",
    "Planted",
    "PlantedMiss",
    "ReasonSamples",
    "ReportData",
    "Sample",
    "Segment",
    "SizeCount",
    "SplitFacts",
    "StepLedger",
    "Threshold",
]

APART: Final = ("expanded", "merged")
"""Reserved reasons of records that were replaced, not lost: shown apart from what was dropped."""


# --------------------------------------------------------------------------------------------------
# Ledgers


@dataclass(frozen=True)
class StepLedger:
    """One step's counts.

    Attributes:
        label: The step's label in its dataset.
        version: The step's version.
        settings: Field names and values, the latter as JSON.
        read: Records that came in.
        created: Records that the step made.
        kept: Records that went on.
        dropped: Records lost by reason, without those in `APART`.
        apart: Records replaced by their children or merged, by reason.
        quarantined: Records that could not be used, by reason.
        removed: Characters removed from kept records, by reason.
        text_bytes: UTF-8 bytes of text in the kept records.
        notes: What the step counts beside the ledger.
        rules: What each declared rule did.
    """

    label: str
    version: int
    settings: Mapping[str, str]
    read: int
    created: int
    kept: int
    dropped: Mapping[str, int]
    apart: Mapping[str, int]
    quarantined: Mapping[str, int]
    removed: Mapping[str, int]
    text_bytes: int
    notes: Mapping[str, int]
    rules: tuple[RuleCount, ...] = ()

    @property
    def idle_rules(self) -> list[RuleCount]:
        """Rules that dropped none of the records that came to them."""
        return [rule for rule in self.rules if rule.saw and not rule.dropped]

    @property
    def unreached_rules(self) -> list[RuleCount]:
        """Rules to which no record came, so that they say nothing."""
        return [rule for rule in self.rules if not rule.saw]

    @property
    def lost(self) -> int:
        """Records dropped."""
        return sum(self.dropped.values())

    @property
    def replaced(self) -> int:
        """Records replaced by children or merged."""
        return sum(self.apart.values())

    @property
    def refused(self) -> int:
        """Records quarantined."""
        return sum(self.quarantined.values())

    @property
    def entered(self) -> int:
        """Records that came in or were made."""
        return self.read + self.created

    @property
    def unaccounted(self) -> int:
        """Records the ledger does not explain: 0, or something is wrong."""
        return self.entered - self.kept - self.lost - self.replaced - self.refused


@dataclass(frozen=True)
class Gap:
    """A piece of input that could not be read.

    Attributes:
        path: The file.
        start: First byte, or row group.
        end: One past the last.
        detail: Why.
    """

    path: str
    start: int
    end: int
    detail: str


@dataclass(frozen=True)
class InputLedger:
    """What became of a source's input.

    Attributes:
        label: The source step's label.
        unit: What is counted: `bytes`, or `row groups` where a format has no byte offsets.
        size: All of it.
        consumed: What was turned into records.
        skipped: What holds no record, by reason.
        gaps: What could not be read.
    """

    label: str
    unit: Literal["bytes", "row groups", "rows"]
    size: int
    consumed: int
    skipped: Mapping[str, int]
    gaps: tuple[Gap, ...]

    @property
    def passed_over(self) -> int:
        """Skipped, for all reasons."""
        return sum(self.skipped.values())

    @property
    def missing(self) -> int:
        """What could not be read."""
        return sum(gap.end - gap.start for gap in self.gaps)

    @property
    def unaccounted(self) -> int:
        """What no range covers: 0 after a whole run."""
        return self.size - self.consumed - self.passed_over - self.missing


@dataclass(frozen=True)
class SplitFacts:
    """A published split.

    Attributes:
        name: Its name.
        rows: Records.
        shards: Files.
        disk_bytes: Their size on disk.
    """

    name: str
    rows: int
    shards: int
    disk_bytes: int


# --------------------------------------------------------------------------------------------------
# Records to look at


@dataclass(frozen=True)
class Sample:
    """A published record.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        text: The beginning of its text.
        characters: Characters of the whole text.
        language: Its language, if it is known.
        signals: What was measured on it, as text, by name.
    """

    id: str
    url: str | None
    text: str
    characters: int
    language: str | None
    signals: Mapping[str, str]


@dataclass(frozen=True)
class GoneSample:
    """A record that left.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        preview: The beginning of its text, if it was kept for people to look at.
        rule: The rule that fired, e.g. `word_count 12 < 50`, if a rule did.
        detail: The step's own words, or evidence.
    """

    id: str
    url: str | None
    preview: str | None
    rule: str | None
    detail: str | None


@dataclass(frozen=True)
class ReasonSamples:
    """Records that left a step for one reason.

    Attributes:
        step: The step's label.
        fate: Where they went.
        reason: The reason code.
        count: All of them.
        samples: The first few.
    """

    step: str
    fate: Literal["dropped", "quarantined"]
    reason: str
    count: int
    samples: tuple[GoneSample, ...]


@dataclass(frozen=True)
class Segment:
    """A run of a rendered conversation.

    Attributes:
        text: The run.
        trained: Whether the loss covers it.
    """

    text: str
    trained: bool


@dataclass(frozen=True)
class Message:
    """A chat message.

    Attributes:
        role: Who speaks.
        text: The beginning of what is said.
        left_out: Characters that are not shown.
        trained: Whether the loss covers it.
    """

    role: str
    text: str
    left_out: int
    trained: bool


@dataclass(frozen=True)
class Conversation:
    """A published conversation: as rendered, where the dataset says how, else by message.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        language: Its language, if it is known.
        segments: The rendered text, cut at the edges of the loss mask; empty if it is not rendered.
        messages: The messages; empty if it is rendered.
        left_out: Characters of the rendered text that are not shown.
    """

    id: str
    url: str | None
    language: str | None
    segments: tuple[Segment, ...]
    messages: tuple[Message, ...]
    left_out: int


@dataclass(frozen=True)
class Pair:
    """A published preference.

    Attributes:
        id: Its id.
        url: Its address, if it has one.
        language: Its language, if it is known.
        prompt: The messages before.
        chosen: The preferred answer.
        rejected: The other.
        strength: How strongly it was preferred, if that is known.
    """

    id: str
    url: str | None
    language: str | None
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    strength: float | None


# --------------------------------------------------------------------------------------------------
# Distributions


@dataclass(frozen=True)
class Histogram:
    """Counts between edges.

    Attributes:
        edges: Increasing, one more than there are bins; the last bin includes its upper edge.
        series: Counts of each bin by series, drawn on top of each other in this order.
        logarithmic: Whether the edges are spaced by ratio.
    """

    edges: tuple[float, ...]
    series: Mapping[str, tuple[int, ...]]
    logarithmic: bool


@dataclass(frozen=True)
class Threshold:
    """A rule's limit.

    Attributes:
        operator: The comparison that drops, e.g. `<`.
        value: The limit.
    """

    operator: str
    value: float


@dataclass(frozen=True)
class Measure:
    """A filter's measure over the records it let pass and those it dropped.

    Attributes:
        step: The filter's label.
        name: The measure's name.
        thresholds: Limits of the rules that fired.
        dropped: Records these rules dropped.
        histogram: Published records and dropped ones; None for a category.
        categories: Dropped records by value, most frequent first, for a category.
        rule: The rule in words, for a category.
    """

    step: str
    name: str
    thresholds: tuple[Threshold, ...]
    dropped: int
    histogram: Histogram | None
    categories: Mapping[str, int]
    rule: str


@dataclass(frozen=True)
class LanguageCount:
    """Records of one language.

    Attributes:
        language: Its code, or `und`.
        rows: Records.
        text_bytes: UTF-8 bytes of their texts.
    """

    language: str
    rows: int
    text_bytes: int


# --------------------------------------------------------------------------------------------------
# Duplicates


@dataclass(frozen=True)
class Difference:
    """A removed record against the one that stayed.

    Attributes:
        id: The removed record's id.
        url: Its address, if it has one.
        similarity: How similar they were found, if that was measured.
        pieces: Words of both, of the removed one (`first`) and of the survivor (`second`).
        cut: Whether only the beginnings were compared.
    """

    id: str
    url: str | None
    similarity: float | None
    pieces: tuple[Piece, ...]
    cut: bool


@dataclass(frozen=True)
class Cluster:
    """Records removed for one that stayed.

    Attributes:
        step: Label of the step that removed them.
        survivor: The id of the one that stayed.
        survivor_in: The dataset it is in, if that is another one.
        indexed: The day it was added to an index, if it is in one.
        survivor_url: Its address, if it is known.
        survivor_text: The beginning of its text; None if it is not published, or not any more.
        survivor_left: The reason why it left later, if it did.
        removed: How many were removed.
        lowest: Lowest similarity among them, if it was measured.
        differences: The first few removed records, word by word.
        urls: Addresses of a few others.
    """

    step: str
    survivor: str
    survivor_in: str | None
    indexed: str | None
    survivor_url: str | None
    survivor_text: str | None
    survivor_left: str | None
    removed: int
    lowest: float | None
    differences: tuple[Difference, ...]
    urls: tuple[str, ...]


@dataclass(frozen=True)
class SizeCount:
    """Clusters of about one size.

    Attributes:
        low: Fewest records of such a cluster, the one that stayed counted in.
        high: Most records.
        clusters: How many there are.
        removed: Records removed in them.
    """

    low: int
    high: int
    clusters: int
    removed: int


@dataclass(frozen=True)
class Across:
    """Where removed records and the ones that stayed come from.

    Attributes:
        removed: Sources of removed records, most removed first.
        stayed: Sources of those that stayed, most first; one in another dataset or an index is
            told with it.
        counts: Records removed, one row for each of `removed`, one column for each of `stayed`.
        summed: How many sources the last row and the last column stand for; 0 where they are
            sources like the others.
    """

    removed: tuple[str, ...]
    stayed: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    summed: tuple[int, int] = (0, 0)

    @property
    def largest(self) -> int:
        """The largest of the counts."""
        return max(map(max, self.counts))


@dataclass(frozen=True)
class Clusters:
    """Duplicates of one dataset.

    Attributes:
        removed: Records removed by step label.
        clusters: Survivors that replaced at least one record.
        sizes: Clusters by size, in ranges that double, from the smallest to the largest.
        similarity: Similarity of removed records to their survivors, by the label of the step that
            measured it.
        across: Where they come from.
        largest: The clusters with most removed records, largest first.
    """

    removed: Mapping[str, int]
    clusters: int
    sizes: tuple[SizeCount, ...]
    similarity: Mapping[str, Histogram]
    across: Across
    largest: tuple[Cluster, ...]


# --------------------------------------------------------------------------------------------------
# Planted defects


@dataclass(frozen=True)
class PlantedMiss:
    """A planted defect that was not caught.

    Attributes:
        url: The page.
        found: Where its records are, in words.
    """

    url: str
    found: str


@dataclass(frozen=True)
class DefectCount:
    """What became of one kind of planted defect.

    Attributes:
        defect: The kind.
        expect: What should become of it, in words.
        planted: Times it was planted.
        caught: Of them, those treated as they should be.
        untested: Of them, those that no step of this pipeline is for.
        how: What became of those caught, by count, most frequent first.
        misses: The others.
    """

    defect: str
    expect: str
    planted: int
    caught: int
    untested: int
    how: Mapping[str, int]
    misses: tuple[PlantedMiss, ...]


@dataclass(frozen=True)
class Planted:
    """The truth of a crawl with planted defects, against what the run did.

    Attributes:
        path: The file that says what was planted.
        defects: By kind.
    """

    path: str
    defects: tuple[DefectCount, ...]

    @property
    def planted(self) -> int:
        """All planted defects that some step of the pipeline is for."""
        return sum(one.planted - one.untested for one in self.defects)

    @property
    def caught(self) -> int:
        """All that were caught."""
        return sum(one.caught for one in self.defects)


# --------------------------------------------------------------------------------------------------
# Everything


@dataclass(frozen=True)
class NamedVerdict:
    """A verdict under the name the pipeline gives it."""

    name: str
    verdict: Verdict


@dataclass(frozen=True)
class StoppedRecord:
    """A record that killed, hung or flooded the process that worked on it, even alone.

    Attributes:
        id: Its id.
        step: Label of the step.
        reason: `fence_crash`, `fence_timeout`, `fence_memory` or `fence_error`.
        detail: What happened.
    """

    id: str
    step: str
    reason: str
    detail: str


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
