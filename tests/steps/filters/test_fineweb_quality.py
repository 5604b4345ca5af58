import polars as pl
import pytest

from datatools.steps.base import Batch, Context
from datatools.steps.filters.fineweb_quality import FineWebQuality

RULES = {
    "min_filled_lines": None,
    "min_ended_lines": None,
    "max_short_lines": None,
    "max_copied_chars": None,
    "max_line_feeds_per_word": None,
}


def reasons(step, texts):
    kept, dropped = step.apply(pl.DataFrame({"n": range(len(texts)), "text": texts}))
    found = dict(zip(dropped["n"], dropped["reason"], strict=True)) | dict.fromkeys(kept["n"])
    return [found[n] for n in range(len(texts))]


BOUNDARIES = [
    # field, threshold, a text exactly at it, a text beyond it, reason
    ("min_filled_lines", 1, "가", " \n", "empty"),
    ("min_ended_lines", 0.5, "가다.\nb", "가다.\nb\nc", "line_punct_ratio"),
    ("max_short_lines", 0.5, "짧다\n" + "가" * 31, "짧다\n짧고\n" + "가" * 31, "short_line_ratio"),
    ("max_copied_chars", 0.25, "가나\n가나\n다라마바", "가나\n가나\n다라마", "char_dup_ratio"),
    ("max_line_feeds_per_word", 0.5, "a b\nc d\n", "a b\nc\n", "list_ratio"),
]


@pytest.mark.parametrize(("field", "threshold", "at", "beyond", "reason"), BOUNDARIES)
def test_a_text_at_a_threshold_stays_and_one_beyond_leaves(field, threshold, at, beyond, reason):
    only = FineWebQuality(**{**RULES, field: threshold})
    assert reasons(only, [at, beyond]) == [None, reason]


def test_the_first_fineweb_dropped_at_the_threshold_too():
    at = "가다.\nb"
    version = {**RULES, "min_ended_lines": 0.5}
    assert reasons(FineWebQuality(profile="datatrove-0.3", **version), [at]) == ["line_punct_ratio"]
    assert reasons(FineWebQuality(profile="datatrove-0.10", **version), [at]) == [None]


def test_the_first_fineweb_counted_blank_lines():
    text = "끝났다.\n\n\n" * 3
    version = {**RULES, "min_ended_lines": 0.5}
    assert reasons(FineWebQuality(profile="datatrove-0.3", **version), [text]) == [
        "line_punct_ratio"
    ]
    assert reasons(FineWebQuality(profile="datatrove-0.10", **version), [text]) == [None]


@pytest.mark.parametrize("text", ["He said “stop.”\n", "그는 “그만”이라고 했다.\r\n"])
def test_quotes_and_carriage_returns_hide_a_full_stop_from_datatrove_only(text):
    only = {**RULES, "min_ended_lines": 0.9}
    assert reasons(FineWebQuality(**only), [text]) == [None]
    found = reasons(FineWebQuality(profile="datatrove-0.10", **only), [text])
    assert found == ["line_punct_ratio"]


def test_the_paper_allows_ten_times_the_copies():
    text = "\n".join(["같은 줄이다.", "같은 줄이다.", "다른 긴 줄이 여기에 이어진다. " * 8])
    only = {name: None for name in RULES if name != "max_copied_chars"}
    assert reasons(FineWebQuality(profile="paper", **only), [text]) == [None]
    assert reasons(FineWebQuality(profile="datatrove-0.10", **only), [text]) == ["char_dup_ratio"]


def test_a_text_without_words_has_zeros():
    measured = FineWebQuality().bind(Context()).measure(Batch(pl.DataFrame({"text": ["", " \n"]})))
    assert set(measured.row(0)) == {0}
    assert set(measured.row(1)[:4]) == {0}
