"""Outputs at a URL: the same bytes as in a folder, found again, and read by every command."""

import json
import shutil

import fsspec
import polars as pl
import pytest
import toys
from click.testing import CliRunner
from counted import count_calls, whole_job
from jobs import dataset, job, published, ran, run_job, write_lines
from object_store import published_at

from datatools import open_dataset, plan, steps, verify
from datatools.cli.main import cli
from datatools.engine.remote import Remote
from datatools.errors import ConfigError, DataError, IntegrityError, OutputHeldError
from datatools.inquiry.explaining import explain
from datatools.job.cache import collect
from datatools.job.running import run
from datatools.outputs.addresses import LocalOutput, output_at


@pytest.fixture
def lines(tmp_path):
    return write_lines(tmp_path / "a.txt", 200)


def usual(lines, *, minimum=3):
    return {
        "pages": dataset(
            toys.ReadLines(paths=(lines,), unit_bytes=1500),
            toys.Upper(),
            toys.Length(minimum=minimum),
            steps.ExactDedup(),
            steps.Split(validation=0.2),
        ),
        "words": dataset(toys.Words(), from_="pages"),
    }


@pytest.fixture
def local(tmp_path, lines):
    """What the usual job leaves in a folder."""
    run_job(tmp_path / "local", usual(lines))
    return published(tmp_path / "local")


@pytest.fixture(params=["memory", pytest.param("bucket", marks=pytest.mark.slow)])
def url(request):
    """The URL of an output: in this process's memory, and on an S3 server."""
    return f"{request.getfixturevalue(request.param)}/corpus/v1"


@pytest.fixture(params=["memory", "bucket"])
def quick_url(request):
    """As `url`, for what is to be seen on an S3 server each time."""
    return f"{request.getfixturevalue(request.param)}/corpus/v1"


def forget_this_machine(tmp_path):
    """Delete what this machine knows of any URL: the next run is as if on another machine."""
    shutil.rmtree(tmp_path / "scratch", ignore_errors=True)


# --------------------------------------------------------------------------------------------------
# Runs


def test_a_url_holds_what_a_folder_would_and_a_second_run_changes_nothing(
    tmp_path, lines, local, quick_url
):
    first = run_job(quick_url, usual(lines))
    assert first.ok
    assert first.address == quick_url
    assert published_at(quick_url) == local
    before = Remote(quick_url).listing()
    second = run_job(quick_url, usual(lines))
    assert ran(second) == []
    assert second.datasets == first.datasets
    changed = {
        path for path, entry in Remote(quick_url).listing().items() if before.get(path) != entry
    }
    # The lease and the status tell of runs; nothing that a reader looks at was written again.
    assert {path.split("/")[0] for path in changed} <= {".lock", ".cache"}
    assert not [path for path in changed if path.startswith((".cache/stages", ".cache/published"))]


def test_another_machine_finds_everything_cached(tmp_path, lines, local, url):
    run_job(url, usual(lines))
    forget_this_machine(tmp_path)
    assert ran(run_job(url, usual(lines))) == []
    assert published_at(url) == local


def test_a_changed_line_recomputes_what_it_touches_and_replaces_what_it_made(tmp_path, lines, url):
    run_job(url, usual(lines))
    forget_this_machine(tmp_path)
    changed = run_job(url, usual(lines, minimum=12))
    assert not [name for name in ran(changed) if name.startswith("pages/ReadLines")]
    run_job(tmp_path / "fresh", usual(lines, minimum=12))
    assert published_at(url) == published(tmp_path / "fresh")


@pytest.mark.slow
def test_workers_in_processes_of_their_own_work_on_a_bucket(tmp_path, lines, local, bucket):
    url = f"{bucket}/corpus"
    run_job(url, usual(lines), executor="processes")
    assert published_at(url) == local


def test_fewer_shards_leave_none_of_the_old_ones(tmp_path, lines, memory):
    run_job(memory, usual(lines), shard_bytes=400)
    many = published_at(memory)
    assert "pages/train-00001-of-00002.parquet" in many or len(many) > 12
    fsspec.filesystem("memory").pipe(f"{memory}/pages/notes.txt", b"a stranger's file")
    run_job(memory, usual(lines))
    run_job(tmp_path / "local", usual(lines))
    assert published_at(memory) == {
        **published(tmp_path / "local"),
        "pages/notes.txt": published_at(memory)["pages/notes.txt"],
    }


