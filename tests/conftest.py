from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_dir():
    """The folder of real data beside the checkout; for tests marked `shared`."""
    return (Path(__file__).resolve().parents[1] / "../shared").resolve()
