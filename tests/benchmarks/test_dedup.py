"""The deduplication benchmark: its JSON, its judgement and its inputs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from dedup_inputs import STRESS, write_documents
from dedup_parts.quality import judged
from dedup_parts.scale import CacheWatch
from machine import figure
from near_duplicates import truth

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.slow
def test_a_quick_run_of_ours_ends_with_one_json_object(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "dedup.py")]
    command += ["--quick", "--ours", "--json", "--only", "quality", "--work", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    result = json.loads(run.stdout.splitlines()[-1])
    assert result["benchmark"] == "dedup"
    assert result["quick"] is True
    assert set(result["machine"]) >= {"cpu", "cores", "polars", "datatools"}
    assert set(result["figures"]) == {
        f"quality_{language}_{name}"
        for language in ("en", "ko")
        for name in ("precision", "recall", "s_curve_gap")
    }
    met = [one["met"] for one in result["figures"].values()]
    assert run.returncode == (0 if all(met) else 1)
    assert list(tmp_path.iterdir()) == []


A, C = (" ".join(f"{name}{number}" for number in range(30)) for name in "ac")


@pytest.mark.parametrize(
    ("kept", "precision", "recall"),
    [
        ("ac", 1.0, 1.0),  # each copy gone, each original there
        ("abc", 1.0, 0.5),  # b and its original both stay
        ("c", 0.3333, 1.0),  # a and b both gone: only d has something like it that stays
        ("abcd", 1.0, 0.0),  # nothing was removed, so nothing wrongly
    ],
)
def test_precision_and_recall_of_a_hand_made_set(kept, precision, recall):
    rows = pl.DataFrame({"id": list("abcd"), "text": [A, A + " more", C, C + " mehr"]})
    found = judged(rows, list(kept), truth(rows))
    assert (found["precision"], found["recall"]) == (precision, recall)


def test_a_figure_that_was_not_measured_is_not_met():
    assert figure(None, 2, at_most=True)["met"] is False
    assert figure(2, 2, at_most=True)["met"] is True
    assert figure(1.9, 2)["met"] is False


@pytest.mark.parametrize("name", sorted(STRESS))
def test_stress_inputs_hold_as_many_documents_as_they_say(name, tmp_path):
    path = tmp_path / "in.parquet"
    expected = STRESS[name](path, 0.001)
    rows = pl.read_parquet(path)
    assert rows.columns == ["id", "text"]
    assert rows.height == rows["id"].n_unique() == expected.documents
    assert 1 <= expected.fewest <= expected.most <= expected.documents


@pytest.mark.parametrize(("name", "similarity"), [("template", 0.901), ("template_below", 0.730)])
def test_documents_of_a_template_are_as_alike_as_said(name, similarity, tmp_path):
    path = tmp_path / "in.parquet"
    STRESS[name](path, 0.0001)
    pairs = truth(pl.read_parquet(path))
    assert pairs.height == 100 * 99 // 2
    assert pairs["jaccard"].to_numpy() == pytest.approx(np.full(pairs.height, similarity), abs=1e-3)


def test_many_documents_are_the_same_every_time_and_a_tenth_are_copies(tmp_path):
    size = write_documents(tmp_path / "a.parquet", 500, mean_words=200, seed=9)
    write_documents(tmp_path / "b.parquet", 500, mean_words=200, seed=9)
    rows = pl.read_parquet(tmp_path / "a.parquet")
    assert rows.equals(pl.read_parquet(tmp_path / "b.parquet"))
    assert size == rows["text"].str.len_bytes().sum()
    alike = truth(rows).filter(pl.col("jaccard") >= 0.5)
    # A copy joins its original's cluster, so copies are the documents less the clusters.
    clusters = {name: {name} for name in rows["id"]}
    for left, right, _ in alike.iter_rows():
        merged = clusters[left] | clusters[right]
        clusters |= dict.fromkeys(merged, merged)
    assert rows.height - len({id(one) for one in clusters.values()}) == 50


def test_the_cache_watch_leaves_out_records_and_keeps_the_peak(tmp_path):
    stages = tmp_path / "stages"
    for name, frame in {
        "records": pl.DataFrame({"id": ["a"], "text": ["x" * 1000]}),
        "table": pl.DataFrame({"key": [1, 2, 3]}),
    }.items():
        (stages / name).mkdir(parents=True)
        frame.write_ipc(stages / name / "00000-data.arrow")
    table = (stages / "table" / "00000-data.arrow").stat().st_size
    watch = CacheWatch(stages)
    (stages / "passing").mkdir()
    (stages / "passing" / "spill").write_bytes(b"x" * 500)
    watch.sample()
    (stages / "passing" / "spill").unlink()
    (stages / "passing").rmdir()
    watch.sample()
    assert watch.peak() == table + 500
    assert watch.peak(records=True) > watch.peak() + 1000


def test_the_large_column_is_one_row_group(tmp_path):
    STRESS["column_of_2_gb"](tmp_path / "in.parquet", 0.001)
    assert pq.ParquetFile(tmp_path / "in.parquet").num_row_groups == 1
