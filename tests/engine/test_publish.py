import json
import os

import polars as pl
import pyarrow.parquet as pq
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st
from jobs import dataset, published, ran, run_job, write_lines

from datatools import open_dataset, steps
from datatools.engine.publish import Piece, cut, main_columns
from datatools.errors import DataError
from datatools.records import SCHEMAS

# --------------------------------------------------------------------------------------------------
# cut


def slow_cut(sizes, shard_bytes):
    """Cut record by record: a shard ends with the record that reaches `shard_bytes`."""
    records = [
        (split, shard, number, size)
        for shard, rows in enumerate(sizes)
        for number, (split, size) in enumerate(rows)
    ]
    shards = {}
    for split in sorted({split for split, *_ in records}) or ["train"]:
        done, current, used = [], [], 0
        for at, shard, number, size in records:
            if at == split:
                current.append((shard, number))
                used += size
                if used >= shard_bytes:
                    done.append(current)
                    current, used = [], 0
        shards[split] = [*done, current] if current or not done else done
    return shards


def records_of(pieces, sizes, split):
    """Return the (shard, row number) of every record that pieces name."""
    found = []
    for piece in pieces:
        rows = [n for n, (at, _) in enumerate(sizes[piece.shard]) if at == split]
        found += [(piece.shard, n) for n in rows[piece.start : piece.stop]]
    return found


row = st.tuples(st.sampled_from(["train", "validation"]), st.sampled_from([0, 1, 5, 10, 11, 400]))


@given(
    sizes=st.lists(st.lists(row, max_size=6), max_size=4), shard_bytes=st.sampled_from([1, 10, 50])
)
def test_cuts_are_those_made_record_by_record(sizes, shard_bytes):
    frames = [
        pl.DataFrame(rows, schema={"split": pl.String, "bytes": pl.Int64}, orient="row")
        for rows in sizes
    ]
    shards = cut(frames, shard_bytes)
    assert list(shards) == sorted(shards)
    got = {
        split: [records_of(pieces, sizes, split) for pieces in cuts]
        for split, cuts in shards.items()
    }
    assert got == slow_cut(sizes, shard_bytes)


def test_an_empty_dataset_has_one_empty_train_shard():
    assert cut([], 10) == {"train": [[]]}
    none = pl.DataFrame(schema={"split": pl.String, "bytes": pl.Int64})
    assert cut([none, none], 10) == {"train": [[]]}


def test_a_shard_larger_than_asked_is_one_record():
    sizes = pl.DataFrame({"split": ["train"] * 3, "bytes": [5, 1000, 5]})
    assert cut([sizes], 100) == {"train": [[Piece(0, 0, 2)], [Piece(0, 2, 3)]]}


# --------------------------------------------------------------------------------------------------
# A published dataset


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("publish")
    path = write_lines(folder / "a.txt", 88)
    run_job(
        folder / "out",
        {
            "pages": dataset(
                toys.ReadLines(paths=(path,), unit_bytes=300),
                toys.Upper(),
                toys.Length(),
                steps.Split(validation=0.3),
            ),
            "none": dataset(toys.Length(minimum=1000), from_="pages"),
        },
        shard_bytes=150,
    )
    return folder / "out"


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())


def test_shards_hold_the_records_of_the_input_in_order(output):
    expected = [
        line.upper()
        for line in (output.parent / "a.txt").read_text().splitlines()
        if not line.startswith(("#", "!"))
        and "drop me" not in line
        and "boom" not in line
        and len(line) >= 3
    ]
    reader = open_dataset(output / "pages")
    assert reader.splits == ("train", "validation")
    texts = {split: reader.frame(split)["text"].to_list() for split in reader.splits}
    assert sorted(texts["train"] + texts["validation"]) == sorted(expected)
    for split in reader.splits:
        beside = [
            pl.read_parquet(output / "pages/sidecar" / shard.path)
            for shard in reader.shards
            if shard.split == split
        ]
        assert pl.concat(beside)["offset"].is_sorted()


def test_shards_have_about_the_bytes_asked_for(output):
    shards = manifest_of(output / "pages")["shards"]
    assert len(shards) > 4
    for shard in shards:
        frame = pl.read_parquet(output / "pages" / shard["path"])
        sizes = frame["text"].str.len_bytes()
        assert frame.height == shard["rows"]
        assert sizes.sum() - sizes[-1] < 150


def test_main_files_have_the_kinds_columns_and_the_sidecar_the_rest(output):
    folder = output / "pages"
    shard = manifest_of(folder)["shards"][0]["path"]
    main, beside = pl.read_parquet(folder / shard), pl.read_parquet(folder / "sidecar" / shard)
    hidden = {"html", "origin", "offset"}
    assert main.columns == [name for name in SCHEMAS["document"] if name not in hidden]
    assert main.columns == main_columns("document")
    assert beside.columns == ["id", "origin", "offset", "Length.characters"]
    assert beside["id"].equals(main["id"])
    assert beside["Length.characters"].to_list() == main["text"].str.len_chars().to_list()


