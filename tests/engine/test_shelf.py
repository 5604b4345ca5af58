"""The manifest goes up last and comes down first, and what stands already is left alone."""

import hashlib

import pytest

from datatools.engine.remote import Remote
from datatools.engine.shelf import RemoteShelf
from datatools.engine.store import PartRef
from datatools.engine.stores import RemoteStore
from datatools.errors import DataError, IntegrityError, OutputHeldError

CHANGES = ("write", "create", "copy", "remove")


@pytest.fixture
def output(memory):
    return Remote(f"{memory}/out")


def part(output, name, data):
    """Commit a part of the cache and return its reference."""
    output.write(f".cache/stages/x/{name}", data)
    return PartRef(f"stages/x/{name}", 1, len(data), hashlib.sha256(data).hexdigest(), ())


def place(output, files, manifest, still_ours=lambda: None):
    store = RemoteStore(output.at(".cache"))
    RemoteShelf(output, ".cache", still_ours).place(store, "docs", files, manifest, "# docs\n")


def watched(monkeypatch, output, seen):
    """After each change to the store, keep what a reader finds in the dataset's folder."""
    for name in CHANGES:
        plain = getattr(Remote, name)

        def change(self, *args, plain=plain):
            plain(self, *args)
            docs = output.at("docs")
            seen.append({path: docs.read(path) for path in docs.listing()})

        monkeypatch.setattr(Remote, name, change)


def files_of(output, texts):
    return {
        f"train-{i:05d}-of-{len(texts):05d}.parquet": part(output, f"{i}-{len(text)}", text)
        for i, text in enumerate(texts)
    }


def test_a_reader_never_finds_a_manifest_whose_files_are_not_all_there(monkeypatch, output):
    old = files_of(output, [b"one", b"two", b"three"])
    new = files_of(output, [b"zwei!", b"drei!"])
    place(output, old, {"rows": 3})
    seen = []
    with monkeypatch.context() as patch:
        watched(patch, output, seen)
        place(output, new, {"rows": 2})
    assert len(seen) >= 5
    contents = {b"one", b"two", b"three"}, {b"zwei!", b"drei!"}
    for found in seen:
        if "manifest.json" not in found:
            continue
        shards = {data for path, data in found.items() if path.endswith(".parquet")}
        assert shards == contents[b'"rows": 2' in found["manifest.json"]]
    assert set(output.listing("docs")) == {
        "docs/README.md",
        "docs/manifest.json",
        *(f"docs/{path}" for path in new),
    }


def test_what_stands_is_left_alone(monkeypatch, output):
    files = files_of(output, [b"one", b"two"])
    place(output, files, {"rows": 2})
    seen = []
    with monkeypatch.context() as patch:
        watched(patch, output, seen)
        place(output, files, {"rows": 2})
    assert seen == []


def test_a_file_that_was_changed_is_copied_again_and_one_that_was_touched_is_not(
    monkeypatch, output
):
    files = files_of(output, [b"one", b"two"])
    place(output, files, {"rows": 2})
    first, second = (f"docs/{path}" for path in files)
    output.write(first, b"ONE")
    output.write(second, b"two")  # the same bytes at another time
    copied = []
    plain = Remote.copy
    monkeypatch.setattr(
        Remote, "copy", lambda self, *names: (copied.append(names[1]), plain(self, *names))
    )
    place(output, files, {"rows": 2})
    assert copied == [first]
    assert output.read(first) == b"one"


def test_a_part_that_is_gone_from_the_cache_publishes_nothing(output):
    files = files_of(output, [b"one"])
    output.remove([".cache/stages/x/0-3"])
    with pytest.raises(IntegrityError, match="is missing from the cache"):
        place(output, files, {"rows": 1})
    assert "docs/manifest.json" not in output.listing()


def test_a_copy_that_is_cut_off_publishes_nothing(monkeypatch, output):
    files = files_of(output, [b"one"])
    monkeypatch.setattr(Remote, "copy", lambda self, a, b: self.write(b, b"o"))
    with pytest.raises(IntegrityError, match="is not there as it was copied"):
        place(output, files, {"rows": 1})
    assert "docs/manifest.json" not in output.listing()


def test_a_run_that_lost_its_lease_publishes_nothing(output):
    def lost():
        raise OutputHeldError("out", "was taken over")

    with pytest.raises(OutputHeldError):
        place(output, files_of(output, [b"one"]), {"rows": 1}, lost)
    assert output.listing("docs") == {}


def test_a_manifest_that_another_run_wrote_meanwhile_is_not_overwritten(monkeypatch, output):
    plain = Remote.create

    def create(self, path, data):
        self.write(path, b"theirs")
        plain(self, path, data)

    monkeypatch.setattr(Remote, "create", create)
    with pytest.raises(OutputHeldError, match="by another run while this one published"):
        place(output, files_of(output, [b"one"]), {"rows": 1})
    assert output.read("docs/manifest.json") == b"theirs"


def test_an_error_while_copying_is_the_users_to_read(monkeypatch, output):
    def copy(self, source, target):
        raise DataError(self.address(target), "the store did not answer as it should")

    monkeypatch.setattr(Remote, "copy", copy)
    with pytest.raises(DataError, match="did not answer"):
        place(output, files_of(output, [b"one", b"two"]), {"rows": 2})
    assert "docs/manifest.json" not in output.listing()
