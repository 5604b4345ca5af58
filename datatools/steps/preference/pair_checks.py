"""Preference pairs that would teach nothing, or the wrong thing, and why each is dropped.

Owns: the defects a single pair can show. Refuses: defects of a whole set (contradictions between
pairs, length and style shortcuts), which an audit finds. Fail-closed: what cannot be checked is
dropped too.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from datatools.chat.templates import SPECIAL_TOKENS, find_special_token
from datatools.records import Kind
from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.reading import is_blank, reading_form

__all__ = ["PairChecks", "edits_within"]

_GRAM: Final = 5
_EXACT_CHARS: Final = 8_000
"""Length up to which edits are counted (0.2 s at worst); beyond it shared pieces decide."""
_Codes = npt.NDArray[np.uint32]


class PairChecks(Map):
    r"""Drop preference pairs that are broken, tied or the same on both sides.

    Reasons, in the order in which they are tried:

    * `pair_roles`: the prompt is not system (optional), then user and assistant in turn, ending
    with
      user; or a side is not assistant and user in turn, beginning and ending with assistant.
    * `pair_prompt_empty`, `pair_empty`: a message of the prompt, or of a side, shows nothing (also
    if
      it holds zero-width characters or Hangul fillers only).
    * `pair_tie`: the strength is null, not a number, or not above 0.
    * `pair_special_token`: a message holds a control token such as `<|im_end|>`.
    * `pair_identical`: the sides are equal; `pair_identical_normalised`: they read the same (NFC,
      blanks, invisible characters); `pair_prefix`: one side is the beginning of the other.
    * `pair_near_duplicate`: they differ in less than `1 - max_edit_similarity` of their characters,
    or
      share more than `max_overlap` of their 5-character pieces.

    References:
        TRL, data_utils.extract_prompt: cuts pairs of which one side is a prefix off by one, so such
        rows train on single letters. VAIV-2023, RLHF-Korean-Friendly-LLM: 14 rejected answers of
        one zero-width space and 1,037 with `<|endoftext|>`, counted by us.

    Example:
        >>> pairs = pl.DataFrame({
        ...     "prompt": [[{"role": "user", "content": "언제 여나요?"}]],
        ...     "chosen": [[{"role": "assistant", "content": "9시에 엽니다."}]],
        ...     "rejected": [[{"role": "assistant", "content": "9시에  엽니다.\u200b"}]],
        ...     "strength": [1.0],
        ... })
        >>> PairChecks().apply(pairs)[1]["reason"].to_list()
        ['pair_identical_normalised']
    """

    takes: ClassVar[Kind | None] = "preference"

    special_tokens: tuple[str, ...] = SPECIAL_TOKENS
    """Tokens that may not occur in a message: those of the tokenizer to be trained, and of others
    whose output may have been collected. A longer list drops more."""
    max_edit_similarity: float = Field(default=0.98, gt=0, le=1)
    """Similarity `1 - edits / length of the longer side` above which sides count as
    near-duplicates. Raising it keeps closer pairs; 1 turns the rule off."""
    max_overlap: float = Field(default=0.9, gt=0, le=1)
    """Jaccard overlap of the sides' 5-character pieces above which they count as near-duplicates.
    Raising it keeps closer pairs; 1 turns the rule off."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"prompt", "chosen", "rejected", "strength"})

    def bind(self, context: Context) -> _BoundPairChecks:
        """Return the step itself: it holds nothing."""
        return _BoundPairChecks(self)


class _BoundPairChecks:
    def __init__(self, step: PairChecks) -> None:
        self._step = step

    def map(self, batch: Batch) -> Mapped:
        verdicts = [
            self._defect(prompt or [], chosen or [], rejected or [], strength)
            for prompt, chosen, rejected, strength in batch.df.select(
                "prompt", "chosen", "rejected", "strength"
            ).iter_rows()
        ]
        return Mapped(
            batch.df,
            dropped=pl.Series("dropped", [reason for reason, _ in verdicts], dtype=pl.String),
            detail=pl.Series("detail", [detail for _, detail in verdicts], dtype=pl.String),
        )

    def _defect(
        self,
        prompt: list[dict[str, Any]],
        chosen: list[dict[str, Any]],
        rejected: list[dict[str, Any]],
        strength: float | None,
    ) -> tuple[str | None, str | None]:
        """Return the first defect of a pair and what to tell about it, or two Nones."""
        for name, messages in (("prompt", prompt), ("chosen", chosen), ("rejected", rejected)):
            if not _takes_turns(messages, continues=name != "prompt"):
                roles = ", ".join(str(message["role"]) for message in messages)
                return "pair_roles", f"{name}: {roles or 'no messages'}"[:200]
        if any(is_blank(message["content"]) for message in prompt):
            return "pair_prompt_empty", None
        for name, messages in (("chosen", chosen), ("rejected", rejected)):
            if any(is_blank(message["content"]) for message in messages):
                return "pair_empty", name
        if strength is None or not strength > 0:
            return "pair_tie", f"strength {strength}"
        for message in [*prompt, *chosen, *rejected]:
            token = find_special_token(message["content"], self._step.special_tokens)
            if token is not None:
                return "pair_special_token", token
        return self._sameness(_text(chosen), _text(rejected))

    def _sameness(self, chosen: str, rejected: str) -> tuple[str | None, str | None]:
        if chosen == rejected:
            return "pair_identical", None
        one, other = reading_form(chosen), reading_form(rejected)
        if one == other:
            return "pair_identical_normalised", None
        if one.startswith(other) or other.startswith(one):
            return "pair_prefix", "chosen" if one.startswith(other) else "rejected"
        shared, union = _pieces(one, other)
        if shared > self._step.max_overlap * union:
            return "pair_near_duplicate", f"{shared} of {union} pieces in common"
        longer = max(len(one), len(other))
        # Strictly above the similarity: edits < (1 - similarity) x length. Counted in whole edits.
        allowed = int(np.ceil((1 - self._step.max_edit_similarity) * longer - 1e-9)) - 1
        if allowed >= 0 and edits_within(one, other, allowed):
            return "pair_near_duplicate", f"at most {allowed} edits in {longer} characters"
        return None, None