@pytest.mark.parametrize("what", ["shard", "part"])
def test_what_was_changed_at_the_url_is_made_again(tmp_path, lines, local, url, what):
    run_job(url, usual(lines))
    remote = Remote(url)
    names = remote.listing("pages" if what == "shard" else ".cache/stages")
    suffix = ".parquet" if what == "shard" else "-data.arrow"
    victim = next(name for name in names if name.endswith(suffix))
    data = bytearray(remote.read(victim))
    data[len(data) // 2] ^= 1
    remote.write(victim, bytes(data))
    forget_this_machine(tmp_path)
    run_job(url, usual(lines))
    assert published_at(url) == local


def test_a_part_that_is_gone_from_the_url_is_made_again(tmp_path, lines, local, url):
    run_job(url, usual(lines))
    remote = Remote(url)
    remote.remove([name for name in remote.listing(".cache/stages") if name.endswith(".arrow")])
    forget_this_machine(tmp_path)
    assert ran(run_job(url, usual(lines)))
    assert published_at(url) == local


def test_a_worn_scratch_folder_does_not_matter(tmp_path, lines, local, memory):
    run_job(memory, {"pages": usual(lines)["pages"]})
    worn = list((tmp_path / "scratch").rglob("*.arrow"))
    assert worn
    for path in worn:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    run_job(memory, usual(lines))
    assert published_at(memory) == local


def test_a_trial_writes_below_the_url_and_to_nothing_else(tmp_path, lines, memory):
    run(job(memory, usual(lines)), only=["pages"], limit=7)
    names = {path.split("/")[0] for path in published_at(memory)}
    assert names == {"trial"}
    assert run_job(memory, usual(lines)).ok
    assert verify(memory).ok


def test_a_file_url_is_a_folder(tmp_path):
    assert output_at(f"file://{tmp_path}/out") == LocalOutput(tmp_path / "out")


# --------------------------------------------------------------------------------------------------
# Models, verdicts and the report


def at(url, pipeline, **changes):
    return pipeline.model_copy(update={"output": url, **changes})


def test_what_is_made_from_datasets_goes_up_and_another_machine_finds_it(
    tmp_path, lines, url, monkeypatch
):
    counted = count_calls(monkeypatch)
    first = run(at(url, whole_job(tmp_path, lines)))
    assert counted == {"train": 1, "verdict": 1, "report": 1}
    there = [path for path in Remote(url).listing() if path.startswith(("models/", "verdicts/"))]
    assert there == [
        "models/clean/model.safetensors",
        "models/train.json",
        "models/train.key",
        "verdicts/cleaning.json",
        "verdicts/cleaning.key",
        "verdicts/cleaning.receipts.npy",
    ]
    forget_this_machine(tmp_path)
    second = run(at(url, whole_job(tmp_path, lines)))
    assert counted == {"train": 1, "verdict": 1, "report": 1}
    assert (second.train, second.verdicts) == (first.train, first.verdicts)
    # Nothing was made, so no shard was fetched to make it from.
    assert not list(second.output.glob("*/*.parquet"))


def test_what_was_made_from_other_data_is_made_again_and_what_nobody_asks_for_goes(
    tmp_path, lines, memory, monkeypatch
):
    counted = count_calls(monkeypatch)
    run(at(memory, whole_job(tmp_path, lines)))
    forget_this_machine(tmp_path)
    run(at(memory, whole_job(tmp_path, lines, minimum=5)))
    assert (counted["train"], counted["verdict"]) == (2, 2)
    run(at(memory, whole_job(tmp_path, lines, minimum=5), validate_={}))
    assert (counted["train"], counted["verdict"]) == (2, 2)
    names = Remote(memory).listing("verdicts")
    assert [name for name in names if name.endswith((".json", ".key"))] == []
    # A partial run that replaces the data takes what was made from it away.
    run(at(memory, whole_job(tmp_path, lines, minimum=20)), only=["clean"])
    assert Remote(memory).listing("models/train.json") == {}
    assert Remote(memory).listing("report.html") == {}


def test_training_reads_the_datasets_that_are_at_the_url(tmp_path, lines, memory, monkeypatch):
    count_calls(monkeypatch)
    from datatools.train import api

    plain, read = api.train_all, []

    def train_all(output, **settings):
        read.append(open_dataset(output / settings["pretrain"]).manifest)
        plain(output, **settings)

    monkeypatch.setattr(api, "train_all", train_all)
    for minimum in (3, 20):
        result = run(at(memory, whole_job(tmp_path, lines, minimum=minimum)))
        assert read[-1] == result.datasets["clean"]
    assert read[0] != read[1]


# --------------------------------------------------------------------------------------------------
# Readers


def test_every_reader_takes_the_url(tmp_path, lines, url):
    run(job(url, usual(lines)))
    run(job(tmp_path / "local", usual(lines)))
    forget_this_machine(tmp_path)
    assert verify(url).to_json() == verify(tmp_path / "local").to_json()
    opened = open_dataset(f"{url}/pages")
    beside = open_dataset(tmp_path / "local" / "pages")
    assert opened.name == "pages"
    assert opened.manifest == beside.manifest
    assert opened.frame("train").equals(beside.frame("train"))
    fates = pl.read_parquet(tmp_path / "local/pages/sidecar/fates.parquet")
    for asked in (opened.frame("train")["id"][0], fates["id"][0]):
        assert explain(url, asked) == explain(tmp_path / "local", asked)


def test_a_reader_fetches_only_what_changed(tmp_path, lines, memory, monkeypatch):
    run_job(memory, usual(lines))
    open_dataset(f"{memory}/pages")
    fetched = []
    plain = Remote.fetch
    monkeypatch.setattr(
        Remote, "fetch", lambda self, path, *rest: (fetched.append(path), plain(self, path, *rest))
    )
    open_dataset(f"{memory}/pages")
    assert fetched == []
    run_job(memory, usual(lines, minimum=12))
    fetched.clear()
    open_dataset(f"{memory}/pages")
    assert "pages/manifest.json" in fetched
    assert not [path for path in fetched if path.startswith("words/")]
    fetched.clear()
    assert verify(memory).ok  # trusts nothing that was fetched before
    assert {path.split("/")[0] for path in fetched} >= {"pages", "words"}


def test_verify_sees_damage_at_the_url(tmp_path, lines, url):
    run_job(url, usual(lines))
    assert verify(url).ok
    remote = Remote(url)
    victim = next(name for name in remote.listing("pages") if "/train-" in f"/{name}")
    data = bytearray(remote.read(victim))
    data[8] ^= 1
    remote.write(victim, bytes(data))
    found = verify(url)
    assert not found.ok
    assert any("sha256" in problem for problem in found.datasets["pages"].problems)


def test_a_plan_of_a_url_knows_what_is_cached(tmp_path, lines, url):
    pipeline = job(url, usual(lines))
    assert {state for one in plan(pipeline).datasets for _, state in one.segments} <= {
        "run",
        "after",
    }
    run(pipeline)
    forget_this_machine(tmp_path)
    planned = plan(pipeline)
    assert {state for one in planned.datasets for _, state in one.segments} == {"cached"}
    assert {one.state for one in planned.conclusions} == {"cached"}


# --------------------------------------------------------------------------------------------------
# Commands


def command(*args):
    done = CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.output


def test_every_command_takes_the_url(tmp_path, memory):
    texts = tmp_path / "a.jsonl"
    rows = [
        {"text": f"{word} 문서 {i} is about {word} and the number {i}."}
        for i, word in enumerate(["river", "강물", "mountain", "산길"] * 40)
    ]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = tmp_path / "job.yaml"
    source.write_text(
        f"""
name: url
datasets:
  pages:
    steps: [{{ReadJsonl: {{paths: [{texts}]}}}}, {{ExactDedup: {{}}}}]
  short:
    from: pages
    steps: [{{Split: {{validation: 0.2}}}}]
run: {{executor: inline}}
output: {memory}/corpus
"""
    )
    url = f"{memory}/corpus"
    ran_ = json.loads(command("run", source, "--json", "--quiet"))
    assert (ran_["ok"], ran_["output"], ran_["report"]) == (True, url, f"{url}/report.html")
    assert f"output  {url}\n" in command("run", source, "--quiet")
    assert "pages: 160 records" in command("verify", url)
    assert command("status", url).startswith("url: ended\n")
    identity = open_dataset(f"{url}/pages").frame("train")["id"][0]
    assert "published" in command("explain", url, identity)
    assert "document records" in command("inspect", f"{url}/pages")
    Remote(url).remove(["report.html"])
    assert command("report", url) == f"{url}/report.html\n"
    assert b"<html" in Remote(url).read("report.html")
    assert command("gc", url).startswith("removed 0 stages")
    assert command("gc", url, "--all").startswith("removed ")
    assert Remote(url).listing(".cache/stages") == {}
    assert "pages: 160 records" in command("verify", url)


def test_gc_at_a_url_removes_what_the_last_run_did_not_use(tmp_path, lines, url):
    run_job(url, usual(lines))
    run_job(url, usual(lines, minimum=12))
    gone = collect(url)
    assert gone.stages > 0
    assert ran(run_job(url, usual(lines, minimum=12))) == []
    left = {path.split("/")[2] for path in Remote(url).listing(".cache/stages")}
    assert left == set(json.loads(Remote(url).read(".cache/used.json")))
    assert collect(url, limit=0).left == 0


# --------------------------------------------------------------------------------------------------
# What a user can get wrong


def test_a_second_run_is_refused_by_name(tmp_path, lines, url):
    with (
        output_at(url).held("corpus on elsewhere, process 7"),
        pytest.raises(OutputHeldError, match=r"another run holds.*corpus on elsewhere, process 7"),
    ):
        run_job(url, usual(lines))
    assert published_at(url) == {}
    assert run_job(url, usual(lines)).ok


def test_a_bucket_that_is_not_there_is_named(tmp_path, lines, bucket):
    with pytest.raises(ConfigError, match="there is no such bucket"):
        run_job("s3://no-such-bucket-of-ours/corpus", usual(lines))


@pytest.mark.parametrize("read", [verify, lambda url: explain(url, "x"), collect])
def test_a_url_without_an_output_is_told_so(memory, read):
    with pytest.raises(DataError, match=memory):
        read(f"{memory}/nothing")


def test_a_url_without_a_dataset_is_told_so(memory):
    with pytest.raises(DataError, match="nothing/pages: is not a published dataset"):
        open_dataset(f"{memory}/nothing/pages")


def test_a_store_that_goes_away_keeps_what_was_finished(tmp_path, lines, local, memory):
    """The store refuses from the 40th write on, then is mended."""
    puts = []
    plain = Remote.put

    def put(self, path, source):
        puts.append(path)
        if len(puts) > 12:
            raise DataError(self.address(path), "the store did not answer as it should")
        plain(self, path, source)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Remote, "put", put)
        with pytest.raises(DataError, match="did not answer"):
            run_job(memory, usual(lines))
    resumed = run_job(memory, usual(lines))
    assert sum(event.tasks for event in resumed.events) > sum(event.ran for event in resumed.events)
    assert published_at(memory) == local


def test_a_stage_that_another_run_wrote_otherwise_is_not_taken_for_ours(lines, memory):
    from datatools.engine.stores import RemoteStore

    store = RemoteStore(Remote(memory))
    store.seal("stages/x/manifest.json", {"outputs": [1], "marks": {}})
    store.seal("stages/x/manifest.json", {"outputs": [1], "marks": {"a": 2}})
    assert store.read("stages/x/manifest.json")["marks"] == {}  # the first writer's
    with pytest.raises(IntegrityError, match="by another run with other results"):
        store.seal("stages/x/manifest.json", {"outputs": [2], "marks": {}})


def test_memory_that_workers_would_not_share_is_refused_at_once(lines, memory):
    shared = job(memory, usual(lines), executor="processes")
    with pytest.raises(ConfigError, match=r"in the memory of this process.*executor"):
        run(shared)
