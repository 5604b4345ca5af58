"""Fixtures for every test: the real data beside the checkout, and outputs at a URL."""

import signal
import uuid
from pathlib import Path

import pytest
from hypothesis import settings
from object_store import KEYS, serving

# The first example of a test may compile a kernel or start a thread pool, which takes seconds.
settings.register_profile("datatools", deadline=None)
settings.load_profile("datatools")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


# A shell ignores Ctrl-C for what it starts in the background, and so would every program that a
# test starts. With a handler here theirs is the usual one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config):
    """Say once that tests of real data are left out."""
    return [] if SHARED.is_dir() else [f"tests of real data are left out: there is no {SHARED}"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leave out tests of real data where there is none."""
    gone = [item for item in items if item.get_closest_marker("shared")]
    if SHARED.is_dir() or not gone:
        return
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if not item.get_closest_marker("shared")]


@pytest.fixture(scope="session")
def shared_dir():
    """The folder of real data beside the checkout; for tests marked `shared`."""
    return SHARED


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server that this test session started."""
    with serving() as address:
        yield address


@pytest.fixture
def bucket(s3_server, tmp_path, monkeypatch):
    """The URL of an empty bucket on a real S3 server; scratch folders are the test's own."""
    import fsspec

    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATATOOLS_SCRATCH", str(tmp_path / "scratch"))
    name = f"test-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """The URL of an empty folder in this process's memory; scratch folders are the test's own."""
    monkeypatch.setenv("DATATOOLS_SCRATCH", str(tmp_path / "scratch"))
    return f"memory://{uuid.uuid4().hex}"
