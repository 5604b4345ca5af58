"""C4's cleaning: lines that are no sentences leave, then pages with too few.

Owns the profiles and what becomes of a page. Refuses: the line rules themselves
(`kernels.c4_lines`), bad words (`BadWords`), languages and deduplication.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import Field

from datatools.steps.base import Batch, Context, Map, Mapped
from datatools.steps.filters.profiles import Profile, Profiled
from datatools.steps.filters.word_lists import TERMINAL_MARKS

if TYPE_CHECKING:
    from datatools.kernels.c4_lines import C4Lines

__all__ = ["C4Quality"]

Count = Annotated[int, Field(ge=0)]
C4_MARKS: Final = '.?!"'
CLOSING_QUOTES: Final = "”’»」』"


class C4Quality(Profiled, Map):
    r"""Keep the lines of a page that end as sentences do, and the pages that have enough of them.

    In this order a line leaves that has an endless word, no end mark (or `...` for one), too few
    words, the word javascript or a word of cookie and privacy policies. Citations such as `[1]` are
    cut out of those that stay. "Lorem ipsum" or a curly bracket drops the whole page, if the line
    it is in has come that far. At last the sentences are counted. What lines lose is told per
    reason; a page leaves with `lorem_ipsum`, `curly_bracket`, `too_few_sentences`, or
    `nothing_left` where sentences are not counted.

    The paper's rules are for English. Here typographic quotation marks end a line as ASCII ones do,
    the full stops of all scripts count, and a line in Hangul needs `min_words_hangul` words: what
    English says in five, Korean says in two or three.

    Profiles: `paper` is the text in its current edition (the first one had 3 words and 5
    sentences); `tfds` is the reference code in TensorFlow Datasets, which counts sentences with
    NLTK's Punkt, here with end marks; `datatrove-0.10` decides as datatrove's `C4QualityFilter`,
    which ends lines at `'` too, counts words before citations are cut, and sentences with spaCy.
    FineWeb used that with `end_marks: null`.

    References:
        Colin Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer, JMLR 2020, section 2.2. Reasons are datatrove's (`c4_filters.py`).

    Example:
        >>> import polars as pl
        >>> page = "Home | Login\nWe walked to the sea.\nIt was cold and bright.\nNobody was there."
        >>> kept, dropped = C4Quality(min_words=3).apply(pl.DataFrame({"text": [page, "{ }"]}))
        >>> kept["text"].to_list()
        ['We walked to the sea.\nIt was cold and bright.\nNobody was there.']
        >>> dropped["reason"].to_list()
        ['too_few_sentences']
    """

    definitions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "count_words": ("min_words", "min_words_hangul"),
        "sentences": ("min_sentences",),
    }
    profiles: ClassVar[Mapping[str, Profile]] = {
        "datatools": Profile("Raffel et al., 2020, section 2.2, and the reading above", {}),
        "paper": Profile(
            "Raffel et al., 2020, section 2.2, current edition",
            {
                "end_marks": C4_MARKS,
                "min_words_hangul": 5,
                "max_word_length": None,
                "citations": "cut",
            },
        ),
        "tfds": Profile(
            "TensorFlow Datasets, `c4_utils.py`; sentences by end marks for Punkt's",
            {"end_marks": C4_MARKS, "min_words_hangul": 5, "citations": "cut"},
        ),
        "datatrove-0.10": Profile(
            "datatrove 0.10, `c4_filters.py`, English (spaCy 3.8)",
            {
                "end_marks": C4_MARKS + "'",
                "min_words": 3,
                "min_words_hangul": 3,
                "count_words": "before_citations",
                "citations": "cut",
                "sentences": "english_tokens",
                "min_sentences": 5,
            },
        ),
    }

    profile: Literal["datatools", "paper", "tfds", "datatrove-0.10"] = "datatools"
    """Whose reading of the rules the other fields follow where they are not given."""
    max_word_length: Count | None = 1000
    """Most characters of a word, else its line leaves. Raising it keeps more; null switches the
    rule off."""
    citations: Literal["keep", "cut", "cut_and_strip"] = "cut_and_strip"
    """What is done with `[1]`, `[edit]` and `[citation needed]`: nothing; they are cut out; and the
    space that stood before them goes, too, which else hides the full stop before it."""
    end_marks: str | None = TERMINAL_MARKS + '"' + CLOSING_QUOTES
    """Characters of which a line must end in one, and not in `...`. Null keeps lines with any end,
    as FineWeb did."""
    min_words: Count = 5
    """Fewest words (between whitespace) of a line, else it leaves. Raising it removes more; 0
    switches the rule off."""
    min_words_hangul: Count = 2
    """The same for a line whose letters are mostly Hangul."""
    count_words: Literal["before_citations", "after_citations"] = "after_citations"
    """Whether a citation between spaces is a word."""
    lorem_ipsum: bool = True
    """Whether "lorem ipsum" drops the page."""
    javascript: bool = True
    """Whether a line that says javascript leaves."""
    curly_bracket: bool = True
    """Whether `{` drops the page, as a sign of code."""
    policy: bool = True
    """Whether a line about cookies, privacy policies or terms of use leaves (six English
    phrases)."""
    sentences: Literal["end_marks", "english_tokens"] = "end_marks"
    """What a sentence is: what a terminal mark of any script ends before whitespace; or what
    spaCy's sentencizer finds in English tokens."""
    min_sentences: Count | None = 3
    """Fewest sentences of a page. Raising it drops more; null switches the rule off."""

    def reads(self) -> frozenset[str]:
        """Return the columns this step needs."""
        return frozenset({"text"})

    def bind(self, context: Context) -> _Bound:
        """Return the step made ready for one worker."""
        return _Bound(self)


