import polars as pl
import pytest

from datatools.records import conform
from datatools.steps.base import Batch, Context
from datatools.steps.language.detect_language import DetectLanguage

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


@pytest.mark.parametrize("engine", ["fasttext", "langdetect"])
def test_detect_language_fills_the_column_and_drops_nothing(engine):
    rows = batch().df.with_columns(language=pl.lit("xx"))
    mapped = DetectLanguage(engine=engine).bind(Context()).map(Batch(rows))
    assert mapped.df["language"].to_list() == LANGUAGES
    assert mapped.df["language_score"].dtype == pl.Float64
    assert mapped.df.drop("language", "language_score").equals(rows.drop("language"))
    assert mapped.dropped is None
    assert mapped.quarantined is None


def test_paragraphs_are_told_one_by_one_when_asked():
    step = DetectLanguage(paragraphs=True)
    mixed = batch([f"{TEXTS[0]}\n\n{TEXTS[1]}", None, "12"])
    frame = step.bind(Context()).map(mixed).df
    assert frame.schema["paragraph_languages"] == step.adds()["paragraph_languages"]
    first, second, third = frame["paragraph_languages"].to_list()
    assert [one["language"] for one in first] == ["ko", "en"]
    assert [one["size"] for one in first] == [45, 38]
    assert second == []
    assert third == [{"language": "und", "score": 0.0, "size": 0.0}]


def test_without_asking_there_are_no_paragraphs():
    assert "paragraph_languages" not in DetectLanguage().bind(Context()).map(batch()).df.columns
    assert list(DetectLanguage().adds()) == ["language_score"]


@pytest.mark.parametrize("paragraphs", [False, True])
def test_the_columns_do_not_depend_on_batch_boundaries(paragraphs):
    bound = DetectLanguage(paragraphs=paragraphs).bind(Context())
    whole = bound.map(batch()).df.drop("id")
    parts = [bound.map(batch([text])).df.drop("id") for text in TEXTS]
    assert pl.concat(parts).equals(whole)
