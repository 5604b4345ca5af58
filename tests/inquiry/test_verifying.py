"""What verifying counts again by itself, beside what `tests/cli` tampers with."""

import hashlib
import json
import random
import shutil

import polars as pl
import pytest
import toys
from jobs import dataset, job, run_job, write_lines

from datatools import open_dataset, steps, verify
from datatools.errors import DataError
from datatools.inquiry.verifying import left_over
from datatools.job.running import run


def two(lines):
    return {
        "pages": dataset(
            toys.ReadLines(paths=(lines,), unit_bytes=400),
            toys.Upper(),
            toys.Length(),
            steps.ExactDedup(),
            steps.Split(validation=0.3),
        ),
        "words": dataset(toys.Words(), from_="pages"),
    }


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verifying")
    run_job(folder / "out", two(write_lines(folder / "a.txt", 66)), shard_bytes=200)
    return folder / "out"


def test_rows_bytes_and_digests_are_those_of_the_files(output):
    found = verify(output)
    assert found.ok
    for name, check in found.datasets.items():
        assert len(check.shards) > 2
        for shard in check.shards:
            path = output / name / shard["path"]
            data = path.read_bytes()
            assert shard["bytes"] == len(data)
            assert shard["sha256"] == hashlib.sha256(data).hexdigest()
            assert shard["rows"] == pl.read_parquet(path).height
        assert check.rows == sum(shard["rows"] for shard in check.shards)


def test_the_ledger_is_added_from_the_steps_and_agrees_with_what_lies_there(output):
    found = verify(output).datasets
    for name, check in found.items():
        fates = pl.read_parquet(output / name / "sidecar/fates.parquet")
        for fate in ("dropped", "quarantined"):
            counted = dict(fates.filter(fate=fate).group_by("reason").len().iter_rows())
            assert check.ledger[fate] == counted
        assert check.ledger["kept"] == check.rows
    # 66 lines, of which six are comments.
    assert found["pages"].ledger["read"] == 60
    assert found["words"].ledger["read"] == found["pages"].rows
    texts = pl.read_parquet(output / "pages/*.parquet", columns=["text"])["text"]
    words = [set(text.split()) for text in texts]
    repeats = sum(len(text.split()) for text in texts) - sum(map(len, words))
    assert found["words"].rows == sum(map(len, words))
    assert found["words"].ledger["quarantined"].get("repeated_key", 0) == repeats


def test_problems_are_in_the_json_only_where_there_are_any(output):
    value = verify(output).to_json()
    assert value["ok"] is True
    assert {tuple(sorted(one)) for one in value["datasets"].values()} == {
        ("ledger", "rows", "shards")
    }
    assert json.loads(json.dumps(value)) == value


def test_a_trial_is_verified_as_a_trial(tmp_path):
    lines = write_lines(tmp_path / "a.txt", 66)
    run(job(tmp_path / "out", two(lines)), only=["pages"], limit=7)
    found = verify(tmp_path / "out/trial")
    assert found.ok
    pages = found.datasets["pages"]
    assert pages.limited == 7
    manifest = json.loads((tmp_path / "out/trial/pages/manifest.json").read_bytes())
    assert manifest["limited"] == 7
    assert manifest["steps"][0]["counts"]["kept"] == 7
    counts = manifest["inputs"]["ReadLines"]
    assert counts["consumed"] + sum(counts["skipped"].values()) < counts["size"]
    # The same manifest of a whole run would be a loss.
    del manifest["limited"]
    (tmp_path / "out/trial/pages/manifest.json").write_text(json.dumps(manifest))
    (problem,) = verify(tmp_path / "out/trial").datasets["pages"].problems
    assert "bytes of its input unaccounted for" in problem


def test_an_output_with_nothing_but_a_trial_says_where_it_is(tmp_path):
    lines = write_lines(tmp_path / "a.txt", 66)
    run(job(tmp_path / "out", two(lines)), only=["pages"], limit=7)
    with pytest.raises(DataError, match=f"made is in {tmp_path / 'out/trial'}"):
        verify(tmp_path / "out")


def test_a_whole_run_is_no_trial(output):
    assert {check.limited for check in verify(output).datasets.values()} == {None}


def test_a_dataset_without_steps_is_verified_against_its_parent(tmp_path):
    datasets = {
        "pages": dataset(toys.ReadLines(paths=(write_lines(tmp_path / "a.txt", 22),))),
        "same": dataset(from_="pages"),
    }
    run_job(tmp_path / "out", datasets)
    found = verify(tmp_path / "out")
    assert found.ok
    assert found.datasets["same"].rows == found.datasets["pages"].rows == 18


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_what_is_no_output_is_refused(tmp_path, kind):
    place = tmp_path / "place"
    if kind == "empty":
        place.mkdir()
    elif kind == "file":
        place.write_text("")
    with pytest.raises(DataError):
        verify(place)


