"""Fixtures of the command line's tests: a finished output, and the commands on it."""

import shutil
from pathlib import Path

import pytest
from calling import Called, write_pipeline

from datatools import run
from datatools.cli.main import main


@pytest.fixture
def datatools(capsys):
    """Calls the command line in this process."""

    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Called(caught.value.code, told.out, told.err)

    return call


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A finished output of the toy pipeline, to be read only: `(pipeline file, output)`."""
    file, output = write_pipeline(tmp_path_factory.mktemp("made"))
    assert run(file).ok
    return file, output


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the finished output, to be damaged."""
    return Path(shutil.copytree(made[1], tmp_path / "copied"))
