"""No row can stop a run: real kills, crashes, hangs and floods in worker processes and on Ray."""

import json

import polars as pl
import pytest
import toys
from deadly import Count, Parts, ReadDeadly, Shout
from jobs import dataset, published, ran, run_job

from datatools import verify
from datatools.engine.progress import Silent
from datatools.errors import DataError
from datatools.job.running import run
from datatools.report.build import write_report

LINES = ["a line of English", "한국어 문서 한 줄", "drop me now", "one", "빠른 갈색 여우"]


class Messages(Silent):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


def lines(path, words, count=60):
    """Write lines, some of which are deadly, and return the path."""
    found = [f"{LINES[i % len(LINES)]} {i}" for i in range(count)]
    for position, word in words.items():
        found[position] = f"{word} {position} 번째 줄"
    path.write_text("\n".join(found) + "\n", encoding="utf-8")
    return str(path)


def steps_over(path, *steps, **settings):
    return dataset(toys.ReadLines(paths=(path,), unit_bytes=100_000), *steps, **settings)


def data_files(output):
    """Return the digests of everything published but what says that the fence was at work."""
    return {name: sha for name, sha in published(output).items() if "manifest" not in name}


def manifest(output, name="a"):
    return json.loads((output / name / "manifest.json").read_text())


def fence(output, name="a"):
    found = manifest(output, name)["fence"]
    assert found["total"] == len(found["records"])
    return [(one["step"], one["reason"], one["detail"]) for one in found["records"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [{0: "kill"}, {59: "segv"}, {11: "kill", 12: "segv"}, {0: "exit", 59: "exit"}],
    ids=["first", "last", "two neighbours", "first and last"],
)
def test_deadly_rows_are_quarantined_and_all_else_is_the_same_to_the_byte(tmp_path, words):
    path = lines(tmp_path / "a.txt", words)
    results = {}
    for name, tame in (("deadly", False), ("tame", True)):
        output = tmp_path / name
        run_job(
            output,
            {"a": steps_over(path, Shout(tame=tame), toys.Length(minimum=12))},
            executor="inline" if tame else "processes",
        )
        assert verify(output).ok
        results[name] = data_files(output), manifest(output)["ledger"], fence(output)
    assert results["deadly"] == results["tame"]
    assert len(results["deadly"][2]) == len(words)


def test_a_row_that_kills_its_worker_is_found_told_and_not_tried_again(tmp_path):
    log = tmp_path / "tried"
    path = lines(tmp_path / "a.txt", {7: "kill"})
    job = {"a": steps_over(path, Shout(log=str(log)))}
    output = tmp_path / "out"
    told = Messages()
    result = run_with(output, job, told)
    assert result.ok
    assert fence(output) == [("Shout", "fence_crash", "killed by SIGKILL")]
    (row,) = manifest(output)["fence"]["records"]
    fates = pl.read_parquet(output / "a/sidecar/fates.parquet")
    assert fates.filter(pl.col("id") == row["id"])["preview"].to_list() == ["kill 7 번째 줄"]
    check = verify(output)
    assert check.ok
    assert check.to_json()["datasets"]["a"]["fence"]["records"] == [row]
    texts = [text.partition("; ")[2] for text in told.texts]
    assert texts == ["trying again", "trying again with every record behind the fence"]
    tried = log.read_text().splitlines().count("kill 7 번째 줄")
    assert tried == 5  # two deaths, then its piece, its neighbours' child, alone

    again = run_with(output, job, told)
    assert ran(again) == []
    # Another step below, another name: the stage that holds the verdict is not run again.
    more = {"a": steps_over(path, Shout(log=str(log)), toys.Length(minimum=1), toys.Upper())}
    run_with(output, more, told)
    assert log.read_text().splitlines().count("kill 7 번째 줄") == tried
    assert fence(output) == [("Shout", "fence_crash", "killed by SIGKILL")]


def run_with(output, datasets, progress, **settings):
    from jobs import job

    chosen = {"executor": "processes", **settings}
    return run(job(output, datasets, **chosen), only=list(datasets), progress=progress)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", pytest.param("ray", marks=pytest.mark.ray)])
def test_every_kind_of_per_row_step_is_looked_into(tmp_path, executor):
    path = lines(tmp_path / "a.txt", {3: "kill", 21: "segv"})
    deadly = {
        "filtered": steps_over(path, Count()),
        "parted": steps_over(path, toys.Length(minimum=1), Parts()),
    }
    tame = {
        "filtered": steps_over(path, Count(harmless=True)),
        "parted": steps_over(path, toys.Length(minimum=1), Parts(tame=True)),
    }
    run_job(tmp_path / "out", deadly, executor=executor)
    run_job(tmp_path / "tame", tame, executor="inline")
    assert verify(tmp_path / "out").ok
    assert fence(tmp_path / "out", "parted") == fence(tmp_path / "tame", "parted")
    assert fence(tmp_path / "out", "filtered") == [
        ("Count", "fence_crash", "killed by SIGKILL"),
        ("Count", "fence_crash", "killed by SIGSEGV"),
    ]
    kept, wanted = (
        pl.read_parquet(tmp_path / where / "filtered/*.parquet") for where in ("out", "tame")
    )
    assert kept.equals(wanted.filter(~pl.col("text").str.contains("^(kill|segv) ")))
    ours, theirs = (data_files(tmp_path / where) for where in ("out", "tame"))
    parted = [name for name in theirs if name.startswith("parted")]
    assert [ours[name] for name in parted] == [theirs[name] for name in parted]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "word"),
    [
        ("processes", "hang"),
        ("processes", "sleep"),
        pytest.param("ray", "hang", marks=pytest.mark.ray),
    ],
)
def test_a_row_that_hangs_is_noticed_and_found(tmp_path, executor, word):
    path = lines(tmp_path / "a.txt", {30: word})
    told = Messages()
    output = tmp_path / "out"
    run_with(output, {"a": steps_over(path, Shout())}, told, executor=executor, stall_s=12)
    ((step, reason, detail),) = fence(output)
    # On a busy machine the clock may run out before the CPU time does.
    assert (step, reason) == ("Shout", "fence_timeout")
    assert detail in ("more than 1.2 s of CPU time", "more than 4.8 s")
    assert verify(output).ok
    if executor == "processes":  # noticed once is enough, and said where
        (text,) = told.texts
        assert "stood still for 12 s in suffer (deadly.py line " in text
        assert text.endswith("; trying again with every record behind the fence")


