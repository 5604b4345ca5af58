"""`Mix`: how much of each source a dataset holds."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash
from pydantic import Field, field_validator, model_validator

from datatools.errors import ConfigError, DataError
from datatools.records import Kind
from datatools.sizes import parse_size
from datatools.steps.base import TEXT_BYTES, Batch, Global, Order, Rows, Tally
from datatools.steps.shape.budgets import Asked, Held, Unit, budgets_of

__all__ = ["Mix"]

NO_SOURCE = "(none)"
"""What records are told under that have no source."""


class Mix(Global):
    """Take a part of each source, or all of it several times, and put the records in random order.

    How much is taken of a source follows from `weights`, or from `temperature`, or is said by
    `budgets`. A source that is asked for more than it holds is repeated, up to `max_epochs` times;
    what is still missing, others give (`when_short`). Which records are taken is drawn from a hash
    of `(seed, label, id)`: a larger budget takes the same ones and more, and other sources play no
    part. Each source's amount is the nearest that whole records make: less than one record away.

    A repeated record is a copy with an id of its own and counts as created; what is left out is
    dropped as `not_drawn`. The manifest, the card and the report tell of each source what was asked
    for and why it was not to be had, what it gave, and how many epochs that is.

    By default everything is taken once. Datasets in `from:` that begin with a reader each have
    their names as `source`; those made from one reader are told apart by another column.

    Example:
        >>> import polars as pl
        >>> texts = [f"code {n}" for n in range(4)] + [f"글 {n}" for n in range(40)]
        >>> frame = pl.DataFrame({"text": texts, "source": ["code"] * 4 + ["web"] * 40})
        >>> step = Mix(weights={"code": 1, "web": 2}, unit="documents", total=24, max_epochs=2)
        >>> kept, dropped = step.apply(frame)
        >>> kept["source"].value_counts(sort=True).rows()
        [('web', 16), ('code', 8)]

    References:
        Naveen Arivazhagan et al., Massively Multilingual Neural Machine Translation in the Wild,
        2019, section 4.2 (temperature). Hyung Won Chung et al., UniMax, 2023 (a limit of epochs;
        others fill). Niklas Muennighoff et al., Scaling Data-Constrained Language Models, 2023 (up
        to 4 epochs are nearly as good as new text).
    """

    version: ClassVar[int] = 1
    draws: ClassVar[bool] = True
    takes: ClassVar[Kind | None] = None

    by: str = "source"
    """Column whose values are the sources."""
    unit: Unit = "bytes"
    """What amounts count: bytes of text as UTF-8, documents, or tokens of `tokenizer`."""
    tokenizer: str | None = None
    """File of a Hugging Face tokenizer (`tokenizer.json`), for `unit: tokens`. Every text is
    encoded once, without special tokens, at a few megabytes a second and core."""
    weights: Mapping[str, float] | None = None
    """Weight of each source, in any scale: its share of the mix, in `unit`. Every source of the
    records must be named; 0 leaves it out."""
    temperature: float | None = Field(None, gt=0)
    """Shares in proportion to size to the power of 1/temperature: 1 is as the sources are, and
    raising it brings the shares closer to each other. In place of `weights`."""
    total: int | None = Field(None, ge=1)
    """Size of the whole mix in `unit`, for bytes also as text such as `10GB`. By default the
    largest in which each share is kept with no source above its `max_epochs`."""
    budgets: Mapping[str, int] | None = None
    """Amount of each source in `unit`, in place of shares and a total. Every source must be
    named."""
    max_epochs: float | Mapping[str, float] = 1.0
    """Most times a source is taken, for all or by name (1 for those not named); 2.5 is twice and a
    half of it once more. Raising it repeats small sources more often."""
    when_short: Literal["fill", "less", "fail"] = "fill"
    """What to do when a source cannot give its amount: others give the rest in proportion to their
    shares (an error where they cannot, or with `budgets`); the mix is smaller; or the run fails."""

    @field_validator("total", mode="before")
    @classmethod
    def _as_size(cls, value: object) -> object:
        return parse_size(value) if isinstance(value, str) else value

    @field_validator("budgets", mode="before")
    @classmethod
    def _as_sizes(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: cls._as_size(one) for name, one in value.items()}

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        def refuse(field: str, problem: str, hint: str, got: Any) -> None:
            raise ConfigError(field, problem, got=got, hint=hint)

        given = [
            name
            for name in ("weights", "temperature", "budgets")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            refuse(
                given[1], f"says how much of each source, as {given[0]} does", "Keep one.", given
            )
        if self.budgets is not None and self.total is not None:
            refuse("total", "is what `budgets` add up to", "Remove it.", self.total)
        for name, amounts in (("weights", self.weights), ("budgets", self.budgets)):
            for source, amount in (amounts or {}).items():
                if not 0 <= amount < float("inf"):
                    refuse(f"{name}.{source}", "must be 0 or more", "Raise it.", amount)
            if amounts is not None and not any(amounts.values()):
                refuse(name, "leave everything out", "Give a source more than 0.", dict(amounts))
        limits = self.max_epochs if isinstance(self.max_epochs, Mapping) else {"": self.max_epochs}
        for limit in limits.values():
            if not 0 < limit <= 1000:
                refuse("max_epochs", "must be above 0, and at most 1000", "Try 4.", limit)
        if (self.unit == "tokens") != (self.tokenizer is not None):
            hint = "Name a tokenizer.json, or count bytes."
            if self.tokenizer is not None:
                hint = "Set `unit: tokens`, or remove it."
            refuse("tokenizer", "and `unit: tokens` need each other", hint, self.tokenizer)
        if self.tokenizer is not None and not Path(self.tokenizer).is_file():
            refuse("tokenizer", "there is no such file", "Give its path.", self.tokenizer)
        return self

    def reads(self) -> frozenset[str]:
        """Return the id, the sources' column, and the text where tokens are counted."""
        return frozenset({"id", self.by, *(("text",) if self.tokenizer else ())})

    def digests(self) -> Mapping[str, str]:
        """Return the digest of the tokenizer."""
        if self.tokenizer is None:
            return {}
        return {"tokenizer": hashlib.sha256(Path(self.tokenizer).read_bytes()).hexdigest()}

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Order:
        """Weigh the sources, say how much of each is taken, and draw it."""
        tokenizer = None if self.tokenizer is None else (self.tokenizer, *self.digests().values())
        weigh = _Weigh(rows.context.seed, rows.context.label, self.by, self.unit, tokenizer)
        weighed = rows.map_shards(weigh, columns=weigh.columns, name="weigh")
        held = [Held(*row) for row in weighed.reduce(_Add(), name="sources").collect().rows()]
        limits: Mapping[str, float] | float = self.max_epochs
        asked = Asked(
            self.unit, self.weights, self.temperature, self.total, self.budgets, limits,
            self.when_short,
        )  # fmt: skip
        try:
            budgets = budgets_of(held, asked)
        except DataError as error:
            where = f"{rows.context.label}.{error.where}"
            got = {} if error.got is None else {"got": error.got}
            raise DataError(where, error.problem, hint=error.hint, **got) from None
        amounts = tuple((budget.source, budget.amount) for budget in budgets)
        drawn = weighed.reduce(_Draw(amounts), name="draw")
        gave = {row[0]: row[1:] for row in drawn.reduce(_Add(), name="drawn").collect().rows()}
        of = {one.source: one for one in held}
        total = sum(got[1] for got in gave.values()) or 1
        tally = [
            {
                "source": budget.source,
                "asked share": budget.share,
                f"asked {self.unit}": budget.asked,
                f"got {self.unit}": got[1],
                "got share": got[1] / total,
                "epochs": got[0] / of[budget.source].documents,
                "records": of[budget.source].documents,
                "records drawn": got[0],
                "text bytes": got[2],
                "why not as asked": budget.why,
            }
            for budget in budgets
            for got in [gave.get(budget.source, (0, 0, 0))]
        ]
        return Order(drawn, left_out="not_drawn", tallies=(Tally("sources of the mix", tally),))


