"""Files in the format of Stanford Alpaca: an instruction, an input, an output.

Owns: folding a conversation into three texts. Refuses: preferences and documents, which it cannot
say.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import polars as pl

from datatools.records import Kind
from datatools.steps.base import Export
from datatools.steps.export.refusal import refuse_rows

__all__ = ["Alpaca"]

_SCHEMA: Final = pl.Schema(
    {"instruction": pl.String(), "input": pl.String(), "output": pl.String()}
)


class Alpaca(Export):
    r"""JSON Lines with `instruction`, `input` and `output`, one conversation per line.

    `output` is the last message, which must be the assistant's, and `instruction` the user's
    message before it. `input` is what came before: empty for a single exchange, else the earlier
    turns, each as `Role: text`, with a blank line between them. Nothing is left out, but the format
    trains on `output` alone: earlier answers become context.

    References:
        Taori et al., Stanford Alpaca, 2023, README, "Data Release": `input` is optional context for
        the instruction.

    Example:
        >>> turns = [("system", "짧게."), ("user", "몇 시?"), ("assistant", "9시.")]
        >>> messages = [{"role": role, "content": content} for role, content in turns]
        >>> Alpaca().convert(pl.DataFrame({"messages": [messages]}), "conversation").to_dicts()
        [{'instruction': '몇 시?', 'input': 'System: 짧게.', 'output': '9시.'}]
    """

    folder: ClassVar[str] = "alpaca"
    suffix = "jsonl"

    def accepts(self) -> frozenset[Kind]:
        """Return the record kinds this format can carry."""
        return frozenset({"conversation"})

    def convert(self, frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
        """Return one row per record, in order, in Alpaca's columns.

        Raises:
            DataError: A conversation does not end with a user's message and an assistant's, or has
                an empty message or tool calls.
        """
        conversations = [messages or [] for messages in frame["messages"].to_list()]
        ends = [_ends_with_exchange(messages) for messages in conversations]
        guilty = ~pl.Series(ends, dtype=pl.Boolean)
        refuse_rows(
            "export alpaca", frame, guilty, "does not end with a message of the user and its answer"
        )
        return pl.DataFrame([_row(messages) for messages in conversations], schema=_SCHEMA)


def _ends_with_exchange(messages: list[dict[str, Any]]) -> bool:
    last = messages[-2:]
    plain = all(turn["content"] and turn.get("tool_calls") is None for turn in messages)
    return plain and [turn["role"] for turn in last] == ["user", "assistant"]


def _row(messages: list[dict[str, Any]]) -> dict[str, str]:
    *earlier, user, assistant = messages
    return {
        "instruction": user["content"],
        "input": "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in earlier),
        "output": assistant["content"],
    }
