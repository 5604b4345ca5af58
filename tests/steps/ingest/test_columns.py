"""Which fields of a foreign record become which columns."""

import json

import pytest

from datatools.steps.ingest.columns import UnusableRecordError
from datatools.steps.ingest.read_jsonl import ReadJsonl


def take(record, notes=None, **names):
    return ReadJsonl(paths="x", **names).take(record, notes or {})


def test_strings_become_columns_and_the_rest_becomes_meta():
    taken = take(
        {
            "text": "밤 night", "url": "http://x/", "date": "2024", "language": "ko",
            "license": "CC0", "score": 1.5, "tags": ["a"], "id": 7,
        }
    )  # fmt: skip
    assert (taken.text, taken.url, taken.date, taken.language, taken.license) == (
        "밤 night", "http://x/", "2024", "ko", "CC0",
    )  # fmt: skip
    assert json.loads(taken.meta) == {"score": 1.5, "tags": ["a"], "id": 7}
    assert (taken.native_id, taken.source) == (None, None)


def test_fields_of_another_type_stay_in_meta():
    taken = take({"text": "a", "date": 20240101, "url": ["http://x/"], "license": None})
    assert (taken.date, taken.url, taken.license) == (None, None, None)
    assert json.loads(taken.meta) == {"date": 20240101, "url": ["http://x/"]}


def test_other_names_can_be_given_and_none_turns_a_column_off():
    taken = take(
        {"body": "a", "from": "forum", "url": "http://x/"}, text="body", source="from", url=None
    )
    assert (taken.text, taken.source, taken.url) == ("a", "forum", None)
    assert json.loads(taken.meta) == {"url": "http://x/"}


@pytest.mark.parametrize("value", ["7", 7])
def test_a_native_id_is_a_string_or_an_integer_and_stays_in_meta(value):
    taken = take({"text": "a", "post": value}, id="post")
    assert taken.native_id == "7"
    assert json.loads(taken.meta) == {"post": value}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "text_missing"),
        ({"text": None}, "text_missing"),
        ({"text": 5}, "text_type"),
        ({"text": ["a"]}, "text_type"),
        ({"text": "a"}, "id_missing"),
        ({"text": "a", "post": ""}, "id_missing"),
        ({"text": "a", "post": None}, "id_missing"),
        ({"text": "a", "post": True}, "id_missing"),
        ({"text": "a", "post": 1.5}, "id_missing"),
    ],
)
def test_records_without_text_or_id_are_unusable(record, reason):
    with pytest.raises(UnusableRecordError) as caught:
        take(record, id="post")
    assert caught.value.reason == reason


def test_an_empty_text_is_a_text():
    assert take({"text": ""}).text == ""


def test_nesting_that_cannot_be_written_again_is_unusable():
    deep: list = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(UnusableRecordError) as caught:
        take({"text": "a", "deep": deep})
    assert caught.value.reason == "meta_json"


def test_notes_of_the_reader_are_part_of_meta():
    assert take({"text": "a"}, {"_replaced_chars": 1}).meta == '{"_replaced_chars":1}'
    assert take({"text": "a"}).meta is None
