"""Texts taken out of records and put back."""

import polars as pl
import pytest

from datatools.steps.safety.pii import Pii
from datatools.steps.safety.record_texts import COLUMNS, take_texts
from datatools.steps.safety.secrets import Secrets
from datatools.testing import check_step, nasty_records

KINDS = ["document", "thread", "conversation", "preference"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_back_unchanged_changes_nothing(kind):
    records = nasty_records(kind)
    assert take_texts(records, kind).put_back(records, kind).equals(records)
    empty = records.clear()
    assert take_texts(empty, kind).put_back(empty, kind).equals(empty)


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_is_taken_once_with_its_owner_and_put_back_in_its_place(kind):
    records = nasty_records(kind)
    texts = take_texts(records, kind)
    marked = texts._replace(text=texts.text + "!")
    slow, owners = [], []
    for column, field in COLUMNS[kind].items():
        for row, value in enumerate(records[column].to_list()):
            items = [value] if not field else [item and item[field] for item in value or []]
            slow += items
            owners += [row] * len(items)
    assert texts.text.to_list() == slow
    assert texts.owner.tolist() == owners

    def with_mark(value, field):
        if field is None:
            return value and value + "!" if value else (None if value is None else "!")
        if value is None:
            return None
        return [
            item and {**item, field: None if item[field] is None else item[field] + "!"}
            for item in value
        ]

    found = marked.put_back(records, kind)
    for column, field in COLUMNS[kind].items():
        expected = [with_mark(value, field or None) for value in records[column].to_list()]
        assert found[column].to_list() == expected


THREAD = pl.DataFrame(
    {
        "id": ["a", "b"],
        "question": ["전화 010-1234-5678?", "How?"],
        "answers": [
            [{"id": "x", "text": "kim@example.com으로", "votes": 1}, {"id": "y", "text": None}],
            [{"id": "z", "text": "like this", "votes": 2}],
        ],
    }
)


def test_threads_are_masked_and_counted_over_all_their_texts():
    kept, _ = Pii(records="thread").apply(THREAD)
    assert kept["question"].to_list() == ["전화 [PHONE]?", "How?"]
    assert [one["text"] for one in kept["answers"][0]] == ["[EMAIL]으로", None]
    assert kept["pii_phone"].to_list() == [1, 0]
    assert kept["pii_email"].to_list() == [1, 0]
    _, dropped = Pii(records="thread", email="drop").apply(THREAD)
    assert dropped.select("id", "reason").rows() == [("a", "pii_email")]


@pytest.mark.parametrize("step", [Pii, Secrets])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_kind_of_record_keeps_the_contract(step, kind):
    check_step(step(records=kind), nasty_records(kind))
