"""What is run, what is found again, and what is refused."""

import itertools
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest
import toys
from jobs import dataset, job, published, ran, run_job, write_lines

from datatools import steps, verify
from datatools.engine import plan
from datatools.engine.ledger import StepCounts
from datatools.engine.lock import held
from datatools.errors import ConfigError, DataError, IntegrityError, OutputHeldError
from datatools.job.cache import collect
from datatools.job.running import run

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "a.txt", 66)


def usual(lines, **changes):
    """Two datasets that use every kind of step."""
    upper = changes.get("upper", toys.Upper())
    length = changes.get("length", toys.Length())
    return {
        "pages": dataset(
            toys.ReadLines(paths=(lines,), unit_bytes=1000),
            upper,
            length,
            steps.ExactDedup(),
            steps.Split(validation=0.2),
        ),
        "words": dataset(toys.Words(), steps.Shuffle(), from_="pages"),
    }


def manifest(output, name):
    return json.loads((output / name / "manifest.json").read_bytes())


def tree(folder):
    """Return every file with its size, time and inode."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
    }


# --------------------------------------------------------------------------------------------------
# Accounting


def test_every_record_is_accounted_for_at_every_step(tmp_path, lines):
    run_job(tmp_path / "out", usual(lines))
    for name in ("pages", "words"):
        found = manifest(tmp_path / "out", name)
        counts = [StepCounts.from_json(step["counts"]) for step in found["steps"]]
        assert all(step.balance == 0 for step in counts)
        assert all(a.kept == b.read for a, b in itertools.pairwise(counts))
        assert counts[-1].kept == found["rows"]
    pages = manifest(tmp_path / "out", "pages")
    by_label = {step["label"]: step["counts"] for step in pages["steps"]}
    # 66 lines are six times the eleven kinds of line: one comment, one bad line, one that drops,
    # one that booms, `ab`, `nan` (upper-cased, so a word of three letters that comes six times) and
    # ``.
    assert by_label["ReadLines"]["read"] == 60
    assert by_label["ReadLines"]["quarantined"] == {"bad_line": 6}
    assert by_label["Upper"]["dropped"] == {"asked": 6}
    assert by_label["Upper"]["quarantined"] == {"boom": 6}
    assert by_label["Length"]["dropped"] == {"too_short": 12}
    assert by_label["ExactDedup"]["dropped"] == {"exact_duplicate": 5}
    assert pages["rows"] == 60 - 6 - 6 - 6 - 12 - 5
    assert verify(tmp_path / "out").ok


def test_every_byte_of_the_input_is_accounted_for(tmp_path, lines):
    run_job(tmp_path / "out", usual(lines))
    counts = manifest(tmp_path / "out", "pages")["inputs"]["ReadLines"]
    data = Path(lines).read_bytes()
    comments = sum(len(line) for line in data.splitlines(True) if line.startswith(b"#"))
    assert counts["size"] == len(data)
    assert counts["skipped"] == {"comment": comments}
    assert counts["consumed"] == len(data) - comments


class ForgetsBytes(toys.ReadLines):
    """Does not tell of its last byte."""

    def read(self, unit, log, label):
        class Short:
            def consumed(self, start, end):
                log.consumed(start, end - (end == unit.end))

            def __getattr__(self, name):
                return getattr(log, name)

        return super().read(unit, Short(), label)


def test_a_source_that_forgets_a_byte_is_stopped(tmp_path, lines):
    datasets = {"pages": dataset(ForgetsBytes(paths=(lines,)))}
    size = Path(lines).stat().st_size
    with pytest.raises(DataError) as caught:
        run_job(tmp_path / "out", datasets)
    assert f"it stopped at {size - 1} of {size}" in str(caught.value)
    assert str(caught.value).startswith("pages/ForgetsBytes: failed with AssertionError: ")


def test_the_report_of_an_error_of_ours_names_the_file_with_its_traceback(tmp_path, lines):
    with pytest.raises(DataError) as caught:
        run_job(tmp_path / "out", {"pages": dataset(ForgetsBytes(paths=(lines,)))})
    log = Path(str(caught.value).split("The traceback is in ")[1].split(". Finished")[0])
    assert "Traceback (most recent call last)" in log.read_text()


def test_quarantined_records_fail_the_run_unless_they_are_allowed(tmp_path, lines):
    output = tmp_path / "out"
    pages = {"pages": dataset(toys.ReadLines(paths=(lines,)))}
    strict = run_job(output, pages, on_input_error="fail")
    assert strict.problems == ["pages: 6 of 60 records quarantined (bad_line 6)"]
    tight = run_job(output, pages, max_quarantine_fraction=0.09)
    assert tight.problems == [
        "pages: 6 of 60 records quarantined, more than the allowed 9.000% (bad_line 6)"
    ]
    assert run_job(output, pages, max_quarantine_fraction=0.1).ok
    assert (output / "pages/manifest.json").exists()


# --------------------------------------------------------------------------------------------------
# The cache


def test_a_second_run_runs_nothing_and_changes_nothing(tmp_path, lines):
    output = tmp_path / "out"
    first = run_job(output, usual(lines))
    assert all(not event.cached for event in first.events)
    before = {path: seen for path, seen in tree(output).items() if "status.json" not in path}
    second = run_job(output, usual(lines))
    assert ran(second) == []
    assert [e.key for e in second.events] == [e.key for e in first.events]
    after = {path: seen for path, seen in tree(output).items() if path in before}
    moved = {Path(path).name for path in before if before[path] != after[path]}
    # Only what tells of the run itself is written again.
    assert moved <= {"out", ".cache", "run.json", "used.json", ".lock", "datatools"}


def test_a_changed_threshold_measures_nothing_again(tmp_path, lines):
    log = tmp_path / "measured"
    output = tmp_path / "out"
    run_job(output, usual(lines, length=toys.Length(log=str(log))))
    once = log.read_text()
    assert sum(map(int, once.split())) == 42
    result = run_job(output, usual(lines, length=toys.Length(minimum=10, log=str(log))))
    assert log.read_text() == once
    assert ran(result)[0] == "pages/Length decide"
    dropped = manifest(output, "pages")["steps"][2]["counts"]["dropped"]
    assert dropped["too_short"] > 12


def test_a_changed_step_runs_what_is_below_it_and_nothing_above(tmp_path, lines):
    output = tmp_path / "out"
    datasets = usual(lines)
    run_job(output, datasets)
    longer = dataset(toys.Words(), steps.Shuffle(), toys.Length(minimum=2), from_="pages")
    result = run_job(output, {**datasets, "words": longer})
    assert {name.split("/")[0] for name in ran(result)} == {"words"}
    assert "words/Words" not in ran(result)


def test_an_edit_that_yields_the_same_bytes_keeps_everything_below(tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("long enough\n아주 긴 한국어 줄\n")
    output = tmp_path / "out"

    def datasets(minimum):
        return {
            "pages": dataset(toys.ReadLines(paths=(str(text),)), toys.Length(minimum=minimum)),
            "words": dataset(toys.Words(), steps.Shuffle(), from_="pages"),
        }

    run_job(output, datasets(3))
    assert ran(run_job(output, datasets(2))) == ["pages/Length decide"]


def test_an_upstream_function_that_changes_nothing_is_run_and_nothing_below_it(tmp_path, lines):
    # `NAN` and `nan` differ, but no line holds the letter that the suffix would follow.
    class SameUpper(toys.Upper):
        """Upper by another name."""

    output = tmp_path / "out"
    run_job(output, usual(lines))
    result = run_job(output, usual(lines, upper=SameUpper()))
    # The fates name the step, so they and what publishes them are made again.
    assert ran(result) == ["pages/ReadLines+SameUpper", "pages/fates"]


def edit_input(lines, monkeypatch):
    Path(lines).write_text(Path(lines).read_text() + "one more line\n")


def touch_input(lines, monkeypatch):
    os.utime(lines, ns=(1, 1))


def move_input(lines, monkeypatch):
    Path(lines).parent.joinpath("moved").mkdir()
    Path(lines).rename(Path(lines).parent / "moved/a.txt")


def upgrade_library(lines, monkeypatch):
    monkeypatch.setattr(toys.Upper, "libraries", ("polars",))


def bump_version(lines, monkeypatch):
    monkeypatch.setattr(toys.Upper, "version", 2)


EDITS = {
    "edited input": (edit_input, None),
    "touched input": (touch_input, ["pages/ReadLines+Upper"]),
    "moved input": (move_input, []),
    "upgraded library": (upgrade_library, ["pages/ReadLines+Upper"]),
    "bumped version": (bump_version, ["pages/ReadLines+Upper"]),
}


@pytest.mark.parametrize("edit", list(EDITS))
def test_a_stale_result_is_never_used_and_a_good_one_is(tmp_path, lines, monkeypatch, edit):
    change, expected = EDITS[edit]
    output = tmp_path / "out"
    run_job(output, usual(lines))
    change(lines, monkeypatch)
    if edit == "moved input":
        lines = str(tmp_path / "moved/a.txt")
    result = run_job(output, usual(lines))
    if expected is None:
        assert "pages/publish" in ran(result)
        assert manifest(output, "pages")["steps"][0]["counts"]["read"] == 61
    else:
        assert ran(result) == expected


def test_a_changed_seed_runs_everything(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    result = run(job(output, usual(lines), seed=1), only=["pages", "words"])
    assert "words/publish" in ran(result)


def test_how_a_job_runs_does_not_change_what_comes_out(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    for settings in ({"workers": 1}, {"memory": 2_000}, {"on_input_error": "fail"}):
        result = run_job(output, usual(lines), **settings)
        assert published(output) == before
        assert not any("publish" in name for name in ran(result))


FUNCTION = '''from appliedpkg.helper import tail


def strip(text):
    """Cut the text."""
    return tail(text, {number})
'''
HELPER = "def tail(text, number):\n    return text[:number]\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "code/appliedpkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "text.py").write_text(FUNCTION.format(number=5))
    (folder / "helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "appliedpkg"]:
        del sys.modules[name]


def applied(tmp_path, lines):
    pages = dataset(toys.ReadLines(paths=(lines,)), steps.Apply(function="appliedpkg.text:strip"))
    result = run_job(tmp_path / "out", {"pages": pages})
    longest = max(map(len, published_texts(tmp_path / "out")))
    return ran(result), longest


def published_texts(output):
    return pl.read_parquet(output / "pages/*.parquet")["text"].to_list()


def test_an_edited_function_is_run_again_and_an_edited_comment_is_not(tmp_path, lines, package):
    assert applied(tmp_path, lines)[1] == 5
    text = package / "text.py"
    text.write_text("# a comment\n\n" + text.read_text().replace("    return", "\n    return"))
    assert applied(tmp_path, lines) == ([], 5)
    text.write_text(FUNCTION.format(number=11))
    names, longest = applied(tmp_path, lines)
    assert "pages/ReadLines+Apply" in names
    assert longest == 11


def test_an_edit_of_what_a_function_imports_is_noticed(tmp_path, lines, package):
    applied(tmp_path, lines)
    (package / "helper.py").write_text(HELPER.replace("[:number]", "[:number - 2]"))
    names, longest = applied(tmp_path, lines)
    assert "pages/ReadLines+Apply" in names
    assert longest == 3


STEP = '''import polars as pl
from datatools.steps.base import Map, Mapped


class Mark(Map):
    """Marks every text."""

    def bind(self, context):
        return self

    def map(self, batch):
        return Mapped(batch.df.with_columns((pl.col("text") + "{mark}").alias("text")))
'''


def test_an_edited_step_of_ones_own_is_never_served_from_the_cache(tmp_path, lines):
    # In another process each time, as a user would: a class is not reloaded by an edit of its file.
    (tmp_path / "code").mkdir()
    step = tmp_path / "code/ownstep.py"
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        f"name: own\ndatasets:\n  pages:\n    steps:\n"
        f"      - toys:ReadLines: {{paths: [{lines}]}}\n"
        f"      - ownstep:Mark\nrun: {{executor: inline, on_input_error: quarantine, "
        f"max_quarantine_fraction: 1}}\noutput: {tmp_path}/out\n"
    )
    code = (
        "import sys; from datatools import run\n"
        "r = run(sys.argv[1], only=['pages'])\n"
        "print([e.name for e in r.events if not e.cached])"
    )

    def go():
        done = subprocess.run(
            [sys.executable, "-c", code, str(pipeline)],
            env={**os.environ, "PYTHONPATH": f"{TESTS}:{tmp_path / 'code'}"},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    step.write_text(STEP.format(mark="!"))
    go()
    step.write_text(STEP.format(mark="!!!"))
    assert go() != "[]"
    assert all(text.endswith("!!!") for text in published_texts(tmp_path / "out"))


def test_a_step_without_source_is_not_found_by_another_process(tmp_path):
    from datatools.code_digest import foreign_code

    exec_made = type("Made", (toys.Upper,), {"__module__": "nowhere_to_be_found"})
    assert foreign_code(exec_made) == foreign_code(exec_made)
    code = (
        "from datatools.code_digest import foreign_code\n"
        "print(foreign_code(type('Made', (), {'__module__': 'nowhere_to_be_found'})))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.stdout.strip() != foreign_code(exec_made)


# --------------------------------------------------------------------------------------------------
# A damaged cache


def part_of(output, name):
    """Return the first data part of a stage, by the stage's name."""
    for path in sorted((output / ".cache/stages").glob("*/manifest.json")):
        stage = json.loads(path.read_bytes())
        if stage["name"] == name:
            return output / ".cache" / stage["outputs"][0]["parts"]["data"]["path"]
    raise LookupError(name)


