"""Conversations -> text for a model: a chat template, and which characters the loss covers.

Owns: whether a conversation can be rendered at all. Refuses: rendering (see `chat.templates`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import polars as pl
from pydantic import field_validator

from datatools.chat.sandbox import ConversationRefusedError, TemplateLimitError
from datatools.chat.templates import (
    BUILTIN,
    ChatTemplate,
    Rendered,
    find_special_token,
    load_template,
)
from datatools.errors import nearest
from datatools.records import Kind
from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.reading import is_blank

__all__ = ["FormatChat"]

_SPANS: Final = pl.List(pl.Struct({"start": pl.Int64, "end": pl.Int64}))
_SUFFIXES: Final = (".jinja", ".jinja2", ".j2")


class FormatChat(Map):
    """Render each conversation with a chat template and say which characters the loss covers.

    Adds `text`, exactly what `transformers` renders with the same template, and `loss_spans`, the
    ranges `[start, end)` of its characters (not bytes) that are trained: one per assistant message
    with `train`, from its first character through the stop token. `messages` stay.

    A conversation that cannot be rendered is dropped with a reason: `no_messages`, `empty_message`,
    `roles_do_not_alternate` (after an optional system turn, user and assistant take turns, user
    first), `last_turn_not_assistant`, `tool_calls_not_rendered`, `nothing_trained`,
    `special_token_in_text` (the text itself holds a token by which this template ends or opens a
    turn) and `template_refused` (the template says so). One that takes too much work is quarantined
    as `template_over_limit`.

    Example:
        >>> said = {"user": "안녕?", "assistant": "안녕!"}
        >>> turns = [{"role": role, "content": content} for role, content in said.items()]
        >>> kept, _ = FormatChat(template="chatml").apply(pl.DataFrame({"messages": [turns]}))
        >>> span = kept["loss_spans"][0][0]
        >>> kept["text"][0][span["start"] : span["end"]]
        '안녕!<|im_end|>'
    """

    takes: ClassVar[Kind | None] = "conversation"
    libraries: ClassVar[tuple[str, ...]] = ("jinja2",)

    template: str = "chatml"
    """`chatml`, `llama3`, `qwen` or `gemma`, or the path of a Jinja file (`.jinja`). The file runs
    in a sandbox and is part of what the result is keyed by."""
    stop_token: str | None = None
    """What ends an assistant turn in a template from a file, e.g. `<|im_end|>`; the built-in
    templates know theirs. The loss covers it."""

    @field_validator("template")
    @classmethod
    def _is_known(cls, template: str) -> str:
        if template not in BUILTIN and not template.endswith(_SUFFIXES):
            close = nearest(template, BUILTIN)
            hint = f" Did you mean {close!r}?" if close else ""
            raise ValueError(f"is neither one of {', '.join(BUILTIN)} nor a .jinja file.{hint}")
        return template

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"messages"})

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the columns this step adds."""
        return {"text": pl.String(), "loss_spans": _SPANS}

    def digests(self) -> Mapping[str, str]:
        """Return the digest of the template, which the field only names."""
        source = load_template(self.template, self.stop_token).source
        return {"template": hashlib.sha256(source.encode()).hexdigest()}

    def bind(self, context: Context) -> _BoundFormatChat:
        """Return the step with its template compiled and checked.

        Raises:
            ConfigError: The template cannot be read, leaves its sandbox or fails a check.
        """
        return _BoundFormatChat(load_template(self.template, self.stop_token))


class _BoundFormatChat:
    def __init__(self, template: ChatTemplate) -> None:
        self._template = template

    def map(self, batch: Batch) -> Mapped:
        height = len(batch)
        dropped: list[str | None] = [None] * height
        quarantined: list[str | None] = [None] * height
        detail: list[str | None] = [None] * height
        texts: list[str | None] = [None] * height
        spans: list[list[dict[str, int]] | None] = [None] * height
        for row, messages in enumerate(batch.df["messages"].to_list()):
            dropped[row], detail[row] = self._unusable(messages or [])
            if dropped[row]:
                continue
            try:
                rendered: Rendered = self._template.render(messages)
            except ConversationRefusedError as refusal:
                dropped[row], detail[row] = "template_refused", refusal.problem
            except TemplateLimitError as limit:
                quarantined[row], detail[row] = "template_over_limit", limit.problem
            else:
                texts[row] = rendered.text
                spans[row] = [{"start": start, "end": end} for start, end in rendered.spans]
        return Mapped(
            batch.df.with_columns(
                pl.Series("text", texts, dtype=pl.String),
                pl.Series("loss_spans", spans, dtype=_SPANS),
            ),
            dropped=pl.Series("dropped", dropped, dtype=pl.String),
            quarantined=pl.Series("quarantined", quarantined, dtype=pl.String),
            detail=pl.Series("detail", detail, dtype=pl.String),
        )

    def _unusable(self, messages: list[dict[str, Any]]) -> tuple[str | None, str | None]:
        if not messages:
            return "no_messages", None
        for turn, message in enumerate(messages):
            if not message:  # null, in a list that another program wrote
                return "empty_message", f"turn {turn}"
            if message.get("tool_calls") is not None:
                return "tool_calls_not_rendered", f"turn {turn}"
            if is_blank(message["content"]):
                return "empty_message", f"turn {turn}"
            token = find_special_token(message["content"], self._template.special_tokens)
            if token is not None:
                return "special_token_in_text", f"{token} in turn {turn}"
        roles = [message["role"] for message in messages]
        turns = roles[1:] if roles[0] == "system" else roles
        expected = ["user", "assistant"] * (len(turns) // 2 + 1)
        if not turns or turns != expected[: len(turns)]:
            return "roles_do_not_alternate", ", ".join(map(str, roles))[:200]
        if turns[-1] != "assistant":
            return "last_turn_not_assistant", None
        trained = [m for m in messages if m["role"] == "assistant" and m.get("train") is not False]
        return (None, None) if trained else ("nothing_trained", None)
