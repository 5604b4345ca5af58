"""What a run that succeeded still tells of pairs that its dedup did not compare."""

import json

import pytest
import toys
from jobs import dataset, run_job

from datatools import steps, verify
from datatools.report.build import write_report

TEXTS = {
    "english": " ".join(f"word{number}" for number in range(80)),
    "한국어": " ".join(f"낱말{number}" for number in range(80)),
}


def deduped(folder, text, copies):
    """Run a dedup over texts that differ in their last word."""
    lines = "".join(f"{text} {number}\n" for number in range(copies))
    (folder / "a.txt").write_text(lines, encoding="utf-8")
    source = toys.ReadLines(paths=(str(folder / "a.txt"),))
    return run_job(folder / "out", {"pages": dataset(source, steps.MinHashDedup(threshold=0.8))})


def notes_of(folder):
    manifest = json.loads((folder / "out/pages/manifest.json").read_bytes())
    (_, dedup) = manifest["steps"]
    return dedup["notes"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_buckets_too_large_for_all_their_pairs_are_told_everywhere(tmp_path, text):
    result = deduped(tmp_path, text, copies=40)
    notes = notes_of(tmp_path)
    assert notes["buckets_cut"] > 0
    buckets = (
        "1 bucket was" if notes["buckets_cut"] == 1 else f"{notes['buckets_cut']} buckets were"
    )
    told = f"{buckets} too large: {notes['pairs_not_compared']:,} pairs not compared"
    assert f"MinHashDedup in pages: {told}" in result.notes
    assert verify(tmp_path / "out").datasets["pages"].cut == {"MinHashDedup": told}
    assert told in write_report(tmp_path / "out").read_text("utf-8")


def test_a_search_that_compared_all_pairs_is_not_remarkable(tmp_path):
    result = deduped(tmp_path, TEXTS["english"], copies=20)
    notes = notes_of(tmp_path)
    assert (notes["buckets_cut"], notes["pairs_not_compared"]) == (0, 0)
    assert notes["pairs_proposed"] >= 19
    assert not any("too large" in note for note in result.notes)
    assert verify(tmp_path / "out").datasets["pages"].cut == {}
    assert "too large" not in write_report(tmp_path / "out").read_text("utf-8")
