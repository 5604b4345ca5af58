import polars as pl
import pytest
from pydantic import ValidationError

from datatools.records import conform
from datatools.steps.base import Batch, Context
from datatools.steps.language.detect_language import DetectLanguage
from datatools.steps.language.language_filter import LanguageFilter

TEXTS = [
    "장독대는 집에서 볕이 가장 잘 드는 곳에 둔다.",
    "The jars stand where the yard gets the most sun.",
    "Die Krüge stehen dort, wo der Hof am meisten Sonne bekommt.",
    "한국 Windows 11 업데이트 version",
    "0123456789",
    None,
]
LANGUAGES = ["ko", "en", "de", "ko", "und", "und"]


def batch(texts=TEXTS) -> Batch:
    ids = [str(number) for number in range(len(texts))]
    frame = pl.DataFrame({"id": ids, "text": texts}, schema={"id": pl.String, "text": pl.String})
    return Batch(conform(frame, "document"))


def test_each_row_is_measured_in_order():
    measured = LanguageFilter(keep=("ko",)).bind(Context()).measure(batch())
    assert measured["language"].to_list() == LANGUAGES
    assert measured.schema == LanguageFilter.measures
    scores = measured["language_score"].to_list()
    assert all(score > 0.5 for score in scores[:4])
    assert scores[4:] == [0.0, 0.0]


def test_the_measures_do_not_depend_on_batch_boundaries():
    bound = LanguageFilter(keep=("ko",)).bind(Context())
    parts = [bound.measure(batch([text])) for text in TEXTS]
    assert pl.concat(parts).equals(bound.measure(batch()))


def test_documents_leave_for_their_language_first_and_then_for_a_low_score():
    frame = pl.DataFrame({"text": ["jars", *(text or "" for text in TEXTS)]})
    step = LanguageFilter(keep=("ko", "en", "und"), min_score=0.6)
    kept, dropped = step.apply(frame)
    assert kept["text"].to_list() == [TEXTS[0], TEXTS[1], TEXTS[3]]
    assert dict(zip(dropped["text"], dropped["reason"], strict=True)) == {
        "jars": "language_low_score",
        TEXTS[2]: "language_not_kept",
        TEXTS[4]: "language_low_score",
        "": "language_low_score",
    }


def test_without_calibration_short_texts_score_as_the_engine_says():
    frame = pl.DataFrame({"text": ["jars"]})
    (raw,), (own,) = (
        LanguageFilter(keep=("en",), calibrate=flag).bind(Context()).measure(Batch(frame)).rows()
        for flag in (False, True)
    )
    assert raw[0] == own[0]
    assert raw[1] != own[1]


def test_texts_without_letters_can_be_kept():
    frame = pl.DataFrame({"text": ["123", "plain English text, nothing else"]})
    kept, _ = LanguageFilter(keep=("und",), min_score=None).apply(frame)
    assert kept["text"].to_list() == ["123"]


def test_thresholds_do_not_enter_the_key_of_the_measures():
    step = LanguageFilter(keep=("ko",))
    assert step.threshold_fields() == {"keep", "min_score"}


@pytest.mark.parametrize(
    "fields",
    [
        {"keep": ()},
        {"keep": ("kr",)},
        {"keep": ("jv",), "engine": "langdetect"},  # only fasttext knows Javanese
        {"keep": ("ko",), "min_score": 1.5},
        {"keep": ("ko",), "max_chars": 0},
        {"keep": ("ko",), "engine": "cld2"},
        {},
    ],
)
def test_wrong_fields_are_refused(fields):
    with pytest.raises(ValidationError):
        LanguageFilter(**fields)


def test_a_language_that_one_engine_knows_is_taken_from_it():
    assert LanguageFilter(keep=("jv",)).keep == ("jv",)


def test_detect_language_says_what_the_filter_measures():
    measured = LanguageFilter(keep=("ko",)).bind(Context()).measure(batch())
    mapped = DetectLanguage().bind(Context()).map(batch())
    assert mapped.df.select(measured.columns).equals(measured)


def test_the_column_engine_takes_what_detect_language_found():
    texts = ["한국 Windows 11 업데이트 version", "A plain English sentence.", "Ein Satz.", "123"]
    frame = pl.DataFrame({"text": texts})
    detected, _ = DetectLanguage().apply(frame)
    kept, dropped = LanguageFilter(keep=("ko", "en"), engine="column").apply(detected)
    again, _ = LanguageFilter(keep=("ko", "en")).apply(frame)
    assert kept["text"].to_list() == again["text"].to_list() == texts[:2]
    assert dropped["value"].to_list() == ["de", "und"]
