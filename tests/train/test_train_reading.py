import polars as pl
import pytest
from train_corpora import message, publish, publish_documents

from datatools.dataset import open_dataset
from datatools.errors import ConfigError, DataError
from datatools.records import MESSAGE
from datatools.train import reading


def test_the_rows_measured_are_the_same_whatever_is_asked_beside_them():
    frame = pl.DataFrame({"id": range(100), "x": range(100)})
    some = reading.sample_rows(frame, 30)["id"].to_list()
    assert some == sorted(some)
    assert len(set(some)) == 30
    assert reading.sample_rows(frame.select("id"), 30)["id"].to_list() == some
    assert reading.sample_rows(frame, 100).equals(frame)


def test_documents_without_a_language_are_of_none(tmp_path):
    plain = pl.DataFrame({"id": ["a", "b"], "text": ["가", "b"]})
    some = plain.with_columns(language=pl.Series(["ko", None], dtype=pl.String))
    for name, frame, expected in (("x", plain, ["und", "und"]), ("y", some, ["ko", "und"])):
        folder = publish(tmp_path / name, "document", {"train": frame, "validation": frame})
        dataset = open_dataset(folder)
        assert reading.read_documents(dataset, "train")["language"].to_list() == expected
        held_out = reading.held_out_documents(dataset, 1)
        assert held_out.columns == ["id", "text", "language"]
        assert len(held_out) == 1


def test_nothing_is_held_out_of_an_empty_split(tmp_path):
    one = pl.DataFrame({"id": ["a"], "text": ["가"]})
    full = publish(tmp_path / "full", "document", {"train": one, "test": one})
    empty = publish(tmp_path / "empty", "document", {"train": one, "validation": one.clear()})
    assert reading.held_out_frame(open_dataset(full), ["id"], 10)["id"].to_list() == ["a"]
    assert reading.held_out_frame(open_dataset(empty), ["id"], 10) is None
    assert reading.held_out_documents(open_dataset(empty), 10) is None


def test_a_tokenizer_reads_no_more_text_than_it_needs(monkeypatch):
    monkeypatch.setattr(reading, "TOKENIZER_BYTES", 30)
    texts = ["가나다라"] * 10  # 12 bytes each
    assert len(reading.tokenizer_text(texts)) == 3
    assert sorted(reading.tokenizer_text(["b", "a", ""])) == ["", "a", "b"]


def test_texts_of_messages_come_from_every_column_and_turn():
    turns = pl.List(MESSAGE)
    frame = pl.DataFrame(
        {
            "prompt": [[message("system", "하나"), message("user", "two")]],
            "chosen": [[message("assistant", None), message("assistant", "셋")]],
        },
        schema={"prompt": turns, "chosen": turns},
    )
    assert reading.message_texts(frame, ["prompt", "chosen"]) == ["하나", "two", "셋"]


def _frame(rows):
    turns = pl.List(MESSAGE)
    schema = {"id": pl.String, "group_id": pl.String, "prompt": turns, "chosen": turns}
    return pl.DataFrame(rows, schema=schema | {"rejected": turns})


def test_lengths_are_counted_in_characters():
    row = {
        "id": "a",
        "group_id": "g",
        "prompt": [message("user", "질문")],
        "chosen": [message("assistant", "네, 그래요"), message("assistant", None)],
        "rejected": [message("assistant", "no")],
    }
    assert reading.answer_lengths(_frame([row])) == ([6], [2])


def test_a_pair_without_a_group_is_its_own():
    frame = pl.DataFrame({"id": ["a", "b", "c"], "group_id": ["g", None, "g"]})
    assert reading.group_names(frame) == ["g", "b", "g"]


def test_no_pair_is_an_error_with_a_name(tokenizer):
    with pytest.raises(DataError, match="there is no pair to train on"):
        reading.read_pairs(_frame([]), tokenizer, 32)


def test_a_dataset_must_be_of_the_kind_asked_for(tmp_path):
    folder = publish_documents(tmp_path / "texts", count=5)
    assert reading.open_kind(folder, "document").splits == ("train", "validation")
    with pytest.raises(ConfigError, match="must be a preference dataset"):
        reading.open_kind(folder, "preference")