def test_a_folder_of_ones_own_beside_the_datasets_is_no_concern(output, tmp_path):
    copy = shutil.copytree(output, tmp_path / "copy")
    (copy / "notes").mkdir()
    (copy / "notes/mine.txt").write_text("mine")
    assert verify(copy).ok


def test_every_flipped_byte_of_every_file_is_found(output, tmp_path):
    """One random flip in each published file, ten times over."""
    copy = shutil.copytree(output / "words", tmp_path / "copy/words").parent
    assert verify(copy).ok
    draw = random.Random(0)
    files = sorted(copy.rglob("*.parquet"))
    assert len(files) > 4
    for path in files:
        good = path.read_bytes()
        for _ in range(10):
            data = bytearray(good)
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
            problems = verify(copy).datasets["words"].problems
            relative = path.relative_to(copy / "words").as_posix()
            assert any(problem.startswith(relative) for problem in problems)
        path.write_bytes(good)
    assert verify(copy).ok


# --------------------------------------------------------------------------------------------------
# Datasets that the pipeline has no more


def renamed(tmp_path):
    """An output whose `words` was renamed to `terms`, and whose pages are others by now."""
    lines = write_lines(tmp_path / "a.txt", 66)
    datasets = two(lines)
    run_job(tmp_path / "out", datasets)
    write_lines(tmp_path / "a.txt", 77)
    datasets["terms"] = datasets.pop("words")
    return run_job(tmp_path / "out", datasets)


def test_a_renamed_dataset_is_told_and_left_where_it_is(tmp_path):
    result = renamed(tmp_path)
    assert result.datasets.keys() == {"pages", "terms"}
    assert [note for note in result.notes if "left over" in note] == [
        f"{tmp_path / 'out/words'} is left over: the pipeline does not publish it any more, and "
        "the report leaves it out; delete the folder if you do not need it"
    ]
    assert left_over(tmp_path / "out") == ["words"]
    assert open_dataset(tmp_path / "out/words").rows("train")


def test_a_left_over_dataset_is_held_against_itself_only(tmp_path):
    renamed(tmp_path)
    found = verify(tmp_path / "out")
    assert {name: check.left_over for name, check in found.datasets.items()} == {
        "pages": False,
        "terms": False,
        "words": True,
    }
    # Its parent has other records now, which is no fault of either.
    assert found.ok
    told = {name: one.get("left_over") for name, one in found.to_json()["datasets"].items()}
    assert told == {"pages": None, "terms": None, "words": True}
    shard = next((tmp_path / "out/words").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert not verify(tmp_path / "out").ok


def test_a_dataset_that_is_published_no_more_is_left_over(tmp_path):
    datasets = two(write_lines(tmp_path / "a.txt", 66))
    run_job(tmp_path / "out", datasets)
    hidden = datasets["pages"].model_copy(update={"publish": False})
    result = run_job(tmp_path / "out", {**datasets, "pages": hidden})
    assert left_over(tmp_path / "out") == ["pages"]
    assert sum("left over" in note for note in result.notes) == 1


@pytest.mark.parametrize("text", [None, "{", "[]", '{"pipeline": 3}', '{"pipeline": {"a": 1}}'])
def test_without_a_summary_no_dataset_is_left_over(tmp_path, text):
    renamed(tmp_path)
    (tmp_path / "out/run.json").unlink()
    if text is not None:
        (tmp_path / "out/run.json").write_text(text)
    assert left_over(tmp_path / "out") == []


def test_a_rule_count_that_is_not_the_ledger_s_is_found(output, tmp_path):
    copy = shutil.copytree(output, tmp_path / "copy")
    path = copy / "pages/manifest.json"
    manifest = json.loads(path.read_bytes())
    (rule,) = manifest["steps"][2]["rules"]
    assert rule == {"reason": "too_short", "saw": 42, "dropped": 12}
    rule["dropped"] = 11
    path.write_text(json.dumps(manifest))
    assert verify(copy).datasets["pages"].problems == [
        "Length says that too_short dropped 11 records, its ledger 12"
    ]


def test_a_count_of_fenced_records_that_the_ledger_does_not_have_is_wrong(tmp_path, output):
    copy = tmp_path / "out"
    shutil.copytree(output, copy)
    path = copy / "pages/manifest.json"
    manifest = json.loads(path.read_bytes())
    assert manifest["fence"] == {"total": 0, "records": []}
    manifest["fence"]["total"] = 2
    path.write_text(json.dumps(manifest))
    assert verify(copy).datasets["pages"].problems == [
        "the fence stopped 2 records, the ledger has 0"
    ]
