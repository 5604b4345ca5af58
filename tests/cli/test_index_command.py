"""`datatools index`: the daily job from the command line."""

import json

import polars as pl
import pytest

from datatools import DedupIndex, open_dataset


@pytest.fixture
def kept(datatools, made, tmp_path):
    """An index to which the finished output's dataset of documents was added."""
    index = tmp_path / "kept.index"
    assert datatools("index", "create", index, "--threshold", "0.9").code == 0
    called = datatools("index", "add", made[1] / "pages", "--to", index, "--day", "2026-01-31")
    assert called.code == 0, called.err
    return index, called


def rows(made):
    opened = open_dataset(made[1] / "pages")
    return pl.concat(opened.frame(split, ["id", "text"]) for split in opened.splits)


def test_a_dataset_is_added_once(datatools, made, kept):
    index, called = kept
    count = rows(made).height
    assert called.out == f"{index}: added {count} documents, knew 0 ids, {count} documents\n"
    again = datatools("index", "add", made[1] / "pages", "--to", index)
    assert again.out == f"{index}: this dataset was added before, {count} documents\n"
    assert len(DedupIndex.open(index)) == count


def test_matches_are_lines_and_as_json_what_python_returns(datatools, made, kept):
    index, _ = kept
    called = datatools("index", "match", made[1] / "pages", "--against", index, "--json")
    expected = DedupIndex.open(index).match(rows(made))
    found = [json.loads(line) for line in called.out.splitlines()]
    assert [one["id"] for one in found] == expected["id"].to_list()
    assert [one["match"] for one in found] == expected["match"].to_list()
    assert found[0]["added"] == "2026-01-31"
    assert called.err == f"{len(found)} of {len(found)} documents are in {index}\n"
    plain = datatools("index", "match", made[1] / "pages", "--against", index)
    assert [line.split("\t")[:3] for line in plain.out.splitlines()] == [
        [one["id"], one["match"], "1.000"] for one in found
    ]
    earlier = datatools(
        "index", "match", made[1] / "pages", "--against", index, "--before", "2026-01-31"
    )
    assert earlier.out == ""


def test_info_says_what_an_index_holds(datatools, made, kept):
    index, _ = kept
    count = rows(made).height
    told = datatools("index", "info", index, "--verify")
    assert f"{index}: {count} documents in 1 additions" in told.out
    assert "threshold  0.9 ± 0.027 (standard error), 5 words a shingle" in told.out
    value = json.loads(datatools("index", "info", index, "--json").out)
    assert value["documents"] == count
    assert value["parameters"]["threshold"] == 0.9
    assert (value["first"], value["last"]) == ("2026-01-31", "2026-01-31")
    assert value["content"] == DedupIndex.open(index).state().content


def test_compact_says_how_many_pieces_there_are(datatools, kept):
    index, _ = kept
    added = DedupIndex.open(index)
    added.add(pl.DataFrame({"id": ["x"], "text": ["one more"]}))
    assert datatools("index", "compact", index).out == f"{index}: 2 segments before, 1 now\n"


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["info", "nowhere"], 2, "Make one: datatools index create nowhere"),
        (["add", "nowhere", "--to", "KEPT"], 1, "is not a published dataset"),
        (["add", "WORDS", "--to", "KEPT", "--day", "2026-01-30"], 2, "days must not go back"),
        (["add", "PAGES", "--to", "KEPT", "--day", "soon"], 2, "does not match the format"),
        (["create", "KEPT"], 2, "there is an index already"),
        (["create", "new", "--threshold", "80"], 2, "threshold"),
        (["create", "new", "--unit", "words"], 2, "Did you mean 'word'?"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(
    datatools, made, kept, tmp_path, monkeypatch, args, code, told
):
    monkeypatch.chdir(tmp_path)
    places = {"KEPT": kept[0], "PAGES": made[1] / "pages", "WORDS": made[1] / "words"}
    called = datatools("index", *(places.get(arg, arg) for arg in args))
    assert called.code == code
    assert told in called.err
