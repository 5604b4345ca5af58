import polars as pl
import pytest
from pydantic import ValidationError

from datatools.steps.base import Batch, Context
from datatools.steps.language.code_switching import CodeSwitching

KOREAN = [
    "장독대는 집에서 볕이 가장 잘 드는 곳에 둔다.",
    "맑은 날에는 뚜껑을 열어 햇볕을 쬐고 비가 오면 덮는다.",
    "아이들은 그 옆에서 공기놀이를 하며 어른들을 기다린다.",
]
ENGLISH = [
    "The jars stand where the yard gets the most sun of the whole day.",
    "On dry days the lids come off, and when it rains they are put back.",
    "The children play with pebbles beside them and wait for the grown-ups.",
]


def measured(*texts, **fields):
    return CodeSwitching(**fields).bind(Context()).measure(Batch(pl.DataFrame({"text": texts})))


@pytest.mark.parametrize("lines", [KOREAN, ENGLISH])
@pytest.mark.parametrize("engine", ["fasttext", "langdetect"])
def test_texts_in_one_language_have_no_share_of_another(lines, engine):
    row = measured("\n".join(lines), engine=engine).row(0)
    assert row[1:] == (0, 0, 0)


@pytest.mark.parametrize(("main", "other"), [(KOREAN, ENGLISH), (ENGLISH, KOREAN)])
def test_one_paragraph_in_another_language_is_a_quarter_of_four(main, other):
    row = measured("\n".join([*main, other[0]])).row(0, named=True)
    assert row["language"] == ("ko" if main is KOREAN else "en")
    assert row["other_paragraph_share"] == 0.25
    assert 0.2 < row["other_language_share"] < 0.3
    assert row["foreign_script_share"] == row["other_language_share"]


def test_rules_drop_what_is_mixed_and_say_by_which_measure():
    half = "\n".join([*KOREAN, *ENGLISH])
    words = "한국 Windows 업데이트 version 확인 방법"
    frame = pl.DataFrame({"text": [half, words, "\n".join(KOREAN), "12 + 30"]})
    step = CodeSwitching(max_other_language=0.3, max_foreign_script=0.2)
    kept, dropped = step.apply(frame)
    assert kept["text"].to_list() == ["\n".join(KOREAN), "12 + 30"]
    assert dropped["reason"].to_list() == ["code_switching", "code_switching_script"]
    kept, dropped = CodeSwitching(max_other_language=None, max_other_paragraphs=0.4).apply(frame)
    assert dropped["reason"].to_list() == ["code_switching_paragraphs"]


def test_words_too_short_to_tell_are_not_called_switching():
    text = "\n".join([ENGLISH[0], "Menu", "FAQ", "Kontakt", ENGLISH[1]])
    assert measured(text)["other_paragraph_share"].item() == 0


def test_the_measures_do_not_depend_on_batch_boundaries():
    texts = ["\n".join([*KOREAN, *ENGLISH[:n]]) for n in range(3)] + ["", "12", KOREAN[0]]
    one_by_one = pl.concat([measured(text) for text in texts])
    assert one_by_one.equals(measured(*texts))


def test_a_null_is_measured_like_an_empty_text():
    frame = pl.DataFrame({"text": [None, ""]}, schema={"text": pl.String})
    rows = CodeSwitching().bind(Context()).measure(Batch(frame)).rows()
    assert rows == [("und", 0, 0, 0)] * 2


def test_thresholds_do_not_enter_the_key_of_the_measures():
    assert CodeSwitching().threshold_fields() == {
        "max_other_language",
        "max_other_paragraphs",
        "max_foreign_script",
    }


@pytest.mark.parametrize(
    "fields", [{"max_other_language": 1.5}, {"min_score": -1}, {"engine": "cld2"}, {"max_chars": 0}]
)
def test_wrong_fields_are_refused(fields):
    with pytest.raises(ValidationError):
        CodeSwitching(**fields)
