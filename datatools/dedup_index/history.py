"""What was added to an index, and when: every state that it has been in can be named.

Owns the list of additions. Documents are numbered in the order of addition and never leave, so an
earlier state is the first so many of them; `content` is the digest of all that went into it and
does not depend on how the documents are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from datatools.engine.store import digest
from datatools.errors import ConfigError

__all__ = ["Addition", "History", "State"]


@dataclass(frozen=True)
class State:
    """An index as it was after some addition.

    Attributes:
        documents: Documents it had: those with lower numbers.
        content: Digest of its parameters and of everything that had been added, hexadecimal.
    """

    documents: int
    content: str


@dataclass(frozen=True)
class Addition:
    """One commit of documents.

    Attributes:
        added: The day it counts for.
        state: The index after it.
        dataset: Digest of the published dataset that was added, or None for frames.
        name: Name of that dataset.
    """

    added: date
    state: State
    dataset: str | None = None
    name: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the addition as it is stored."""
        return {
            "added": self.added.isoformat(),
            "documents": self.state.documents,
            "content": self.state.content,
            "dataset": self.dataset,
            "name": self.name,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Addition:
        """Return the addition that `to_json` made."""
        state = State(value["documents"], value["content"])
        return cls(date.fromisoformat(value["added"]), state, value["dataset"], value["name"])


@dataclass(frozen=True)
class History:
    """The additions of an index, in order.

    Attributes:
        empty: Digest of the index before anything was added: of its parameters.
        additions: The commits. Their days never go back.
    """

    empty: str
    additions: tuple[Addition, ...] = ()

    def state(self, before: date | None = None) -> State:
        """Return the newest state, or the newest one without what was added on a day or later."""
        for addition in reversed(self.additions):
            if before is None or addition.added < before:
                return addition.state
        return State(0, self.empty)

    def holds(self, state: State) -> bool:
        """Return whether the index is or was in a state."""
        known = (State(0, self.empty), *(one.state for one in self.additions))
        return state in known

    def holds_dataset(self, dataset: str) -> bool:
        """Return whether the dataset of that digest was added."""
        return any(one.dataset == dataset for one in self.additions)

    def days(self, numbers: Sequence[int]) -> dict[int, date]:
        """Return the day on which each document was added."""
        found: dict[int, date] = {}
        left = sorted(set(numbers), reverse=True)
        for addition in self.additions:
            while left and left[-1] < addition.state.documents:
                found[left.pop()] = addition.added
        return found

    def day(self, where: str, added: date | None) -> date:
        """Return the day of an addition: today in UTC, if none is given.

        Raises:
            ConfigError: It lies before the newest addition, which would change earlier states.
        """
        day = datetime.now(UTC).date() if added is None else added
        if self.additions and day < self.additions[-1].added:
            raise ConfigError(
                where,
                f"has an addition of {self.additions[-1].added}, and days must not go back",
                got=day.isoformat(),
                hint="Give that day or a later one.",
            )
        return day

    def followed_by(
        self, added: date, documents: int, content: str, dataset: str | None, name: str | None
    ) -> History:
        """Return the history with one more addition.

        Args:
            added: Its day.
            documents: Documents it added.
            content: Digest of these documents.
            dataset: Digest of the dataset they came from, if they came from one.
            name: Its name.
        """
        last = self.state()
        state = last
        if documents:
            chained = digest([last.content, added.isoformat(), content])
            state = State(last.documents + documents, chained)
        one = Addition(added, state, dataset, name)
        return History(self.empty, (*self.additions, one))
