import json

import polars as pl
import pytest

from datatools.errors import DataError
from datatools.records import SCHEMAS
from datatools.steps.export.alpaca import Alpaca


def frame(*conversations) -> pl.DataFrame:
    rows = [
        [{"role": role, "content": content} for role, content in turns] for turns in conversations
    ]
    return pl.DataFrame(
        {"id": [str(row) for row in range(len(rows))], "messages": rows},
        schema={"id": pl.String, "messages": SCHEMAS["conversation"]["messages"]},
    )


@pytest.mark.parametrize(
    ("turns", "row"),
    [
        ([("user", "몇 시?"), ("assistant", "9시.")], ("몇 시?", "", "9시.")),
        (
            [("system", "Be brief."), ("user", "Open?"), ("assistant", "Yes.")],
            ("Open?", "System: Be brief.", "Yes."),
        ),
        (
            [("user", "a\nb"), ("assistant", "c"), ("user", "왜?"), ("assistant", "그냥.")],
            ("왜?", "User: a\nb\n\nAssistant: c", "그냥."),
        ),
    ],
)
def test_the_last_exchange_is_the_task_and_what_came_before_its_input(turns, row):
    converted = Alpaca().convert(frame(turns), "conversation")
    assert converted.to_dicts() == [dict(zip(("instruction", "input", "output"), row, strict=True))]


def test_rows_keep_their_order_and_the_lines_are_plain_json(tmp_path):
    said = [[("user", f"{n}번?"), ("assistant", f"네, {n}번")] for n in range(3)]
    converted = Alpaca().convert(frame(*said), "conversation")
    converted.write_ndjson(tmp_path / "train.jsonl")
    lines = (tmp_path / "train.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["instruction"] for line in lines] == ["0번?", "1번?", "2번?"]


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [("user", "a")],
        [("assistant", "a")],
        [("user", "a"), ("assistant", "b"), ("user", "c")],
        [("system", "s"), ("assistant", "b")],
        [("user", "a"), ("assistant", "")],
        [("user", None), ("assistant", "b")],
    ],
)
def test_a_conversation_without_a_last_exchange_stops_the_export(turns):
    good = [("user", "a"), ("assistant", "b")]
    with pytest.raises(DataError, match=r"1 of 2 rows.*\['1'\]"):
        Alpaca().convert(frame(good, turns), "conversation")


def test_no_rows_have_the_same_columns_as_many():
    assert Alpaca().convert(frame(), "conversation").columns == ["instruction", "input", "output"]


def test_it_carries_conversations_only_as_lines_in_its_folder():
    assert (Alpaca().accepts(), Alpaca.folder, Alpaca.suffix) == (
        {"conversation"},
        "alpaca",
        "jsonl",
    )
