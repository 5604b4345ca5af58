"""Gopher's quality rules, with a Korean reading of the two that would delete Korean.

Owns the thresholds and what each ratio divides. Refuses: counting (`kernels.text_stats`) and
repetition (`GopherRepetition`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Rule

__all__ = ["ENGLISH_STOP_WORDS", "KOREAN_ENDINGS", "GopherQuality"]

ENGLISH_STOP_WORDS: Final = ("the", "be", "to", "of", "and", "that", "have", "with")
"""The eight words of Rae et al., 2021, section A1.1."""

KOREAN_ENDINGS: Final = (
    *("의", "다", "이", "는", "에", "을", "한", "년", "하", "은", "를"),
    *("했", "고", "에서", "가", "있", "으로", "인", "월", "로", "되"),
)
"""FineWeb-2's Korean stop words (Penedo et al., FineWeb2, 2025; `configs/kor_Hang.yml`). They are
morphemes, which no word between spaces equals ("나는" holds "는"), so they are looked for as
endings."""

NOT_APPLICABLE: Final = 1e6
"""Value of a measure that says nothing about this text. Above every threshold a field accepts, so
that a rule that drops what is too small never fires on it."""

_HANGUL, _OTHER = "hangul", "other"

Ratio = Annotated[float, Field(ge=0, le=1)]
WordLength = Annotated[float, Field(ge=0, le=1000)]


class GopherQuality(Filter):
    """Drop documents that are too short, too long or do not look like prose.

    Words are those of `str.split`, as in the paper; lines are separated by line feeds and blank
    ones are ignored. Every comparison is strict: a document exactly at a threshold stays.

    Two rules of the paper delete nearly all Korean: a Korean word between spaces (eojeol) has about
    three characters, and none of them is "the". So a text whose letters are more than half Hangul
    (`script: hangul`) has its own lower bound for the mean word length, and with `stop_words:
    by_script` distinct Korean particles and endings, found at the ends of Hangul words, count as
    stop words beside the English ones, in every text: a Korean page full of code has more Latin
    letters than Hangul and is Korean all the same. Decomposed (NFD) Hangul counts jamo as
    characters; normalise first.

    Chinese, Japanese, Thai and other scripts without spaces between words count as a few enormous
    words, and `min_words` or `max_mean_word_length` drops them: keep such languages out of this
    filter.

    The other implementations of this name differ: datatrove counts punctuation marks as words,
    which on web text drops several times as many documents by `min_alpha_words`; dolma takes the
    median word length. Empty and whitespace-only texts have 0 in every measure and are dropped by
    `min_words`, or with that rule off by the next.

    References:
        Jack Rae et al., Scaling Language Models: Methods, Analysis & Insights from Training Gopher,
        2021, section A1.1 (rules and thresholds). Reason codes are datatrove's.

    Example:
        >>> import polars as pl
        >>> texts = ["the cat sat with the dog", "나는 오늘 집에 갔다.", "### ###"]
        >>> kept, dropped = GopherQuality(min_words=4).apply(pl.DataFrame({"text": texts}))
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['the cat sat with the dog', '나는 오늘 집에 갔다.'], ['gopher_short_doc'])
    """

    measures: ClassVar[Mapping[str, Any]] = {
        "script": pl.String,
        "word_count": pl.Int64,
        "mean_word_length": pl.Float64,
        "mean_word_length_hangul": pl.Float64,
        "mean_word_length_other": pl.Float64,
        "hash_ratio": pl.Float64,
        "ellipsis_ratio": pl.Float64,
        "bullet_line_ratio": pl.Float64,
        "ellipsis_line_ratio": pl.Float64,
        "alpha_word_ratio": pl.Float64,
        "stop_word_count": pl.Int64,
    }

    profile: Literal["paper"] = "paper"
    """Whose reading of the rules is followed. `paper`: words are what stands between whitespace."""
    min_words: Annotated[int, Field(ge=0)] | None = 50
    """Fewest words. Raising it drops more short documents; null switches the rule off."""
    max_words: Annotated[int, Field(ge=0)] | None = 100_000
    """Most words. Raising it keeps longer documents; null switches the rule off."""
    min_mean_word_length: WordLength | None = 3.0
    """Smallest mean length of a word, in characters, for text that is not mostly Hangul. Raising it
    drops more; null switches the rule off."""
    min_mean_word_length_hangul: WordLength | None = 1.5
    """Smallest mean length of a word, in characters, for text whose letters are mostly Hangul.
    Korean prose has about 3. Raising it drops more; null switches the rule off."""
    max_mean_word_length: WordLength | None = 10.0
    """Largest mean length of a word, in characters, for every script. Raising it keeps more; null
    switches the rule off."""
    max_hash_ratio: Annotated[float, Field(ge=0)] | None = 0.1
    """Most `#` signs per word. Raising it keeps more; null switches the rule off."""
    max_ellipsis_ratio: Annotated[float, Field(ge=0)] | None = 0.1
    """Most ellipses (`...` or `…`) per word. Raising it keeps more; null switches the rule off."""
    max_bullet_lines: Ratio | None = 0.9
    """Largest share of lines that begin with a bullet (one of `•●◦‣▪■□○-*·ㆍ`). Raising it keeps
    more; null switches the rule off."""
    max_ellipsis_lines: Ratio | None = 0.3
    """Largest share of lines that end in an ellipsis. Raising it keeps more; null switches the rule
    off."""
    min_alpha_words: Ratio | None = 0.8
    """Smallest share of words with at least one letter of any script. Raising it drops more; null
    switches the rule off."""
    min_stop_words: Annotated[int, Field(ge=0)] | None = 2
    """Fewest distinct stop words. Raising it drops more; null switches the rule off."""
    stop_words: tuple[str, ...] | Literal["by_script"] = "by_script"
    """What counts as a stop word. `by_script`: the paper's eight English words, and Korean endings
    of Hangul words. A list is compared, lower-cased, with whole words of
    every text; for languages other than English and Korean give their own, or switch
    `min_stop_words` off."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order."""
        return (
            Rule("gopher_short_doc", "word_count", "<", "min_words"),
            Rule("gopher_long_doc", "word_count", ">", "max_words"),
            Rule(
                "gopher_below_avg_threshold", "mean_word_length_other", "<", "min_mean_word_length"
            ),
            Rule(
                "gopher_below_avg_threshold",
                "mean_word_length_hangul",
                "<",
                "min_mean_word_length_hangul",
            ),
            Rule("gopher_above_avg_threshold", "mean_word_length", ">", "max_mean_word_length"),
            Rule("gopher_too_many_hashes", "hash_ratio", ">", "max_hash_ratio"),
            Rule("gopher_too_many_ellipsis", "ellipsis_ratio", ">", "max_ellipsis_ratio"),
            Rule("gopher_too_many_bullets", "bullet_line_ratio", ">", "max_bullet_lines"),
            Rule("gopher_too_many_end_ellipsis", "ellipsis_line_ratio", ">", "max_ellipsis_lines"),
            Rule("gopher_below_alpha_threshold", "alpha_word_ratio", "<", "min_alpha_words"),
            Rule("gopher_enough_stop_words", "stop_word_count", "<", "min_stop_words"),
        )

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        return _Bound(self.stop_words)


