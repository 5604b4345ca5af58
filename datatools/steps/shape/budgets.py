"""How much of each source a mix takes: shares, limits of epochs, and what fills a gap.

Owns the arithmetic and its words. Refuses: which records are taken (`mix`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from datatools.errors import DataError, suggestion

__all__ = ["Asked", "Budget", "Held", "Unit", "budgets_of"]

Unit = Literal["bytes", "documents", "tokens"]


@dataclass(frozen=True)
class Held:
    """What a source holds.

    Attributes:
        source: Its name.
        documents: Its records.
        size: Their size in the mix's unit.
        bytes: Their text in bytes.
    """

    source: str
    documents: int
    size: int
    bytes: int


@dataclass(frozen=True)
class Asked:
    """What is asked of the sources; see the fields of `Mix`."""

    unit: Unit = "bytes"
    weights: Mapping[str, float] | None = None
    temperature: float | None = None
    total: int | None = None
    budgets: Mapping[str, int] | None = None
    max_epochs: float | Mapping[str, float] = 1.0
    when_short: Literal["fill", "less", "fail"] = "fill"

    def limit(self, held: Held) -> int:
        """Return the most that a source gives."""
        limits = self.max_epochs
        epochs = limits if isinstance(limits, float | int) else limits.get(held.source, 1.0)
        return int(Fraction(epochs) * held.size)


@dataclass(frozen=True)
class Budget:
    """How much is taken of a source.

    Attributes:
        source: Its name.
        share: Its share of the mix as asked, from 0 to 1.
        asked: What was asked of it.
        amount: What it is to give.
        why: Why these differ; None where they do not.
    """

    source: str
    share: float
    asked: int
    amount: int
    why: str | None = None


def budgets_of(held: Sequence[Held], asked: Asked) -> list[Budget]:
    """Return how much is taken of each source, in the order of `held`.

    Raises:
        DataError: A source is not named or not there, or what is asked for cannot be had.

    Example:
        >>> held = [Held("code", 10, 100, 100), Held("web", 90, 900, 900)]
        >>> for one in budgets_of(held, Asked(weights={"code": 1, "web": 1}, total=600)):
        ...     print(one.source, one.asked, one.amount, one.why)
        code 300 100 holds no more within its epochs
        web 300 500 gives what others lack
    """
    _check_names(held, asked)
    if asked.budgets is not None:
        total = sum(asked.budgets.values())
        shares = {source: amount / total for source, amount in asked.budgets.items()}
        wanted = {one.source: asked.budgets[one.source] for one in held}
    else:
        shares = _shares(held, asked)
        total = _largest(held, asked, shares) if asked.total is None else asked.total
        wanted = {one.source: round(shares[one.source] * total) for one in held}
    limits = {one.source: asked.limit(one) for one in held}
    if asked.budgets is None and asked.total is None:  # floats do not have the last word
        as_held = asked.weights is None and asked.temperature in (None, 1)
        if as_held and not isinstance(asked.max_epochs, Mapping):
            wanted = dict(limits)
        wanted = {source: min(amount, limits[source]) for source, amount in wanted.items()}
    short = [source for source, amount in wanted.items() if amount > limits[source]]
    amounts = {source: min(amount, limits[source]) for source, amount in wanted.items()}
    if short and asked.when_short == "fail":
        raise _impossible(short[0], wanted, limits, asked)
    if short and asked.when_short == "fill":
        if asked.budgets is not None:
            raise _impossible(short[0], wanted, limits, asked)
        amounts = _filled(shares, limits, total)
        missing = total - sum(amounts.values())
        if missing > len(amounts):  # more than rounding
            most = sum(limit for source, limit in limits.items() if shares[source])
            raise DataError(
                "total",
                f"is more than the sources hold within their epochs, {most:,} {asked.unit}",
                got=total,
                hint="Lower it, raise `max_epochs`, or set `when_short: less`.",
            )

    def why(source: str) -> str | None:
        if source in short:
            return "holds no more within its epochs"
        return "gives what others lack" if amounts[source] > wanted[source] else None

    return [
        Budget(
            one.source, shares[one.source], wanted[one.source], amounts[one.source], why(one.source)
        )
        for one in held
    ]


def _check_names(held: Sequence[Held], asked: Asked) -> None:
    known = [one.source for one in held]
    limits = asked.max_epochs if isinstance(asked.max_epochs, Mapping) else {}
    for field, named in (
        ("weights", asked.weights),
        ("budgets", asked.budgets),
        ("max_epochs", limits),
    ):
        for source in named or {}:
            if source not in known and known:
                raise DataError(
                    f"{field}.{source}",
                    "no record is of this source",
                    hint=f"{suggestion(source, known)} If it is empty, remove it.",
                )
    for field, named in (("weights", asked.weights), ("budgets", asked.budgets)):
        for one in held:
            if named is not None and one.source not in named:
                raise DataError(
                    field,
                    f"do not name the source {one.source!r} of {one.documents:,} records",
                    got=sorted(named),
                    hint="Add it; 0 leaves it out.",
                )


def _shares(held: Sequence[Held], asked: Asked) -> dict[str, float]:
    if asked.weights is not None:
        raw = {one.source: float(asked.weights[one.source]) for one in held}
    else:
        # p ~ size^(1/T): Arivazhagan et al., 2019, section 4.2.
        power = 1 / (asked.temperature or 1.0)
        raw = {one.source: float(one.size) ** power if one.size else 0.0 for one in held}
    whole = sum(raw.values())
    return {source: weight / whole if whole else 0.0 for source, weight in raw.items()}


def _largest(held: Sequence[Held], asked: Asked, shares: Mapping[str, float]) -> int:
    """Return the largest total in which every share is kept within the epochs."""
    totals = [asked.limit(one) / shares[one.source] for one in held if shares[one.source]]
    return int(min(totals, default=0) + 0.5)


def _filled(shares: Mapping[str, float], limits: Mapping[str, int], total: int) -> dict[str, int]:
    """Return amounts that add up to the total if limits allow; free sources keep their ratios.

    References:
        Hyung Won Chung et al., UniMax, 2023, algorithm 1 (with equal shares).
    """
    full: dict[str, int] = {}
    while True:
        free = {source: share for source, share in shares.items() if source not in full and share}
        left = total - sum(full.values())
        whole = sum(free.values())
        wanted = {source: round(left * share / whole) for source, share in free.items()}
        over = {source: limits[source] for source in free if wanted[source] > limits[source]}
        if not over:
            return {source: full.get(source, wanted.get(source, 0)) for source in shares}
        full |= over


def _impossible(
    source: str, wanted: Mapping[str, int], limits: Mapping[str, int], asked: Asked
) -> DataError:
    field = "budgets" if asked.budgets is not None else "weights" if asked.weights else "total"
    return DataError(
        f"{field}.{source}" if field != "total" else field,
        f"asks for {wanted[source]:,} {asked.unit} of {source!r}, which holds {limits[source]:,} "
        "within its epochs",
        hint="Ask for less, raise `max_epochs`, or set `when_short: less`.",
    )