@dataclass(frozen=True)
class _Weigh:
    """Per record its source, its size, its bytes and its draw."""

    seed: int
    label: str
    by: str
    unit: Unit
    tokenizer: tuple[str, ...] | None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(("id", self.by, TEXT_BYTES, *(("text",) if self.tokenizer else ())))
        )

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        prefix = f"{self.seed}:{self.label}:"
        draws = [
            xxhash.xxh3_64_intdigest((prefix + id_).encode("utf-8", "surrogatepass"))
            for id_ in batch.df["id"].to_list()
        ]
        size: pl.Expr | pl.Series = pl.lit(1)
        if self.unit == "bytes":
            size = pl.col(TEXT_BYTES)
        elif self.tokenizer is not None:
            texts = batch.df["text"].fill_null("").to_list()
            size = pl.Series(_count_tokens(self.tokenizer, texts), dtype=pl.Int64)
        return batch.df.select(
            pl.Series("row", rows, dtype=pl.UInt64),
            pl.Series("draw", draws, dtype=pl.UInt64),
            pl.col(self.by).cast(pl.String).fill_null(NO_SOURCE).alias("source"),
            (size if isinstance(size, pl.Series) else size.cast(pl.Int64)).alias("size"),
            pl.col(TEXT_BYTES).cast(pl.Int64).alias("bytes"),
        )


