"""Cleaning the cache: what goes, what stays, and that nothing but time is lost."""

import json
import os

import pytest
import toys
from jobs import dataset, published, ran, run_job, write_lines

from datatools import plan, steps, verify
from datatools.engine.lock import held
from datatools.errors import DataError, OutputHeldError
from datatools.job.cache import collect


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "a.txt", 44)


def usual(lines, *, minimum=3):
    return {
        "pages": dataset(
            toys.ReadLines(paths=(lines,)),
            toys.Upper(),
            toys.Length(minimum=minimum),
            steps.ExactDedup(),
            steps.Split(validation=0.2),
        )
    }


def stages(output):
    """Return the names and keys of the committed stages."""
    return {
        path.parent.name: json.loads(path.read_bytes())["name"]
        for path in output.glob(".cache/stages/*/manifest.json")
    }


def size(output):
    files = [path for path in output.glob(".cache/stages/**/*") if path.is_file()]
    return sum(path.stat().st_size for path in files)


def test_after_one_run_there_is_nothing_to_remove(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = stages(output), size(output)
    gone = collect(output)
    assert (gone.stages, gone.bytes, gone.left) == (0, 0, before[1])
    assert (stages(output), size(output)) == before


def test_only_stages_that_the_last_run_did_not_use_go(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    old = stages(output)
    run_job(output, usual(lines, minimum=10))
    both = stages(output)
    gone = collect(output)
    left = stages(output)
    assert gone.stages == len(both) - len(left) > 0
    assert gone.left == size(output)
    assert left.keys() < both.keys()
    assert set(both) - set(left) < set(old)  # of the first run, and not all of it
    assert ran(run_job(output, usual(lines, minimum=10))) == []


def test_a_run_after_cleaning_gives_the_same_bytes(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    first = published(output)
    run_job(output, usual(lines, minimum=10))
    collect(output)
    run_job(output, usual(lines))
    assert published(output) == first
    assert verify(output).ok


def test_everything_goes_when_asked_and_what_is_published_stays(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before, used = published(output), len(stages(output))
    gone = collect(output, everything=True)
    assert (gone.stages, gone.left) == (used, 0)
    assert stages(output) == {}
    assert published(output) == before
    assert verify(output).ok
    result = run_job(output, usual(lines))
    assert len(ran(result)) == used
    assert published(output) == before


def test_a_limit_removes_the_oldest_until_it_is_kept(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    folders = sorted((output / ".cache/stages").iterdir())
    for age, folder in enumerate(folders):
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))  # the last one is the oldest
    whole = size(output)
    gone = collect(output, limit=whole // 2)
    assert 0 < gone.stages < len(folders)
    assert gone.left == size(output) <= whole // 2
    assert gone.bytes == whole - gone.left
    left = set((output / ".cache/stages").iterdir())
    assert left == set(folders[: len(left)])
    # One more would have been too many.
    newest_gone = folders[len(left)]
    assert not newest_gone.exists()
    before = published(output)
    run_job(output, usual(lines))
    assert published(output) == before


def test_a_limit_that_is_kept_already_removes_nothing_in_use(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    assert collect(output, limit=size(output)).stages == 0


def test_what_a_stopped_run_began_is_not_in_use(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    begun = output / ".cache/stages" / ("0" * 32)
    begun.mkdir()
    (begun / "00000.data.arrow").write_bytes(b"half")
    (output / ".cache/.tmp-1-2-x").write_bytes(b"half")
    gone = collect(output)
    assert (gone.stages, gone.bytes) == (1, 4)
    assert not begun.exists()
    assert not list(output.rglob(".tmp-*"))


@pytest.mark.parametrize("content", [None, "", "{"])
def test_without_knowing_what_was_used_everything_goes_and_nothing_is_lost(
    tmp_path, lines, content
):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    used = output / ".cache/used.json"
    if content is None:
        used.unlink()
    else:
        used.write_text(content)
    assert collect(output).left == 0
    run_job(output, usual(lines))
    assert published(output) == before


def test_a_folder_without_a_cache_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="has no cache"):
        collect(tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_cache_in_use_is_left_alone(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = stages(output)
    with held(output, "a run"), pytest.raises(OutputHeldError):
        collect(output, everything=True)
    assert stages(output) == before


def test_a_plan_after_cleaning_says_that_everything_runs(tmp_path, lines):
    from jobs import job

    output = tmp_path / "out"
    run_job(output, usual(lines))
    collect(output, everything=True)
    (pages,) = plan(job(output, usual(lines))).datasets
    assert [state for _, state in pages.segments] == ["run", "after", "after", "after"]
