"""Objects at a URL: whole or absent, refused when they are there, and errors in words."""

import hashlib
import pickle
import sys

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from datatools.engine.remote import Remote, is_url
from datatools.errors import ConfigError, DataError, IntegrityError

TEXT = "English and 한국어\n".encode() * 1000


@pytest.fixture(params=["memory", "bucket"])
def remote(request):
    """A folder in this process's memory, and one on an S3 server."""
    return Remote(f"{request.getfixturevalue(request.param)}/folder")


class TornFileSystem(LocalFileSystem):
    """A file system without atomic put, whose link breaks after `left` bytes.

    Like fsspec's own `open`, it leaves what it had written before under the name it was given.
    """

    protocol = "torn"
    cachable = False
    left = 10**9
    root = ""

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(str(path).replace("torn://", f"{cls.root}/"))

    def _send(self, data, path):
        with open(path, "wb") as file:
            file.write(data[: self.left])
        if len(data) > self.left:
            raise OSError(104, "Connection reset by peer", path)

    def put_file(self, lpath, rpath, **settings):
        with open(lpath, "rb") as file:
            self._send(file.read(), rpath)

    def pipe_file(self, path, value, **settings):
        self._send(value, path)


@pytest.fixture
def torn(tmp_path, monkeypatch):
    """A folder on a file system whose link can be broken."""
    fsspec.register_implementation("torn", TornFileSystem, clobber=True)
    monkeypatch.setattr(TornFileSystem, "root", str(tmp_path))
    from datatools.engine import remote

    remote._opened.cache_clear()
    return Remote("torn://store")


# --------------------------------------------------------------------------------------------------
# Whole or absent


