"""What `datatools explain` prints of duplicates."""

import json
import re

import polars as pl
import pytest
import toys
from calling import process
from jobs import dataset, run_job
from rich.cells import cell_len

from datatools import steps

WORDS = {
    "english": " ".join(f"word{number}" for number in range(60)),
    "한국어": " ".join(f"낱말{number}" for number in range(60)),
}
LONG = "an https://example.org/" + "very-long-address/" * 6
ACTING = "\x1b]0;title\x07\x9b2J"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    lines = []
    for number, text in enumerate(WORDS.values()):
        lines += [f"{number} {text} {LONG} {ACTING}", f"{number} {text} {LONG} {ACTING} 끝 end"]
        lines += [lines[-2]] * 25
    (folder / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    source = toys.ReadLines(paths=(str(folder / "a.txt"),))
    run_job(
        folder / "out",
        {"pages": dataset(source, steps.ExactDedup(), steps.MinHashDedup(threshold=0.7))},
    )
    return folder / "out"


def gone(output, step):
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    # Those whose texts were kept first.
    return fates.filter(pl.col("step") == step).sort(pl.col("preview").is_null())["id"].to_list()


def test_a_duplicate_is_told_with_its_survivors_and_the_words_that_differ(datatools, output):
    asked = gone(output, "ExactDedup")[0]
    first = gone(output, "MinHashDedup")[0]
    (stands, _) = pl.read_parquet(output / "pages/train-*.parquet")["id"].to_list()
    called = datatools("explain", output, asked)
    assert called.code == 0
    lines = called.out.splitlines()
    at = lines.index(f"  stayed   {first}")
    assert lines[at + 2] == "           left pages later, by MinHashDedup: near_duplicate"
    assert re.fullmatch(rf"  then     {stands} \(similarity 0\.\d+\)", lines[at + 3])
    assert lines[at + 5] == "           stands in pages/train-00000-of-00001.parquet row 0"
    assert lines[at + 6].startswith("  words    ")


@pytest.mark.parametrize("number", [0, 1])
def test_the_difference_fits_eighty_columns_and_does_not_act(datatools, output, number):
    called = datatools("explain", output, gone(output, "MinHashDedup")[number])
    _, _, difference = called.out.partition("  words    ")
    assert "only the beginnings are compared" in difference or "끝 end+}" in difference
    assert all(cell_len(line) <= 80 for line in difference.splitlines())
    assert "\x1b" not in called.out
    assert "\x9b" not in called.out


def test_a_record_that_stayed_lists_what_it_replaced(datatools, output):
    first = gone(output, "MinHashDedup")[0]
    called = datatools("explain", output, first)
    assert "  replaced 25\n" in called.out
    assert called.out.count("pages.ExactDedup") == 20
    assert "           and 5 more\n" in called.out


def test_survivors_and_what_was_replaced_are_printed_as_json(datatools, output):
    (station,) = json.loads(
        datatools("explain", output, "--json", gone(output, "ExactDedup")[0]).out
    )["stations"]
    survivor = station["survivor"]["survivor"]
    assert survivor["outcome"] == "published"
    (other,) = json.loads(datatools("explain", output, "--json", survivor["id"]).out)["stations"]
    (replaced,) = other["replaced"]["records"]
    assert replaced["id"] == station["survivor"]["id"]
    assert replaced["similarity"] == survivor["similarity"]
    assert {piece["side"] for piece in survivor["difference"]["pieces"]} <= {
        "both",
        "first",
        "second",
    }


def test_colours_are_for_terminals_only(output):
    called = process("explain", output, gone(output, "MinHashDedup")[1])
    assert called.code == 0, called.err
    assert "\x1b" not in called.out
