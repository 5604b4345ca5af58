"""FineWeb's own quality rules.

Owns the thresholds, the profiles and what each ratio divides. Refuses: counting
(`kernels.line_stats`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Op, Rule
from datatools.steps.filters.profiles import Profile, Profiled
from datatools.steps.filters.tokens import WordCut, tokens_of
from datatools.steps.filters.word_lists import TERMINAL_MARKS

__all__ = ["FineWebQuality"]

Ratio = Annotated[float, Field(ge=0, le=1)]
CLOSING_QUOTES: Final = "\"'”’»」』"
"""Marks that close a quotation, after which no full stop need follow."""


class FineWebQuality(Profiled, Filter):
    r"""Drop lists, menus and texts whose lines do not end as sentences do.

    Four shares: of lines that end in a terminal mark, of short lines, of characters in lines that
    stand earlier in the text, and line feeds per word. Lines are pieces between line feeds,
    stripped of whitespace, blank ones left out; a terminal mark is any of Unicode's sentence
    terminals or a closing quotation mark. A Hangul letter is as long as two others.

    The filter of this name differs by version. `datatrove-0.10` knows no quotation marks, takes
    lines as they stand (a space or `\r` after the full stop hides it) and spaCy's English tokens
    for words. `datatrove-0.3`, which made FineWeb, ended lines with five ASCII marks, counted blank
    lines, and dropped at the threshold, too; its words, NLTK's, are replaced by spaCy's here. The
    `paper` allows a tenth of the characters in copied lines where datatrove allows a hundredth, and
    has no rule for line feeds. `fineweb2-korean` has FineWeb-2's thresholds for Korean.

    Texts without a line that is not blank leave as `empty`.

    References:
        Guilherme Penedo et al., The FineWeb Datasets, 2024, section 3.6 (thresholds). Reason codes
        are datatrove's (`fineweb_quality_filter.py`).
        Guilherme Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml` and `fineweb-2-pipeline.py`.

    Example:
        >>> import polars as pl
        >>> texts = ["Home\nNews\nLogin", "이 글은 마침표로 끝나는 문장으로만 이루어져 있습니다."]
        >>> step = FineWebQuality(max_short_lines=None)
        >>> kept, dropped = step.apply(pl.DataFrame({"text": texts}))
        >>> kept.height, dropped["reason"].to_list()
        (1, ['line_punct_ratio'])
    """

    measures: ClassVar[Mapping[str, Any]] = {
        "filled_lines": pl.Int64,
        "ended_line_ratio": pl.Float64,
        "short_line_ratio": pl.Float64,
        "copied_char_ratio": pl.Float64,
        "line_feeds_per_word": pl.Float64,
    }
    definitions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "words": ("max_line_feeds_per_word",),
        "blank_lines": ("min_ended_lines", "max_short_lines"),
        "strip_lines": ("min_ended_lines", "max_short_lines", "max_copied_chars"),
        "end_marks": ("min_ended_lines",),
        "short_line": ("max_short_lines",),
        "hangul_width": ("max_short_lines",),
        "drop_at_threshold": ("min_ended_lines", "max_short_lines", "max_copied_chars"),
    }
    profiles: ClassVar[Mapping[str, Profile]] = {
        "datatools": Profile("Penedo et al., 2024, section 3.6; definitions above", {}),
        "paper": Profile(
            "Penedo et al., 2024, section 3.6; marks and lines as datatrove 0.3 has them",
            {
                "end_marks": ".'\"!?",
                "short_line": 29,
                "hangul_width": 1,
                "max_copied_chars": 0.1,
                "max_line_feeds_per_word": None,
                "drop_at_threshold": True,
                "blank_lines": True,
                "strip_lines": False,
            },
        ),
        "datatrove-0.10": Profile(
            "datatrove 0.10, `fineweb_quality_filter.py`, English (spaCy 3.8)",
            {
                "words": "english_tokens",
                "strip_lines": False,
                "end_marks": TERMINAL_MARKS,
                "hangul_width": 1,
            },
        ),
        "datatrove-0.3": Profile(
            "datatrove 0.3.0, `fineweb_quality_filter.py`; words of spaCy 3.8 for NLTK's",
            {
                "words": "english_tokens",
                "strip_lines": False,
                "blank_lines": True,
                "hangul_width": 1,
                "end_marks": ".'\"!?",
                "drop_at_threshold": True,
            },
        ),
        "fineweb2-korean": Profile(
            "Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml`, `fineweb-2-pipeline.py`",
            {
                "strip_lines": False,
                "hangul_width": 1,
                "end_marks": TERMINAL_MARKS,
                "min_ended_lines": 0.062,
                "max_short_lines": None,
                "max_copied_chars": 0.1,
                "max_line_feeds_per_word": 0.196,
            },
        ),
    }

    profile: Literal["datatools", "paper", "datatrove-0.10", "datatrove-0.3", "fineweb2-korean"] = (
        "datatools"
    )
    """Whose reading of the rules the other fields follow where they are not given."""
    words: WordCut = "whitespace"
    """What a word is: what stands between whitespace, or spaCy's English tokens, of which marks and
    the halves of contractions are some."""
    blank_lines: bool = False
    """Whether blank lines are lines: short ones that do not end as sentences do."""
    strip_lines: bool = True
    """Whether the whitespace around a line is left out before it is looked at."""
    end_marks: str = TERMINAL_MARKS + CLOSING_QUOTES
    """Characters of which a line's last must be one to end as a sentence does."""
    short_line: Annotated[int, Field(ge=0)] = 30
    """Most characters of a short line. Raising it drops more."""
    hangul_width: Annotated[int, Field(ge=1)] = 2
    """How many characters a Hangul letter counts for in the length of a line: Korean says in 14
    what English says in 30. The other profiles have 1. Raising it keeps more Korean."""
    drop_at_threshold: bool = False
    """Whether a text exactly at one of the first three thresholds is dropped."""
    min_filled_lines: Annotated[int, Field(ge=0)] | None = 1
    """Fewest lines that are not blank (reason `empty`). Raising it drops more; null switches the
    rule off."""
    min_ended_lines: Ratio | None = 0.12
    """Smallest share of lines that end in one of `end_marks`. Raising it drops more; null switches
    the rule off."""
    max_short_lines: Ratio | None = 0.67
    """Largest share of lines of at most `short_line` characters. Raising it keeps more; null
    switches the rule off."""
    max_copied_chars: Ratio | None = 0.01
    """Largest share of characters in lines that stand earlier in the text. Raising it keeps more;
    null switches the rule off."""
    max_line_feeds_per_word: Annotated[float, Field(ge=0)] | None = 0.3
    """Most line feeds per word. Raising it keeps more; null switches the rule off."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order."""
        below: Op = "<=" if self.drop_at_threshold else "<"
        above: Op = ">=" if self.drop_at_threshold else ">"
        return (
            Rule("empty", "filled_lines", "<", "min_filled_lines"),
            Rule("line_punct_ratio", "ended_line_ratio", below, "min_ended_lines"),
            Rule("short_line_ratio", "short_line_ratio", above, "max_short_lines"),
            Rule("char_dup_ratio", "copied_char_ratio", above, "max_copied_chars"),
            Rule("list_ratio", "line_feeds_per_word", ">", "max_line_feeds_per_word"),
        )

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        return _Bound(self)


class _Bound:
    def __init__(self, step: FineWebQuality) -> None:
        # numba takes half a second to import, which naming a step should not cost.
        from datatools.kernels.line_stats import line_stats

        self._line_stats = line_stats
        self._step = step

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one row of measures per record."""
        step = self._step
        stats = self._line_stats(
            *batch.buffers("text"),
            cut="line_feeds" if step.blank_lines else "filled",
            stripped=step.strip_lines,
            terminals=step.end_marks,
            short=step.short_line,
            hangul_width=step.hangul_width,
            copies=True,
        )
        lines = np.maximum(stats["lines"], 1)
        words = np.diff(tokens_of(batch, step.words).rows)
        return pl.DataFrame(
            {
                "filled_lines": stats["filled_lines"],
                # 0 of 0 is 0.
                "ended_line_ratio": stats["ended_lines"] / lines,
                "short_line_ratio": stats["short_lines"] / lines,
                "copied_char_ratio": stats["copied_chars"] / np.maximum(stats["chars"], 1),
                "line_feeds_per_word": stats["line_feeds"] / np.maximum(words, 1),
            }
        )
