import polars as pl

from datatools.steps.filters.c4_quality import C4Quality

ENGLISH = """\
Home | News | Login
We walked down to the harbour before the sun was up.[1]
Nobody had slept, and nobody said a word about it.
"Do you think the boats will come back today?"
Click here
This site uses cookies to make your visit better.
"""
KOREAN = """\
홈 | 소식 | 로그인
우리는 해가 뜨기 전에 항구로 내려갔다.[1]
아무도 자지 못했고 아무도 그 이야기를 하지 않았다.
“오늘은 배가 돌아올까?”
여기를 누르세요
할 말이 없었다.
"""


def run(texts, **fields):
    frame = pl.DataFrame({"n": range(len(texts)), "text": texts})
    kept, dropped = C4Quality(**fields).apply(frame)
    texts = dict(zip(kept["n"], kept["text"], strict=True))
    return texts, dict(zip(dropped["n"], dropped["reason"], strict=True))


def test_english_and_korean_pages_keep_their_sentences_and_lose_their_menus():
    texts, dropped = run([ENGLISH, KOREAN])
    assert dropped == {}
    assert [len(text.split("\n")) for text in texts.values()] == [3, 4]
    assert "up.\n" in texts[0]
    assert "내려갔다.\n" in texts[1]


def test_the_papers_rules_drop_the_korean_page_that_datatools_keeps():
    texts, dropped = run([ENGLISH, KOREAN], profile="paper")
    assert list(texts) == [0]
    assert dropped == {1: "too_few_sentences"}


def test_datatrove_counts_words_before_citations_are_cut():
    page = "So [1] it. And so. And on. And on. The end."
    short = {"min_words": 0, "min_words_hangul": 0}
    assert run([page], profile="datatrove-0.10", **short)[1] == {}
    # Two words and a citation between them.
    line = "Yes [1] yes.\n"
    assert run([line * 5], profile="datatrove-0.10")[1] == {}
    counted_after = {"count_words": "after_citations"}
    assert run([line * 5], profile="datatrove-0.10", **counted_after)[1] == {0: "too_few_sentences"}


def test_a_typographic_quote_ends_a_line_here_and_not_in_the_paper():
    page = "“We shall see what the weather does.”\n" * 3
    assert run([page])[1] == {}
    assert run([page], profile="tfds")[1] == {0: "too_few_sentences"}


def test_what_lines_lose_is_told_per_reason():
    from datatools.steps.base import Batch, Context

    bound = C4Quality().bind(Context())
    mapped = bound.map(Batch(pl.DataFrame({"text": [ENGLISH, "Short."]})))
    assert mapped.removed == {
        "no_terminal_punct": len("Home | News | Login") + len("Click here"),
        "policy": len("This site uses cookies to make your visit better."),
        "citation": len("[1]"),
    }
    assert mapped.detail.to_list() == [None, "0 sentences, at least 3 wanted"]


def test_nothing_left_is_a_reason_where_sentences_are_not_counted():
    texts, dropped = run(["Home", "We walked to the old harbour."], min_sentences=None)
    assert dropped == {0: "nothing_left"}
    assert texts == {1: "We walked to the old harbour."}


def test_any_end_will_do_where_there_are_no_end_marks():
    page = "a line with no mark at its end\n" * 3
    assert run([page], end_marks=None)[1] == {}
    assert run([page])[1] == {0: "too_few_sentences"}
