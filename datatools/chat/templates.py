"""Chat templates: how a conversation becomes text, and which characters of it the loss covers.

Owns: the built-in templates, the loss mask of a rendering in characters and in tokens, and the
checks that a template must pass before anything is formatted with it. Refuses: tokenising (a
tokenizer is handed in) and deciding which messages are trained (`messages[].train` says so).

The text is exactly what `transformers` renders from the same source; the mask is ours. A template
that marks what the model writes with `{% generation %}` is taken at its word. One that does not is
masked by rendering prefixes: what message `i` adds after the generation prompt is what the model
would write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from datatools.chat.sandbox import CompiledTemplate, ConversationRefusedError, compile_template
from datatools.errors import ConfigError, nearest

__all__ = [
    "BUILTIN",
    "SPECIAL_TOKENS",
    "BuiltinName",
    "ChatTemplate",
    "Message",
    "Rendered",
    "find_special_token",
    "is_prefix_preserving",
    "load_template",
    "only_assistant_is_trained",
    "stop_token_is_trained",
    "tokens",
]

Message = Mapping[str, Any]
"""One turn: `role`, `content` and, for the mask, `train` (null: the assistant's turns are
trained)."""

BuiltinName = Literal["chatml", "llama3", "qwen", "gemma"]
BUILTIN: Final[tuple[BuiltinName, ...]] = get_args(BuiltinName)

SPECIAL_TOKENS: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|end|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
)
"""Tokens by which the released ChatML, Qwen, Llama, Gemma, Phi and Mistral models end or open a
turn.

A tokenizer reads them as control tokens wherever they stand, so text that holds one can end a turn
or open a new one. In a released Korean preference set 1,037 of 1,037 rows held `<|endoftext|>`
(VAIV-2023, RLHF-Korean-Friendly-LLM, counted by us)."""

_CONTROL_TOKEN: Final = re.compile(
    r"<[|｜][^|｜<>\s]{1,40}[|｜]>|<(?:start|end)_of_turn>|</?s>|<[be]os>|\[/?INST\]|<</?SYS>>"
)


@dataclass(frozen=True)
class Rendered:
    """A conversation as text.

    Attributes:
        text: What the model reads.
        spans: Character ranges `[start, end)` the loss covers, increasing and apart; one per
            trained message, ending with the stop token (and a blank after it, if the template marks
            that too).
    """

    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template with what its tokenizer would have to say about it.

    Attributes:
        name: Built-in name or file name, for messages.
        source: The Jinja text.
        stop_token: What ends an assistant turn; the loss covers it.
        special_tokens: Tokens that must not occur in the text of a message.
        bos_token: Value of `bos_token` in the template.
        eos_token: Value of `eos_token` in the template.

    Example:
        >>> chatml = load_template("chatml")
        >>> turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
        >>> rendered = chatml.render(turns)
        >>> [rendered.text[start:end] for start, end in rendered.spans]
        ['2<|im_end|>']
    """

    name: str
    source: str
    stop_token: str
    special_tokens: tuple[str, ...]
    bos_token: str = ""
    eos_token: str = ""

    @property
    def marked(self) -> bool:
        """Whether the template itself marks what the model writes."""
        return self._compiled().marked

    def render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = False
    ) -> Rendered:
        """Return the text of `messages` and the character ranges the loss covers.

        Args:
            messages: Turns in order. Only `role` and `content` reach the template.
            add_generation_prompt: Whether to open an assistant turn at the end.

        Raises:
            ConfigError: The template does what it may not, or fails on plain messages.
            ConversationRefusedError: The template refuses these roles, or does not mark one range
                per assistant message, or, unmarked, does not render a prefix to a prefix.
                TemplateLimitError: The rendering is too large or too much work.
        """
        text, marks = self._text(messages, add_generation_prompt)
        if not self.marked:
            return Rendered(text, self._spans_by_prefix(messages, text))
        marks = _joined(marks)
        assistants = [message for message in messages if message["role"] == "assistant"]
        if len(marks) != len(assistants):
            raise ConversationRefusedError(
                self.name,
                f"the template marks {len(marks)} ranges in {len(assistants)} assistant turns",
            )
        return Rendered(
            text,
            tuple(
                mark
                for mark, message in zip(marks, assistants, strict=True)
                if _is_trained(message)
            ),
        )

    def _compiled(self) -> CompiledTemplate:
        return compile_template(self.source, self.name)

    def _text(
        self, messages: Sequence[Message], add_generation_prompt: bool
    ) -> tuple[str, tuple[tuple[int, int], ...]]:
        return self._compiled().render(
            {
                "messages": [{"role": m["role"], "content": m["content"]} for m in messages],
                "add_generation_prompt": add_generation_prompt,
                "bos_token": self.bos_token,
                "eos_token": self.eos_token,
                "tools": None,
                "documents": None,
            }
        )

    def _spans_by_prefix(
        self, messages: Sequence[Message], text: str
    ) -> tuple[tuple[int, int], ...]:
        spans = []
        for turn, message in enumerate(messages):
            if message["role"] != "assistant" or not _is_trained(message):
                continue
            before, _ = self._text(messages[:turn], True)
            after, _ = self._text(messages[: turn + 1], False)
            if not (after.startswith(before) and text.startswith(after)):
                raise ConversationRefusedError(
                    self.name,
                    f"the text of the first {turn + 1} messages is not a prefix of the whole, so "
                    "what the model writes cannot be told",
                    hint="Mark it in the template with {% generation %} ... {% endgeneration %}.",
                )
            stop = after.rfind(self.stop_token, len(before))
            # Past the stop token the template writes on by itself (a newline): not the model's.
            spans.append((len(before), len(after) if stop < 0 else stop + len(self.stop_token)))
        return tuple(spans)


