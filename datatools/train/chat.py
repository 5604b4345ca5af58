"""Conversations as tokens: what the model reads and which of it the loss covers.

Owns: rendering through the chat template and carrying its marks over to tokens. Refuses: to let the
text of a message act as a control token. `<|im_end|>` inside an answer is encoded as characters, so
a page cannot end a turn or open one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from datatools.chat.templates import ChatTemplate, Message, load_template
from datatools.errors import DataError
from datatools.train.tokenizer import SPECIAL_TOKENS, Tokenizer

__all__ = ["TEMPLATE_NAME", "encode_conversations", "encode_pair_side", "template"]

TEMPLATE_NAME: Final = "chatml"
"""The one template the tokenizer's special tokens serve."""

_CONTROL: Final = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
_NONCHARACTERS: Final = [chr(code) for code in range(0xFDD0, 0xFDF0)]

Encoded = tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]


def template() -> ChatTemplate:
    """Return the chat template that models are trained with and shipped with."""
    return load_template(TEMPLATE_NAME)


def encode_conversations(
    conversations: Sequence[Sequence[Message]], tokenizer: Tokenizer
) -> list[Encoded]:
    """Return token ids and loss marks of each conversation.

    A token is trained if all its characters lie in a trained range of the rendering: the
    assistant's words and the `<|im_end|>` after them, of messages whose `train` is not false.
    Tokens that straddle a boundary are not.

    Returns:
        Per conversation the ids, int32 of shape (tokens,), and the marks, bool of the same shape.
    """
    texts: list[str] = []  # ordinary text of all conversations, for one batch call
    plans: list[list[tuple[int, int]]] = []  # per piece: (index in texts or -1, control id)
    starts: list[list[int]] = []
    spans = []
    for messages in conversations:
        pieces, rendered_spans = _pieces(messages)
        plan, at, begins = [], 0, []
        for piece, is_control in pieces:
            if is_control:
                plan.append((-1, tokenizer.special_id(piece)))
            else:
                plan.append((len(texts), 0))
                texts.append(piece)
            begins.append(at)
            at += len(piece)
        plans.append(plan)
        starts.append(begins)
        spans.append(rendered_spans)
    encoded = tokenizer.encode_with_offsets(texts)

    lengths = {tokenizer.special_id(token): len(token) for token in SPECIAL_TOKENS}
    out = []
    for plan, begins, trained_spans in zip(plans, starts, spans, strict=True):
        ids: list[npt.NDArray[np.int32]] = []
        offsets: list[npt.NDArray[np.int64]] = []
        for (index, control), begin in zip(plan, begins, strict=True):
            if index < 0:
                ids.append(np.array([control], dtype=np.int32))
                offsets.append(np.array([[begin, begin + lengths[control]]], dtype=np.int64))
            else:
                ids.append(encoded[index][0])
                offsets.append(encoded[index][1] + begin)
        all_ids = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
        spread = np.concatenate(offsets) if offsets else np.zeros((0, 2), dtype=np.int64)
        trained = np.zeros(len(all_ids), dtype=np.bool_)
        for start, end in trained_spans:
            trained |= (spread[:, 0] >= start) & (spread[:, 1] <= end)
        out.append((all_ids, trained))
    return out


def encode_pair_side(
    prompts: Sequence[Sequence[Message]],
    answers: Sequence[Sequence[Message]],
    tokenizer: Tokenizer,
) -> list[Encoded]:
    """Return ids and loss marks of each prompt with its answer; only the answer is trained."""
    joined = [
        [{**turn, "train": False} for turn in prompt]
        + [{**turn, "train": turn["role"] == "assistant"} for turn in answer]
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return encode_conversations(joined, tokenizer)


def _pieces(
    messages: Sequence[Message],
) -> tuple[list[tuple[str, bool]], tuple[tuple[int, int], ...]]:
    """Return the rendering cut at its control tokens, and its trained ranges.

    Control tokens in a message's own text are hidden from the cut behind as many noncharacters, so
    that positions stay, and put back after it.
    """
    contents = [message["content"] or "" for message in messages]
    whole = "".join(contents)
    masks: dict[str, str] = {}
    if _CONTROL.search(whole):
        free = [letter for letter in _NONCHARACTERS if letter not in whole]
        if len(free) < len(SPECIAL_TOKENS):
            raise DataError(
                "conversation",
                "holds control tokens and every Unicode noncharacter",
                hint="Drop the message; it is not text.",
            )
        masks = {
            token: letter * len(token) for token, letter in zip(SPECIAL_TOKENS, free, strict=False)
        }
        contents = [_CONTROL.sub(lambda m: masks[m.group()], text) for text in contents]
    rendered = template().render(
        [{**m, "content": text} for m, text in zip(messages, contents, strict=True)]
    )
    pieces = []
    for number, piece in enumerate(_CONTROL.split(rendered.text)):
        is_control = number % 2 == 1
        for token, mask in masks.items():
            piece = piece.replace(mask, token)
        if piece:
            pieces.append((piece, is_control))
    return pieces, rendered.spans
