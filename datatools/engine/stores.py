"""Where stages are kept: a folder of this machine, or a folder at a URL with a scratch folder here.

Owns: the few things that stages and tasks ask of the place where results are committed. A local
store commits by renaming. A remote one writes every part in its scratch folder as the local store
does, then sends it; whoever reads it elsewhere brings it into a scratch folder of his own. So the
code between (steps, views, tables) sees files on a local disk in both cases.

Refuses: what a stage is (`stages`), and how an object reaches a URL (`remote`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from datatools.engine.remote import Entry, Remote, is_url
from datatools.engine.store import (
    PartRef,
    Root,
    canonical_json,
    drop_stale_temporaries,
    file_sha256,
    fsync_directory,
    indented_json,
    read_json,
    verify_part,
    write_json,
)
from datatools.errors import IntegrityError
from datatools.heartbeat import beat

__all__ = ["LocalStore", "RemoteStore", "StageSize", "StageStore", "scratch_of", "store_at"]

SCRATCH_VARIABLE = "DATATOOLS_SCRATCH"


class StageStore(Protocol):
    """What stages ask of the place where they are kept."""

    @property
    def address(self) -> str:
        """Its path or its URL; `store_at` opens it again, on any machine."""

    @property
    def folder(self) -> Path:
        """Where parts are written on this machine."""

    @property
    def root(self) -> Root:
        """What readers of parts take."""

    def listing(self, stage: str) -> Mapping[str, Entry]:
        """Return the files of a stage by path, with one question to the store."""

    def read(self, path: str) -> Any:
        """Return the value of a JSON file.

        Raises:
            FileNotFoundError: There is none.
            IntegrityError: It is not JSON.
        """

    def read_all(self, paths: Sequence[str]) -> dict[str, Any]:
        """Return the values of several JSON files; those that are no JSON are left out."""

    def recorded(self, record: str) -> Any:
        """Return the record of a task that is about to run, if it is cheap to look; else None."""

    def sha256(self, path: str) -> str:
        """Return the digest of a file's bytes as they are now."""

    def write(self, path: str, value: object) -> None:
        """Write a small JSON file that says how things stand, over an older one."""

    def commit(self, record: str, value: object, parts: Sequence[PartRef]) -> None:
        """Commit a task: its parts, then the record that says that it is done."""

    def seal(self, manifest: str, value: object) -> None:
        """Commit a stage: after this its manifest is there, and all that it names."""

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files; those that are gone already are no error."""

    def stages(self) -> dict[str, StageSize]:
        """Return every stage by its key."""

    def remove_stages(self, keys: Sequence[str]) -> None:
        """Remove stages, whole."""

    def sweep(self) -> None:
        """Remove what killed runs left half written, and what may be fetched again."""


class StageSize(NamedTuple):
    """What a stage takes.

    Attributes:
        bytes: Size of its files.
        made: When it was made, in seconds.
    """

    bytes: int
    made: float


@dataclass(frozen=True)
class LocalStore:
    """Stages in a folder of this machine, or of a disk that all workers share."""

    folder: Path

    @property
    def address(self) -> str:
        """Its path."""
        return str(self.folder)

    @property
    def root(self) -> Root:
        """The folder itself: parts are read where they were written."""
        return self.folder

    def listing(self, stage: str) -> dict[str, Entry]:
        """Return the files of a stage by path; none if it has no folder."""
        found: dict[str, Entry] = {}
        try:
            with os.scandir(self.folder / stage) as entries:
                for entry in entries:
                    status = entry.stat()
                    found[f"{stage}/{entry.name}"] = Entry(status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            return found
        return found

    def read(self, path: str) -> Any:
        """Return the value of a JSON file."""
        return read_json(self.folder / path)

    def read_all(self, paths: Sequence[str]) -> dict[str, Any]:
        """Return the values of several JSON files; those torn by a power cut are left out."""
        found: dict[str, Any] = {}
        for path in paths:
            try:
                found[path] = read_json(self.folder / path)
            except (FileNotFoundError, IntegrityError):
                continue
        return found

    def recorded(self, record: str) -> Any:
        """Return a task's record, if a worker that died after it left one; else None."""
        try:
            return read_json(self.folder / record)
        except (FileNotFoundError, IntegrityError):
            return None

    def sha256(self, path: str) -> str:
        """Return the digest of a file's bytes."""
        return file_sha256(self.folder / path)

    def write(self, path: str, value: object) -> None:
        """Write a small JSON file."""
        write_json(self.folder / path, value, durable="none")

    def commit(self, record: str, value: object, parts: Sequence[PartRef]) -> None:
        """Write a task's record; its parts are in their place."""
        # A record that a power cut tears is not valid JSON, and the task runs again.
        write_json(self.folder / record, value, durable="none")

    def seal(self, manifest: str, value: object) -> None:
        """Write a stage's manifest after the names of its parts are safe."""
        path = self.folder / manifest
        path.parent.mkdir(parents=True, exist_ok=True)
        fsync_directory(path.parent)
        write_json(path, value)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files."""
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)

    def stages(self) -> dict[str, StageSize]:
        """Return every stage by its key."""
        return {
            path.name: StageSize(
                sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
                path.stat().st_mtime,
            )
            for path in (self.folder / "stages").glob("*")
        }

    def remove_stages(self, keys: Sequence[str]) -> None:
        """Remove stages, whole."""
        for key in keys:
            shutil.rmtree(self.folder / "stages" / key)

    def sweep(self) -> None:
        """Remove what killed runs left half written."""
        drop_stale_temporaries(self.folder)


@dataclass(frozen=True)
class RemoteStore:
    """Stages at a URL, with a scratch folder on every machine that works on them.

    What is in the scratch folder is there to be read fast, and may be deleted when no run uses it.
    """

    remote: Remote

    @property
    def address(self) -> str:
        """Its URL."""
        return self.remote.url

    @property
    def folder(self) -> Path:
        """The scratch folder of this machine."""
        return scratch_of(self.remote.url)

    @property
    def root(self) -> Root:
        """The store: parts are brought here when they are read."""
        return self

    def fetch(self, part: PartRef) -> Path:
        """Return a part's file on this machine, its bytes verified; bring it if it is not here.

        Raises:
            IntegrityError: The store lost it, or holds other bytes.
        """
        path = self.folder / part.path
        if path.exists():
            try:
                verify_part(path, part)
                return path
            except IntegrityError:  # a scratch folder may be worn; the store decides
                path.unlink(missing_ok=True)
        try:
            self.remote.fetch(part.path, path, part.bytes, part.sha256)
        except FileNotFoundError:
            raise IntegrityError(
                self.remote.address(part.path),
                "is missing from the cache",
                hint="Run `datatools gc` and run again.",
            ) from None
        verify_part(path, part, known=True)
        return path

    def listing(self, stage: str) -> dict[str, Entry]:
        """Return the files of a stage by path."""
        return self.remote.listing(stage)

    def read(self, path: str) -> Any:
        """Return the value of a JSON file."""
        try:
            return orjson.loads(self.remote.read(path))
        except orjson.JSONDecodeError as error:
            raise IntegrityError(
                self.remote.address(path),
                f"is not valid JSON: {error}",
                hint="Delete it and run again.",
            ) from None

    def read_all(self, paths: Sequence[str]) -> dict[str, Any]:
        """Return the values of several JSON files, fetched side by side."""
        found: dict[str, Any] = {}
        for path, data in self.remote.read_all(paths).items():
            try:
                found[path] = orjson.loads(data)
            except orjson.JSONDecodeError:
                continue
        return found

    def recorded(self, record: str) -> None:
        """Return None: the driver has listed what is there, and to ask is a request per task.

        A task whose worker died after the record runs again, and leaves the same bytes.
        """

    def sha256(self, path: str) -> str:
        """Return the digest of a file's bytes in the store."""
        return self.remote.sha256(path)

    def write(self, path: str, value: object) -> None:
        """Write a small JSON file."""
        self.remote.write(path, indented_json(value))

    def commit(self, record: str, value: object, parts: Sequence[PartRef]) -> None:
        """Send a task's parts, then its record."""
        for part in parts:
            self.remote.put(part.path, self.folder / part.path)
            beat()
        self.remote.write(record, canonical_json(value))

    def seal(self, manifest: str, value: object) -> None:
        """Write a stage's manifest, unless another run of the same key was faster.

        Raises:
            IntegrityError: One is there that does not name the same parts.
        """
        try:
            self.remote.create(manifest, canonical_json(value))
        except FileExistsError:
            there = self.read(manifest)
            if there.get("outputs") != orjson.loads(canonical_json(value))["outputs"]:
                raise IntegrityError(
                    self.remote.address(manifest),
                    "was written by another run with other results",
                    hint="Two runs worked on one output, or a step is not deterministic. Run "
                    "`datatools gc --all` on it and run again.",
                ) from None

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files from the store and from this machine."""
        self.remote.remove(paths)
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)

    def stages(self) -> dict[str, StageSize]:
        """Return every stage by its key; lists the whole cache."""
        found: dict[str, StageSize] = {}
        for path, entry in self.remote.listing("stages").items():
            key = path.split("/")[1]
            size, made = found.get(key, (0, 0.0))
            found[key] = StageSize(size + entry.size, max(made, entry.made))
        return found

    def remove_stages(self, keys: Sequence[str]) -> None:
        """Remove stages, their manifests first: a stage with a manifest is whole."""
        listing = [path for key in keys for path in self.remote.listing(f"stages/{key}")]
        self.remote.remove([path for path in listing if path.endswith("/manifest.json")])
        self.remote.remove([path for path in listing if not path.endswith("/manifest.json")])

    def sweep(self) -> None:
        """Give up uploads that killed runs left, and empty the scratch folder of this machine."""
        self.remote.give_up_uploads()
        shutil.rmtree(self.folder, ignore_errors=True)


def scratch_of(url: str) -> Path:
    """Return this machine's folder for what lies at a URL.

    It is named by a digest of the URL, in `$DATATOOLS_SCRATCH`, else in
    `$XDG_CACHE_HOME/datatools/remote`, else in `~/.cache/datatools/remote`.
    """
    base = os.environ.get(SCRATCH_VARIABLE)
    if base is None:
        cache_home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
        base = os.path.join(os.path.expanduser(cache_home), "datatools", "remote")
    return Path(base) / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:24]


def store_at(address: str | os.PathLike[str]) -> LocalStore | RemoteStore:
    """Return the store at a path or at a URL."""
    if is_url(address):
        return RemoteStore(Remote(os.fspath(address)))
    return LocalStore(Path(address))