@functools.lru_cache(maxsize=1)
def _tokenizer(path: str, digest: str) -> Any:
    import tokenizers

    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise DataError(path, "changed after the run was planned", hint="Run again.")
    try:
        found = tokenizers.Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises plain Exception
        raise DataError(
            path, f"is no tokenizer: {error}", hint="Give a Hugging Face tokenizer.json."
        ) from error
    found.no_truncation()
    found.no_padding()
    return found


def _count_tokens(tokenizer: tuple[str, ...], texts: Sequence[str]) -> list[int]:
    path, digest = tokenizer
    encoded = _tokenizer(path, digest).encode_batch_fast(list(texts), add_special_tokens=False)
    return [len(one.ids) for one in encoded]


@dataclass(frozen=True)
class _Add:
    """Per source its records, their sizes and bytes, sorted by its name."""

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return (
            frame.group_by("source")
            .agg(pl.len().cast(pl.Int64).alias("documents"), pl.col("size", "bytes").sum())
            .sort("source")
        )


@dataclass(frozen=True)
class _Draw:
    """The rows of the mix in their order; a row that is taken several times comes as often.

    Attributes:
        amounts: Per source how much is taken.
    """

    amounts: tuple[tuple[str, int], ...]

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        amounts = dict(self.amounts)
        ordered = frame.sort("source", "draw", "row")
        times = [
            _times(own["size"].to_numpy(), amounts[str(source)])
            for (source,), own in ordered.group_by("source", maintain_order=True)
        ]
        count = np.concatenate(times) if times else np.empty(0, np.int64)
        index = np.repeat(np.arange(len(count)), count)
        copy = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
        drawn = ordered[index]
        place = _places(drawn["draw"].to_numpy(), copy)
        return (
            drawn.with_columns(pl.Series("place", place, dtype=pl.UInt64))
            .sort("place", "row", maintain_order=True)
            .select("row", "source", "size", "bytes")
        )


def _times(sizes: npt.NDArray[np.int64], amount: int) -> npt.NDArray[np.int64]:
    """Return how often each record of a source is taken, the first of them most.

    Example:
        >>> _times(np.array([4, 3, 5]), 19).tolist(), _times(np.array([4, 3, 5]), 5).tolist()
        ([2, 2, 1], [1, 0, 0])
    """
    whole = int(sizes.sum())
    if not whole:
        return np.zeros(len(sizes), np.int64)
    epochs, rest = divmod(amount, whole)
    after = np.concatenate(([0], np.cumsum(sizes)))
    more = int(np.searchsorted(after, rest, side="right")) - 1
    if more < len(sizes) and after[more + 1] - rest < rest - after[more]:
        more += 1
    return epochs + (np.arange(len(sizes)) < more).astype(np.int64)


def _places(draws: npt.NDArray[np.uint64], copies: npt.NDArray[np.int64]) -> Any:
    """Return where copies come in the mix: a hash of the draw and of which copy it is.

    The draw itself decides what is taken, so it would put what is taken in front.

    References:
        Guy Steele, Doug Lea, Christine Flood, Fast Splittable Pseudorandom Number Generators, 2014.
    """
    x = draws + np.uint64(0x9E3779B97F4A7C15) * (copies.astype(np.uint64) + np.uint64(1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
