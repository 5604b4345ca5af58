"""`Decontaminate`: keeps evaluation sets out of what a model learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from datatools.errors import ConfigError
from datatools.kernels.token_windows import WORD_LENGTH
from datatools.steps.base import Cuts, Decisions, Global, Rows, Table, Tally
from datatools.steps.decontamination.evaluation_sets import Benchmark
from datatools.steps.decontamination.evaluation_windows import (
    CommonWindows,
    DatasetTexts,
    EvaluationItems,
    EvaluationWindows,
    FirstItems,
    Search,
)
from datatools.steps.decontamination.overlaps import (
    BestItems,
    CountFound,
    CountItems,
    Evidence,
    MostFound,
    Overlaps,
    Rule,
    Spans,
    Widened,
)

__all__ = ["Decontaminate"]


class Decontaminate(Global):
    """Remove documents, or the passages in them, that hold texts of evaluation sets.

    Every text of every item is looked for by itself: a window of `ngram` words that a document
    shares with it is found there, and the text's share that found windows cover decides
    (`min_found`), or the document's (`min_share`). What reads like an evaluation text and is none
    of it (a paraphrase, another problem of the same form) shares no window and stays.

    The unit follows the script, letter by letter: words where there are spaces between words; the
    letters of Hangul, Han, Kana, Thai, Lao, Khmer and Myanmar are counted singly, two for a word.
    Korean is found under other spacing and other particles. Compared are Unicode's composed form
    (NFC) in lower case, without punctuation, symbols, spacing and invisible characters; digits are
    compared as they are.

    A window that stands in more than `max_documents` documents which do not hold nine tenths of its
    text is a common phrase, such as a licence or a proverb, and is not counted. Copies of an item
    do not make it common. Texts shorter than a window are not looked for, unless `min_length` says
    so; the report counts them.

    A dropped document names the item of which most was found, and the matched words. The manifest,
    the card and the report have a table of evaluation sets and one of the items found most.

    Example:
        >>> import json, tempfile, polars as pl
        >>> question = "어느 마을에 사과나무 세 그루가 있고 나무마다 사과가 일곱 개씩 열렸다"
        >>> file = tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8")
        >>> _ = file.write(json.dumps({"question": question}) + chr(10)), file.flush()
        >>> texts = [f"수학 문제 모음. {question}. 모두 몇 개일까?", "사과나무를 심은 마을 이야기"]
        >>> sets = {"apples": {"path": file.name, "fields": ["question"]}}
        >>> step = Decontaminate(benchmarks=sets)
        >>> kept, dropped = step.apply(pl.DataFrame({"text": texts}))
        >>> dropped["reason"].to_list(), json.loads(dropped["detail"][0])["item"]
        (['contaminated'], '0')

    References:
        Nathan Lambert et al., Tulu 3, 2024, section 3.2 (8-grams, half of a text's tokens). Tom B.
        Brown et al., Language Models are Few-Shot Learners, 2020, appendix C (texts from 8 words
        on; what is in more than 10 documents is common).
    """

    version: ClassVar[int] = 1

    benchmarks: Mapping[str, Benchmark] = Field(default_factory=dict)
    """Evaluation sets in files by name, each with its `path`, its `fields` that are texts, and
    optionally the field `id`."""
    against: tuple[str, ...] = ()
    """Other datasets of the pipeline whose documents are evaluation texts, such as what was held
    out."""
    action: Literal["drop", "cut", "report"] = "drop"
    """What becomes of a contaminated document: it is dropped; the matched passages are cut out of
    it; or it stays and is only told, in the columns `Decontaminate.found` (the largest share of an
    evaluation text found in it), `.share` (of the document), `.item` and `.matched`."""
    ngram: int = Field(8, ge=2, le=1000)
    """Length of a window in words; two letters of Hangul and of scripts without spaces count as
    one. Raising it finds fewer edited copies and fewer chance matches."""
    min_length: int | None = Field(None, ge=1)
    """Shortest evaluation text that is looked for, in words; by default `ngram`. A text between the
    two must stand whole in a document, and a phrase that many know is then found in many. Raising
    it leaves more items unchecked, which the report counts."""
    min_found: float = Field(0.5, gt=0, le=1)
    """Share of an evaluation text that a document must hold, from 0 to 1. Raising it removes
    less; a value near 0 removes what shares one window."""
    min_share: float | None = Field(0.5, gt=0, le=1)
    """Share of a document that evaluation texts must be, together: what a piece of a long passage
    is found by. Raising it removes less; null switches the rule off."""
    max_documents: int | None = Field(10, ge=1)
    """Most documents a window may be in that do not hold its text; one in more is a common phrase.
    Raising it removes more; null counts every window."""
    margin: int = Field(0, ge=0)
    """Characters on both sides of a matched passage that are cut with it (`action: cut` only), such
    as the answer after a question. Raising it removes more."""

    @field_validator("against", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        def wrong(field: str, problem: str, hint: str, **got: Any) -> ConfigError:
            return ConfigError(field, problem, hint=hint, **got)

        if not self.benchmarks and not self.against:
            hint = (
                "Add `benchmarks: {NAME: {path: FILE, fields: [FIELD]}}` or `against: [DATASET]`."
            )
            raise wrong("benchmarks", "names nothing to look for", hint)
        both = sorted(set(self.benchmarks) & set(self.against))
        if both:
            raise wrong("against", "names a set of `benchmarks`, too", "Rename it.", got=both[0])
        if self.min_length is not None and self.min_length > self.ngram:
            hint = f"Lower it to {self.ngram} or less, or raise `ngram`."
            raise wrong("min_length", "is longer than a window", hint, got=self.min_length)
        if self.margin and self.action != "cut":
            hint = "Remove it, or set `action: cut`."
            raise wrong("margin", f"does nothing with `action: {self.action}`", hint)
        return self

    def reads(self) -> frozenset[str]:
        """Return id and text."""
        return frozenset({"id", "text"})

    def references(self) -> Sequence[str]:
        """Return the datasets named by `against`."""
        return self.against

    def reads_of(self, reference: str) -> frozenset[str]:
        """Return id and text."""
        return frozenset({"id", "text"})

    def digests(self) -> Mapping[str, str]:
        """Return what the files of the evaluation sets hold."""
        return {name: benchmark.digest() for name, benchmark in self.benchmarks.items()}

    def explains(self) -> Sequence[str]:
        """Return the unit, the normalisation and what is not checked."""
        letters = "letters of Hangul, Han, Kana, Thai, Lao, Khmer or Myanmar"
        size, least = self._lengths
        return [
            f"windows of {self.ngram} words or {size} {letters}, mixed as two letters to a word",
            "compared in NFC and lower case, without punctuation, symbols and spacing",
            f"texts from {least // WORD_LENGTH} words or {least} letters on"
            + ("; those shorter than a window whole" if least < size else ""),
        ]

    @property
    def _lengths(self) -> tuple[int, int]:
        return WORD_LENGTH * self.ngram, WORD_LENGTH * (self.min_length or self.ngram)

    def lower(self, rows: Rows, others: Mapping[str, Rows]) -> Decisions | Cuts:
        """Look for every window of the evaluation texts, then count what each document holds."""
        size, least = self._lengths
        texts = self._texts(rows, others)
        wanted = texts.reduce(EvaluationWindows(size, least), name="evaluation windows")
        items = texts.reduce(EvaluationItems(size, least), name="evaluation items")
        search = Search(size, least)
        hits = rows.map_beside(wanted, search, columns=("text",), name="search")
        notes = {}
        if self.max_documents is not None:
            common = hits.group_by(
                "window",
                CommonWindows(self.max_documents),
                order_by=("row",),
                at_least=self.max_documents + 1,
                name="common windows",
            )
            notes["common_windows"] = common.rows
            hits = hits.join(common, "window", how="anti", name="counted windows")
        rule = Rule(self.min_found, self.min_share)
        order = ("text", "start", "stop", "at")
        overlaps = hits.group_by("row", Overlaps(rule), order_by=order, name="overlaps")
        named = overlaps.join(items, "text", how="inner", name="found items")
        best = named.group_by("row", BestItems(), order_by=("number",), name="best items")
        evidence = Evidence(self.action == "drop", rows.context.label)
        told = rows.lookup(best, evidence, on=("row",), columns=("text",), name="evidence")
        tallies = self._tallies(items, named, told)
        if self.action == "cut":
            spans = hits.group_by("row", Spans(rule), order_by=order, name="spans").join(
                items.reduce(FirstItems(), name="named texts"), "text", how="inner", name="named"
            )
            wide = Widened(self.margin)
            cuts = rows.lookup(spans, wide, on=("row",), columns=("text",), name="cuts")
            return Cuts(cuts, empty="nothing_left", notes=notes, told="item", tallies=tallies)
        columns = evidence.columns if self.action == "report" else {}
        return Decisions(told, columns, notes=notes, tallies=tallies)

    def _texts(self, rows: Rows, others: Mapping[str, Rows]) -> Table:
        """Return the evaluation texts, with the columns `TEXTS`."""
        tables = [
            rows.make(reader, name=f"items of {name}")
            for name, benchmark in self.benchmarks.items()
            for reader in benchmark.readers(name)
        ]
        tables += [
            others[name].map_shards(
                DatasetTexts(name), columns=("id", "text"), name=f"texts of {name}"
            )
            for name in self.against
        ]
        whole = tables[0]
        for table in tables[1:]:
            whole = whole.followed_by(table)
        return whole

    def _tallies(self, items: Table, named: Table, told: Table) -> tuple[Tally, ...]:
        """Count by evaluation set, and name the items found most."""
        checked = items.reduce(CountItems(), name="items by set").collect()
        found = named.reduce(CountFound(self.min_found), name="found by set").collect()
        most = told.reduce(MostFound(), name="items found most").collect()
        sets = checked.join(found, on="benchmark", how="left").fill_null(0)
        order = {name: at for at, name in enumerate((*self.benchmarks, *self.against))}
        rows = sorted(sets.iter_rows(named=True), key=lambda row: order[row["benchmark"]])
        return Tally("evaluation sets", rows), Tally("items found most", most.to_dicts())
