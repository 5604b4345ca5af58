"""Documents from Hugging Face datasets."""

import json

import datasets
import pytest

from datatools.errors import ConfigError, DataError
from datatools.records import make_id
from datatools.steps.ingest.read_dataset import ReadDataset

ROWS = [{"text": f"{n} 밤 night", "url": f"http://x/{n}", "n": n} for n in range(500)]


@pytest.fixture
def saved(tmp_path):
    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_list(ROWS)
    parts = datasets.DatasetDict({"train": dataset, "validation": dataset.select(range(20))})
    parts.save_to_disk(tmp_path / "corpus")
    return str(tmp_path / "corpus")


def read(source, read_all):
    return read_all(source, bytewise=False)


def test_a_saved_dataset_is_read_in_any_units(saved, read_all):
    whole = read(ReadDataset(path=saved), read_all)
    assert whole.whole
    assert [row["text"] for row in whole.rows] == [row["text"] for row in ROWS]
    assert [json.loads(row["meta"]) for row in whole.rows] == [{"n": n} for n in range(500)]
    assert whole.rows[3]["id"] == make_id("lab", "corpus/train", 3)
    split = read(ReadDataset(path=saved, unit_bytes=2000), read_all)
    assert len(split.units) > 5
    assert split.rows == whole.rows


def test_another_split_has_other_ids(saved, read_all):
    validation = read(ReadDataset(path=saved, split="validation", id="n"), read_all)
    assert len(validation.rows) == 20
    assert validation.rows[3]["id"] == make_id("lab", "corpus/validation", "3")


def test_a_folder_of_data_files_is_read(tmp_path, read_all, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "files"
    folder.mkdir()
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS[:30]]
    (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    reading = read(ReadDataset(path=str(folder)), read_all)
    assert [row["text"] for row in reading.rows] == [row["text"] for row in ROWS[:30]]


def test_a_split_or_column_that_does_not_exist_names_the_nearest(saved):
    with pytest.raises(ConfigError, match="Did you mean 'validation'"):
        ReadDataset(path=saved, split="validatoin").units()
    with pytest.raises(ConfigError, match=r"ReadDataset\.text: .*Its columns: text, url, n"):
        ReadDataset(path=saved, text="body").units()


def test_a_single_saved_split_is_its_own(tmp_path, read_all):
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(ROWS[:5], split="test").save_to_disk(tmp_path / "one")
    with pytest.raises(ConfigError, match="It has test"):
        ReadDataset(path=str(tmp_path / "one")).units()
    assert len(read(ReadDataset(path=str(tmp_path / "one"), split="test"), read_all).rows) == 5


def test_what_cannot_be_loaded_is_a_data_error(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"ReadDataset\.path: cannot be loaded"):
        ReadDataset(path=str(tmp_path / "empty")).units()

    def unreachable(*_, **__):
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DataError, match=r"ConnectionError: Couldn't reach .*hub can be reached"):
        ReadDataset(path="someone/corpus").units()


def test_a_dataset_that_changed_after_planning_is_refused(saved, read_all):
    source = ReadDataset(path=saved)
    (unit,) = source.units()
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS[:9])}).save_to_disk(saved)
    with pytest.raises(DataError, match="changed after the run was planned"):
        list(source.read(unit, None, "lab"))
