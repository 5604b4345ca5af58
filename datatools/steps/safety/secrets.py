"""`Secrets`: masks, drops or counts keys, tokens and passwords.

Owns the search: which texts hold the beginning of a form at all, and which of two overlapping finds
counts. Refuses: the forms (`secret_patterns`) and what is done (`acting`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

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
    strings,
)
from datatools.steps.safety.record_texts import COLUMNS
from datatools.steps.safety.secret_patterns import FORMS, SECRETS, Form

__all__ = ["Secrets", "find_secrets"]


_PLACES = ("{}", "https://a:{}@b.kr", "api_key = '{}'")


class Secrets(Map):
    """Mask, drop or count API keys, tokens, private keys, and passwords in addresses and settings.

    Keys are told by the prefix, length and alphabet that their issuer publishes, and by the check
    digits of those that have them; `steps.safety.secret_patterns` lists the forms with their
    sources. A value without a form of its own counts where a name such as `api_key` stands before
    it and it looks drawn at random: 16 characters or more, letters and digits mixed, 3.5 bits of
    entropy per character. What stands for a secret stays: `ghp_xxxxxxxx`, `user:password@host`,
    `token = os.environ[...]`, `your_api_key`.

    Each kind has a column `secret_<kind>` that counts what was found. As with `Pii`, no value is
    ever written anywhere else.

    Example:
        >>> text = "db = postgres://app:p7Kq9xLw2@db.host.kr/main  # 비밀번호"
        >>> kept, _ = Secrets().apply(pl.DataFrame({"text": [text]}))
        >>> kept["text"].item()
        'db = postgres://app:[CONNECTION_STRING]@db.host.kr/main  # 비밀번호'
    """

    version: ClassVar[int] = 1
    conceals: ClassVar[bool] = True
    takes: ClassVar[Kind | None] = None

    records: Kind = "document"
    """Kind of the records that come in: `document`, `thread` (question and answers),
    `conversation` (messages) or `preference` (prompt, chosen and rejected). A record's counts are
    those of all its texts; names, tool calls and `meta` are not looked at."""

    api_key: Action = "mask"
    """Keys and tokens with a published form: of AWS, Google, GitHub, GitLab, Slack, Stripe, npm and
    others. `mask` puts the placeholder in their place, `drop` drops the document as
    `secret_api_key`, `report` only counts, `off` does not look."""
    jwt: Action = "mask"
    """Signed JSON Web Tokens, whose header is JSON and names an algorithm."""
    private_key: Action = "mask"
    """Private keys in PEM or PGP armour with a body of 60 characters or more."""
    connection_string: Action = "mask"
    """The password in `scheme://user:password@host`."""
    password: Action = "mask"  # noqa: S105 - what to do about them
    """Values beside names such as `api_key`, `client_secret` or `서비스키` that look random."""
    placeholder: str = "[{type}]"
    """What stands in a masked one's place; `{type}` is its kind in capitals, e.g. `[API_KEY]`."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if all(getattr(self, kind) == "off" for kind in SECRETS):
            raise ConfigError("Secrets", "looks for nothing", hint="Leave out the step.")
        if self.placeholder != type(self).model_fields["placeholder"].default:
            check_placeholder(self.placeholder, SECRETS, find_secrets, _PLACES)
        return self

    def reads(self) -> frozenset[str]:
        """Return the columns with texts."""
        return frozenset(COLUMNS[self.records])

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return one count per kind that is looked for."""
        return {f"secret_{kind}": pl.Int64() for kind in SECRETS if getattr(self, kind) != "off"}

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        actions = tuple(getattr(self, kind) for kind in SECRETS)
        return _Bound(
            Actions(
                "secret", SECRETS, actions, placeholders(self.placeholder, SECRETS), self.records
            )
        )


class _Bound:
    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    def map(self, batch: Batch) -> Mapped:
        """Return the rows masked, counted and marked."""
        return act(batch, find_secrets, self._actions)


_LITERALS = sorted({form.literal for form in FORMS if form.literal})


def find_secrets(
    offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Return where secrets stand, in order; no two overlap.

    Args:
        offsets: int64 of shape (rows + 1,).
        data: uint8 of shape (bytes,), UTF-8.

    Returns:
        int64 of shape (spans, 4): row, first byte and one past the last, both from the row's start,
        and the kind, an index into `SECRETS`.

    Complexity:
        One pass of an Aho-Corasick automaton over all texts, and over those that hold the beginning
        of a form one more for each such form.
    """
    texts = strings(offsets, data)
    taken: dict[int, list[tuple[int, int, int]]] = {}
    for form, rows in _candidates(texts):
        kind = SECRETS.index(form.kind)
        for row in rows:
            text = data[offsets[row] : offsets[row + 1]].tobytes()
            spans = taken.setdefault(row, [])
            for match in form.pattern.finditer(text):
                start, stop = match.span("secret" if "secret" in form.pattern.groupindex else 0)
                apart = all(stop <= other[0] or start >= other[1] for other in spans)
                if apart and form.check(text[start:stop]):
                    spans.append((start, stop, kind))
    found = [(row, *span) for row in sorted(taken) for span in sorted(taken[row])]
    return np.array(found, np.int64).reshape(-1, 4)


def _candidates(texts: pl.Series) -> Iterator[tuple[Form, list[int]]]:
    """Yield each form with the rows that may hold it."""
    some = texts.str.contains_any(_LITERALS, ascii_case_insensitive=True).arg_true()
    lowered = texts.gather(some).str.to_lowercase()
    for form in FORMS:
        if form.literal:
            rows = some.filter(lowered.str.contains(form.literal, literal=True))
        else:
            rows = texts.str.contains(form.likely).arg_true()
        yield form, rows.to_list()
