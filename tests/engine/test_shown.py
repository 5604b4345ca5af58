"""Texts of records that left: the same few are shown however the input was cut."""

import itertools

import polars as pl
import pytest
import toys
from hypothesis import given
from hypothesis import strategies as st
from jobs import dataset, run_job

from datatools import steps
from datatools.engine.fates import PREVIEWS
from datatools.engine.shown import Lowest
from datatools.report.load import load_report

rows = st.lists(
    st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from("ST"), st.sampled_from("짧긴"))
)


def slowly(fates):
    """Return the positions of the lowest ids of each step and reason, each sorted for itself."""
    chosen = set()
    for group in {fate[1:] for fate in fates}:
        own = [at for at, fate in enumerate(fates) if fate[1:] == group]
        chosen |= set(sorted(own, key=lambda at: (fates[at][0], at))[:PREVIEWS])
    return chosen


@given(rows, st.lists(st.integers(0, 40), max_size=4))
def test_the_lowest_of_the_lowest_of_parts_are_the_lowest_of_all(fates, cuts):
    schema = {"id": pl.String, "step": pl.String, "reason": pl.String}
    whole = pl.DataFrame(fates, schema=schema, orient="row").with_row_index("place")
    places = sorted({0, len(fates), *(cut for cut in cuts if cut < len(fates))})
    lowest = Lowest()
    parts = [whole[start:stop] for start, stop in itertools.pairwise(places)]
    few = pl.concat([whole.clear(), *(part.filter(lowest.among(part)) for part in parts)])
    assert set(few.filter(Lowest().among(few))["place"]) == slowly(fates)


def previews(folder):
    fates = pl.read_parquet(folder / "out/pages/sidecar/fates.parquet")
    return fates.select("id", "step", "reason", "preview").sort("step", "id")


@pytest.mark.parametrize("unit_bytes", [60, 700])
def test_the_samples_of_a_report_do_not_depend_on_how_the_input_was_cut(tmp_path, unit_bytes):
    lines = [f"{'drop me' if n % 3 else '글'} {n} " + "x" * (n % 7) for n in range(90)]
    lines += [f"같은 글 same text {n % 4}" for n in range(40)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = []
    for name, size in (("whole", 1 << 20), ("cut", unit_bytes)):
        source = toys.ReadLines(paths=(str(tmp_path / "a.txt"),), unit_bytes=size)
        chain = (toys.Upper(), toys.Length(minimum=6), steps.ExactDedup())
        run_job(tmp_path / name / "out", {"pages": dataset(source, *chain)})
        (facts,) = load_report(tmp_path / name / "out").datasets
        found.append((previews(tmp_path / name), facts.gone))
    (whole, gone), (cut, gone_of_cut) = found
    assert cut.equals(whole)
    assert gone_of_cut == gone
    shown = whole.filter(pl.col("preview").is_not_null())
    assert len(gone) >= 3
    assert shown.group_by("step").len()["len"].to_list() == [PREVIEWS] * 3
    for _, group in whole.group_by("step", "reason"):
        assert group.sort("id")["preview"].is_not_null().to_list() == [
            place < PREVIEWS for place in range(group.height)
        ]