def test_strings_are_large_and_files_are_compressed_by_zstd(output):
    folder = output / "pages"
    file = pq.ParquetFile(folder / manifest_of(folder)["shards"][0]["path"])
    assert str(file.schema_arrow.field("text").type) == "large_string"
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_fates_tell_of_every_record_that_is_not_there(output):
    folder = output / "pages"
    ledger = manifest_of(folder)["ledger"]
    fates = pl.read_parquet(folder / "sidecar/fates.parquet")
    told = fates.group_by("fate", "reason").len().sort("fate", "reason").rows()
    counted = [("dropped", r, n) for r, n in ledger["dropped"].items()]
    counted += [("quarantined", r, n) for r, n in ledger["quarantined"].items()]
    assert sorted(told) == sorted(counted)
    # The first five of each reason show their text, and no more: the table stays small.
    for reason in ("asked", "too_short", "boom"):
        shown = fates.filter(pl.col("reason") == reason)["preview"]
        assert shown.null_count() < shown.len()
    short = fates.filter(pl.col("reason") == "too_short").drop_nulls("preview")
    assert short.height == 5
    assert short["value"].to_list() == [f"{float(len(text))}" for text in short["preview"]]


def test_an_empty_dataset_is_published_whole(output):
    reader = open_dataset(output / "none")
    assert reader.rows("train") == 0
    assert reader.frame("train").columns == main_columns("document")
    assert manifest_of(output / "none")["ledger"]["kept"] == 0


def test_hugging_face_datasets_loads_the_folder(output, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(output / "pages"), cache_dir=str(tmp_path))
    reader = open_dataset(output / "pages")
    assert set(loaded) == set(reader.splits)
    for split in reader.splits:
        assert loaded[split].column_names == main_columns("document")
        assert list(loaded[split]["text"]) == reader.frame(split)["text"].to_list()


def test_the_card_counts_what_the_manifest_counts(output):
    text = (output / "pages/README.md").read_text()
    manifest = manifest_of(output / "pages")
    for split in ("train", "validation"):
        shards = [s for s in manifest["shards"] if s["split"] == split]
        assert f"| {split} | {len(shards)} | {sum(s['rows'] for s in shards)} |" in text


# --------------------------------------------------------------------------------------------------
# Publishing again


def small(tmp_path, count=22, **settings):
    path = tmp_path / f"{count}.txt"
    if not path.exists():
        write_lines(path, count)
    pages = dataset(toys.ReadLines(paths=(str(path),)), toys.Upper())
    return run_job(tmp_path / "out", {"pages": pages}, **settings)


def test_publishing_the_same_again_touches_no_file(tmp_path):
    small(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out/pages").rglob("*")}
    small(tmp_path)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out/pages").rglob("*")} == before


def test_other_shard_bytes_recut_the_files_and_leave_no_old_one(tmp_path):
    small(tmp_path, 44)
    result = small(tmp_path, 44, shard_bytes=100)
    assert ran(result) == ["pages/publish"]
    folder = tmp_path / "out/pages"
    listed = {shard["path"] for shard in manifest_of(folder)["shards"]}
    assert len(listed) > 2
    assert {path.name for path in folder.glob("*.parquet")} == listed
    assert {path.name for path in (folder / "sidecar").glob("train-*")} == listed


@pytest.mark.parametrize("damage", ["missing", "cut", "replaced"])
def test_a_damaged_published_file_is_put_back_by_the_next_run(tmp_path, damage):
    small(tmp_path)
    before = published(tmp_path / "out")
    shard = tmp_path / "out/pages" / manifest_of(tmp_path / "out/pages")["shards"][0]["path"]
    data = shard.read_bytes()
    shard.unlink()
    if damage == "cut":
        shard.write_bytes(data[:-1])
    if damage == "replaced":
        shard.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    small(tmp_path)
    assert published(tmp_path / "out") == before


def test_a_damaged_manifest_is_written_again(tmp_path):
    small(tmp_path)
    before = published(tmp_path / "out")
    (tmp_path / "out/pages/manifest.json").write_bytes(b"{")
    small(tmp_path)
    assert published(tmp_path / "out") == before


def test_a_file_of_the_users_in_the_folder_is_left_alone(tmp_path):
    small(tmp_path)
    notes = tmp_path / "out/pages/notes.txt"
    notes.write_text("mine")
    small(tmp_path, 44)
    assert notes.read_text() == "mine"


def test_a_killed_publication_is_no_dataset(tmp_path, monkeypatch):
    from datatools.engine import shelf

    small(tmp_path)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf, "write_atomic", stop)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path, 44)
    with pytest.raises(DataError, match=r"is not a published dataset: it has no manifest.json"):
        open_dataset(tmp_path / "out/pages")
    monkeypatch.undo()
    small(tmp_path, 44)
    assert open_dataset(tmp_path / "out/pages").rows("train") == 28


def test_files_are_copied_where_hard_links_are_refused(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    small(tmp_path)
    copied = published(tmp_path / "out")
    monkeypatch.undo()
    (tmp_path / "out").rename(tmp_path / "copied")
    small(tmp_path)
    assert copied == published(tmp_path / "out")


def test_two_records_with_one_id_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    path = write_lines(tmp_path / "a.txt", 22)
    other = write_lines(tmp_path / "x/a.txt", 22)
    datasets = {
        "one": dataset(toys.ReadLines(paths=(path,), label="same")),
        "two": dataset(toys.ReadLines(paths=(other,), label="same")),
        "both": dataset(from_=("one", "two")),
    }
    with pytest.raises(DataError) as caught:
        run_job(tmp_path / "out", datasets)
    assert str(caught.value).startswith(
        "dataset both: 18 records share an id with another record. "
    )
    assert not (tmp_path / "out/both/manifest.json").exists()
