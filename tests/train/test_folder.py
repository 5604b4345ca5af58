import os
from types import SimpleNamespace

import pytest

from datatools.errors import DataError
from datatools.train import folder
from datatools.train.folder import whole_folder


def _write(path, text):
    with whole_folder(path) as fresh:
        (fresh / "file").write_text(text)


def test_the_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "deep" / "model"
    with whole_folder(path) as fresh:
        (fresh / "file").write_text("one")
        assert not path.exists()
    _write(path, "two")
    assert (path / "file").read_text() == "two"
    assert os.listdir(path.parent) == ["model"]


def test_a_failure_leaves_the_old_folder_as_it_was(tmp_path):
    path = tmp_path / "model"
    _write(path, "one")
    with pytest.raises(OSError, match="x"), whole_folder(path) as fresh:
        (fresh / "file").write_text("half" + (fresh / "x").read_text())
    assert (path / "file").read_text() == "one"
    assert os.listdir(tmp_path) == ["model"]


def test_a_writer_killed_between_its_renames_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "model"
    _write(path, "one")
    calls = []

    def replace(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt  # the old folder is aside, the new one not yet in place
        os.rename(source, target)

    monkeypatch.setattr(folder, "os", SimpleNamespace(**(vars(os) | {"replace": replace})))
    with pytest.raises(KeyboardInterrupt):
        _write(path, "two")
    monkeypatch.undo()
    assert not path.exists()
    with pytest.raises(OSError, match="x"), whole_folder(path) as fresh:
        (fresh / "x").read_text()
    assert (path / "file").read_text() == "one"


def test_leftovers_of_a_killed_writer_do_not_get_into_the_folder(tmp_path):
    (tmp_path / ".tmp-model").mkdir()
    (tmp_path / ".tmp-model" / "stale").write_text("")
    _write(tmp_path / "model", "one")
    assert os.listdir(tmp_path / "model") == ["file"]


def test_too_little_room_is_told_before_anything_is_written(tmp_path):
    with (
        pytest.raises(DataError, match="nothing was written"),
        whole_folder(tmp_path / "model", need_bytes=1 << 60),
    ):
        pass
    assert os.listdir(tmp_path) == []