def test_what_was_written_is_read_listed_copied_and_removed(remote, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(TEXT)
    remote.put("a/b/data.bin", source)
    remote.write("a/small.json", b"{}")
    remote.copy("a/b/data.bin", "c/copy.bin")
    assert {path: entry.size for path, entry in remote.listing().items()} == {
        "a/b/data.bin": len(TEXT),
        "a/small.json": 2,
        "c/copy.bin": len(TEXT),
    }
    assert remote.folders() == ["a", "c"]
    assert list(remote.at("a").listing()) == ["b/data.bin", "small.json"]
    assert remote.read("c/copy.bin") == TEXT
    assert remote.sha256("c/copy.bin") == hashlib.sha256(TEXT).hexdigest()
    both = remote.read_all(["a/small.json", "not/there", "c/copy.bin"])
    assert both == {"a/small.json": b"{}", "c/copy.bin": TEXT}
    remote.remove(["a/small.json", "never/was"])
    assert list(remote.listing("a")) == ["a/b/data.bin"]
    with pytest.raises(FileNotFoundError):
        remote.read("a/small.json")
    with pytest.raises(FileNotFoundError):
        remote.copy("a/small.json", "d")


def test_there_is_nothing_in_a_folder_that_is_not_there(remote):
    assert remote.listing("nowhere") == {}
    assert remote.folders() == []
    assert remote.read_all([]) == {}
    remote.remove([])


def test_a_file_comes_whole_or_not_at_all(remote, tmp_path):
    remote.write("data", TEXT)
    target = tmp_path / "here" / "data"
    digest = hashlib.sha256(TEXT).hexdigest()
    remote.fetch("data", target, len(TEXT), digest)
    assert target.read_bytes() == TEXT
    for size, sha256 in ((len(TEXT), "0" * 64), (len(TEXT) + 1, digest), (10, digest)):
        other = tmp_path / "here" / "other"
        with pytest.raises(IntegrityError, match="does not hold the bytes"):
            remote.fetch("data", other, size, sha256)
        assert [path.name for path in other.parent.iterdir()] == ["data"]
    with pytest.raises(FileNotFoundError):
        remote.fetch("gone", target, 1)
    remote.write("empty", b"")
    remote.fetch("empty", tmp_path / "empty", 0, hashlib.sha256(b"").hexdigest())
    assert (tmp_path / "empty").read_bytes() == b""
    with pytest.raises(FileNotFoundError):
        remote.fetch("gone", target, 0)


def test_a_file_larger_than_one_read_is_fetched_in_order(remote, tmp_path, monkeypatch):
    from datatools.engine import remote as module

    monkeypatch.setattr(module, "_BLOCK_BYTES", 1000)
    remote.write("data", TEXT)
    remote.fetch("data", tmp_path / "data", len(TEXT), hashlib.sha256(TEXT).hexdigest())
    assert (tmp_path / "data").read_bytes() == TEXT


def test_the_mark_of_a_file_changes_when_it_is_written_otherwise(remote):
    remote.write("a", b"one")
    remote.write("b", b"two")
    before = remote.listing()
    remote.write("a", b"six")
    after = remote.listing()
    assert before["a"].size == after["a"].size
    assert before["a"].mark != after["a"].mark
    assert before["b"] == after["b"]


@pytest.mark.parametrize("left", [0, 1, len(TEXT) - 1])
def test_a_put_that_breaks_in_the_middle_leaves_nothing_under_the_name(
    torn, tmp_path, monkeypatch, left
):
    source = tmp_path / "source"
    source.write_bytes(TEXT)
    torn.write("old", b"what was there before")
    monkeypatch.setattr(TornFileSystem, "left", left)
    for send in (
        lambda path: torn.put(path, source),
        lambda path: torn.write(path, TEXT),
        lambda path: torn.create(path, TEXT),
    ):
        with pytest.raises(DataError, match=r"did not answer as it should.*Connection reset"):
            send("new")
    for send in (lambda path: torn.put(path, source), lambda path: torn.write(path, TEXT)):
        with pytest.raises(DataError):
            send("old")
    monkeypatch.setattr(TornFileSystem, "left", 10**9)
    assert torn.read("old") == b"what was there before"
    assert list(torn.listing()) == ["old"]
    torn.put("new", source)
    assert torn.read("new") == TEXT
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["new", "old"]


def test_a_large_file_goes_up_in_parts_and_is_there_once_all_are(bucket, tmp_path):
    remote = Remote(bucket)
    source = tmp_path / "large"
    source.write_bytes(bytes(120 << 20))  # s3fs sends it in three parts
    remote.put("large", source)
    assert remote.listing()["large"].size == 120 << 20
    assert "-" in str(remote.listing()["large"].mark)  # the entity tag of a file in parts


def test_uploads_that_nobody_ended_are_given_up_below_the_folder_alone(bucket):
    filesystem = fsspec.filesystem("s3")
    name = bucket.removeprefix("s3://")
    for key in ("mine/half", "mine/deep/half", "yours/half"):
        filesystem.call_s3("create_multipart_upload", Bucket=name, Key=key)
    Remote(f"{bucket}/mine").give_up_uploads()
    left = filesystem.call_s3("list_multipart_uploads", Bucket=name)["Uploads"]
    assert [upload["Key"] for upload in left] == ["yours/half"]
    assert Remote(bucket).listing() == {}


# --------------------------------------------------------------------------------------------------
# Put if absent


def test_a_name_that_is_taken_is_refused_and_left_as_it_is(remote):
    remote.create("name", b"first")
    with pytest.raises(FileExistsError):
        remote.create("name", b"second")
    assert remote.read("name") == b"first"
    remote.remove(["name"])
    remote.create("name", b"third")
    assert remote.read("name") == b"third"


def test_of_many_who_create_one_name_one_wins(bucket):
    from concurrent.futures import ThreadPoolExecutor

    remote = Remote(bucket)

    def create(number):
        try:
            remote.create("name", str(number).encode())
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        won = [number for number in pool.map(create, range(16)) if number is not None]
    assert [remote.read("name")] == [str(number).encode() for number in won]


def test_a_driver_that_cannot_refuse_is_asked_first(monkeypatch, memory):
    def pipe_file(self, path, value, **settings):
        """As some drivers have it: a mode is taken and not looked at."""
        self.open(path, "wb", data=value)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    remote = Remote(memory)
    remote.create("name", b"first")
    with pytest.raises(FileExistsError):
        remote.create("name", b"second")
    assert remote.read("name") == b"first"


# --------------------------------------------------------------------------------------------------
# Errors in words


def test_a_bucket_that_is_not_there(bucket, tmp_path):
    gone = Remote("s3://no-such-bucket-of-ours/x")
    (tmp_path / "a").write_bytes(b"a")
    for write in (
        lambda: gone.write("a", b""),
        lambda: gone.create("a", b""),
        lambda: gone.put("a", tmp_path / "a"),
    ):
        with pytest.raises(ConfigError, match=r"there is no such bucket.*Make it first"):
            write()


def test_a_store_that_cannot_be_reached(bucket, monkeypatch):
    once = {"retries": {"max_attempts": 0}}
    s3 = fsspec.filesystem("s3", endpoint_url="http://127.0.0.1:9", config_kwargs=once)
    s3.retries = 1
    from datatools.engine import remote

    monkeypatch.setattr(remote, "_opened", lambda url: (s3, "bucket", True))
    for touch in (
        lambda: Remote("s3://bucket").listing(),
        lambda: Remote("s3://bucket").write("a", b""),
    ):
        with pytest.raises(DataError, match=r"did not answer.*run again once it is reachable"):
            touch()


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (PermissionError("Access Denied"), ConfigError, "access was denied.*Check the credentials"),
        (TimeoutError("timed out"), DataError, "did not answer as it should"),
        (ValueError("ours"), ValueError, "ours"),
    ],
)
def test_what_a_driver_raises_is_told(memory, monkeypatch, raised, kind, message):
    def cat_file(self, path, **settings):
        raise raised

    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    with pytest.raises(kind, match=message):
        Remote(memory).read("a")


def test_missing_credentials_are_told(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3 = fsspec.filesystem("s3", skip_instance_cache=True)
    from datatools.engine import remote

    monkeypatch.setattr(remote, "_opened", lambda url: (s3, bucket.removeprefix("s3://"), True))
    with pytest.raises(ConfigError, match=r"no credentials.*AWS_ACCESS_KEY_ID"):
        Remote(bucket).write("a", b"")


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(monkeypatch):
    from datatools.engine import remote

    remote._opened.cache_clear()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    message = r'needs a driver for s3://\. pip install "datatools\[s3\]"'
    with pytest.raises(ConfigError, match=message):
        Remote("s3://bucket-of-nobody/x").listing()


def test_a_scheme_that_nobody_knows():
    with pytest.raises(ConfigError, match="no file system for this address"):
        Remote("nonsense://x").listing()


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="holds a password") as caught:
        Remote("sftp://user:hunter2@host/x").listing()
    assert "hunter2" not in str(caught.value)


def test_a_remote_travels_as_its_address(memory):
    remote = Remote(memory)
    remote.write("a", b"1")
    assert pickle.loads(pickle.dumps(remote)).read("a") == b"1"


def test_what_is_a_url():
    assert [is_url(path) for path in ("s3://b/a", "a/b", "/a:b", "gs://x")] == [
        True,
        False,
        False,
        True,
    ]