def flip(path, position=150):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_a_published_shard_that_was_edited_in_place_is_made_again(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    flip(next((output / "pages").glob("*.parquet")))
    assert published(output) != before
    run_job(output, usual(lines))
    assert published(output) == before


def test_a_flipped_bit_in_the_cache_stops_the_run_with_a_way_out(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    broken = part_of(output, "pages/ReadLines+Upper")
    # A disk that rots does not tell the time of it, unlike an editor.
    times = broken.stat()
    flip(broken)
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(IntegrityError) as caught:
        run_job(output, usual(lines, length=toys.Length(minimum=4)))
    assert str(caught.value).startswith(f"{broken}: does not hold the bytes that were committed")
    assert str(caught.value).endswith("Run `datatools gc --all` and run again.")
    collect(output, everything=True)
    run_job(output, usual(lines))
    assert published(output) == before


def test_a_missing_part_is_made_again(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    for stage in ("pages/ReadLines+Upper", "pages/Length measure", "words/Words", "pages/sizes"):
        part_of(output, stage).unlink()
        assert ran(run_job(output, usual(lines))) == [stage]
        assert published(output) == before


def test_a_broken_stage_manifest_is_made_again(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    for data in (b"", b"{", b"{}", b"[]", b'{"outputs": [{}]}', b"\xff\xfe"):
        (part_of(output, "words/Words").parent / "manifest.json").write_bytes(data)
        assert ran(run_job(output, usual(lines))) == ["words/Words"]
        assert published(output) == before


def test_a_cache_that_is_deleted_is_made_again_alike(tmp_path, lines):
    import shutil

    output = tmp_path / "out"
    run_job(output, usual(lines))
    before = published(output)
    shutil.rmtree(output / ".cache")
    run_job(output, usual(lines))
    assert published(output) == before


def test_temporaries_that_a_killed_run_left_are_gone_after_the_next(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    left = [output / ".tmp-1-0-run.json", output / "pages/.tmp-1-a", output / ".cache/.tmp-1-b"]
    for path in left:
        path.write_text("half")
    run_job(output, usual(lines))
    assert not any(path.exists() for path in left)


# --------------------------------------------------------------------------------------------------
# Parts of a job


def test_only_runs_what_is_asked_for_and_what_it_needs(tmp_path, lines):
    datasets = usual(lines)
    datasets["more"] = dataset(toys.Upper(suffix="!"), from_="pages")
    result = run(job(tmp_path / "out", datasets), only=["words"])
    assert {event.name.split("/")[0] for event in result.events} == {"pages", "words"}
    with pytest.raises(ConfigError, match=r"--only: there is no such dataset \(got 'word'\)"):
        run(job(tmp_path / "out", datasets), only=["word"])


def test_a_limit_reads_the_first_records_and_is_not_taken_for_the_whole(tmp_path, lines):
    output = tmp_path / "out"
    limited = run(job(output, usual(lines)), only=["pages"], limit=5)
    assert manifest(output / "trial", "pages")["steps"][0]["counts"]["kept"] == 5
    whole = run(job(output, usual(lines)), only=["pages"])
    assert ran(whole)[0] == "pages/ReadLines+Upper"
    assert manifest(output, "pages")["steps"][0]["counts"]["kept"] == 54
    assert limited.ok


def test_several_parents_are_joined_in_order_with_the_columns_they_share(tmp_path):
    (tmp_path / "a.txt").write_text("first\nab\n두 번째\n")
    (tmp_path / "b.txt").write_text("third\n네 번째\n")
    datasets = {
        "a": dataset(
            toys.ReadLines(paths=(str(tmp_path / "a.txt"),)), toys.Length(), steps.Split()
        ),
        "b": dataset(toys.ReadLines(paths=(str(tmp_path / "b.txt"),)), steps.Split()),
        "both": dataset(toys.Length(minimum=5), from_=("a", "b")),
        "again": dataset(steps.Split(validation=0.5), from_="both"),
    }
    run_job(tmp_path / "out", datasets)
    assert published_rows(tmp_path / "out", "both") == ["first", "third"]
    beside = pl.read_parquet(tmp_path / "out/both/sidecar/train-*.parquet")
    assert "Length.characters" in beside.columns
    assert verify(tmp_path / "out").ok


def published_rows(output, name):
    return pl.read_parquet(output / name / "*.parquet")["text"].to_list()


def test_the_same_filter_and_split_in_parent_and_child_decide_each_for_itself(tmp_path, lines):
    datasets = {
        "pages": dataset(
            toys.ReadLines(paths=(lines,)), toys.Length(), steps.Split(validation=0.5)
        ),
        "less": dataset(toys.Length(minimum=30), steps.Split(validation=0.5), from_="pages"),
    }
    run_job(tmp_path / "out", datasets)
    texts = published_rows(tmp_path / "out", "less")
    assert texts
    assert min(map(len, texts)) >= 30
    assert verify(tmp_path / "out").ok


def test_a_fate_is_told_once_for_records_that_share_an_id_and_are_all_dropped(tmp_path, lines):
    (tmp_path / "x").mkdir()
    other = tmp_path / "x/a.txt"
    other.write_bytes(Path(lines).read_bytes())
    datasets = {
        "one": dataset(toys.ReadLines(paths=(lines,), label="same"), publish=False),
        "two": dataset(toys.ReadLines(paths=(str(other),), label="same"), publish=False),
        "both": dataset(toys.Length(minimum=1000), from_=("one", "two")),
    }
    run_job(tmp_path / "out", datasets)
    fates = pl.read_parquet(tmp_path / "out/both/sidecar/fates.parquet")
    assert fates.height == 2 * 54  # every record that came in, once
    assert verify(tmp_path / "out").ok


# --------------------------------------------------------------------------------------------------
# Two runs, and a disk that refuses


def test_a_second_run_on_one_output_is_refused_and_changes_nothing(tmp_path, lines):
    output = tmp_path / "out"
    run_job(output, usual(lines))
    with held(output, "the first run"):
        before = tree(output)
        with pytest.raises(OutputHeldError) as caught:
            run_job(output, usual(lines, upper=toys.Upper(suffix="!")))
        assert tree(output) == before
    assert str(caught.value) == (
        f"{output}: another run holds this output (got 'the first run'). "
        "Wait for it to end, or choose another `output:`."
    )
    assert caught.value.exit_code == 3
    run_job(output, usual(lines))


def test_a_run_in_another_process_is_noticed_and_the_command_exits_3(tmp_path, lines):
    output = tmp_path / "out"
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        f"name: held\ndatasets:\n  pages:\n"
        f"    steps: [{{'toys:ReadLines': {{paths: [{lines}]}}}}]\n"
        f"output: {output}\n"
    )
    with held(output, "the first run"):
        before = tree(output)
        done = subprocess.run(
            [sys.executable, "-m", "datatools.cli.main", "run", str(pipeline)],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert tree(output) == before
    assert done.returncode == 3, done.stderr
    assert "another run holds this output (got 'the first run')" in done.stderr
    assert "Traceback" not in done.stderr


def test_of_eight_runs_at_once_one_wins_and_the_others_are_refused(tmp_path):
    output = tmp_path / "out"
    barrier, outcomes = threading.Barrier(8), []
    done = threading.Event()

    def go():
        barrier.wait()
        try:
            with held(output, "me"):
                outcomes.append("won")
                done.wait(10)
        except OutputHeldError:
            outcomes.append("refused")
            if outcomes.count("refused") == 7:
                done.set()

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["won"]


def test_an_output_that_cannot_be_made_is_a_configuration_error(tmp_path, lines):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written \(got 'Not a directory'\)"):
        run_job(tmp_path / "file/out", usual(lines))


def test_a_full_disk_in_the_driver_is_a_clean_stop_and_the_next_run_goes_on(
    tmp_path, lines, monkeypatch
):
    from datatools.engine import stores

    output = tmp_path / "out"
    real = stores.write_json

    def full(path, value, **settings):
        if isinstance(value, dict) and value.get("name") == "pages/Length decide":
            raise OSError(28, "No space left on device", str(path))
        real(path, value, **settings)

    monkeypatch.setattr(stores, "write_json", full)
    with pytest.raises(DataError, match=r"the disk is full .* Free some space and run again"):
        run_job(output, usual(lines))
    assert json.loads((output / ".cache/status.json").read_bytes())["state"] == "stopped"
    monkeypatch.undo()
    result = run_job(output, usual(lines))
    assert "pages/ReadLines+Upper" not in ran(result)


def test_plan_keys_do_not_hold_a_library_that_is_not_there():
    assert plan._library_version("surely-not-installed") == "absent"


@pytest.mark.slow
def test_a_job_of_many_shards_keeps_few_files_open(tmp_path):
    path = write_lines(tmp_path / "a.txt", 1500)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        pages = dataset(
            toys.ReadLines(paths=(path,), unit_bytes=60), steps.ExactDedup(), steps.Shuffle()
        )
        result = run_job(tmp_path / "out", {"pages": pages})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert max(event.tasks for event in result.events) > 300
    assert verify(tmp_path / "out").ok
