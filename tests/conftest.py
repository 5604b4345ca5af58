from pathlib import Path

import pytest
from hypothesis import settings

# The first example of a test may compile a kernel or start a thread pool, which takes seconds.
settings.register_profile("datatools", deadline=None)
settings.load_profile("datatools")


@pytest.fixture(scope="session")
def shared_dir():
    """The folder of real data beside the checkout; for tests marked `shared`."""
    return (Path(__file__).resolve().parents[1] / "../shared").resolve()
