"""Which files a source reads, under which names."""

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from datatools.errors import ConfigError, DataError
from datatools.steps.ingest.files import StoredFile, expand, open_unit


@pytest.fixture
def crawl(tmp_path):
    for name in (
        "a/one.jsonl",
        "b/one.jsonl",
        "b/two.jsonl",
        "b/deep/three.jsonl",
        "b/한국어.jsonl",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path


def names(paths):
    return [file.relpath for file in expand([str(path) for path in paths], where="Read.paths")]


def test_a_plain_path_gives_its_file_name(crawl):
    assert names([crawl / "b/two.jsonl"]) == ["two.jsonl"]


def test_a_pattern_gives_paths_relative_to_its_fixed_part_sorted(crawl):
    assert names([crawl / "b/*.jsonl"]) == ["one.jsonl", "two.jsonl", "한국어.jsonl"]
    assert names([crawl / "*/one.jsonl"]) == ["a/one.jsonl", "b/one.jsonl"]
    assert names([crawl / "**/t*.jsonl"]) == ["b/deep/three.jsonl", "b/two.jsonl"]


def test_moving_the_folder_changes_no_relative_path(crawl):
    before = names([crawl / "b/**/*.jsonl"])
    (crawl / "b").rename(crawl / "elsewhere")
    assert names([crawl / "elsewhere/**/*.jsonl"]) == before


def test_relative_paths_are_relative_to_the_working_folder(crawl, monkeypatch):
    monkeypatch.chdir(crawl)
    assert names(["*/one.jsonl"]) == ["a/one.jsonl", "b/one.jsonl"]
    assert names(["./b/t*.jsonl"]) == ["two.jsonl"]


def test_two_files_with_one_relative_path_are_refused(crawl):
    with pytest.raises(ConfigError, match=r"one\.jsonl"):
        names([crawl / "a/one.jsonl", crawl / "b/one.jsonl"])


def test_one_file_named_twice_is_read_once(crawl):
    assert names([crawl / "a/one.jsonl", crawl / "a/*.jsonl", f"{crawl}/./a/one.jsonl"]) == [
        "one.jsonl"
    ]


def test_no_match_names_the_nearest_entry(crawl):
    with pytest.raises(
        ConfigError, match=r"Read\.paths: no file matches .*Did you mean .*two\.jsonl"
    ):
        names([crawl / "b/tow.jsonl"])
    with pytest.raises(ConfigError, match="does not exist"):
        names([crawl / "none/*.jsonl"])


def test_a_folder_is_refused_with_a_pattern_to_write_instead(crawl):
    with pytest.raises(ConfigError, match=r"names a folder .*b/\*\*"):
        names([crawl / "b/"])


def test_a_name_that_holds_a_pattern_character_is_found_as_it_is(tmp_path):
    (tmp_path / "crawl[1].gz").write_bytes(b"")
    assert names([tmp_path / "crawl[1].gz"]) == ["crawl[1].gz"]


def test_a_name_that_is_not_utf8_is_escaped_and_still_opens(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jsonl"
    with open(path, "wb") as file:
        file.write(b"data")
    (found,) = expand([str(tmp_path / "*.jsonl")], where="Read.paths")
    assert found.relpath == r"caf\xe9.jsonl"
    with open_unit(found.unit(0, 4)) as stored:
        assert stored.read_at(0, 10) == b"data"


def test_remote_paths_have_the_same_names_as_local_ones(crawl):
    memory = fsspec.filesystem("memory")
    for path in crawl.rglob("*.jsonl"):
        memory.pipe(f"/bucket/{path.relative_to(crawl)}", path.read_bytes())
    for pattern in ("b/*.jsonl", "*/one.jsonl", "b/two.jsonl", "**/t*.jsonl"):
        assert names([f"memory://bucket/{pattern}"]) == names([crawl / pattern])
    (found,) = expand(["memory://bucket/b/two.jsonl"], where="Read.paths")
    with open_unit(found.unit(0, found.size)) as stored:
        assert stored.read_at(2, 100) == b"two.jsonl"


def test_a_remote_path_without_a_match_names_the_nearest():
    fsspec.filesystem("memory").pipe("/crawls/part-0.gz", b"x")
    with pytest.raises(ConfigError, match=r"Did you mean .*part-0\.gz"):
        names(["memory://crawls/part_0.gz"])


def test_an_unknown_scheme_is_a_configuration_error():
    with pytest.raises(ConfigError, match="no file system"):
        names(["nosuch://bucket/*.gz"])


def test_a_file_that_changed_after_planning_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("one")
    (found,) = expand([str(path)], where="Read.paths")
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="changed after the run was planned"):
        open_unit(found.unit(0, 3))
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        open_unit(found.unit(0, 3))


def test_reading_at_positions_equals_slicing(tmp_path):
    data = bytes(range(256)) * 4096
    path = tmp_path / "data"
    path.write_bytes(data)
    with StoredFile(path.open("rb"), len(data)) as stored:
        for position in (0, 5, 262_100, 262_144, 1_000_000, len(data) - 3, len(data), 7):
            for length in (1, 100, 300_000):
                assert stored.read_at(position, length) == data[position : position + length]


def test_local_files_do_not_pay_for_fsspec(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    code = (
        "import sys; from datatools.steps.ingest.read_jsonl import ReadJsonl;"
        f"ReadJsonl(paths={str(tmp_path / '*.jsonl')!r}).units(); print('fsspec' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "False\n", done.stderr
