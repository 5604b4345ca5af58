"""Gopher's quality rules, with a Korean reading of the two that would delete Korean.

Owns the thresholds, the profiles and what each ratio divides. Refuses: counting
(`kernels.text_stats`, `kernels.token_stats`) and repetition (`GopherRepetition`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from datatools.steps.base import Batch, Context, Filter, Rule
from datatools.steps.filters.profiles import Profile, Profiled
from datatools.steps.filters.tokens import WordCut, tokens_of
from datatools.steps.filters.word_lists import (
    DATATROVE_PUNCTUATION,
    ENGLISH_STOP_WORDS,
    KOREAN_ENDINGS,
)

__all__ = ["GopherQuality"]

BULLETS: Final = "•●◦‣▪■□○-*·ㆍ"
"""Characters that begin a list item: those of datatrove (• -) and DCLM (● *), and the marks of
Korean documents (○ ■ □ · ㆍ)."""

_HANGUL, _OTHER = "hangul", "other"

Ratio = Annotated[float, Field(ge=0, le=1)]
WordLength = Annotated[float, Field(ge=0, le=1000)]


class GopherQuality(Profiled, Filter):
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

    Other readings of these rules are profiles. `paper` has no Korean reading and drops nearly all
    Korean. `datatrove-0.10` decides as datatrove's `GopherQualityFilter` does: its words are
    spaCy's English tokens, among which every comma is one, so that on web text `min_alpha_words`
    drops several times as many documents. `fineweb2-korean` has FineWeb-2's thresholds for Korean;
    its stop words are morphemes there, and endings of words here.

    Empty and whitespace-only texts have 0 in every measure and are dropped by `min_words`, or with
    that rule off by the next.

    References:
        Jack Rae et al., Scaling Language Models: Methods, Analysis & Insights from Training Gopher,
        2021, section A1.1 (rules and thresholds). Reason codes are datatrove's.
        Guilherme Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml` and `fineweb-2-pipeline.py`.

    Example:
        >>> import polars as pl
        >>> texts = ["the cat sat with the dog", "나는 오늘 집에 갔다.", "### ###"]
        >>> kept, dropped = GopherQuality(min_words=4).apply(pl.DataFrame({"text": texts}))
        >>> kept["text"].to_list(), dropped["reason"].to_list()
        (['the cat sat with the dog', '나는 오늘 집에 갔다.'], ['gopher_short_doc'])
    """

    version: ClassVar[int] = 2
    measures: ClassVar[Mapping[str, Any]] = {
        "script": pl.String,
        "word_count": pl.Int64,
        "mean_word_length": pl.Float64,
        "hash_ratio": pl.Float64,
        "ellipsis_ratio": pl.Float64,
        "bullet_line_ratio": pl.Float64,
        "ellipsis_line_ratio": pl.Float64,
        "alpha_word_ratio": pl.Float64,
        "stop_word_count": pl.Int64,
    }

    definitions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "words": (
            *("min_words", "max_words", "min_mean_word_length", "min_mean_word_length_hangul"),
            *("max_mean_word_length", "max_hash_ratio", "max_ellipsis_ratio", "min_alpha_words"),
            "min_stop_words",
        ),
        "marks_are_words": (
            *("min_words", "max_words", "min_mean_word_length", "min_mean_word_length_hangul"),
            "max_mean_word_length",
        ),
        "lines": ("max_bullet_lines", "max_ellipsis_lines"),
        "bullets": ("max_bullet_lines",),
        "stop_words": ("min_stop_words",),
        "fold_stop_words": ("min_stop_words",),
    }
    profiles: ClassVar[Mapping[str, Profile]] = {
        "datatools": Profile("Rae et al., 2021, section A1.1, and the Korean reading above", {}),
        "paper": Profile(
            "Rae et al., 2021, section A1.1; lines and bullets as datatools has them",
            {"min_mean_word_length_hangul": 3.0, "stop_words": ENGLISH_STOP_WORDS},
        ),
        "datatrove-0.10": Profile(
            "datatrove 0.10, `gopher_quality_filter.py`, English (spaCy 3.8)",
            {
                "words": "english_tokens",
                "marks_are_words": False,
                "lines": "splitlines",
                "bullets": "•-",
                "min_mean_word_length_hangul": 3.0,
                "stop_words": ENGLISH_STOP_WORDS,
                "fold_stop_words": False,
            },
        ),
        "fineweb2-korean": Profile(
            "Penedo et al., FineWeb2, 2025, `configs/kor_Hang.yml`, `fineweb-2-pipeline.py`",
            {
                "marks_are_words": False,
                "lines": "splitlines",
                "bullets": "•-",
                "min_mean_word_length": 1.0,
                "min_mean_word_length_hangul": 1.0,
                "max_mean_word_length": 6.0,
                "min_alpha_words": 0.791,
            },
        ),
    }

    profile: Literal["datatools", "paper", "datatrove-0.10", "fineweb2-korean"] = "datatools"
    """Whose reading of the rules the other fields follow where they are not given."""
    words: WordCut = "whitespace"
    """What a word is: what stands between whitespace, or spaCy's English tokens, of which marks and
    the halves of contractions are some."""
    marks_are_words: bool = True
    """Whether words of nothing but punctuation (datatrove's list) count for `min_words`,
    `max_words` and the mean length."""
    lines: Literal["filled", "line_feeds", "splitlines"] = "filled"
    """What a line is: a piece between line feeds that is not blank; the same, blank ones too; or
    what `str.splitlines` gives, blank ones too."""
    bullets: str = BULLETS
    """Characters that begin a list item, after whitespace."""
    min_words: Annotated[int, Field(ge=0)] | None = 50
    """Fewest words. Raising it drops more short documents; null switches the rule off."""
    max_words: Annotated[int, Field(ge=0)] | None = 100_000
    """Most words. Raising it keeps longer documents; null switches the rule off."""
    min_mean_word_length: WordLength | None = 3.0
    """Smallest mean length of a word, in characters, for text that is not mostly Hangul. Raising it
    drops more; null switches the rule off."""
    min_mean_word_length_hangul: WordLength | None = 1.5
    """Smallest mean length of a word, in characters, for text whose letters are mostly Hangul.
    Korean prose has about 3. `paper` and datatrove make no difference and have 3. Raising it drops
    more; null switches the rule off."""
    max_mean_word_length: WordLength | None = 10.0
    """Largest mean length of a word, in characters, for every script. Raising it keeps more; null
    switches the rule off."""
    max_hash_ratio: Annotated[float, Field(ge=0)] | None = 0.1
    """Most `#` signs per word. Raising it keeps more; null switches the rule off."""
    max_ellipsis_ratio: Annotated[float, Field(ge=0)] | None = 0.1
    """Most ellipses (`...` or `…`) per word. Raising it keeps more; null switches the rule off."""
    max_bullet_lines: Ratio | None = 0.9
    """Largest share of lines that begin with a bullet (one of `bullets`). Raising it keeps
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
    of Hangul words. A list is compared with whole words of every text; for languages other than
    English and Korean give their own, or switch `min_stop_words` off."""
    fold_stop_words: bool = True
    """Whether `The` is the stop word `the`: both are lower-cased. Switching it off drops more."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order."""
        return (
            Rule("gopher_short_doc", "word_count", "<", "min_words"),
            Rule("gopher_long_doc", "word_count", ">", "max_words"),
            Rule(
                "gopher_below_avg_threshold",
                "mean_word_length",
                "<",
                "min_mean_word_length",
                only=("script", _OTHER),
            ),
            Rule(
                "gopher_below_avg_threshold",
                "mean_word_length",
                "<",
                "min_mean_word_length_hangul",
                only=("script", _HANGUL),
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
        return _Bound(self)


class _Bound:
    def __init__(self, step: GopherQuality) -> None:
        # numba takes half a second to import, which naming a step should not cost.
        from datatools.kernels.line_stats import line_stats
        from datatools.kernels.text_stats import text_stats
        from datatools.kernels.token_stats import token_stats

        self._text_stats, self._token_stats = text_stats, token_stats
        self._line_stats = line_stats
        self._step = step
        self._by_script = step.stop_words == "by_script"
        listed = ENGLISH_STOP_WORDS if step.stop_words == "by_script" else step.stop_words
        self._stop_words = (
            tuple(word.lower() for word in listed) if step.fold_stop_words else listed
        )

    def measure(self, batch: Batch) -> pl.DataFrame:
        """Return one row of measures per record."""
        buffers = batch.buffers("text")
        plain = self._step.words == "whitespace" and self._step.marks_are_words
        stats = self._text_stats(
            *buffers,
            stop_words=self._stop_words if plain and self._step.fold_stop_words else (),
            endings=KOREAN_ENDINGS if self._by_script else (),
            bullets=self._step.bullets,
        )
        words, chars, tokens = stats["words"], stats["word_chars"], stats["words"]
        alpha, stops = stats["alpha_words"], stats["stop_words"]
        if not plain or not self._step.fold_stop_words:
            found = self._token_stats(
                *buffers,
                tokens_of(batch, self._step.words),
                punctuation="" if self._step.marks_are_words else DATATROVE_PUNCTUATION,
                stop_words=self._stop_words,
                fold=self._step.fold_stop_words,
            )
            words, chars, tokens = found["words"], found["word_chars"], found["tokens"]
            alpha, stops = found["alpha_tokens"], found["stop_words"]
        lines = stats
        if self._step.lines != "filled":
            lines = self._line_stats(
                *buffers,
                cut=self._step.lines,
                stripped=True,
                bullets=self._step.bullets,
                ellipses=("...", "…"),
            )
        hangul = 2 * stats["hangul_letters"] > stats["letters"]
        return pl.DataFrame(
            {
                "script": pl.Series(np.where(hangul, _HANGUL, _OTHER).tolist(), dtype=pl.String),
                "word_count": words,
                "mean_word_length": _ratio(chars, words),
                "hash_ratio": _ratio(stats["hashes"], tokens),
                "ellipsis_ratio": _ratio(stats["ellipses"], tokens),
                "bullet_line_ratio": _ratio(lines["bullet_lines"], lines["lines"]),
                "ellipsis_line_ratio": _ratio(lines["ellipsis_lines"], lines["lines"]),
                "alpha_word_ratio": _ratio(alpha, tokens),
                "stop_word_count": stops + stats["endings"],
            }
        )


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    # 0 of 0 is 0.
    return part / np.maximum(whole, 1)
