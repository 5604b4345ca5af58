import json

import polars as pl
import pytest
import toys
from jobs import dataset, ran, run_job

from datatools.dataset import open_dataset
from datatools.errors import ConfigError, DataError, IntegrityError
from datatools.train.reading import open_kind


@pytest.fixture
def folder(tmp_path):
    """A dataset of two training shards and one validation shard, in Korean and English."""
    shards = []
    for path, split, texts in (
        ("train-00000-of-00002.parquet", "train", ["하나", "two"]),
        ("train-00001-of-00002.parquet", "train", ["셋"]),
        ("validation-00000-of-00001.parquet", "validation", ["four"]),
    ):
        frame = pl.DataFrame({"id": [f"{split}-{t}" for t in texts], "text": texts})
        frame.write_parquet(tmp_path / path)
        size = (tmp_path / path).stat().st_size
        shards.append(
            {"path": path, "rows": len(texts), "bytes": size, "sha256": "", "split": split}
        )
    _write(tmp_path, {"kind": "document", "rows": 4, "shards": shards, "name": "texts"})
    return tmp_path


def _write(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def _manifest(folder):
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_splits_and_rows_are_those_of_the_manifest(folder):
    dataset = open_dataset(folder)
    assert dataset.kind == "document"
    assert dataset.splits == ("train", "validation")
    assert [dataset.rows(split) for split in dataset.splits] == [3, 1]
    assert dataset.manifest["name"] == "texts"
    assert dataset.columns == ("id", "text")


def test_a_frame_holds_all_shards_in_order(folder):
    assert open_dataset(folder).frame("train")["text"].to_list() == ["하나", "two", "셋"]


def test_columns_come_in_the_order_asked_for(folder):
    frame = open_dataset(str(folder)).frame("validation", ["text", "id"])
    assert frame.columns == ["text", "id"]
    assert frame.rows() == [("four", "validation-four")]


def test_validation_is_held_out_before_test(folder):
    assert open_dataset(folder).held_out == "validation"
    manifest = _manifest(folder)
    for shard in manifest["shards"]:
        shard["split"] = shard["split"].replace("validation", "test")
    _write(folder, manifest)
    assert open_dataset(folder).held_out == "test"
    manifest["shards"][2]["split"] = "train"
    _write(folder, manifest)
    assert open_dataset(folder).held_out is None


def test_a_name_with_glob_characters_is_a_name(folder):
    odd = folder / "train-[0]*.parquet"
    (folder / "train-00000-of-00002.parquet").rename(odd)
    manifest = _manifest(folder)
    manifest["shards"][0]["path"] = odd.name
    _write(folder, manifest)
    assert open_dataset(folder).frame("train")["text"].to_list() == ["하나", "two", "셋"]


def test_an_empty_split_has_its_columns(folder):
    path = folder / "test-00000-of-00001.parquet"
    pl.DataFrame(schema={"id": pl.String, "text": pl.String}).write_parquet(path)
    manifest = _manifest(folder)
    manifest["shards"].append(
        {
            "path": path.name,
            "rows": 0,
            "bytes": path.stat().st_size,
            "sha256": "",
            "split": "test",
        }
    )
    _write(folder, manifest)
    dataset = open_dataset(folder)
    assert dataset.rows("test") == 0
    assert dataset.frame("test").columns == ["id", "text"]


def test_a_folder_without_a_manifest_is_no_dataset(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"it has no manifest\.json"):
        open_dataset(folder)


@pytest.mark.parametrize("text", ["{", '{"kind": "document"}', "[]", '{"shards": [{}]}'])
def test_a_manifest_that_is_none_is_refused(text, folder):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json: "):
        open_dataset(folder)


def test_a_missing_shard_is_noticed(folder):
    (folder / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"00001-of-00002.* not in the folder"):
        open_dataset(folder)


def test_a_shard_of_another_size_is_noticed(folder):
    with (folder / "train-00001-of-00002.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(IntegrityError, match=r"should be \d+ bytes long"):
        open_dataset(folder)


def test_a_shard_with_other_rows_is_noticed(folder):
    manifest = _manifest(folder)
    manifest["shards"][1]["rows"] = 2
    _write(folder, manifest | {"rows": 5})
    with pytest.raises(IntegrityError, match=r"should hold 2 rows \(got 1\)"):
        open_dataset(folder)


def test_a_total_that_does_not_add_up_is_noticed(folder):
    _write(folder, _manifest(folder) | {"rows": 5})
    with pytest.raises(IntegrityError, match="says 5 rows, its shards say 4"):
        open_dataset(folder)


def test_a_shard_that_is_not_parquet_is_noticed(folder):
    path = folder / "train-00001-of-00002.parquet"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(IntegrityError, match="is not Parquet"):
        open_dataset(folder)


@pytest.mark.parametrize("path", ["../secret.parquet", "/etc/secret.parquet"])
def test_a_shard_outside_the_folder_is_refused(path, folder):
    manifest = _manifest(folder)
    manifest["shards"][0]["path"] = path
    _write(folder, manifest)
    with pytest.raises(DataError, match="outside its folder"):
        open_dataset(folder)


def test_a_split_or_column_that_is_not_there_is_told_with_those_that_are(folder):
    dataset = open_dataset(folder)
    with pytest.raises(ConfigError, match=r"no such split \(got 'dev'\)\. Known: train, val"):
        dataset.rows("dev")
    with pytest.raises(ConfigError, match=r"no column 'txet'.*Did you mean 'text'"):
        dataset.frame("train", ["txet"])


# --------------------------------------------------------------------------------------------------
# Datasets without records


def emptied(tmp_path, *, publish=True):
    """Datasets in a row of which the second is empty, and so are those made from it."""
    text = tmp_path / "a.txt"
    text.write_text("short\n짧은 줄\n")
    pages = dataset(toys.ReadLines(paths=(str(text),)))
    long = dataset(toys.Upper(), toys.Length(minimum=99), from_="pages", publish=publish)
    datasets = {
        "pages": pages,
        "long": long,
        "same": dataset(from_="long"),
        "words": dataset(toys.Words(), from_="same"),
    }
    return run_job(tmp_path / "out", datasets)


def test_an_empty_dataset_names_the_step_that_left_nothing(tmp_path):
    emptied(tmp_path)
    opened = {name: open_dataset(tmp_path / "out" / name) for name in ("long", "same", "words")}
    told = "Length kept none of 2 records (too_short 2)"
    assert opened["long"].empty_because == told
    assert opened["same"].empty_because == f"none came from long, where {told}"
    assert (
        opened["words"].empty_because
        == f"none came from same, where none came from long, where {told}"
    )


def test_a_parent_that_is_not_published_is_named_without_its_reason(tmp_path):
    emptied(tmp_path, publish=False)
    assert open_dataset(tmp_path / "out/same").empty_because == "none came from long"


def test_training_on_an_empty_dataset_is_refused_with_the_step_that_emptied_it(tmp_path):
    emptied(tmp_path)
    with pytest.raises(DataError) as caught:
        open_kind(tmp_path / "out/same", "document")
    assert str(caught.value) == (
        "dataset same: holds no records to train on: none came from long, where Length kept none "
        "of 2 records (too_short 2). Loosen the step that leaves none, or give it more input."
    )
    assert open_kind(tmp_path / "out/pages", "document").rows("train") == 2


def test_a_run_tells_of_files_and_datasets_without_records(tmp_path):
    for name, text in (("a", "one line\n"), ("b", ""), ("c", "# 주석\n"), ("d", "! bad\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    paths = tuple(str(path) for path in sorted(tmp_path.glob("*.txt")))
    empty = dataset(toys.Length(minimum=99), from_="pages")
    result = run_job(
        tmp_path / "out", {"pages": dataset(toys.ReadLines(paths=paths)), "none": empty}
    )
    assert result.notes == [
        "pages: ReadLines found no record in 2 of 4 files: b.txt, c.txt",
        "none holds no records: Length kept none of 1 records (too_short 1)",
    ]
    again = run_job(
        tmp_path / "out", {"pages": dataset(toys.ReadLines(paths=paths)), "none": empty}
    )
    assert ran(again) == []
    assert again.notes == result.notes
