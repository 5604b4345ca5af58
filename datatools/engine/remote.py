"""A folder at a URL, through fsspec: objects that are whole or absent, and errors in words.

Owns: how bytes reach a name on an object store, and what is told when they do not. An object is
written by one put or one multipart upload, which object stores show whole or not at all; where a
file system has no such put, the bytes go to a temporary name and are moved. `open(url, "wb")` is
never used: fsspec commits what was written before an exception as if it were the whole file.

Refuses: what the objects mean. Stores, leases and published datasets are built above.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from datatools.engine.store import TEMPORARY, write_atomic
from datatools.errors import ConfigError, DataError, IntegrityError
from datatools.heartbeat import beat

__all__ = ["Entry", "Remote", "is_url"]

_ATOMIC = frozenset({"s3", "gs", "abfs", "az", "oss", "r2", "memory"})
"""Protocols whose put shows an object whole or not at all."""
_DRIVERS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Extras of this package that install a protocol's driver."""
_MARKS = ("VersionId", "ETag", "etag", "generation", "md5Hash", "mtime", "LastModified", "created")
_CLOUDS = ("botocore", "aiobotocore", "aiohttp", "google", "gcsfs", "azure", "fsspec", "s3fs")
"""Packages whose errors are about the store, not about us."""
_BLOCK_BYTES = 8 << 20
_attempts = itertools.count()


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is an address that fsspec opens, not a name on this machine.

    Example:
        >>> is_url("s3://bucket/corpus"), is_url("out/corpus"), is_url(Path("corpus/v1"))
        (True, False, False)
    """
    return "://" in os.fspath(path)


class Entry(NamedTuple):
    """A file as a listing tells of it.

    Attributes:
        size: Its bytes.
        mark: What changes when the file is written again: a time, or a store's entity tag.
        made: When it was last written, in seconds; 0 where the store does not say.
    """

    size: int
    mark: int | str
    made: float = 0.0


@functools.lru_cache(maxsize=256)
def _opened(url: str) -> tuple[Any, str, bool]:
    """Return the file system of a URL, the folder's path in it, and whether its put is atomic."""
    import fsspec

    scheme = urlsplit(url).scheme
    if urlsplit(url).password:
        raise ConfigError(
            _shown(url),
            "holds a password, which would be written into manifests and logs",
            hint="Give it to the driver through its own settings or the environment.",
        )
    try:
        filesystem, base = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = _DRIVERS.get(scheme)
        hint = f'pip install "datatools[{extra}]"' if extra else str(error)
        raise ConfigError(url, f"needs a driver for {scheme}://", hint=hint) from None
    except ValueError as error:
        raise ConfigError(
            url, f"no file system for this address: {error}", hint="See fsspec's list."
        ) from None
    protocols = (
        {filesystem.protocol} if isinstance(filesystem.protocol, str) else set(filesystem.protocol)
    )
    return filesystem, base.rstrip("/"), bool(_ATOMIC & protocols)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url


