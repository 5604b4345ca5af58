"""One digest over executors, workers, orders, hash seeds and interruptions."""

import contextlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import toys
from jobs import dataset, published, run_job, write_lines

from datatools import steps, verify
from datatools.engine.executors.inline import InlineExecutor
from datatools.job import running

TESTS = Path(__file__).resolve().parents[1]


def write_inputs(folder):
    """Write two files of Korean and English lines, some with questions, many near duplicates."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_lines(folder / "a.txt", 44)
    more = folder / "b.txt"
    lines = []
    for i in range(40):
        asked = ["how do i sharpen a kitchen knife at home", "부엌칼을 집에서 어떻게 갈아야 하나요"]
        body = f"page of site {i % 5} with the same long footer that all of its pages share 페이지"
        lines.append(f"{body} | {asked[i % 2]}{'?' * (i % 3)}" if i % 3 else body + "!" * (i % 2))
    more.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, str(more)


def everything(paths):
    """Return datasets that use every kind of step."""
    source = toys.ReadLines(paths=tuple(paths), unit_bytes=2500)
    return {
        "pages": dataset(source, publish=False),
        "text": dataset(
            toys.Upper(),
            toys.Length(),
            steps.Apply(function="applied:without_notes"),
            steps.MinHashDedup(),
            steps.Split(validation=0.3, hold_with=("asked",)),
            steps.Shuffle(),
            from_="pages",
        ),
        "asked": dataset(
            toys.Questions(), steps.GroupPrompts(), steps.Split(validation=0.3), from_="pages"
        ),
        "words": dataset(toys.Words(), from_="text"),
        "cut": dataset(
            toys.Upper(suffix="\n모든 쪽의 꼬리 the footer of every page"),
            steps.LineDedup(),
            steps.SubstringDedup(length=40),
            from_="pages",
        ),
        "mixed": dataset(
            steps.Decontaminate(against="text", ngram=4, action="report"),
            steps.Mix(unit="documents", total=100, max_epochs=3),
            from_="pages",
        ),
    }


def digest(output, paths, **settings):
    run_job(output, everything(paths), shard_bytes=1500, **settings)
    return published(output)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory, paths):
    output = tmp_path_factory.mktemp("reference") / "out"
    found = digest(output, paths)
    assert verify(output).ok
    assert len(found) > 15
    return found


def test_the_job_takes_lines_and_passages_out_of_texts(tmp_path, paths):
    cut = run_job(tmp_path, everything(paths), shard_bytes=1500).datasets["cut"]
    taken = {step["label"]: step["counts"]["removed"] for step in cut["steps"]}
    assert taken["LineDedup"]["repeated_line"] > 0
    assert taken["SubstringDedup"]["repeated_passage"] > 0


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2, 4])
def test_output_does_not_depend_on_worker_count(tmp_path, paths, reference, workers):
    assert digest(tmp_path, paths, executor="processes", workers=workers) == reference


class Scrambled(InlineExecutor):
    """Runs tasks in another order, and yields their results in a third."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def map(self, tasks):
        tasks = list(tasks)
        self._random.shuffle(tasks)
        results = list(super().map(tasks))
        self._random.shuffle(results)
        yield from results


class Stops(InlineExecutor):
    """Is interrupted after some tasks."""

    def __init__(self, after):
        self._left = after

    def map(self, tasks):
        for result in super().map(tasks):
            yield result
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt


@contextlib.contextmanager
def executed_by(monkeypatch, executor):
    with monkeypatch.context() as patch:
        patch.setattr(running, "executor_for", lambda settings: executor)
        yield


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_output_does_not_depend_on_the_order_of_tasks(
    tmp_path, paths, reference, monkeypatch, seed
):
    with executed_by(monkeypatch, Scrambled(seed)):
        assert digest(tmp_path, paths) == reference


def test_a_job_interrupted_again_and_again_gives_the_same_bytes(
    tmp_path, paths, reference, monkeypatch
):
    stops = 0
    while True:
        try:
            with executed_by(monkeypatch, Stops(after=6)):
                found = digest(tmp_path, paths)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops > 5
    assert found == reference


@pytest.mark.slow
def test_an_interrupted_job_goes_on_with_other_workers(tmp_path, paths, reference, monkeypatch):
    with pytest.raises(KeyboardInterrupt), executed_by(monkeypatch, Stops(after=20)):
        digest(tmp_path, paths)
    assert digest(tmp_path, paths, executor="processes", workers=3) == reference


