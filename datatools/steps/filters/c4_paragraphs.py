"""mC4's rule: a page has a few long paragraphs.

Owns the rule. Refuses: counting (`kernels.line_stats`) and the rules for lines (`C4Quality`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Rule

__all__ = ["C4Paragraphs"]


class C4Paragraphs(Filter):
    r"""Drop pages with fewer than three long paragraphs.

    A paragraph is what stands between line feeds, as it stands; long is one of 200 characters or
    more. mC4 used it for 101 languages in place of C4's rule for end marks. Korean says in about 90
    characters what English says in 200: give `long_paragraph: 90` for Korean alone.

    datatrove's `C4ParagraphFilter` is the same rule with the same numbers, and decides the same.

    References:
        Linting Xue et al., mT5: A Massively Multilingual Pre-trained Text-to-Text Transformer,
        2021, section 3.1. TensorFlow Datasets, `c4_utils.py`, `paragraph_filter`.

    Example:
        >>> import polars as pl
        >>> texts = ["긴 문단입니다. " * 30 + "\n", "짧은 문단입니다.\n"]
        >>> frame = pl.DataFrame({"text": [text * 3 for text in texts]})
        >>> kept, dropped = C4Paragraphs().apply(frame)
        >>> kept.height, dropped["reason"].to_list()
        (1, ['too_few_paragraphs'])
    """

    measures: ClassVar[Mapping[str, Any]] = {"long_paragraphs": pl.Int64}

    long_paragraph: Annotated[int, Field(ge=1)] = 200
    """Fewest characters of a long paragraph. Raising it drops more."""
    min_paragraphs: Annotated[int, Field(ge=0)] | None = 3
    """Fewest long paragraphs. Raising it drops more; null switches the rule off."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the one rule."""
        return (Rule("too_few_paragraphs", "long_paragraphs", "<", "min_paragraphs"),)

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        return _Bound(self.long_paragraph)


class _Bound:
    def __init__(self, long_paragraph: int) -> None:
        # numba takes half a second to import, which naming a step should not cost.
        from datatools.kernels.line_stats import line_stats

        self._line_stats = line_stats
        self._short = long_paragraph - 1

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one row of measures per record."""
        stats = self._line_stats(
            *batch.buffers("text"), cut="line_feeds", stripped=False, short=self._short
        )
        return pl.DataFrame({"long_paragraphs": stats["lines"] - stats["short_lines"]})
