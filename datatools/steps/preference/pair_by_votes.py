"""Threads -> preference pairs: of two answers, the one that readers voted for.

Owns: which two answers make a pair, how strong it is, and how many pairs a question may give.
Refuses: looking into the texts (see `PairChecks`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, ClassVar, Final, NamedTuple

import polars as pl
from pydantic import Field

from datatools.records import SCHEMAS, Kind, make_id
from datatools.steps.base import Batch, Context, Expanded, FlatMap
from datatools.steps.reading import is_blank, reading_form

__all__ = ["PairByVotes"]

_COPIED: Final = (
    *("group_id", "doc_id", "language", "url", "source", "license", "meta", "origin", "offset"),
)
_CHILDREN: Final = pl.Schema(
    [("parent", pl.UInt32()), ("key", pl.String())]
    + [(name, dtype) for name, dtype in SCHEMAS["preference"].items() if name != "id"]
    + [("weight", pl.Float64())]
)
_GATES: Final = (
    "empty_answer",
    "votes_unknown",
    "equal_text",
    "below_min_score",
    "tie",
    "below_margin",
    "earlier_winner",
)
"""Why two answers make no pair, in the order in which it is asked."""


class PairByVotes(FlatMap):
    """Turn each thread into pairs of answers of which readers preferred one.

    A beats B if both have at least `min_score` votes, A has more votes (by `min_ratio` and
    `min_margin`) and A was not written before B. The last rule, applied where both dates are known,
    keeps an answer from winning because it was seen longer. Dates without a time or a zone count as
    midnight and as UTC.

    A thread is dropped as `accept_vote_conflict` if an accepted answer has fewer votes than one
    that is not accepted: the asker and the readers disagree. Without a pair it is dropped as
    `no_pair:one_answer`, or by the rule that stopped the pair that came furthest:
    `no_pair:empty_answer`, `no_pair:votes_unknown`, `no_pair:equal_text`,
    `no_pair:below_min_score`, `no_pair:tie`, `no_pair:below_margin`, `no_pair:earlier_winner`. The
    detail counts all of them.

    `strength` is log2 of the ratio of the votes, rounded to six places. `weight` is 1/k for each of
    the k pairs of a thread, so that a long thread counts as much as a short one. At most
    `max_pairs_per_question` are made: the strongest, then those whose ids sort first. The key of a
    pair is made of both answers' ids.

    Complexity: quadratic in the answers of one thread.

    References:
        Ethayarajh et al., Understanding Dataset Difficulty with V-Usable Information, ICML 2022,
        and the card of SHP: the time rule, both scores at least 2. Lambert et al., H4 StackExchange
        preferences, 2023: the logarithm.

    Example:
        >>> answers = [
        ...     {"id": "a", "text": "9시", "votes": 8, "date": "2024-01-02"},
        ...     {"id": "b", "text": "아마 9시", "votes": 2, "date": "2024-01-01"},
        ... ]
        >>> threads = pl.DataFrame({"question": ["언제 여나요?"], "answers": [answers]})
        >>> pairs, _ = PairByVotes(min_score=2).apply(threads)
        >>> pairs["chosen"][0][0]["content"], pairs["strength"][0], pairs["weight"][0]
        ('9시', 2.0, 1.0)
    """

    takes: ClassVar[Kind | None] = "thread"
    gives: ClassVar[Kind | None] = "preference"

    min_score: int = Field(default=1, ge=1)
    """Votes that both answers need. Raising it drops answers few people looked at."""
    min_ratio: float = Field(default=1.0, ge=1.0)
    """Least ratio of the winner's votes to the loser's. Raising it keeps clearer, fewer pairs."""
    min_margin: int = Field(default=1, ge=1)
    """Least difference of the votes. Raising it keeps clearer, fewer pairs."""
    max_pairs_per_question: int = Field(default=5, ge=1)
    """Most pairs one thread gives. Raising it lets long threads weigh more in the number of
    pairs."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"question", "answers"})

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the columns this step adds."""
        return {"weight": pl.Float64()}

    def bind(self, context: Context) -> _BoundPairByVotes:
        """Return the step itself: it holds nothing."""
        return _BoundPairByVotes(self)


class _Answer(NamedTuple):
    id: str
    text: str
    votes: int | None
    accepted: bool
    date: datetime | None


@dataclass(frozen=True)
class _Pair:
    winner: _Answer
    loser: _Answer

    @property
    def ratio(self) -> float:
        return (self.winner.votes or 0) / (self.loser.votes or 1)

    @property
    def order(self) -> tuple[float, str, str]:
        return -self.ratio, self.winner.id, self.loser.id


class _BoundPairByVotes:
    def __init__(self, step: PairByVotes) -> None:
        self._step = step

    def flat_map(self, batch: Batch) -> Expanded:
        children: list[dict[str, Any]] = []
        dropped: list[str | None] = []
        detail: list[str | None] = []
        for row, (question, answers) in enumerate(
            batch.df.select("question", "answers").iter_rows()
        ):
            given = [_read(answer) for answer in answers or [] if answer is not None]
            pairs, reason, told = self._pairs(given)
            children.extend(
                {"parent": row, "weight": 1 / len(pairs), **_child(question, pair)}
                for pair in pairs
            )
            dropped.append(reason)
            detail.append(told)
        frame = pl.DataFrame(children, schema=_CHILDREN)
        copied = [
            batch.df[name].gather(frame["parent"]).cast(_CHILDREN[name])
            for name in _COPIED
            if name in batch.df.columns
        ]
        return Expanded(
            frame.with_columns(copied),
            dropped=pl.Series("dropped", dropped, dtype=pl.String),
            detail=pl.Series("detail", detail, dtype=pl.String),
        )

    def _pairs(self, answers: list[_Answer]) -> tuple[list[_Pair], str | None, str | None]:
        """Return the pairs of one thread, or the reason why there is none; and what to tell."""
        if len(answers) < 2:
            return [], "no_pair:one_answer", None
        conflict = _conflict(answers)
        if conflict:
            return [], "accept_vote_conflict", conflict
        made = []
        stopped: Counter[str] = Counter()
        for one, other in combinations(answers, 2):
            pair = _Pair(*sorted((one, other), key=_rank))
            gate = self._gate(pair)
            if gate is None:
                made.append(pair)
            else:
                stopped[gate] += 1
        told = ", ".join(f"{stopped[gate]} {gate}" for gate in _GATES if stopped[gate]) or None
        if not made:
            return [], "no_pair:" + max(stopped, key=_GATES.index), told
        made.sort(key=lambda pair: pair.order)
        return made[: self._step.max_pairs_per_question], None, told

    def _gate(self, pair: _Pair) -> str | None:
        """Return the rule that stops a pair, or None."""
        winner, loser = pair.winner, pair.loser
        if is_blank(winner.text) or is_blank(loser.text):
            return "empty_answer"
        if winner.votes is None or loser.votes is None:
            return "votes_unknown"
        if reading_form(winner.text) == reading_form(loser.text):
            return "equal_text"
        if loser.votes < self._step.min_score:
            return "below_min_score"
        if winner.votes == loser.votes:
            return "tie"
        if winner.votes - loser.votes < self._step.min_margin or pair.ratio < self._step.min_ratio:
            return "below_margin"
        if winner.date is not None and loser.date is not None and winner.date < loser.date:
            return "earlier_winner"
        return None


def _read(answer: Mapping[str, Any]) -> _Answer:
    text = answer["text"] or ""
    return _Answer(
        id=answer["id"] or make_id("answer", text),
        text=text,
        votes=answer["votes"],
        accepted=bool(answer["accepted"]),
        date=_moment(answer["date"]),
    )


def _moment(date: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(date) if date else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _rank(answer: _Answer) -> tuple[float, str]:
    return math.inf if answer.votes is None else -answer.votes, answer.id


def _conflict(answers: list[_Answer]) -> str | None:
    accepted = [a.votes for a in answers if a.accepted and a.votes is not None]
    others = [a.votes for a in answers if not a.accepted and a.votes is not None]
    if accepted and others and max(accepted) < max(others):
        return f"the accepted answer has {max(accepted)} votes, another {max(others)}"
    return None


def _child(question: str | None, pair: _Pair) -> dict[str, Any]:
    return {
        "key": make_id(pair.winner.id, pair.loser.id),
        "prompt": [{"role": "user", "content": question, "train": False}],
        "chosen": [{"role": "assistant", "content": pair.winner.text, "train": True}],
        "rejected": [{"role": "assistant", "content": pair.loser.text, "train": True}],
        # The logarithm's last bit differs between C libraries; the ratio is one exact division.
        "strength": round(math.log2(pair.ratio), 6),
    }
