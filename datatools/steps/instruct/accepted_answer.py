"""Threads -> conversations: the question and the one answer worth learning from.

Owns: which answer is taken, what disqualifies it, and the two messages. Refuses: making pairs of
the other answers (see `PairByVotes`) and templates (see `FormatChat`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import polars as pl
from pydantic import Field

from datatools.records import SCHEMAS, Kind
from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.instruct.answer_checks import is_link_only, quotes_question, refers_outside
from datatools.steps.instruct.boilerplate import strip_boilerplate
from datatools.steps.reading import is_blank

__all__ = ["AcceptedAnswer"]

_MESSAGES: Final = SCHEMAS["conversation"]["messages"]


class AcceptedAnswer(Map):
    """Turn each thread into a conversation of two turns: its question and its best answer.

    The best answer is the accepted one; without one, the answer with the most votes, if it has at
    least `min_votes` and `min_margin` more than the next. Of several accepted answers the one with
    most votes is taken, then the one whose id sorts first. Votes the page does not give count as 0.

    A thread whose best answer cannot be used is dropped; the next best is not tried, because the
    page did not choose it. Reasons: `empty_question`, `no_accepted_answer`, `ambiguous_top_answer`,
    `empty_answer`, `answer_refers_outside` (to another post or user), `link_only_answer`,
    `answer_quotes_question`.

    The conversation keeps the thread's id and group. Only the answer is trained on.

    References:
        EleutherAI, stackexchange-dataset, pairer.py: accepted, or a score of at least 3. Zhou et
        al., LIMA, 2023, section 2.1: no answers that point to other answers.

    Example:
        >>> threads = pl.DataFrame({
        ...     "question": ["언제 여나요?"],
        ...     "answers": [[{"id": "1", "text": "안녕하세요! 9시에 엽니다.", "accepted": True}]],
        ... })
        >>> kept, _ = AcceptedAnswer().apply(threads)
        >>> [message["content"] for message in kept["messages"][0]]
        ['언제 여나요?', '9시에 엽니다.']
    """

    takes: ClassVar[Kind | None] = "thread"
    gives: ClassVar[Kind | None] = "conversation"

    min_votes: int = Field(default=3, ge=1)
    """Votes that an answer nobody accepted needs. Raising it keeps fewer, better answers."""
    min_margin: int = Field(default=1, ge=0)
    """Votes by which such an answer must lead the next one. Raising it drops closer contests."""
    strip_boilerplate: bool = True
    """Whether greetings and closing lines (`안녕하세요`, `채택 부탁드립니다`, `Hope this helps`)
    are cut from the answer; the characters removed are reported as `boilerplate`."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"question", "answers"})

    def bind(self, context: Context) -> _BoundAcceptedAnswer:
        """Return the step itself: it holds nothing."""
        return _BoundAcceptedAnswer(self)


class _BoundAcceptedAnswer:
    def __init__(self, step: AcceptedAnswer) -> None:
        self._step = step

    def map(self, batch: Batch) -> Mapped:
        dropped: list[str | None] = []
        detail: list[str | None] = []
        messages: list[list[dict[str, Any]] | None] = []
        removed: Counter[str] = Counter()
        for question, answers in batch.df.select("question", "answers").iter_rows():
            given = [answer for answer in answers or [] if answer is not None]
            answer, reason, told = self._choose(question, given)
            if answer is not None:
                text = answer["text"] or ""
                shown = strip_boilerplate(text) if self._step.strip_boilerplate else text
                reason = _unusable(shown, question)
                if reason is None:
                    removed["boilerplate"] += len(text) - len(shown)
            dropped.append(reason)
            detail.append(told)
            messages.append(_turns(question, shown) if answer is not None and not reason else None)
        return Mapped(
            batch.df.drop("question", "answers").with_columns(
                pl.Series("messages", messages, dtype=_MESSAGES)
            ),
            dropped=pl.Series("dropped", dropped, dtype=pl.String),
            detail=pl.Series("detail", detail, dtype=pl.String),
            removed=removed,
        )

    def _choose(
        self, question: str | None, answers: list[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any] | None, str | None, str | None]:
        """Return the best answer, or the reason why there is none and what to tell about it."""
        if is_blank(question):
            return None, "empty_question", None
        ranked = sorted(answers, key=_rank)
        if not ranked:
            return None, "no_accepted_answer", "no answers"
        if ranked[0]["accepted"]:
            return ranked[0], None, None
        top, second = (_votes(answer) for answer in [*ranked, {"votes": None}][:2])
        if top < self._step.min_votes:
            return None, "no_accepted_answer", f"the most votes are {top}"
        if len(ranked) > 1 and top - second < self._step.min_margin:
            return None, "ambiguous_top_answer", f"{top} votes and {second}"
        return ranked[0], None, None


def _votes(answer: Mapping[str, Any]) -> int:
    return answer["votes"] or 0


def _rank(answer: Mapping[str, Any]) -> tuple[bool, int, str]:
    return not answer["accepted"], -_votes(answer), answer["id"] or ""


def _unusable(answer: str, question: str) -> str | None:
    if is_blank(answer):
        return "empty_answer"
    if is_link_only(answer):
        return "link_only_answer"
    if quotes_question(answer, question):
        return "answer_quotes_question"
    return "answer_refers_outside" if refers_outside(answer) else None


def _turns(question: str, answer: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": question, "train": False},
        {"role": "assistant", "content": answer, "train": True},
    ]
