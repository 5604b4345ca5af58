"""What became of an output after the run: `verify` names it, and no command trips over it."""

import hashlib
import json

import polars as pl
import pytest
from calling import tree, write_pipeline

# --------------------------------------------------------------------------------------------------
# Tampering


def edit_manifest(dataset, change):
    path = dataset / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def flip_a_byte(output):
    path = next((output / "pages").glob("train-*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return f"{path.name}: sha256 is "


def change_a_count(output):
    def change(manifest):
        manifest["ledger"]["dropped"]["too_short"] += 1

    edit_manifest(output / "pages", change)
    return "the ledger says dropped {'asked': 6, 'exact_duplicate': 5, 'too_short': 13}"


def change_a_count_of_a_step(output):
    def change(manifest):
        manifest["steps"][2]["counts"]["dropped"]["too_short"] -= 1

    edit_manifest(output / "pages", change)
    return "Length does not add up: read 42 + created 0 is not kept 30 + dropped 11"


def change_bytes_of_the_input(output):
    def change(manifest):
        manifest["inputs"]["ReadLines"]["consumed"] -= 7

    edit_manifest(output / "pages", change)
    return "ReadLines left 7 bytes of its input unaccounted for"


def take_a_shard_away(output):
    path = next((output / "words").glob("train-*.parquet"))
    path.unlink()
    return f"{path.name} cannot be read: No such file or directory"


def take_a_sidecar_away(output):
    path = next((output / "pages/sidecar").glob("train-*.parquet"))
    path.unlink()
    return f"sidecar/{path.name} cannot be read: No such file or directory"


def rewrite(dataset, relative, frame):
    """Write a file anew and have the manifest agree, as a careful forger would."""
    path = dataset / relative
    frame.write_parquet(path)
    data = path.read_bytes()

    def change(manifest):
        for entry in [*manifest["shards"], *manifest["files"]]:
            if entry["path"] == relative:
                entry["rows"] = frame.height
                entry["bytes"] = len(data)
                entry["sha256"] = hashlib.sha256(data).hexdigest()

    edit_manifest(dataset, change)


def remove_a_fate(output):
    path = output / "pages/sidecar/fates.parquet"
    fates = pl.read_parquet(path)
    fates.filter(pl.col("id") != fates["id"][0]).write_parquet(path)
    return "sidecar/fates.parquet: "


def remove_a_fate_with_care(output):
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    gone = fates.filter(pl.col("reason") == "too_short")["id"][0]
    rewrite(output / "pages", "sidecar/fates.parquet", fates.filter(pl.col("id") != gone))
    return "the ledger has 12 dropped too_short, the fates 11"


def publish_a_record_twice(output):
    path = next((output / "pages").glob("train-*.parquet"))
    rows = pl.read_parquet(path)
    twice = pl.concat([rows.head(1), rows.head(rows.height - 1)])
    rewrite(output / "pages", path.name, twice)
    return "1 records share an id with another record"


def publish_a_dropped_record(output):
    path = next((output / "pages").glob("train-*.parquet"))
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    gone = fates.filter(pl.col("reason") == "too_short")["id"][0]
    rows = pl.read_parquet(path)
    first = pl.col("id") == rows["id"][0]
    swapped = rows.with_columns(pl.when(first).then(pl.lit(gone)).otherwise("id").alias("id"))
    rewrite(output / "pages", path.name, swapped)
    return "1 records are both published and gone"


def leave_records_out_of_a_child(output):
    def change(manifest):
        manifest["steps"][0]["counts"]["read"] -= 1
        manifest["steps"][0]["counts"]["dropped"]["expanded"] -= 1
        manifest["ledger"]["read"] -= 1
        manifest["ledger"]["dropped"]["expanded"] -= 1

    edit_manifest(output / "words", change)
    return "read 24 records of the 25 that came in"


def break_a_manifest(output):
    (output / "words/manifest.json").write_text('{"shards": [')
    return "words/manifest.json: is not valid JSON"


def empty_a_manifest(output):
    (output / "words/manifest.json").write_text("{}")
    return "the manifest is not one of datatools: KeyError('shards')"


TAMPERINGS = [
    flip_a_byte,
    change_a_count,
    change_a_count_of_a_step,
    change_bytes_of_the_input,
    take_a_shard_away,
    take_a_sidecar_away,
    remove_a_fate,
    remove_a_fate_with_care,
    publish_a_record_twice,
    publish_a_dropped_record,
    leave_records_out_of_a_child,
    break_a_manifest,
    empty_a_manifest,
]


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_verify_names_what_was_tampered_with(datatools, copied, tamper):
    assert datatools("verify", copied).code == 0
    told = tamper(copied)
    called = datatools("verify", copied)
    assert called.code == 1
    assert told in called.out
    assert called.out.count("WRONG ") == 1
    as_json = datatools("verify", copied, "--json")
    assert as_json.code == 1
    found = json.loads(as_json.out)
    assert found["ok"] is False
    assert any(
        told in problem for one in found["datasets"].values() for problem in one.get("problems", [])
    )


def test_a_damaged_output_is_mended_as_verify_says(datatools, tmp_path):
    file, output = write_pipeline(tmp_path, 22)
    assert datatools("run", file, "--only", "pages").code == 0
    before = tree(output / "pages")
    shard = next((output / "pages").glob("train-*.parquet"))
    with shard.open("r+b") as stored:  # in place: the cache links the same file
        stored.seek(100)
        stored.write(b"????")
    called = datatools("verify", output)
    assert called.code == 1
    assert "To mend it: `datatools gc --all` on this output, then the run again." in called.err
    assert datatools("gc", output, "--all").code == 0
    assert datatools("run", file, "--only", "pages").code == 0
    assert datatools("verify", output).code == 0
    assert tree(output / "pages") == before


# --------------------------------------------------------------------------------------------------
# Damages

# What is damaged, what is called on it, and what the user reads.
DAMAGES = [
    ("pages/train-*.parquet", ["explain", "copied", "0" * 8], "pages/train"),
    ("pages/train-*.parquet", ["inspect", "copied/pages"], "should be "),
    (
        "pages/sidecar/fates.parquet",
        ["explain", "copied", "0" * 8],
        "sidecar/fates.parquet: cannot",
    ),
    ("pages/sidecar/fates.parquet", ["inspect", "copied/pages", "--reason", "x"], "cannot be read"),
    ("pages/manifest.json", ["explain", "copied", "0" * 8], "manifest.json: is not valid JSON"),
    ("pages/manifest.json", ["inspect", "copied/pages"], "manifest.json: is not JSON"),
    (".cache/status.json", ["status", "copied"], "copied"),
    ("pages/sidecar/fates.parquet", ["report", "copied"], "fates.parquet"),
]


@pytest.mark.parametrize("damage", ["cut off", "gone"])
@pytest.mark.parametrize(("pattern", "typed", "told"), DAMAGES)
def test_a_damaged_output_is_told_in_words(
    datatools, copied, monkeypatch, pattern, typed, told, damage
):
    monkeypatch.chdir(copied.parent)
    (path, *_) = copied.glob(pattern)
    if damage == "gone":
        path.unlink()
        told = "copied"
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    called = datatools(*typed)
    assert called.code == 1
    assert called.err.startswith("error: ")
    assert told in called.err


@pytest.mark.parametrize("content", ["{}", "[]", '{"shards": 3, "from": 3}', "null"])
def test_a_manifest_of_another_program_is_told_in_words(datatools, copied, content):
    (copied / "pages/manifest.json").write_text(content)
    for typed in (["explain", copied, "0" * 8], ["inspect", copied / "pages"], ["verify", copied]):
        called = datatools(*typed)
        assert called.code == 1
        assert "manifest" in called.err + called.out
