"""Fixtures for every test: where the real data beside the checkout lies."""

from pathlib import Path

import pytest
from hypothesis import settings

# The first example of a test may compile a kernel or start a thread pool, which takes seconds.
settings.register_profile("datatools", deadline=None)
settings.load_profile("datatools")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leave out tests of real data where there is none, and say so once."""
    gone = [item for item in items if item.get_closest_marker("shared")]
    if SHARED.is_dir() or not gone:
        return
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if not item.get_closest_marker("shared")]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"left out {len(gone)} tests of real data: there is no {SHARED}")


@pytest.fixture(scope="session")
def shared_dir():
    """The folder of real data beside the checkout; for tests marked `shared`."""
    return SHARED
