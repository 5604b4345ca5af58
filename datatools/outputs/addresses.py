"""Outputs: a folder of this machine, or a URL with a desk here. The one place where they part ways.

Owns: for each kind, where its stages are kept, how it is held, where its datasets go, and where its
files lie on this machine. Commands and the run ask an output for its `folder` after having it bring
what they read, and have it send what they made; a local output brings and sends nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from datatools.engine.lease import leased
from datatools.engine.lock import held
from datatools.engine.remote import Remote, is_url
from datatools.engine.shelf import LocalShelf, RemoteShelf, Shelf
from datatools.engine.store import drop_stale_temporaries
from datatools.engine.stores import StageStore, store_at
from datatools.errors import DataError
from datatools.outputs.desk import Desk

__all__ = ["CACHE", "LocalOutput", "Output", "RemoteOutput", "dataset_at_hand", "output_at"]

CACHE = ".cache"
"""Folder of intermediate stages in an output; it may be deleted at any time."""


@dataclass(frozen=True)
class LocalOutput:
    """An output on this machine, or on a disk that all workers share.

    Attributes:
        folder: Where its files lie.
    """

    folder: Path
    status_every_s = 1.0

    @property
    def address(self) -> str:
        """How people call it."""
        return str(self.folder)

    @property
    def store(self) -> StageStore:
        """Where its stages are kept."""
        return store_at(self.folder / CACHE)

    @property
    def shelf(self) -> Shelf:
        """Where its datasets are published."""
        return LocalShelf(self.folder)

    def at(self, folder: str) -> LocalOutput:
        """Return the output that is a folder of this one."""
        return LocalOutput(self.folder / folder)

    def held(self, owner: str) -> AbstractContextManager[None]:
        """Hold it for this run; see `engine.lock.held`."""
        return held(self.folder, owner)

    def has_cache(self) -> bool:
        """Return whether a run has written here."""
        return (self.folder / CACHE).is_dir()

    def called(self, path: Path) -> str:
        """Return how people call a file of it."""
        return str(path)

    def sweep(self) -> None:
        """Make room for the cache, and delete what a killed run left half written."""
        (self.folder / CACHE).mkdir(parents=True, exist_ok=True)
        drop_stale_temporaries(self.folder)

    def bring_datasets(self, names: Sequence[str] | None = None, *, anew: bool = False) -> None:
        """Do nothing: they are here."""

    def bring_conclusions(self) -> None:
        """Do nothing: they are here."""

    def send(self) -> None:
        """Do nothing: what is made here is there."""


@dataclass
class RemoteOutput:
    """An output at a URL.

    Attributes:
        remote: The folder at the URL.
    """

    remote: Remote
    status_every_s = 10.0
    _still_ours: list[Callable[[], None]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._desk = Desk(self.remote)

    @property
    def address(self) -> str:
        """How people call it."""
        return self.remote.url

    @property
    def folder(self) -> Path:
        """The desk: where what was brought lies on this machine."""
        return self._desk.folder

    @property
    def store(self) -> StageStore:
        """Where its stages are kept."""
        return store_at(self.remote.address(CACHE))

    @property
    def shelf(self) -> Shelf:
        """Where its datasets are published."""
        return RemoteShelf(self.remote, CACHE, self._check)

    def at(self, folder: str) -> RemoteOutput:
        """Return the output that is a folder of this one."""
        return RemoteOutput(self.remote.at(folder))

    def _check(self) -> None:
        for check in self._still_ours:
            check()

    @contextlib.contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Hold it for this run; see `engine.lease.leased`."""
        with leased(self.remote, owner) as still_ours:
            self._still_ours.append(still_ours)
            try:
                yield
            finally:
                self._still_ours.clear()

    def has_cache(self) -> bool:
        """Return whether a run has written here."""
        return bool(self.remote.listing(f"{CACHE}/status.json"))

    def called(self, path: Path) -> str:
        """Return how people call a file of it that lies on the desk."""
        return self.remote.address(path.relative_to(self.folder).as_posix())

    def sweep(self) -> None:
        """Make room for the desk's cache, and delete what a killed run left half written there."""
        (self.folder / CACHE).mkdir(parents=True, exist_ok=True)
        drop_stale_temporaries(self.folder)
        drop_stale_temporaries(self.store.folder)

    def bring_datasets(self, names: Sequence[str] | None = None, *, anew: bool = False) -> None:
        """Bring published datasets to the desk; see `Desk.bring_datasets`."""
        self._desk.bring_datasets(names, anew=anew)

    def bring_conclusions(self) -> None:
        """Bring what was made from datasets, and their manifests, to the desk."""
        self._desk.bring_manifests()
        self._desk.bring_conclusions()

    def send(self) -> None:
        """Send what was made on the desk."""
        self._desk.send(self._check)


Output = LocalOutput | RemoteOutput


def output_at(address: str | os.PathLike[str]) -> Output:
    """Return the output at a path or a URL; `file://` is a path.

    Example:
        >>> output_at("out/corpus").address, output_at("s3://bucket/corpus/").address
        ('out/corpus', 's3://bucket/corpus')
    """
    address = os.fspath(address)
    if urlsplit(address).scheme in ("file", "local") and is_url(address):
        return LocalOutput(Path(url2pathname(urlsplit(address).path)))
    if is_url(address):
        return RemoteOutput(Remote(address.rstrip("/")))
    return LocalOutput(Path(address))


def dataset_at_hand(address: str | os.PathLike[str]) -> Path:
    """Return the folder of a published dataset on this machine, brought here from a URL.

    Args:
        address: A dataset's folder, `OUT/<dataset>`, as a path or a URL.

    Raises:
        DataError: There is no published dataset at the URL.
    """
    if not is_url(address):
        return Path(address)
    parent, _, name = os.fspath(address).rstrip("/").rpartition("/")
    output = output_at(parent)
    output.bring_datasets([name])
    folder = output.folder / name
    if not (folder / "manifest.json").exists():
        raise DataError(
            os.fspath(address),
            "is not a published dataset: it has no manifest.json",
            hint="Point at OUT/<dataset> of a finished run.",
        )
    return folder