@pytest.mark.parametrize(
    ("seed", "locale", "zone"),
    [
        pytest.param("1", "C", "UTC", marks=pytest.mark.slow),
        ("4242", "ko_KR.UTF-8", "Asia/Seoul"),
    ],
)
def test_output_does_not_depend_on_hash_seed_locale_or_time_zone(
    tmp_path, paths, reference, seed, locale, zone
):
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\nfrom pathlib import Path\nfrom test_executors import digest\n"
        "output, a, b = sys.argv[1:]\n"
        "print(json.dumps(digest(Path(output), (a, b))))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out"), *paths],
        env={
            **os.environ,
            "PYTHONPATH": f"{TESTS}:{TESTS / 'contract'}",
            "PYTHONHASHSEED": seed,
            "LC_ALL": locale,
            "TZ": zone,
            "POLARS_MAX_THREADS": seed[0],
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == reference


def test_output_does_not_depend_on_the_order_in_which_files_are_listed(tmp_path, paths, reference):
    found = digest(tmp_path, paths[::-1])
    # The manifests tell the paths as they were given.
    assert {k: v for k, v in found.items() if "manifest" not in k} == {
        k: v for k, v in reference.items() if "manifest" not in k
    }


# --------------------------------------------------------------------------------------------------
# Ray


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 << 20}
    running_cluster = Cluster(initialize_head=True, head_node_args=node)
    running_cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
    running_cluster.wait_for_nodes()
    yield running_cluster
    ray.shutdown()
    running_cluster.shutdown()


@pytest.mark.ray
def test_a_ray_cluster_of_two_nodes_gives_the_same_bytes(tmp_path, paths, reference, cluster):
    found = digest(tmp_path, paths, executor="ray", ray_address=cluster.address)
    assert found == reference


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_without_an_address_ray_starts_its_own_cluster_beside_others(tmp_path, paths, reference):
    assert digest(tmp_path, paths, executor="ray", workers=1) == reference


@pytest.mark.ray
def test_a_task_whose_ray_worker_dies_is_tried_again(tmp_path, paths, cluster):
    path = tmp_path / "a.txt"
    path.write_text("die\n" + "한국어 줄\n" * 30)
    deadly = tmp_path / "deadly"
    chain = toys.ReadLines(paths=(str(path),), unit_bytes=100), toys.DieOnce(mark=str(deadly))

    def pages(output, **settings):
        run_job(output, {"a": dataset(*chain)}, **settings)
        return published(output)

    plain = pages(tmp_path / "plain")
    deadly.touch()
    died = pages(tmp_path / "died", executor="ray", ray_address=cluster.address)
    assert not deadly.exists()
    assert died == plain


@pytest.mark.ray
def test_a_ray_node_that_is_lost_is_a_non_event(tmp_path, paths, reference, cluster):
    extra = cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
    cluster.wait_for_nodes()

    class Loses:
        """Takes the node away once the run is under way."""

        def __init__(self):
            self.ended = 0

        def task_ended(self, name):
            self.ended += 1
            if self.ended == 5:
                cluster.remove_node(extra, allow_graceful=False)

        def __getattr__(self, name):
            return lambda *args, **kwargs: None

    losing = Loses()
    pipeline = running.Pipeline(
        name="job",
        datasets=everything(paths),
        run=running.RunSettings(
            executor="ray",
            ray_address=cluster.address,
            shard_bytes=1500,
            on_input_error="quarantine",
            max_quarantine_fraction=1.0,
        ),
        output=str(tmp_path),
    )
    running.run(pipeline, only=list(pipeline.datasets), progress=losing)
    assert losing.ended > 5
    assert published(tmp_path) == reference


@pytest.mark.ray
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ConfigError", "step.field: is wrong (got 7). Mend it."),
        ("AwkwardError", "AwkwardError: here: went wrong"),
        ("UnsendableError", "UnsendableError: cannot be sent"),
    ],
)
def test_exceptions_cross_from_ray_workers(tmp_path, cluster, name, told):
    import bodies

    from datatools.engine.executors.ray import RayExecutor
    from datatools.engine.tasks import Task

    task = Task(str(tmp_path), "stages/x", 0, bodies.Raise(name))
    with RayExecutor(cluster.address, None) as executor:
        (result,) = executor.map([task])
    assert str(result.error) == told
    assert "bodies.py" in result.detail
