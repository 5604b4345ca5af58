"""Every stage of every deduplication: its worker dies or its disk fills up; the end is the same."""

import errno
import os
import random
import signal
from dataclasses import dataclass, replace

import polars as pl
import pytest
from jobs import dataset, published, ran, run_job

from datatools import steps, verify
from datatools.engine import store
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.executors.processes import ProcessExecutor
from datatools.engine.tasks import Body, Output, TaskEnv
from datatools.errors import DataError
from datatools.job import running

pytestmark = [pytest.mark.faults, pytest.mark.slow]

WORDS = [
    "alder",
    "birch",
    "cedar",
    "elm",
    "fir",
    "hazel",
    "느티나무",
    "소나무",
    "은행나무",
    "단풍나무",
    "참나무",
    "자작나무",
]
FOOTER = "This footer stands below every page of the site, word for word, again and again."
DEDUPS = {
    "exact": (steps.ExactDedup(),),
    "url": (steps.UrlDedup(),),
    "near": (steps.MinHashDedup(threshold=0.7),),
    "line": (steps.LineDedup(),),
    "substring": (steps.SubstringDedup(length=40),),
    "semantic": (steps.SemanticDedup(),),
    "all in a row": (steps.UrlDedup(), steps.MinHashDedup(), steps.LineDedup()),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Documents with something for every deduplication, read in five units."""
    draw = random.Random(7)
    texts = [" ".join(draw.choices(WORDS, k=40)) for _ in range(60)]
    texts += texts[:10]
    texts += [text.rsplit(" ", 1)[0] + " edited" for text in texts[10:20]]
    texts = [f"{text}\n{FOOTER}" if draw.random() < 0.3 else text for text in texts]
    vectors = [[draw.gauss(0, 1) for _ in range(8)] for _ in texts]
    vectors[60:70] = vectors[:10]
    frame = pl.DataFrame(
        {
            "text": texts,
            "url": [f"https://example.org/{number % 70}" for number in range(len(texts))],
            "embedding": pl.Series(vectors, dtype=pl.List(pl.Float32)),
        }
    )
    path = tmp_path_factory.mktemp("source") / "a.parquet"
    frame.write_parquet(path, row_group_size=16)
    unit_bytes = path.stat().st_size // 5
    return steps.ReadParquet(paths=(str(path),), vectors=("embedding",), unit_bytes=unit_bytes)


@pytest.fixture(scope="module")
def case(request, tmp_path_factory, source):
    """A job, how many stages it has, and what it publishes when nothing happens."""
    chain = DEDUPS[request.param]
    job = {"a": dataset(source, *chain)}
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    result = run_job(output, job)
    assert sum(result.datasets["a"]["ledger"]["dropped"].values()) or any(
        isinstance(step, steps.LineDedup | steps.SubstringDedup) for step in chain
    )
    stages = len(ran(result))
    assert stages > 8
    return job, stages, published(output)


@dataclass(frozen=True)
class DiesAtItsEnd:
    """Does the work of another body, then dies before anybody is told."""

    body: Body

    def run(self, env: TaskEnv) -> Output:
        self.body.run(env)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Deadly(ProcessExecutor):
    """The first task of every stage kills its worker, once."""

    def __init__(self):
        super().__init__(2)
        self.stages = set()

    def map(self, tasks):
        first, *others = tasks
        if first.stage not in self.stages:
            self.stages.add(first.stage)
            first = replace(first, body=DiesAtItsEnd(first.body))
        yield from super().map([first, *others])


# Each death costs the start of a worker, so this is one deduplication and not all.
@pytest.mark.parametrize("case", ["near"], indirect=True)
def test_a_worker_killed_in_each_stage_changes_nothing(tmp_path, monkeypatch, case):
    job, stages, expected = case
    with Deadly() as executor:
        monkeypatch.setattr(running, "executor_for", lambda settings: executor)
        run_job(tmp_path, job)
    assert len(executor.stages) == stages
    assert published(tmp_path) == expected
    assert verify(tmp_path).ok


class Filling(InlineExecutor):
    """The disk is full during the first try of every stage."""

    def __init__(self, monkeypatch):
        self.full = False
        self.stages = set()
        write = store._HashingFile.write

        def refuse(file, data):
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(file, data)

        monkeypatch.setattr(store._HashingFile, "write", refuse)

    def map(self, tasks):
        self.full = tasks[0].stage not in self.stages
        self.stages.add(tasks[0].stage)
        yield from super().map(tasks)


@pytest.mark.parametrize("case", DEDUPS, indirect=True)
def test_a_disk_full_in_each_stage_stops_clearly_and_the_next_run_goes_on(
    tmp_path, monkeypatch, case
):
    job, stages, expected = case
    executor = Filling(monkeypatch)
    monkeypatch.setattr(running, "executor_for", lambda settings: executor)
    for _ in range(stages):
        with pytest.raises(DataError, match=r"the disk is full .*Free some space and run again"):
            run_job(tmp_path, job)
        executor.full = False
    run_job(tmp_path, job)
    assert published(tmp_path) == expected
    assert verify(tmp_path).ok
