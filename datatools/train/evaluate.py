"""Measuring models: nats, bits per byte, what a prompt gains, and who wins a pair.

Owns: scores of language and reward models on held-out records. Token scores are computed in fp32
and summed in float64 on the CPU. Refuses: deciding whether a difference matters; `judge` does.

References:
    Bits per byte do not depend on the tokenizer (Gao et al., The Pile, 2020, section 3). Summing
    nats in float32 is off by about 1e-4 relative at 40 million tokens.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from datatools.chat.templates import Message
from datatools.train.chat import encode_conversations
from datatools.train.data import Pairs, windows
from datatools.train.model import Decoder, RewardModel
from datatools.train.tasks import pair_logprobs
from datatools.train.tokenizer import Tokenizer

__all__ = [
    "Accuracy",
    "AnswerScores",
    "BitsPerByte",
    "bits_per_byte",
    "conditional_gain",
    "document_nll",
    "length_accuracy",
    "pair_accuracy",
    "probe",
    "reference_logprobs",
    "reward_scores",
    "score_answers",
    "score_documents",
    "token_nll",
]

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int32]

_TOKENS_AT_ONCE: Final = 8192
_COMPLETIONS: Final = 50
"""Likeliest tokens tried to complete a character; past them, its bytes are shown alone."""
_UTF8: Final = codecs.getincrementaldecoder("utf-8")
_Z95: Final = 1.959963984540054


# --------------------------------------------------------------------------------------------------
# Nats


@torch.inference_mode()
def token_nll(
    decoder: Decoder,
    sequences: Sequence[Ids],
    *,
    counted: Sequence[npt.NDArray[np.bool_]] | None = None,
) -> list[Floats]:
    """Return the negative log-likelihood of each token given those before it.

    A sequence longer than the context is read in windows that overlap by half: every token is
    scored once, and has at least half a context before it, or all there is.

    Args:
        decoder: The model.
        sequences: Token ids, each (L,).
        counted: Per sequence which tokens to score, (L,); all but the first by default. The others
            score 0.

    Returns:
        Per sequence float64 of shape (L - 1,), nats, aligned with tokens 1 .. L - 1.
    """
    context = decoder.config.context
    jobs = [
        (number, window)
        for number, ids in enumerate(sequences)
        for window in windows(len(ids), context)
        if counted is None or counted[number][window.fresh : window.stop].any()
    ]
    jobs.sort(key=lambda job: job[1].start - job[1].stop)  # longest first; the sort is stable
    out = [np.zeros(max(len(ids) - 1, 0), dtype=np.float64) for ids in sequences]
    at = 0
    while at < len(jobs):
        width = jobs[at][1].stop - jobs[at][1].start - 1
        batch = jobs[at : at + max(1, _TOKENS_AT_ONCE // width)]
        at += len(batch)
        inputs = np.zeros((len(batch), width), dtype=np.int64)
        targets = np.zeros((len(batch), width), dtype=np.int64)
        wanted = np.zeros((len(batch), width), dtype=np.bool_)
        for row, (number, (start, stop, fresh)) in enumerate(batch):
            ids, size = sequences[number], stop - start - 1
            inputs[row, :size], targets[row, :size] = ids[start : stop - 1], ids[start + 1 : stop]
            wanted[row, fresh - start - 1 : size] = (
                True if counted is None else counted[number][fresh:stop]
            )
        mask = torch.from_numpy(wanted).to(decoder.device)
        hidden = decoder(torch.from_numpy(inputs).to(decoder.device))[mask]  # (N, D)
        labels = torch.from_numpy(targets).to(decoder.device)[mask]  # (N,)
        nll = functional.cross_entropy(decoder.logits(hidden), labels, reduction="none")
        scores = np.zeros(wanted.shape, dtype=np.float64)
        scores[wanted] = nll.double().cpu().numpy()
        for row, (number, (start, stop, fresh)) in enumerate(batch):
            out[number][fresh - 1 : stop - 1] = scores[row, fresh - start - 1 : stop - start - 1]
    return out


def document_nll(decoder: Decoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Floats:
    """Return the negative log-likelihood of each text in nats, float64 of shape (texts,).

    The text is read after the end-of-text token, as in training; the end itself is not scored. An
    empty text scores 0.
    """
    begin = np.array([tokenizer.end_of_text], dtype=np.int32)
    sequences = [np.concatenate((begin, ids)) for ids in tokenizer.encode(texts)]
    return np.array([scores.sum() for scores in token_nll(decoder, sequences)], dtype=np.float64)


def bits_per_byte(nll: Floats, texts: Sequence[str]) -> Floats:
    """Return bits per UTF-8 byte of each text, float64 of shape (texts,); NaN for an empty text.

    Example:
        >>> bits_per_byte(np.array([math.log(4), 0.0]), ["a", ""])
        array([ 2., nan])
    """
    size = np.array([len(text.encode("utf-8", "replace")) for text in texts], dtype=np.float64)
    return np.divide(nll / math.log(2), size, out=np.full_like(size, np.nan), where=size > 0)


@dataclass(frozen=True)
class BitsPerByte:
    """How well a model predicts documents; lower is better.

    Attributes:
        all: Bits per byte over all bytes.
        by_language: The same within each language.
        documents: Documents measured.
        bytes: Their UTF-8 bytes.
    """

    all: float
    by_language: Mapping[str, float]
    documents: int
    bytes: int


def score_documents(
    decoder: Decoder, tokenizer: Tokenizer, texts: Sequence[str], languages: Sequence[str]
) -> BitsPerByte:
    """Return bits per byte of documents, together and by language.

    Args:
        decoder: The model.
        tokenizer: Its tokenizer.
        texts: Documents.
        languages: Language of each, e.g. `ko`.
    """
    nll = document_nll(decoder, tokenizer, texts) / math.log(2)
    size = np.array([len(text.encode("utf-8", "replace")) for text in texts], dtype=np.float64)
    tags = np.array(languages, dtype=object)
    by_language = {
        tag: float(nll[tags == tag].sum() / size[tags == tag].sum())
        for tag in sorted(set(languages))
        if size[tags == tag].sum()
    }
    total = float(size.sum())
    return BitsPerByte(
        all=float(nll.sum()) / total if total else float("nan"),
        by_language=by_language,
        documents=len(texts),
        bytes=int(total),
    )


# --------------------------------------------------------------------------------------------------
# Answers


def conditional_gain(
    decoder: Decoder, tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]
) -> tuple[Floats, Floats]:
    """Return the nats of the trained messages alone, and given the conversation before them.

    Their difference is what the prompt tells about the answer: above 0 exactly if the two belong
    together as far as the model sees. Shuffled pairs must lose it.

    Returns:
        alone: float64 (conversations,), each trained message read as a conversation of its own.
        given: float64 (conversations,).

    References:
        Li et al., From Quantity to Quality (instruction-following difficulty), 2024, section 2.
    """
    whole = encode_conversations(conversations, tokenizer)
    given = np.array([row.sum() for row in _trained_nll(decoder, whole)], dtype=np.float64)
    return _alone(decoder, tokenizer, conversations), given


def _alone(
    decoder: Decoder, tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]
) -> Floats:
    owners, single = [], []
    for number, messages in enumerate(conversations):
        for turn in messages:
            if _is_trained(turn):
                owners.append(number)
                single.append([turn])
    scores = _trained_nll(decoder, encode_conversations(single, tokenizer))
    out = np.zeros(len(conversations), dtype=np.float64)
    np.add.at(out, owners, [row.sum() for row in scores])
    return out


def _trained_nll(
    decoder: Decoder, encoded: Sequence[tuple[Ids, npt.NDArray[np.bool_]]]
) -> list[Floats]:
    return token_nll(decoder, [ids for ids, _ in encoded], counted=[mask for _, mask in encoded])


def _is_trained(message: Message) -> bool:
    train = message.get("train")
    return message["role"] == "assistant" if train is None else bool(train)


@dataclass(frozen=True)
class AnswerScores:
    """How well a model writes the trained messages of conversations.

    Attributes:
        bits_per_byte: Over the messages' bytes, each stop token's bits included.
        gain: Nats per byte that the conversation before them saves; above 0 if they belong
            together.
        shuffled_gain: The same with each conversation's first user message swapped for the next
            one's: the control, which should be near 0 or below.
        stop_probability: Mean probability of the stop token where the message ends.
        conversations: Conversations measured.
        bytes: UTF-8 bytes of their trained messages.
    """

    bits_per_byte: float
    gain: float
    shuffled_gain: float
    stop_probability: float
    conversations: int
    bytes: int


def score_answers(
    decoder: Decoder, tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]
) -> AnswerScores:
    """Return how well a model writes the trained messages of conversations.

    Conversations without a trained message do not enter.

    Raises:
        DataError: A conversation cannot be rendered.
    """
    used = [messages for messages in conversations if any(_is_trained(m) for m in messages)]
    size = sum(
        len((m["content"] or "").encode("utf-8", "replace"))
        for messages in used
        for m in messages
        if _is_trained(m)
    )
    if not size:
        nan = float("nan")
        return AnswerScores(nan, nan, nan, nan, len(used), 0)
    encoded = encode_conversations(used, tokenizer)
    scores = _trained_nll(decoder, encoded)
    given = float(sum(row.sum() for row in scores))
    alone = float(_alone(decoder, tokenizer, used).sum())
    swapped = encode_conversations(_with_next_prompt(used), tokenizer)
    shuffled = float(sum(row.sum() for row in _trained_nll(decoder, swapped)))
    stops = [
        np.exp(-row[(trained & (ids == tokenizer.message_end))[1:]])
        for row, (ids, trained) in zip(scores, encoded, strict=True)
    ]
    return AnswerScores(
        bits_per_byte=given / math.log(2) / size,
        gain=(alone - given) / size,
        shuffled_gain=(alone - shuffled) / size,
        stop_probability=float(np.concatenate(stops).mean()),
        conversations=len(used),
        bytes=size,
    )


def _with_next_prompt(conversations: Sequence[Sequence[Message]]) -> list[list[Message]]:
    prompts = [
        next((m["content"] for m in messages if m["role"] == "user"), "")
        for messages in conversations
    ]
    out = []
    for number, messages in enumerate(conversations):
        other = prompts[(number + 1) % len(prompts)]
        first = next((at for at, m in enumerate(messages) if m["role"] == "user"), None)
        out.append([{**m, "content": other} if at == first else m for at, m in enumerate(messages)])
    return out


# --------------------------------------------------------------------------------------------------
# Pairs


@dataclass(frozen=True)
class Accuracy:
    """A share of pairs decided rightly, with its 95% interval.

    Attributes:
        value: The share; a tie counts half. NaN without pairs.
        low: Lower end of the interval.
        high: Upper end of the interval.
        pairs: Pairs counted.
        groups: Groups they come from: the interval takes pairs of one prompt for one observation.
    """

    value: float
    low: float
    high: float
    pairs: int
    groups: int


def pair_accuracy(
    chosen: npt.ArrayLike, rejected: npt.ArrayLike, groups: Sequence[str] | None = None
) -> Accuracy:
    """Return how often the preferred answer scores higher.

    Args:
        chosen: (pairs,) scores of the preferred answers.
        rejected: (pairs,) scores of the others.
        groups: Group of each pair, e.g. `group_id`; each pair its own by default.

    References:
        Wilson, Probable Inference, 1927 (the interval), with the number of groups as its n.

    Example:
        >>> pair_accuracy([2.0, 1.0, 0.0], [1.0, 1.0, 1.0]).value
        0.5
    """
    first, second = np.asarray(chosen, dtype=np.float64), np.asarray(rejected, dtype=np.float64)
    count = len(first)
    if not count:
        nan = float("nan")
        return Accuracy(nan, nan, nan, 0, 0)
    share = float(((first > second) + 0.5 * (first == second)).mean())
    n = count if groups is None else len(set(groups))
    spread = _Z95 * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    middle, scale = share + _Z95**2 / (2 * n), 1 + _Z95**2 / n
    return Accuracy(share, (middle - spread) / scale, (middle + spread) / scale, count, n)


def length_accuracy(
    train: tuple[npt.ArrayLike, npt.ArrayLike],
    test: tuple[npt.ArrayLike, npt.ArrayLike],
    groups: Sequence[str] | None = None,
) -> Accuracy:
    """Return what a rule that sees only the answers' lengths gets right.

    The rule prefers the longer answer if the longer one won more often in `train`, else the
    shorter. A reward model that does not beat it may have learnt nothing but length.

    Args:
        train: Lengths of the chosen and of the rejected answers to learn the rule from.
        test: The same to measure it on.
        groups: Group of each test pair.

    Example:
        >>> length_accuracy(([9, 8], [1, 2]), ([5, 4], [3, 6])).value
        0.5
    """
    prefers_long = pair_accuracy(*train).value >= 0.5
    chosen, rejected = (np.asarray(side, dtype=np.float64) for side in test)
    sign = 1.0 if prefers_long else -1.0
    return pair_accuracy(sign * chosen, sign * rejected, groups)


@torch.inference_mode()
def reward_scores(model: RewardModel, pairs: Pairs) -> Floats:
    """Return the scores of chosen and rejected answers, float64 of shape (pairs, 2)."""
    out = np.zeros((pairs.rows, 2), dtype=np.float64)
    device = model.model.device
    for rows in _batches(pairs):
        tokens, _, lengths = pairs.batch(rows)
        scores = model(torch.from_numpy(tokens).to(device), torch.from_numpy(lengths).to(device))
        out[rows] = scores.double().cpu().numpy().reshape(2, -1).T
    return out


@torch.inference_mode()
def reference_logprobs(decoder: Decoder, pairs: Pairs) -> Floats:
    """Return the log-probabilities of chosen and rejected answers, float64 of shape (pairs, 2)."""
    out = np.zeros((pairs.rows, 2), dtype=np.float64)
    for rows in _batches(pairs):
        chosen, rejected, _ = pair_logprobs(decoder, pairs, rows)
        out[rows, 0], out[rows, 1] = chosen.double().cpu(), rejected.double().cpu()
    return out


def _batches(pairs: Pairs) -> list[npt.NDArray[np.int64]]:
    per_batch = max(1, _TOKENS_AT_ONCE // (2 * pairs.context))
    return [
        np.arange(at, min(at + per_batch, pairs.rows), dtype=np.int64)
        for at in range(0, pairs.rows, per_batch)
    ]


# --------------------------------------------------------------------------------------------------
# Probing


@torch.inference_mode()
def probe(
    decoder: Decoder, tokenizer: Tokenizer, prompt: str, *, k: int = 10
) -> list[tuple[str, float]]:
    """Return the likeliest next tokens after a prompt.

    A token that is only part of a character, as most are in Hangul with a small vocabulary, is
    shown as the character the model would most likely complete, with the token's own bytes behind
    it: `한[ed95]`. Bytes that complete to nothing are shown alone: `[ff]`.

    Args:
        decoder: The model.
        tokenizer: Its tokenizer.
        prompt: Any text; empty asks for the beginning of a document. Only the last `context` tokens
            are read.
        k: Tokens to return; no more than the vocabulary.

    Returns:
        (token text, probability), likeliest first; ties by token id.
    """
    begin = [tokenizer.end_of_text]
    ids = [*begin, *tokenizer.encode([prompt])[0].tolist()][-decoder.config.context :]
    chances = _next_distribution(decoder, [ids])[0]
    best = np.argsort(-chances, kind="stable")[:k].tolist()
    return [(_shown(decoder, tokenizer, ids, token), float(chances[token])) for token in best]


def _next_distribution(decoder: Decoder, rows: list[list[int]]) -> Floats:
    hidden = decoder(torch.tensor(rows, device=decoder.device))[:, -1]  # (B, D)
    chances = torch.softmax(decoder.logits(hidden).double(), dim=-1)
    return np.asarray(chances.cpu().numpy(), dtype=np.float64)


def _shown(decoder: Decoder, tokenizer: Tokenizer, ids: list[int], token: int) -> str:
    special = tokenizer.special_text(token)
    if special is not None:
        return special
    own = tokenizer.token_bytes([token])
    begun = _whole_characters(own)
    if begun is None:
        return f"[{own.hex()}]"
    if len(begun.encode()) == len(own):
        return begun
    longer, read = own, [*ids, token]
    for _ in range(3):  # bytes a character can lack
        chances = _next_distribution(decoder, [read[-decoder.config.context :]])[0]
        for follow in np.argsort(-chances, kind="stable")[:_COMPLETIONS].tolist():
            more = tokenizer.token_bytes([follow])
            text = _whole_characters(longer + more) if more else None
            if text is not None:
                break
        else:
            break
        if len(text) > len(begun):
            return f"{text[: len(begun) + 1]}[{own.hex()}]"
        longer += more
        read.append(follow)
    return f"[{own.hex()}]"


def _whole_characters(data: bytes) -> str | None:
    """Return the characters that `data` holds whole, or None if it is no beginning of UTF-8."""
    try:
        return _UTF8().decode(data)
    except UnicodeDecodeError:
        return None
