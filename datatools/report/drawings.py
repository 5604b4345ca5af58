"""From results to charts: what is drawn of each, in which colours and words.

Owns: the choice of chart, classes and labels. Refuses: geometry (`charts`) and numbers (`model`).
"""

from __future__ import annotations

from markupsafe import Markup

from datatools.judge.verdict import Verdict
from datatools.report import charts
from datatools.report.charts import Mark, ShareOf
from datatools.report.model.distributions import Histogram, Measure
from datatools.report.model.funnel import StepLedger
from datatools.report.model.input import InputLedger
from datatools.report.quantities import count, decimal, percent, signed, size
from datatools.report.training import CHANCE_LOSS, Part

__all__ = [
    "accuracies",
    "curve",
    "domains",
    "input_bar",
    "lengths",
    "measure",
    "share",
    "similarity",
    "step_bar",
    "voices",
]

WIDE = 920
NARROW = 340
LANGUAGES = ("series-0", "series-1", "series-2", "series-3")
"""Classes of languages, most frequent first, the last for the rest."""


# --------------------------------------------------------------------------------------------------
# Ledgers


def step_bar(step: StepLedger, whole: int) -> Markup:
    """Return a step's records as a bar, against the most that entered any step of the dataset."""
    return charts.share_bar(
        [
            ShareOf("kept", step.kept, f"kept {count(step.kept)}"),
            ShareOf("apart", step.replaced, f"replaced {count(step.replaced)}"),
            ShareOf("dropped", step.lost, f"dropped {count(step.lost)}"),
            ShareOf("quarantined", step.refused, f"quarantined {count(step.refused)}"),
        ],
        whole,
    )


def input_bar(source: InputLedger) -> Markup:
    """Return what became of a source's input as a bar."""
    shown = size if source.unit == "bytes" else count
    return charts.share_bar(
        [
            ShareOf("kept", source.consumed, f"read {shown(source.consumed)}"),
            ShareOf("skipped", source.passed_over, f"skipped {shown(source.passed_over)}"),
            ShareOf("quarantined", source.missing, f"unreadable {shown(source.missing)}"),
        ],
        source.size,
    )


def share(amount: float, whole: float, style: str) -> Markup:
    """Return one share as a bar."""
    return charts.share_bar([ShareOf(style, amount, percent(amount, whole))], whole)


# --------------------------------------------------------------------------------------------------
# The verdict


def voices(verdict: Verdict, width: int) -> Markup:
    """Return every voice's interval against the zone of the main one."""
    return charts.intervals(
        [
            Mark(
                f"{one.voice}, {one.regime}",
                one.low,
                one.effect,
                one.high,
                f"{signed(one.effect)} [{signed(one.low)}, {signed(one.high)}]",
                one.seed_effects,
                one.main,
            )
            for one in verdict.voices
        ],
        label="Difference in bits per byte",
        width=width,
        zone=verdict.rope,
        ends=(f"{verdict.a.name} is better", f"{verdict.b.name} is better"),
    )


def domains(verdict: Verdict, width: int) -> Markup:
    """Return the main voice's interval in each domain."""
    return charts.intervals(
        [
            Mark(
                one.domain,
                one.low,
                one.effect,
                one.high,
                f"{signed(one.effect)} [{signed(one.low)}, {signed(one.high)}]",
            )
            for one in verdict.domains
        ],
        label="Difference in bits per byte by domain",
        width=width,
        zone=verdict.rope,
        ends=(f"{verdict.a.name} is better", f"{verdict.b.name} is better"),
    )


# --------------------------------------------------------------------------------------------------
# Distributions


def lengths(histogram: Histogram, dataset: str) -> Markup:
    """Return characters per record, by language."""
    return charts.histogram(
        histogram.edges,
        histogram.series,
        label=f"Characters per document in {dataset}",
        styles=LANGUAGES,
        logarithmic=histogram.logarithmic,
        unit="characters per document",
    )


def measure(one: Measure) -> Markup:
    """Return a filter's measure over published and dropped records, with the rules' limits."""
    assert one.histogram is not None
    return charts.histogram(
        one.histogram.edges,
        one.histogram.series,
        label=f"{one.step}.{one.name}",
        styles=("kept", "dropped"),
        logarithmic=one.histogram.logarithmic,
        limits=[(f"{limit.operator} {limit.value:g}", limit.value) for limit in one.thresholds],
    )


def similarity(histogram: Histogram) -> Markup:
    """Return how similar removed records were to those that stayed."""
    return charts.histogram(
        histogram.edges,
        histogram.series,
        label="Similarity of removed records to the one that stayed",
        styles=("dropped",),
        logarithmic=histogram.logarithmic,
        unit="similarity to the one that stayed",
    )


# --------------------------------------------------------------------------------------------------
# Training


def curve(part: Part) -> Markup | None:
    """Return a part's loss over the tokens read, or None without a finite loss."""
    points = [(float(point.tokens), point.loss) for point in part.curve if point.loss is not None]
    if not points:
        return None
    return charts.curve(
        points,
        label=f"Loss of {part.title}",
        unit=("tokens read", part.loss_unit),
        level=("cannot tell", CHANCE_LOSS) if part.accuracies else None,
    )


def accuracies(part: Part, width: int) -> Markup:
    """Return shares of pairs told apart, against chance."""
    return charts.intervals(
        [
            Mark(
                one.name,
                one.low,
                one.value,
                one.high,
                f"{decimal(100 * one.value, 1)}% of {count(one.pairs)}",
                strong=number == 0,
            )
            for number, one in enumerate(part.accuracies)
        ],
        label="Share of pairs in which the preferred answer scores higher",
        width=width,
        origin=0.5,
        bounds=(0.0, 1.0),
        ends=("worse than chance", "better"),
    )