@contextlib.contextmanager
def _told(where: str) -> Iterator[None]:
    """Tell of a store that refuses as a `DataError` or a `ConfigError`.

    `FileNotFoundError` and `FileExistsError` pass: callers ask with them.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except PermissionError as error:
        raise ConfigError(
            where,
            "access was denied",
            got=_line(error),
            hint="Check the credentials and what they may do: datatools reads, writes, lists and "
            "deletes. Finished work is kept.",
        ) from error
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError) and package not in _CLOUDS:
            raise
        if "Credentials" in type(error).__name__ or "Token" in type(error).__name__:
            raise ConfigError(
                where,
                "there are no credentials for this store",
                got=_line(error),
                hint="Set those that its driver reads, e.g. AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
            ) from error
        raise DataError(
            where,
            "the store did not answer as it should",
            got=_line(error),
            hint="Finished work is kept: run again once it is reachable.",
        ) from error


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _no_bucket(where: str, error: FileNotFoundError) -> ConfigError:
    return ConfigError(
        where,
        "there is no such bucket",
        got=_line(error),
        hint="Make it first, or correct the address.",
    )


@dataclass(frozen=True)
class Remote:
    """A folder at a URL. Paths are relative to it and `/`-separated.

    Picklable: another machine opens the URL anew, with its own credentials.

    Args:
        url: Any address that fsspec opens, e.g. `s3://bucket/corpus/v1`.

    Example:
        >>> folder = Remote("memory://example/remote")
        >>> folder.write("a/b.json", b"{}")
        >>> folder.read("a/b.json"), [*folder.listing("a")]
        (b'{}', ['a/b.json'])
    """

    url: str

    def at(self, folder: str) -> Remote:
        """Return a folder below this one."""
        return Remote(f"{self.url.rstrip('/')}/{folder}")

    def address(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{self.url.rstrip('/')}/{path}"

    def _name(self, path: str) -> tuple[Any, str]:
        filesystem, base, _ = _opened(self.url)
        return filesystem, f"{base}/{path}" if path else base

    # ------------------------------------------------------------------------------------------
    # Reading

    def listing(self, folder: str = "") -> dict[str, Entry]:
        """Return every file below a folder by its path, sorted; none if there is no such folder."""
        filesystem, name = self._name(folder)
        with _told(self.address(folder)):
            filesystem.invalidate_cache()
            try:
                found = filesystem.find(name, detail=True)
            except FileNotFoundError:
                return {}
        base = self._name("")[1]
        return {
            path[len(base) :].lstrip("/"): Entry(int(info["size"]), _mark(info), _made(info))
            for path, info in sorted(found.items())
            if info["type"] == "file" and not path.rpartition("/")[2].startswith(TEMPORARY)
        }

    def folders(self) -> list[str]:
        """Return the names of the folders right below this one, sorted."""
        filesystem, name = self._name("")
        with _told(self.url):
            filesystem.invalidate_cache()
            try:
                found = filesystem.ls(name, detail=True)
            except FileNotFoundError:
                return []
        names = [i["name"].rstrip("/").rpartition("/")[2] for i in found if i["type"] != "file"]
        return sorted(names)

    def read(self, path: str) -> bytes:
        """Return a file's bytes.

        Raises:
            FileNotFoundError: There is none.
        """
        filesystem, name = self._name(path)
        with _told(self.address(path)):
            data: bytes = filesystem.cat_file(name)
        return data

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of several files by path, fetched side by side; without those gone."""
        filesystem, _ = self._name("")
        names = {self._name(path)[1]: path for path in paths}
        found: dict[str, bytes] = {}
        with _told(self.url):
            answers = filesystem.cat(list(names), on_error="return") if names else {}
            for name, answer in answers.items():
                if isinstance(answer, FileNotFoundError):
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                found[names[name]] = answer
        return found

    def fetch(self, path: str, target: Path, size: int, sha256: str | None = None) -> None:
        """Bring a file to this machine, whole or not at all.

        Args:
            path: The file.
            target: Its name here.
            size: Bytes it must have.
            sha256: Digest it must have, if that is known.

        Raises:
            FileNotFoundError: There is none.
            IntegrityError: It does not hold the bytes that it should.
        """
        filesystem, name = self._name(path)
        where = self.address(path)

        def copy(file: Any) -> None:
            hasher = hashlib.sha256()
            with _told(where):
                found = int(filesystem.info(name)["size"])
                # By ranges: each is a request of its own, tried again by the driver.
                for start in range(0, size if found == size else 0, _BLOCK_BYTES):
                    stop = min(size, start + _BLOCK_BYTES)
                    data = filesystem.cat_file(name, start=start, end=stop)
                    file.write(data)
                    hasher.update(data)
                    beat()
            if found != size or (sha256 is not None and hasher.hexdigest() != sha256):
                raise IntegrityError(
                    where,
                    f"does not hold the bytes that were committed (expected sha256 {sha256})"
                    if found == size
                    else f"does not hold the bytes that were committed (expected {size:,} bytes)",
                    got=hasher.hexdigest() if found == size else f"{found:,} bytes",
                    hint="Something changed the store. Run `datatools gc --all` on the output and "
                    "run again.",
                )

        write_atomic(target, copy, durable="none")

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of a file's bytes, which are read and not kept.

        Raises:
            FileNotFoundError: There is none.
        """
        filesystem, name = self._name(path)
        hasher = hashlib.sha256()
        with _told(self.address(path)):
            size = int(filesystem.info(name)["size"])
            for start in range(0, size, _BLOCK_BYTES):
                stop = min(size, start + _BLOCK_BYTES)
                hasher.update(filesystem.cat_file(name, start=start, end=stop))
                beat()
        return hasher.hexdigest()

    # ------------------------------------------------------------------------------------------
    # Writing

    def put(self, path: str, source: Path) -> None:
        """Send a file of this machine; its name shows it whole or not at all.

        Raises:
            ConfigError: The bucket is not there, or access was denied.
            DataError: The store cannot be reached; nothing is left under the name.
        """
        filesystem = self._name("")[0]
        with self._writing(path) as name:
            filesystem.put_file(str(source), name)

    def write(self, path: str, data: bytes) -> None:
        """Write a small file; its name shows it whole or not at all.

        Raises:
            ConfigError: The bucket is not there, or access was denied.
            DataError: The store cannot be reached; nothing is left under the name.
        """
        filesystem = self._name("")[0]
        with self._writing(path) as name:
            filesystem.pipe_file(name, data)

    def copy(self, source: str, target: str) -> None:
        """Copy a file on the store itself, without its bytes passing through this machine.

        Raises:
            FileNotFoundError: There is no such file.
        """
        filesystem, start = self._name(source)
        with _told(self.address(source)):
            filesystem.info(start)
        with self._writing(target) as name:
            filesystem.cp_file(start, name)

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[str]:
        """Yield the name to write to, and give the file its own name if that went well."""
        filesystem, name = self._name(path)
        where = self.address(path)
        atomic = _opened(self.url)[2]
        folder, _, last = name.rpartition("/")
        private = f"{folder}/{TEMPORARY}{os.getpid()}-{next(_attempts)}-{last}"
        with _told(where):
            try:
                if atomic:
                    yield name
                    return
                filesystem.makedirs(folder, exist_ok=True)
                try:
                    yield private
                    if filesystem.exists(name):
                        filesystem.rm_file(name)
                    filesystem.mv(private, name)
                except BaseException:
                    with contextlib.suppress(Exception):
                        filesystem.rm_file(private)
                    raise
            except FileNotFoundError as error:
                raise _no_bucket(where, error) from error

    def create(self, path: str, data: bytes) -> None:
        """Write a small file unless there is one of that name (put-if-absent).

        S3, Google Cloud Storage and `memory://` refuse by themselves, so of two writers one wins.
        Where a driver does not offer that, the name is looked up first, and two writers in one
        instant may both believe that they won.

        Raises:
            FileExistsError: There is one; it is left as it is.
        """
        filesystem, name = self._name(path)
        where = self.address(path)
        with _told(where):
            try:
                if _creates(filesystem):
                    filesystem.pipe_file(name, data, mode="create")
                    return
            except FileNotFoundError as error:
                raise _no_bucket(where, error) from error
            except Exception as error:
                # Stores word their refusal differently; an answer that was lost leaves a file, too.
                if filesystem.exists(name):
                    raise FileExistsError(where) from error
                raise
            if filesystem.exists(name):
                raise FileExistsError(where)
        self.write(path, data)

    def give_up_uploads(self) -> None:
        """Abort multipart uploads that nobody ended, and remove temporary files.

        A killed run leaves them: they are no objects, and cost what they hold. Only S3 shows them;
        elsewhere they run out by themselves.
        """
        filesystem, name = self._name("")
        with _told(self.url):
            if "s3" in filesystem.protocol:
                bucket, _, prefix = name.partition("/")
                asked = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
                found = filesystem.call_s3("list_multipart_uploads", **asked)
                for upload in found.get("Uploads", ()):
                    known = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                    filesystem.call_s3("abort_multipart_upload", **known)
            if not _opened(self.url)[2]:
                for path in filesystem.find(name):
                    if path.rpartition("/")[2].startswith(TEMPORARY):
                        filesystem.rm_file(path)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files; those that are gone already are no error."""
        filesystem, _ = self._name("")
        names = [self._name(path)[1] for path in paths]
        if not names:
            return
        with _told(self.url):
            try:
                filesystem.rm(names)
                return
            except FileNotFoundError:
                pass
            for name in names:  # one was gone, and the others may have been left
                with contextlib.suppress(FileNotFoundError):
                    filesystem.rm_file(name)


def _mark(info: dict[str, Any]) -> str:
    return next((f"{key} {info[key]}" for key in _MARKS if info.get(key)), "")


def _made(info: dict[str, Any]) -> float:
    found = next(
        (info[key] for key in ("LastModified", "mtime", "updated", "created") if info.get(key)), 0.0
    )
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found.timestamp() if isinstance(found, datetime) else float(found)


def _creates(filesystem: Any) -> bool:
    """Return whether a driver's `pipe_file` refuses a name that is taken."""
    own = getattr(filesystem, "_pipe_file", None) or filesystem.pipe_file
    return "mode" in inspect.signature(own).parameters