class _Bound:
    def __init__(self, stop_words: tuple[str, ...] | Literal["by_script"]) -> None:
        # numba takes half a second to import, which naming a step should not cost.
        from datatools.kernels.text_stats import text_stats

        self._text_stats = text_stats
        self._by_script = stop_words == "by_script"
        self._stop_words = (
            ENGLISH_STOP_WORDS if self._by_script else tuple(word.lower() for word in stop_words)
        )

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one row of measures per record."""
        stats = self._text_stats(
            *batch.buffers("text"), stop_words=self._stop_words, endings=KOREAN_ENDINGS
        )
        words, lines = stats["words"], stats["lines"]
        hangul = 2 * stats["hangul_letters"] > stats["letters"]
        mean_word_length = _ratio(stats["word_chars"], words)
        return pl.DataFrame(
            {
                "script": pl.Series(np.where(hangul, _HANGUL, _OTHER).tolist(), dtype=pl.String),
                "word_count": words,
                "mean_word_length": mean_word_length,
                "mean_word_length_hangul": np.where(hangul, mean_word_length, NOT_APPLICABLE),
                "mean_word_length_other": np.where(hangul, NOT_APPLICABLE, mean_word_length),
                "hash_ratio": _ratio(stats["hashes"], words),
                "ellipsis_ratio": _ratio(stats["ellipses"], words),
                "bullet_line_ratio": _ratio(stats["bullet_lines"], lines),
                "ellipsis_line_ratio": _ratio(stats["ellipsis_lines"], lines),
                "alpha_word_ratio": _ratio(stats["alpha_words"], words),
                "stop_word_count": stats["stop_words"]
                + (stats["endings"] if self._by_script else 0),
            }
        )


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    # 0 of 0 is 0.
    return part / np.maximum(whole, 1)
