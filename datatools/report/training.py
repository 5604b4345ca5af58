"""A training result as a report needs it: parts, numbers before and after, curves.

Owns: reading `models/train.json`. Refuses: wording (`words`) and drawing (`charts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from datatools.report.languages import named_languages

__all__ = [
    "CHANCE_LOSS",
    "CurvePoint",
    "Interval",
    "Part",
    "Probe",
    "Shift",
    "Training",
]

CHANCE_LOSS: Final = 0.6931471805599453
"""Loss of a reward model that cannot tell two answers apart: ln 2 nats per pair."""

_ENDS: Final = 20
"""A curve's beginning and end are the means of this part of its steps: 1/20, at least one."""


@dataclass(frozen=True)
class CurvePoint:
    """One logged step: where the run was, and its loss if it was finite."""

    tokens: int
    loss: float | None
    skipped: bool


@dataclass(frozen=True)
class Shift:
    """A number before and after training.

    Attributes:
        name: What is measured.
        before: Its value before, or None.
        after: Its value after, or None.
        better: In which direction it should go.
        digits: Decimals worth showing.
    """

    name: str
    before: float | None
    after: float | None
    better: Literal["lower", "higher"]
    digits: int = 3


@dataclass(frozen=True)
class Interval:
    """A share with its interval.

    Attributes:
        name: What it is.
        value: The share.
        low: Lower end.
        high: Upper end.
        pairs: Pairs it rests on.
        groups: Independent groups of pairs.
    """

    name: str
    value: float
    low: float
    high: float
    pairs: int
    groups: int


@dataclass(frozen=True)
class Probe:
    """What follows a prompt, before and after training: (token, probability), likeliest first."""

    prompt: str
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Part:
    """One thing that was trained.

    Attributes:
        name: `pretrain`, `instruct` or `preference`.
        title: What it is called.
        loss_unit: What its loss is per.
        curve: Every logged step.
        steps: Steps done.
        skipped: Steps whose update was left out.
        tokens: Tokens read.
        seconds: How long it took.
        parameters: Weights.
        device: Where it ran.
        stopped: `finished`, or why it ended early.
        records: What it was trained on, as (name, number).
        held_out: What it was measured on, in words; empty when there was nothing.
        shifts: Numbers before and after.
        accuracies: Shares with intervals, the model's first.
        probes: Next tokens after prompts.
    """

    name: str
    title: str
    loss_unit: str
    curve: tuple[CurvePoint, ...]
    steps: int
    skipped: int
    tokens: int
    seconds: float
    parameters: int
    device: str
    stopped: str
    records: tuple[tuple[str, int], ...]
    held_out: str
    shifts: tuple[Shift, ...]
    accuracies: tuple[Interval, ...] = ()
    probes: tuple[Probe, ...] = ()

    @property
    def loss(self) -> Shift:
        """Mean loss of the first and of the last twentieth of the steps."""
        losses = [point.loss for point in self.curve if point.loss is not None]
        width = max(1, len(losses) // _ENDS)
        return Shift(
            f"loss, {self.loss_unit}",
            sum(losses[:width]) / width if losses else None,
            sum(losses[-width:]) / width if losses else None,
            "lower",
        )


@dataclass(frozen=True)
class Training:
    """A whole training result.

    Attributes:
        size: Name of the model's size.
        seed: The seed.
        seconds: How long everything took.
        vocabulary: Token ids of the tokenizer.
        bytes_per_token: UTF-8 bytes per token by language.
        parts: What was trained, in order.
    """

    size: str
    seed: int
    seconds: float
    vocabulary: int
    bytes_per_token: Mapping[str, float]
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Training:
        """Return what `models/train.json` says.

        Raises:
            KeyError, TypeError: It is not a training result.
        """
        tokenizer = value["tokenizer"]
        parts = [_pretrain(value["pretrain"])]
        if value["instruct"] is not None:
            parts.append(_instruct(value["instruct"]))
        if value["preference"] is not None:
            parts.append(_preference(value["preference"]))
        return cls(
            size=value["size"],
            seed=value["seed"],
            seconds=value["seconds"],
            vocabulary=tokenizer["vocabulary"],
            bytes_per_token=dict(tokenizer["bytes_per_token"]),
            parts=tuple(parts),
        )


def _run(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a part that its run says."""
    run = value["run"]
    return {
        "curve": tuple(
            CurvePoint(point["tokens"], point["loss"], point["skipped"]) for point in run["curve"]
        ),
        **{
            name: run[name]
            for name in (
                *("steps", "skipped", "tokens", "seconds"),
                *("parameters", "device", "stopped"),
            )
        },
    }


def _pretrain(value: Mapping[str, Any]) -> Part:
    before, after = value["before"] or {}, value["after"] or {}
    shifts = [Shift("bits per byte", before.get("all"), after.get("all"), "lower")]
    languages = named_languages({**before.get("by_language", {}), **after.get("by_language", {})})
    shifts += [
        Shift(
            f"bits per byte, {name}",
            before.get("by_language", {}).get(language),
            after.get("by_language", {}).get(language),
            "lower",
        )
        for language, name in languages.items()
        if name  # else it is the same number again
    ]
    return Part(
        name="pretrain",
        title="Language model",
        loss_unit="nats per token",
        records=(("documents", value["documents"]),),
        held_out=f"{after['documents']:,} held-out documents" if after else "",
        shifts=tuple(shifts) if after else (),
        probes=tuple(
            Probe(probe["prompt"], _tokens(probe["before"]), _tokens(probe["after"]))
            for probe in value["probes"]
        ),
        **_run(value),
    )


def _tokens(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(token), float(chance)) for token, chance in rows)


def _instruct(value: Mapping[str, Any]) -> Part:
    before, after = value["before"] or {}, value["after"] or {}
    named: tuple[tuple[str, str, Literal["lower", "higher"]], ...] = (
        ("answers' bits per byte", "bits_per_byte", "lower"),
        ("conditional gain, nats per byte", "gain", "higher"),
        ("the same with shuffled prompts", "shuffled_gain", "lower"),
        ("probability of stopping", "stop_probability", "higher"),
    )
    shifts = tuple(
        Shift(name, before.get(key), after.get(key), better) for name, key, better in named
    )
    return Part(
        name="instruct",
        title="Instruction tuning",
        loss_unit="nats per trained token",
        records=(("conversations", value["conversations"]), ("untrained", value["untrained"])),
        held_out=f"{after['conversations']:,} held-out conversations" if after else "",
        shifts=shifts if after else (),
        **_run(value),
    )


def _preference(value: Mapping[str, Any]) -> Part:
    accuracies = [
        interval
        for name, key in (
            ("reward model, held-out pairs", "after"),
            ("longer or shorter answer alone", "length_only"),
            ("reward model, training pairs", "on_train"),
        )
        if (interval := _accuracy(name, value[key])) is not None
    ]
    after, margin = value["after"] or {}, value["margin"]
    return Part(
        name="preference",
        title="Reward model",
        loss_unit="nats per pair",
        records=(("pairs", value["pairs"]), ("cut at the beginning", value["truncated"])),
        held_out=f"{after['pairs']:,} held-out pairs of {after['groups']:,} prompts"
        if after
        else "",
        shifts=() if margin is None else (Shift("margin of scores", None, margin, "higher"),),
        accuracies=tuple(accuracies),
        **_run(value),
    )


def _accuracy(name: str, value: Mapping[str, Any] | None) -> Interval | None:
    if value is None or value["value"] is None:  # NaN, without pairs, was stored as null
        return None
    return Interval(
        name, value["value"], value["low"], value["high"], value["pairs"], value["groups"]
    )