class _Bound:
    def __init__(self, step: C4Quality) -> None:
        # numba takes half a second to import, which naming a step should not cost.
        from datatools.kernels import c4_lines, english_tokens

        self._kernels, self._english = c4_lines, english_tokens
        self._step = step

    def _count_sentences(self, lines: C4Lines, enough: int) -> npt.NDArray[np.int64]:
        """Return each page's sentences, or its lines where those are enough, one sentence each."""
        counts = np.diff(lines.rows)
        never_blank = self._step.end_marks is not None or self._step.min_words > 0
        pages = counts < enough if never_blank else np.ones(len(counts), np.bool_)
        each = pa.LargeStringArray.from_buffers(
            len(lines.offsets) - 1, pa.py_buffer(lines.offsets), pa.py_buffer(lines.data)
        ).filter(pa.array(np.repeat(pages, counts)))
        buffers = Batch(pl.DataFrame({"line": pl.from_arrow(each)})).buffers("line")
        if self._step.sentences == "english_tokens":
            sentences = self._english.english_sentences(*buffers)
        else:
            sentences = self._kernels.sentences(*buffers, marks=TERMINAL_MARKS + "…")
        before = np.concatenate([[0], np.cumsum(sentences)])
        ends = np.cumsum(np.where(pages, counts, 0))
        starts = ends - np.where(pages, counts, 0)
        return np.where(pages, before[ends] - before[starts], counts)

    def map(self, batch: Batch) -> Mapped:
        """Return the rows with the lines that stay."""
        step, kernels = self._step, self._kernels
        lines = kernels.c4_lines(
            *batch.buffers("text"),
            max_word_length=step.max_word_length,
            cut_citations=step.citations != "keep",
            strip_again=step.citations == "cut_and_strip",
            end_marks=step.end_marks,
            min_words=step.min_words,
            min_words_hangul=step.min_words_hangul,
            count_after_citations=step.count_words == "after_citations",
            lorem_ipsum=step.lorem_ipsum,
            javascript=step.javascript,
            curly_bracket=step.curly_bracket,
            policy=step.policy,
        )
        rows = len(batch)
        if step.min_sentences is None:
            too_few, reason = lines.rows[1:] == lines.rows[:-1], "nothing_left"
            found = np.zeros(rows, np.int64)
        else:
            found = self._count_sentences(lines, step.min_sentences)
            too_few, reason = found < step.min_sentences, "too_few_sentences"
        dropped = [
            kernels.PAGE_REASONS[page] or (reason if few else None)
            for page, few in zip(lines.page.tolist(), too_few.tolist(), strict=True)
        ]
        detail = [
            f"{count} sentences, at least {step.min_sentences} wanted"
            if told == "too_few_sentences"
            else None
            for told, count in zip(dropped, found.tolist(), strict=True)
        ]
        stays = np.array([told is None for told in dropped], np.bool_)
        removed = lines.removed[stays].sum(axis=0).tolist()
        offsets, data = kernels.join_lines(lines)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        text = pl.from_arrow(pa.LargeStringArray.from_buffers(rows, *buffers[1:]))
        assert isinstance(text, pl.Series)
        return Mapped(
            batch.df.with_columns(text.alias("text")),
            dropped=pl.Series(dropped, dtype=pl.String),
            detail=pl.Series(detail, dtype=pl.String),
            removed={
                name: count
                for name, count in zip(kernels.LINE_REASONS, removed, strict=True)
                if count
            },
        )
