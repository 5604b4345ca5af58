"""Files that TRL's trainers read as they are, through `datasets.load_dataset`.

Owns: which columns and which keys of a message a trainer sees. Refuses: what the format cannot say;
it stops instead of leaving it out. TRL decides by the names of columns what a row is, so an extra
column is not harmless: metadata stays in the sidecar.
"""

from __future__ import annotations

from typing import ClassVar, Final

import polars as pl

from datatools.records import Kind
from datatools.steps.base import Export
from datatools.steps.export.refusal import refuse_rows

__all__ = ["Trl"]

_TURN: Final = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
_COLUMNS: Final[dict[Kind, tuple[str, ...]]] = {
    "conversation": ("messages",),
    "preference": ("prompt", "chosen", "rejected"),
}


class Trl(Export):
    """TRL's conversational formats.

    A document gives `text`; a conversation `messages`; a preference `prompt`, `chosen` and
    `rejected`, with the prompt explicit and only the continuation in `chosen` and `rejected`.
    Messages hold `role` and `content`. SFTTrainer, DPOTrainer and RewardTrainer take the files
    without an adaptor.

    TRL trains either on every token of a conversation or on all assistant turns
    (`assistant_only_loss`), and this format has no place for tool calls: rows that say otherwise
    stop the export.

    References:
        TRL, Dataset formats and types. An implicit prompt is not offered: TRL's `extract_prompt`
        took answer text into the prompt in 445 of 2,312 rows of hh-rlhf harmless-base (counted by
        us).

    Example:
        >>> turn = {"role": "user", "content": "안녕?", "train": False}
        >>> frame = pl.DataFrame({"id": ["1"], "messages": [[turn]], "url": ["x"]})
        >>> Trl().convert(frame, "conversation").to_dicts()
        [{'messages': [{'role': 'user', 'content': '안녕?'}]}]
    """

    folder: ClassVar[str] = "trl"

    def accepts(self) -> frozenset[Kind]:
        """Return the record kinds this format can carry."""
        return frozenset({"document", "conversation", "preference"})

    def convert(self, frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
        """Return one row per record, in order, in TRL's columns.

        Raises:
            DataError: A message has tool calls, or a conversation leaves an assistant turn
                untrained.
        """
        if kind == "document":
            return frame.select("text")
        columns = _COLUMNS[kind]
        for column in columns:
            if "tool_calls" in _fields(frame, column):
                guilty = _any(frame, column, _turn("tool_calls").is_not_null())
                refuse_rows("export trl", frame, guilty, f"has tool calls in `{column}`")
        if kind == "conversation" and "train" in _fields(frame, "messages"):
            partly = (_turn("role") == "assistant") & (_turn("train") == pl.lit(False))
            guilty = _any(frame, "messages", partly)
            refuse_rows("export trl", frame, guilty, "leaves an assistant turn untrained")
        return frame.select(
            pl.col(column)
            .list.eval(pl.struct(_turn("role"), _turn("content")))
            .cast(_TURN)
            .alias(column)
            for column in columns
        )


def _turn(field: str) -> pl.Expr:
    return pl.element().struct.field(field)


def _fields(frame: pl.DataFrame, column: str) -> set[str]:
    turns = frame.schema[column]
    assert isinstance(turns, pl.List)
    assert isinstance(turns.inner, pl.Struct)
    return {field.name for field in turns.inner.fields}


def _any(frame: pl.DataFrame, column: str, defect: pl.Expr) -> pl.Series:
    return frame.select(pl.col(column).list.eval(defect.fill_null(False)).list.any()).to_series()
