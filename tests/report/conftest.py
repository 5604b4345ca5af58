"""Outputs to report on."""

import outputs
import pytest


@pytest.fixture(scope="session")
def whole_output(tmp_path_factory):
    """An output with everything, and its manifests. Not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, outputs.whole(folder)
