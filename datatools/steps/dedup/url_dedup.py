"""`UrlDedup`: keeps one record of each address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from datatools.kernels.hashing import hash_texts
from datatools.steps.base import Batch, Decisions, Rows
from datatools.steps.dedup.canonical_url import Ignorable, canonical_url
from datatools.steps.dedup.exact_dedup import Evidence, equal_keys
from datatools.steps.dedup.survivor import KeepsOne, Priority, joined_with

__all__ = ["UrlDedup"]


class UrlDedup(KeepsOne):
    """Remove documents whose address is that of one that stays.

    Addresses are compared in the form that `steps.dedup.canonical_url` gives them: what RFC 3986
    calls equal is, and fragments, tracking parameters, session ids, the order of parameters and a
    slash at the end play no part. Documents without a web address stay; the notes count them.

    An address names a page, not a text: of a page that changed between two crawls one state stays.

    Example:
        >>> frame = pl.DataFrame(
        ...     {
        ...         "text": ["old", "new", "다른 글", "no address"],
        ...         "url": ["https://a.kr/x?utm_id=b", "HTTPS://A.kr/x/", "https://a.kr/y", None],
        ...         "date": ["2024-05-01", "2025-01-01T09:00:00+09:00", None, None],
        ...     }
        ... )
        >>> kept, dropped = UrlDedup(keep="newest").apply(frame)
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['new', '다른 글', 'no address'], ['url_duplicate'])
    """

    version: ClassVar[int] = 1

    ignore: tuple[Ignorable, ...] = ()
    """What else plays no part: `scheme` makes `http` and `https` one, `www` makes `www.` at the
    beginning of a host count for nothing. Each removes more, and on some sites different pages."""
    parameters: tuple[str, ...] = ()
    """Names of further query parameters that play no part, such as `ref`; `*` at the end of one
    stands for any ending. Each removes more."""

    def reads(self) -> frozenset[str]:
        """Return the address, and the columns of the survivor rule."""
        return frozenset({"id", "url", *self.priority().columns})

    def reads_of(self, reference: str) -> frozenset[str]:
        """Return the address."""
        return frozenset({"url"})

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions:
        """Bring equal addresses together; all but the best of each leave."""
        everything, boundary = joined_with(rows, self.against, others)
        form = _Form(self.ignore, self.parameters)
        addresses = _Addresses(form, self.priority(boundary))
        keys = everything.map_shards(addresses, columns=addresses.columns, name="addresses")
        evidence = Evidence("url_duplicate", self.against, boundary)
        table = equal_keys(everything, keys, evidence)
        without = rows.map_shards(_Without(form), columns=("url",), name="without address")
        counted = without.reduce(_Sum(), name="count without address").collect()
        return Decisions(table, notes={"without_address": int(counted["count"].item())})


@dataclass(frozen=True)
class _Form:
    ignore: tuple[Ignorable, ...]
    parameters: tuple[str, ...]

    def of(self, urls: pl.Series) -> pl.Series:
        forms = [canonical_url(url, ignore=self.ignore, parameters=self.parameters) for url in urls]
        return pl.Series("url", forms, dtype=pl.String)


@dataclass(frozen=True)
class _Addresses:
    """The 128-bit hash of each record's address, and its priority; lower is better."""

    form: _Form
    priority: Priority

    @property
    def columns(self) -> tuple[str, ...]:
        return ("url", *self.priority.columns)

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        forms = self.form.of(batch.df["url"])
        hashes = hash_texts(*Batch(forms.to_frame()).buffers("url"))
        return pl.DataFrame(
            {
                "key": hashes[:, 0],
                "low": hashes[:, 1],
                "row": rows,
                "priority": self.priority(batch, rows),
            },
            schema=dict.fromkeys(("key", "low", "row", "priority"), pl.UInt64),
        ).filter(forms.is_not_null())


@dataclass(frozen=True)
class _Without:
    form: _Form

    def __call__(self, batch: Batch, rows: npt.NDArray[np.uint64]) -> pl.DataFrame:
        count = self.form.of(batch.df["url"]).null_count()
        return pl.DataFrame({"count": [count]}, schema={"count": pl.Int64})


@dataclass(frozen=True)
class _Sum:
    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(pl.col("count").sum())
