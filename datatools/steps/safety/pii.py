"""`Pii`: masks, drops or counts personal data.

Owns the fields. Refuses: where such data stands (`kernels.personal`) and what is done
(`acting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import model_validator

from datatools.errors import ConfigError
from datatools.records import Kind
from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.safety.acting import (
    Action,
    Actions,
    act,
    check_placeholder,
    placeholders,
)
from datatools.steps.safety.record_texts import COLUMNS

__all__ = ["PII", "Pii"]

PII: Final = (
    *("email", "phone", "rrn", "frn", "ssn"),
    *("card", "bank_account", "ip", "passport", "driving_licence"),
)
"""Kinds of personal data, in the order of `kernels.personal.KINDS`."""


class Pii(Map):
    """Mask, drop or count e-mail addresses, telephone, registration and card numbers, and others.

    Korean and English forms are found alike, in half-width and full-width digits, with particles
    and words written up to them (`전화010-1234-5678로`). What only looks like one stays: dates,
    prices, coordinates, versions, section numbers, hashes, ISBNs, order numbers, companies'
    registration numbers, private and documentation addresses of networks. Check digits, dates of
    birth and issued ranges are checked; forms that other numbers share count only beside words
    that say what the number is, such as `계좌` or `passport`. A text that was masked is masked no
    further.

    Each kind has a column `pii_<kind>` that counts what was found. No value is ever written
    anywhere else: reasons, details, previews and the report tell kinds and counts. Steps before
    this one see and preview the text as it was, so put it right after extraction. Names, postal
    addresses, nicknames and addresses spelt out (`abc (at) naver`) are not found.

    Example:
        >>> texts = ["문의: 010-1234-5678, kim@example.com", "ISBN 978-89-01-23456-7, 1,234원"]
        >>> kept, _ = Pii().apply(pl.DataFrame({"text": texts}))
        >>> kept["text"].to_list(), kept["pii_phone"].to_list()
        (['문의: [PHONE], [EMAIL]', 'ISBN 978-89-01-23456-7, 1,234원'], [1, 0])
        >>> _, dropped = Pii(email="drop").apply(pl.DataFrame({"text": texts}))
        >>> dropped["reason"].item(), dropped["detail"].item()
        ('pii_email', '{"found":{"email":1,"phone":1}}')
    """

    version: ClassVar[int] = 1
    conceals: ClassVar[bool] = True
    takes: ClassVar[Kind | None] = None

    records: Kind = "document"
    """Kind of the records that come in: `document`, `thread` (question and answers),
    `conversation` (messages) or `preference` (prompt, chosen and rejected). A record's counts are
    those of all its texts; names, tool calls and `meta` are not looked at."""

    email: Action = "mask"
    """E-mail addresses, also `mailto:` ones. `mask` puts the placeholder in their place, `drop`
    drops the document as `pii_email`, `report` only counts, `off` does not look."""
    phone: Action = "mask"
    """Telephone numbers: Korean mobile, area, 070, 050x and 1588-style numbers, North American
    ones, international ones after `+`, and national ones of other countries beside words such as
    `phone`, with their extensions."""
    rrn: Action = "mask"
    """Korean resident registration numbers (주민등록번호) with a date of birth that exists and a
    right check digit; without one, as given out since October 2020, beside words that say so."""
    frn: Action = "mask"
    """Korean foreigners' registration numbers (외국인등록번호), judged as `rrn`."""
    ssn: Action = "mask"
    """Social Security numbers of the United States: of an area in use and with two dashes; in other
    forms beside words that say so."""
    card: Action = "mask"
    """Payment cards: a right Luhn digit in a range that a network issues, in the groups printed on
    cards or 15 or 16 digits in a row; other lengths and ranges beside words that say so."""
    bank_account: Action = "mask"
    """Bank accounts: IBANs with right check digits; 10 to 14 digits beside `계좌`, the name of a
    bank and the like; digits beside `account number`."""
    ip: Action = "mask"
    """Public IPv4 and IPv6 addresses. Four numbers below 32, as in sections, need words beside."""
    passport: Action = "mask"
    """Passport numbers beside `여권` or `passport`."""
    driving_licence: Action = "mask"
    """Driving licence numbers beside `면허` or `driving licence`."""
    placeholder: str = "[{type}]"
    """What stands in a masked one's place; `{type}` is its kind in capitals, e.g. `[PHONE]`."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if all(getattr(self, kind) == "off" for kind in PII):
            raise ConfigError("Pii", "looks for nothing", hint="Leave out the step.")
        if self.placeholder != type(self).model_fields["placeholder"].default:
            check_placeholder(self.placeholder, PII, _finder())
        return self

    def reads(self) -> frozenset[str]:
        """Return the columns with texts."""
        return frozenset(COLUMNS[self.records])

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return one count per kind that is looked for."""
        return {f"pii_{kind}": pl.Int64() for kind in PII if getattr(self, kind) != "off"}

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        actions = tuple(getattr(self, kind) for kind in PII)
        return _Bound(
            Actions("pii", PII, actions, placeholders(self.placeholder, PII), self.records)
        )


class _Bound:
    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._find = _finder()

    def map(self, batch: Batch) -> Mapped:
        """Return the rows masked, counted and marked."""
        return act(batch, self._find, self._actions)


def _finder() -> Any:
    # numba takes half a second to import, which naming a step should not cost.
    from datatools.kernels.personal import find_personal
    from datatools.steps.safety.context_words import context_phrases

    def find(offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        return find_personal(offsets, data, context_phrases())

    return find