def _takes_turns(messages: list[dict[str, Any]], *, continues: bool) -> bool:
    roles = [message["role"] for message in messages]
    if not continues and roles[:1] == ["system"]:
        del roles[0]
    opens, ends = ("assistant", "assistant") if continues else ("user", "user")
    other = "user" if continues else "assistant"
    expected = [opens, other] * (len(roles) // 2 + 1)
    return bool(roles) and roles == expected[: len(roles)] and roles[-1] == ends


def _text(messages: list[dict[str, Any]]) -> str:
    return "\n\n".join(message["content"] for message in messages)


def _grams(text: str) -> list[str]:
    return [text[i : i + _GRAM] for i in range(max(len(text) - _GRAM + 1, 1))]


def _pieces(one: str, other: str) -> tuple[int, int]:
    first, second = set(_grams(one)), set(_grams(other))
    return len(first & second), len(first | second)


def edits_within(one: str, other: str, limit: int) -> bool:
    """Return whether at most `limit` edits turn `one` into `other`.

    An edit inserts, deletes or replaces one character.

    Complexity: O(length x limit), after a linear test that dismisses most texts: an edit changes at
    most five 5-character pieces, so texts within `limit` share all but 5 x limit of theirs. Texts
    of more than 8,000 characters that pass the test count as within the limit.

    References:
        Esko Ukkonen, Algorithms for Approximate String Matching, 1985 (the diagonal band); Ukkonen,
        Approximate String-Matching with q-grams and Maximal Matches, 1992 (the test).

    Example:
        >>> edits_within("9시에 엽니다", "10시에 엽니다", 2), edits_within("9시", "10시", 1)
        (True, False)
    """
    if abs(len(one) - len(other)) > limit:
        return False
    pieces = max(len(one), len(other)) - _GRAM + 1 - _GRAM * limit
    if pieces > 0 and (Counter(_grams(one)) & Counter(_grams(other))).total() < pieces:
        return False
    if max(len(one), len(other)) > _EXACT_CHARS:
        return True
    return _band(_codes(one), _codes(other), limit)


def _codes(text: str) -> _Codes:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _band(a: _Codes, b: _Codes, limit: int) -> bool:
    """Fill the diagonal band |i - j| <= limit of the edit table, one row of it at a time."""
    width = 2 * limit + 1  # column d of row i is cell j = i + d - limit
    steps = np.arange(width)
    far = limit + 1
    row = np.where(steps >= limit, steps - limit, far)  # row 0: j insertions
    padded = np.full(len(b) + 2 * width, 0xFFFFFFFF, dtype=np.uint32)  # no character of any text
    padded[width : width + len(b)] = b
    for i in range(1, len(a) + 1):
        # padded[width + j - 1] is b's character j - 1, for j from i - limit to i + limit
        window = padded[width + i - limit - 1 : width + i + limit]
        replaced = row + (window != a[i - 1])
        deleted = np.append(row[1:], far) + 1
        best = np.minimum(replaced, deleted)
        inside = (steps + i - limit >= 0) & (steps + i - limit <= len(b))
        best = np.where(inside, best, far)
        if i <= limit:
            best[limit - i] = min(i, best[limit - i])  # column 0: i deletions
        # insertions run along the row: best[d] = min over e <= d of best[e] + (d - e)
        row = np.minimum.accumulate(best - steps) + steps
        row = np.minimum(np.where(inside, row, far), far)
        if int(row.min()) > limit:
            return False
    return bool(row[len(b) - len(a) + limit] <= limit)
