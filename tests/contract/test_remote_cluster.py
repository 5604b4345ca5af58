"""Workers on machines that share no disk: the store carries everything between them."""

import pytest
import toys
from jobs import dataset, published, run_job, write_lines
from object_store import published_at

from datatools import steps, verify

pytestmark = pytest.mark.ray


@pytest.fixture
def cluster(bucket, tmp_path, monkeypatch):
    """Two nodes with a scratch folder each; the driver has a third."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")

    def node(name):
        return {
            "num_cpus": 1,
            "object_store_memory": 80 << 20,
            "env_vars": {"DATATOOLS_SCRATCH": str(tmp_path / name)},
        }

    running = Cluster(
        initialize_head=True, head_node_args={**node("a"), "include_dashboard": False}
    )
    running.add_node(**node("b"))
    running.wait_for_nodes()
    yield running
    ray.shutdown()
    running.shutdown()


def test_nodes_without_a_shared_disk_give_the_same_bytes(tmp_path, bucket, cluster):
    path = write_lines(tmp_path / "a.txt", 200)

    def job(output, **settings):
        datasets = {
            "pages": dataset(
                toys.ReadLines(paths=(path,), unit_bytes=900),
                toys.Slow(seconds=0.01),
                toys.Upper(),
                toys.Length(),
                steps.MinHashDedup(),
                steps.Split(validation=0.3),
            ),
            "words": dataset(toys.Words(), steps.Shuffle(), from_="pages"),
        }
        return run_job(output, datasets, **settings)

    job(tmp_path / "local")
    url = f"{bucket}/corpus"
    job(url, executor="ray", ray_address=cluster.address)
    assert published_at(url) == published(tmp_path / "local")
    assert verify(url).ok
    # Each node wrote parts of its own and fetched those of the other.
    written = {
        name: {p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*.arrow")}
        for name in ("a", "b")
    }
    assert written["a"]
    assert written["b"]
    assert written["a"] != written["b"]
