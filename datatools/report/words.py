"""A training result in plain lines, for a terminal.

Owns: the sentences, and how a token looks. Refuses: reading files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from datatools.errors import DataError
from datatools.report.languages import named_languages
from datatools.report.quantities import count, decimal, duration, percent, signed
from datatools.report.training import Part, Shift, Training
from datatools.report.visible import visible

__all__ = ["shown_token", "training_lines"]

_TOKENS_SHOWN: Final = 5
_COLUMN: Final = 12


def training_lines(value: Mapping[str, Any]) -> list[str]:
    """Return a training result (`models/train.json`) as lines of text.

    Losses, held-out numbers before and after, what the prompt tells about the answer beside the
    shuffled control, pair accuracy beside the rule that sees only lengths, and the next tokens
    after each probe. Control characters in tokens and prompts are made visible.

    Raises:
        DataError: The value is not a training result.
    """
    try:
        training = Training.of(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "train.json", f"is not a training result: {error!r}", hint="Run `datatools train`."
        ) from error
    lines = [_row("tokenizer", f"{count(training.vocabulary)} tokens{_ratios(training)}")]
    for part in training.parts:
        lines += ["", *_part(part)]
    return [*lines, "", _row("time", f"{duration(training.seconds)} in all")]


def _ratios(training: Training) -> str:
    """Say how many bytes a token stands for, by language where texts say theirs."""
    names = named_languages(training.bytes_per_token)
    ratios = (
        f"{names[tag]} {decimal(ratio, 2)}".strip()
        for tag, ratio in training.bytes_per_token.items()
    )
    return f"; bytes per token: {', '.join(ratios)}" if names else ""


def _row(name: str, text: str) -> str:
    return f"{name:<{_COLUMN}}{text}"


def _part(part: Part) -> list[str]:
    (noun, number), *others = part.records
    aside = "".join(f", {count(n)} {what}" for what, n in others if n)
    lines = [
        _row(
            part.name,
            f"{count(part.parameters)} weights read {count(part.tokens)} tokens of "
            f"{count(number)} {noun}{aside} in {duration(part.seconds)}",
        ),
        f"  {_shift(part.loss)}",
    ]
    if part.stopped != "finished":
        lines.append(f"  stopped early: {part.stopped}")
    if part.skipped:
        lines.append(f"  {count(part.skipped)} of {count(part.steps)} steps skipped as spikes")
    if part.held_out:
        lines.append(f"  on {part.held_out}:")
    lines += [f"    {_shift(shift)}" for shift in part.shifts]
    lines += [
        f"    {one.name}: {percent(one.value, 1)} of {count(one.pairs)} pairs "
        f"[{percent(one.low, 1)}, {percent(one.high, 1)}]"
        for one in part.accuracies
    ]
    for probe in part.probes:
        lines.append(f"  next after {_quoted(probe.prompt)}")
        lines.append(f"    before  {_distribution(probe.before)}")
        lines.append(f"    after   {_distribution(probe.after)}")
    return lines


def _shift(shift: Shift) -> str:
    if shift.before is None:
        return f"{shift.name}: {decimal(shift.after, shift.digits)}"
    text = (
        f"{shift.name}: {decimal(shift.before, shift.digits)} to "
        f"{decimal(shift.after, shift.digits)}"
    )
    if shift.after is None:
        return text
    return f"{text} ({signed(shift.after - shift.before, shift.digits)})"


def _distribution(rows: Sequence[tuple[str, float]]) -> str:
    return "  ".join(
        f"{shown_token(token)} {percent(chance, 1)}" for token, chance in rows[:_TOKENS_SHOWN]
    )


def _quoted(text: str) -> str:
    return f'"{visible(text)}"'


def shown_token(token: str) -> str:
    r"""Return a token so that its blanks are seen: space `␣`, no-break space `⍽`, tab and newline.

    Example:
        >>> shown_token(" the"), shown_token("\n"), shown_token("한[ed95]")
        ('␣the', '⏎', '한[ed95]')
    """
    if not token:
        return "∅"
    return (
        visible(token.replace("\r", "␍"))
        .replace(" ", "␣")
        .replace("\xa0", "⍽")
        .replace("\n", "⏎")
        .replace("\t", "⇥")
    )