def _joined(marks: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return the ranges with those that touch made one: a turn may be marked in pieces."""
    joined: list[tuple[int, int]] = []
    for start, end in marks:
        if joined and joined[-1][1] == start:
            start, _ = joined.pop()
        joined.append((start, end))
    return tuple(joined)


def _is_trained(message: Message) -> bool:
    train = message.get("train")
    return message["role"] == "assistant" if train is None else bool(train)


# -------------------------------------------------------------------------------------------------
# Loading

_TOKENS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    # name: (stop token, bos token, special tokens)
    "chatml": ("<|im_end|>", "", ("<|im_start|>", "<|im_end|>", "<|endoftext|>")),
    "qwen": ("<|im_end|>", "", ("<|im_start|>", "<|im_end|>", "<|endoftext|>")),
    "llama3": (
        "<|eot_id|>",
        "<|begin_of_text|>",
        (
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
            "<|eom_id|>",
            "<|python_tag|>",
        ),
    ),
    "gemma": (
        "<end_of_turn>",
        "<bos>",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    ),
}

_PROBE: Final[tuple[Message, ...]] = (
    {"role": "user", "content": "What is the capital of Korea?"},
    {"role": "assistant", "content": "It is Seoul."},
    {"role": "user", "content": "그럼 일본의 수도는 어디인가요?"},
    {"role": "assistant", "content": "도쿄입니다."},
)


def load_template(template: str, stop_token: str | None = None) -> ChatTemplate:
    """Return a built-in template, or one from a file after it passed every check.

    Args:
        template: One of `BUILTIN`, or the path of a Jinja file.
        stop_token: What ends an assistant turn in that file. Built-in templates know theirs.

    Raises:
        ConfigError: No such template; it cannot be compiled; a check fails on a conversation of two
            exchanges, one English and one Korean.

    References:
        TRL issues 5988 (stop token outside the loss) and 4879 (no generation marks): the defects
        the checks are for.
    """
    if template in BUILTIN:
        stop, bos, special = _TOKENS[template]
        source = (files("datatools.chat") / "chat_templates" / f"{template}.jinja").read_text(
            "utf-8"
        )
        chat = ChatTemplate(template, source.removesuffix("\n"), stop, special, bos_token=bos)
    else:
        chat = _from_file(template, stop_token)
    _check(chat)
    return chat


def _from_file(template: str, stop_token: str | None) -> ChatTemplate:
    path = Path(template)
    if path.suffix not in {".jinja", ".jinja2", ".j2"}:
        close = nearest(template, BUILTIN)
        raise ConfigError(
            "template",
            f"is neither one of {', '.join(BUILTIN)} nor a .jinja file",
            got=template,
            hint=f"Did you mean {close}?" if close else None,
        )
    if not stop_token:
        raise ConfigError(
            template,
            "a template from a file needs its stop token",
            hint="Set stop_token to what ends an assistant turn, e.g. <|im_end|>.",
        )
    try:
        source = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(template, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(template, f"is not UTF-8: {error.reason}") from None
    found = set(_CONTROL_TOKEN.findall(compile_template(source, template).literals))
    return ChatTemplate(template, source, stop_token, tuple(sorted(found | {stop_token})))


def _check(template: ChatTemplate) -> None:
    try:
        rendered = template.render(_PROBE)
        claims = {
            "does not end every assistant turn with the stop token inside the trained range": (
                stop_token_is_trained(template, rendered)
            ),
            "trains on what the user wrote, or not on what the assistant wrote": (
                only_assistant_is_trained(template, _PROBE)
            ),
            "does not render the beginning of a conversation to the beginning of its text": (
                is_prefix_preserving(template, _PROBE)
            ),
        }
    except ConversationRefusedError as refusal:
        raise ConfigError(
            template.name, f"the template fails on a plain conversation: {refusal.problem}"
        ) from None
    for problem, holds in claims.items():
        if not holds:
            raise ConfigError(
                template.name,
                f"the template {problem}",
                got=template.stop_token,
                hint="Check stop_token and the {% generation %} blocks.",
            )


# -------------------------------------------------------------------------------------------------
# Claims about a template and its renderings


def stop_token_is_trained(template: ChatTemplate, rendered: Rendered) -> bool:
    """Return whether every trained range ends with the stop token, blanks after it aside.

    If not, the model never learns to stop.
    """
    return all(
        rendered.text[start:end].rstrip().endswith(template.stop_token.rstrip())
        for start, end in rendered.spans
    )


def only_assistant_is_trained(template: ChatTemplate, messages: Sequence[Message]) -> bool:
    """Return whether the trained ranges hold the assistant's words and nobody else's.

    Found by substitution, so that it holds whatever the texts have in common: changing the content
    of a message changes the trained text exactly if the message is a trained one.
    """
    trained = _trained_text(template.render(messages))
    for turn, message in enumerate(messages):
        changed = [*messages[:turn], {**message, "content": "X" + message["content"] + "X"}]
        changed += messages[turn + 1 :]
        if (_trained_text(template.render(changed)) != trained) != _is_trained(message):
            return False
    return True


def is_prefix_preserving(template: ChatTemplate, messages: Sequence[Message]) -> bool:
    """Return whether the text of every prefix of `messages` is a prefix of the whole text.

    With the generation prompt added before an assistant turn, too: what the model is trained after
    is what it is asked after.
    """
    whole = template.render(messages).text
    for turn in range(1, len(messages)):
        opens = messages[turn]["role"] == "assistant"
        prefix = template.render(messages[:turn], add_generation_prompt=opens).text
        if not whole.startswith(prefix):
            return False
    return True


def _trained_text(rendered: Rendered) -> list[str]:
    return [rendered.text[start:end] for start, end in rendered.spans]


def find_special_token(text: str, special_tokens: Sequence[str]) -> str | None:
    """Return the first of `special_tokens` that stands in `text`, or None.

    Example:
        >>> find_special_token("끝<|im_end|>", SPECIAL_TOKENS)
        '<|im_end|>'
    """
    return next((token for token in special_tokens if token in text), None)


# -------------------------------------------------------------------------------------------------
# Tokens


def tokens(
    rendered: Rendered, tokenizer: Any
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool]]:
    """Tokenise a rendering and carry its loss mask over.

    A token is trained if all of its characters lie in one trained range; a token that straddles a
    boundary is not, because part of it is not the model's to write. Tokens for a part of a
    character (byte-level BPE on Hangul) carry the range of the whole character.

    Args:
        rendered: Text and character ranges.
        tokenizer: A `tokenizers.Tokenizer`. It adds no special tokens: the template wrote them.

    Returns:
        ids: int64 of shape (tokens,).
        mask: bool of shape (tokens,), true where the token is a target of the loss.
    """
    encoding = tokenizer.encode(rendered.text, add_special_tokens=False)
    ids = np.asarray(encoding.ids, dtype=np.int64)
    offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    mask = np.zeros(len(ids), dtype=np.bool)
    for start, end in rendered.spans:
        inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= end)
        # Tokenizers that trim whitespace from offsets give a blank token the empty range at its
        # end; one that ends where the span starts came before it.
        blank = offsets[:, 0] == offsets[:, 1]
        mask |= inside & ~(blank & (offsets[:, 1] == start))
    return ids, mask
