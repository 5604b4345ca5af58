"""Gopher's repetition rules.

Owns the thresholds and what each count is divided by. Refuses: counting (`kernels.repetition`) and
the quality rules (`GopherQuality`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Rule

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


class GopherRepetition(Filter):
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

    This is datatrove's reading but for four things: blank lines are never lines (there a trailing
    line feed makes one); lines are compared stripped, so that `\r\n` and indentation do not matter;
    an n-gram that occurs once is not repetition; and n-grams are compared word by word (there "ab
    c" equals "a bc"). DCLM counts every copy of a repeated line, the first one too.

    A document stays at a threshold and is dropped above it. Empty and whitespace-only texts have 0
    in every measure and stay: there is no repetition in them, and `GopherQuality` drops them.

    Korean repeats short words more: FineWeb-2 uses 0.374 for duplicate lines, 0.282, 0.228, 0.185
    for the top 2- to 4-grams and 0.201 to 0.127 for duplicated 5- to 10-grams, measured over
    morphemes. Over words between spaces the paper's thresholds keep good Korean prose.

    References:
        Jack Rae et al., Scaling Language Models: Methods, Analysis & Insights from Training Gopher,
        2021, table A1 (thresholds). Reason codes are datatrove's.
        Guilherme Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml` (Korean thresholds).

    Example:
        >>> import polars as pl
        >>> texts = ["새 글입니다.\n한 번만 씁니다.", "Buy now!\nBuy now!\nBuy now!"]
        >>> kept, dropped = GopherRepetition().apply(pl.DataFrame({"text": texts}))
        >>> kept["text"].len(), dropped["reason"].to_list()
        (1, ['dup_line_frac'])
    """

    measures: ClassVar[Mapping[str, Any]] = dict.fromkeys(_FRACTIONS, pl.Float64)

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
        return tuple(Rule(measure, measure, ">", f"max_{measure}") for measure in _FRACTIONS)

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        return _Bound()


class _Bound:
    def __init__(self) -> None:
        # numba takes half a second to import, which naming a step should not cost.
        from datatools.kernels.repetition import repetition_counts

        self._repetition_counts = repetition_counts

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one row of measures per record."""
        counts = self._repetition_counts(*batch.buffers("text"))
        return pl.DataFrame(
            {
                # 0 of 0 is 0.
                measure: counts[part] / np.maximum(counts[whole], 1)
                for measure, (part, whole) in _FRACTIONS.items()
            }
        )
