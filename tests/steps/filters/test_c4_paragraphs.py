import polars as pl
import pytest

from datatools.steps.filters.c4_paragraphs import C4Paragraphs


def kept(texts, **fields):
    frame = pl.DataFrame({"n": range(len(texts)), "text": texts})
    return C4Paragraphs(**fields).apply(frame)[0]["n"].to_list()


@pytest.mark.parametrize("letter", ["a", "가", "😀"])
def test_three_paragraphs_of_200_characters_are_enough_and_of_199_are_not(letter):
    long, short = letter * 200, letter * 199
    pages = ["\n".join([long] * 3), "\n".join([long, "", long, short, long]), "\n".join([long] * 2)]
    assert kept([*pages, "\n".join([long, long, short]), ""]) == [0, 1]


def test_whitespace_counts_and_other_line_ends_do_not():
    spaced = " " * 100 + "나" * 100
    assert kept(["\n".join([spaced] * 3), "\r".join([spaced] * 3)]) == [0]


def test_korean_needs_shorter_paragraphs():
    korean = "\n".join(["한국어 문단은 짧아도 할 말을 다 한다. " * 5] * 3)
    assert kept([korean]) == []
    assert kept([korean], long_paragraph=90) == [0]
