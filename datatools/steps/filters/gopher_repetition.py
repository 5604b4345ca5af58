"""Gopher's repetition rules.

Owns the thresholds, the profiles and what each count is divided by. Refuses: counting
(`kernels.repetition`) and the quality rules (`GopherQuality`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Rule
from datatools.steps.filters.profiles import Profile, Profiled
from datatools.steps.filters.tokens import WordCut, tokens_of

__all__ = ["GopherRepetition"]

Fraction = Annotated[float, Field(ge=0)]

# Measure -> its parts in kernels.repetition.COUNTS: what is counted and what it is divided by.
_FRACTIONS = {
    "dup_para_frac": ("dup_paras", "paras"),
    "dup_para_char_frac": ("dup_para_chars", "chars"),
    "dup_line_frac": ("dup_lines", "lines"),
    "dup_line_char_frac": ("dup_line_chars", "chars"),
    **{f"top_{n}_gram": (f"top_{n}_gram_chars", "chars") for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": (f"dup_{n}_gram_chars", "chars") for n in (5, 6, 7, 8, 9, 10)},
}
_LINE_RULES = tuple(f"max_{measure}" for measure in list(_FRACTIONS)[:4])
_TOP_RULES = tuple(f"max_{measure}" for measure in list(_FRACTIONS)[4:7])
_COPY_RULES = tuple(f"max_{measure}" for measure in list(_FRACTIONS)[7:])


class GopherRepetition(Profiled, Filter):
    r"""Drop documents that say the same thing again and again.

    What is counted, in the words of `kernels.repetition`:

    - A line is a piece between line feeds, stripped of whitespace; blank lines are ignored. A
      paragraph is a run of lines without a blank one between them. A duplicate is the second or a
      later copy.
    - Characters are code points, and every `char` fraction divides by those of the whole text,
      whitespace included.
    - Words are those of `str.split`, case kept. The top n-gram is the most frequent one, if it
      occurs twice; of equals the first seen; its characters (with single spaces) times its
      occurrences count, overlaps included, so that the fraction can exceed 1.
    - Duplicated n-grams are found from the left without overlap: one met before adds the characters
      of its words and is jumped over.

    `profile: datatrove-0.10` decides as datatrove's `GopherRepetitionFilter` does: its words are
    spaCy's English tokens, a line feed at an end makes an empty line, `\r` and indentation make
    lines differ, an n-gram said once is the top one where none is said twice, and "ab c" equals
    "a bc". `fineweb2-korean` has FineWeb-2's thresholds for Korean over words between spaces; there
    they were measured over Kiwi's morphemes, so it is stricter than FineWeb-2 on function words.

    A document stays at a threshold and is dropped above it. Empty and whitespace-only texts have 0
    in every fraction (but for `lines: raw`) and stay: there is no repetition in them, and
    `GopherQuality` drops them.

    References:
        Jack Rae et al., Scaling Language Models: Methods, Analysis & Insights from Training Gopher,
        2021, table A1 (thresholds). Reason codes are datatrove's.
        Guilherme Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml` and `fineweb-2-pipeline.py`.

    Example:
        >>> import polars as pl
        >>> texts = ["새 글입니다.\n한 번만 씁니다.", "Buy now!\nBuy now!\nBuy now!"]
        >>> kept, dropped = GopherRepetition().apply(pl.DataFrame({"text": texts}))
        >>> kept["text"].len(), dropped["reason"].to_list()
        (1, ['dup_line_frac'])
    """

    version: ClassVar[int] = 2
    measures: ClassVar[Mapping[str, Any]] = {
        "characters": pl.Int64,
        **dict.fromkeys(_FRACTIONS, pl.Float64),
    }
    definitions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "words": (*_TOP_RULES, *_COPY_RULES),
        "lines": _LINE_RULES,
        "compare": _COPY_RULES,
        "top_said_once": _TOP_RULES,
    }
    profiles: ClassVar[Mapping[str, Profile]] = {
        "datatools": Profile("Rae et al., 2021, table A1; definitions above", {}),
        "datatrove-0.10": Profile(
            "datatrove 0.10, `gopher_repetition_filter.py`, English (spaCy 3.8)",
            {
                "words": "english_tokens",
                "lines": "raw",
                "compare": "joined",
                "top_said_once": True,
                "min_characters": 1,
            },
        ),
        "fineweb2-korean": Profile(
            "Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml`, `fineweb-2-pipeline.py`",
            {
                **dict.fromkeys(_LINE_RULES),
                "max_dup_line_frac": 0.374,
                "max_top_2_gram": 0.282,
                "max_top_3_gram": 0.228,
                "max_top_4_gram": 0.185,
                "max_duplicated_5_n_grams": 0.201,
                "max_duplicated_6_n_grams": 0.184,
                "max_duplicated_7_n_grams": 0.168,
                "max_duplicated_8_n_grams": 0.154,
                "max_duplicated_9_n_grams": 0.14,
                "max_duplicated_10_n_grams": 0.127,
            },
        ),
    }

    profile: Literal["datatools", "datatrove-0.10", "fineweb2-korean"] = "datatools"
    """Whose reading of the rules the other fields follow where they are not given."""
    words: WordCut = "whitespace"
    """What a word is: what stands between whitespace, or spaCy's English tokens, of which marks and
    the halves of contractions are some."""
    lines: Literal["filled", "raw"] = "filled"
    """What a line and a paragraph are: `filled`, stripped and never blank; or `raw`, what stands
    between runs of one line feed (two for a paragraph), empty where the text begins or ends with
    one."""
    compare: Literal["words", "joined"] = "words"
    """How 5- to 10-grams are compared: word by word, or `joined`, as strings without spaces."""
    top_said_once: bool = False
    """Whether the first n-gram counts as the top one where none is said twice. Drops very short
    texts."""
    min_characters: Annotated[int, Field(ge=0)] | None = None
    """Fewest characters of the text, whitespace included (reason `empty`). Null switches the rule
    off."""
    max_dup_para_frac: Fraction | None = 0.30
    """Largest share of paragraphs that are copies of earlier ones. Raising it keeps more; null
    switches the rule off."""
    max_dup_para_char_frac: Fraction | None = 0.20
    """Largest share of characters in such paragraphs. Raising it keeps more; null switches the rule
    off."""
    max_dup_line_frac: Fraction | None = 0.30
    """Largest share of lines that are copies of earlier ones. Raising it keeps more; null switches
    the rule off."""
    max_dup_line_char_frac: Fraction | None = 0.20
    """Largest share of characters in such lines. Raising it keeps more; null switches the rule
    off."""
    max_top_2_gram: Fraction | None = 0.20
    """Largest share of characters in the most frequent pair of words. Raising it keeps more; null
    switches the rule off."""
    max_top_3_gram: Fraction | None = 0.18
    """The same for three words."""
    max_top_4_gram: Fraction | None = 0.16
    """The same for four words."""
    max_duplicated_5_n_grams: Fraction | None = 0.15
    """Largest share of characters in runs of five words that were said before. Raising it keeps
    more; null switches the rule off."""
    max_duplicated_6_n_grams: Fraction | None = 0.14
    """The same for six words."""
    max_duplicated_7_n_grams: Fraction | None = 0.13
    """The same for seven words."""
    max_duplicated_8_n_grams: Fraction | None = 0.12
    """The same for eight words."""
    max_duplicated_9_n_grams: Fraction | None = 0.11
    """The same for nine words."""
    max_duplicated_10_n_grams: Fraction | None = 0.10
    """The same for ten words."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order: paragraphs, lines, then n-grams by length."""
        return (
            Rule("empty", "characters", "<", "min_characters"),
            *(Rule(measure, measure, ">", f"max_{measure}") for measure in _FRACTIONS),
        )

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        return _Bound(self)


class _Bound:
    def __init__(self, step: GopherRepetition) -> None:
        # Compiling takes seconds, which naming a step should not cost.
        from datatools.kernels.repetition import repetition_counts

        self._repetition_counts = repetition_counts
        self._step = step

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one row of measures per record."""
        step = self._step
        counts = self._repetition_counts(
            *batch.buffers("text"),
            # The kernel finds words between whitespace faster than it reads a list of them.
            tokens=None if step.words == "whitespace" else tokens_of(batch, step.words),
            lines=step.lines,
            compare=step.compare,
            once=step.top_said_once,
        )
        return pl.DataFrame(
            {
                "characters": counts["chars"],
                # 0 of 0 is 0.
                **{
                    measure: counts[part] / np.maximum(counts[whole], 1)
                    for measure, (part, whole) in _FRACTIONS.items()
                },
            }
        )