@pytest.mark.slow
def test_a_row_that_floods_the_memory_is_found(tmp_path):
    path = lines(tmp_path / "a.txt", {30: "flood"})
    output = tmp_path / "out"
    run_job(output, {"a": steps_over(path, Shout())}, executor="processes", memory=1 << 30)
    assert fence(output) == [("Shout", "fence_memory", "more than 1024 MiB")]


@pytest.mark.slow
def test_a_panic_of_a_library_costs_its_row_also_in_this_process(tmp_path):
    path = lines(tmp_path / "a.txt", {30: "panic"})
    for executor in ("inline", "processes"):
        output = tmp_path / executor
        run_job(output, {"a": steps_over(path, Shout())}, executor=executor)
        assert fence(output) == [("Shout", "fence_error", "PanicException: index out of bounds")]
    assert published(tmp_path / "inline") == published(tmp_path / "processes")


@pytest.mark.slow
def test_steps_that_are_slow_and_go_on_are_left_alone(tmp_path):
    path = lines(tmp_path / "a.txt", {}, count=100)
    told = Messages()
    # Ten batches of half a second in each of two steps, and a Global, against three seconds.
    steps = toys.Slow(seconds=0.5), toys.Slow(seconds=0.5), toys.Length()
    run_with(tmp_path / "out", {"a": steps_over(path, *steps)}, told, stall_s=3)
    assert told.texts == []


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_step_that_exits_is_told_and_does_not_end_the_run_in_silence(tmp_path, executor):
    path = lines(tmp_path / "a.txt", {3: "quit"})
    with pytest.raises(DataError) as caught:
        run_job(tmp_path / "out", {"a": steps_over(path, Shout())}, executor=executor)
    assert str(caught.value).startswith("a/ReadLines+Shout: failed with SystemExit: 3. The trace")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "how"),
    [("kill", "died with signal 9"), ("hang", "stood still for 2 s in suffer (deadly.py line ")],
)
def test_what_kills_or_stalls_a_reader_still_stops_the_run_with_a_message(tmp_path, word, how):
    path = lines(tmp_path / "a.txt", {5: word})
    job = {"a": dataset(ReadDeadly(paths=(path,)), Shout(tame=True))}
    told = Messages()
    with pytest.raises(DataError) as caught:
        run_with(tmp_path / "out", job, told, stall_s=2)
    assert str(caught.value).startswith("a/ReadDeadly+Shout task 0: its worker died 3 times (work")
    assert how in str(caught.value)
    assert len(told.texts) == 2


@pytest.mark.slow
def test_the_report_names_what_the_fence_stopped(tmp_path):
    path = lines(tmp_path / "a.txt", {7: "kill"})
    run_job(tmp_path / "out", {"a": steps_over(path, Shout())}, executor="processes")
    (row,) = manifest(tmp_path / "out")["fence"]["records"]
    page = write_report(tmp_path / "out").read_text()
    assert f"<td><code>{row['id']}</code></td><td>Shout</td>" in page
    assert "<td>killed by SIGKILL</td>" in page


def test_without_such_rows_the_manifest_says_so(tmp_path):
    path = lines(tmp_path / "a.txt", {})
    run_job(tmp_path / "out", {"a": steps_over(path, Shout())})
    assert manifest(tmp_path / "out")["fence"] == {"total": 0, "records": []}


@pytest.mark.slow
def test_a_row_is_found_among_workers_that_go_on_with_other_work(tmp_path):
    words = dict.fromkeys((5, 25, 45), "kill")
    path = lines(tmp_path / "a.txt", words)
    job = dataset(toys.ReadLines(paths=(path,), unit_bytes=300), Shout())
    tame = dataset(toys.ReadLines(paths=(path,), unit_bytes=300), Shout(tame=True))
    run_job(tmp_path / "out", {"a": job}, executor="processes", workers=2)
    run_job(tmp_path / "tame", {"a": tame})
    assert data_files(tmp_path / "out") == data_files(tmp_path / "tame")
