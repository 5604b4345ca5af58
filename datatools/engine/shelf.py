"""Shelves: where published datasets stand. The manifest goes up last, and comes down first.

Owns: the order in which the files of a dataset get their final names, so that no reader ever finds
a manifest whose files are not all there; and that what stands already is left alone, so that a
cached run changes nothing. Refuses: what is in the files (`publisher`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from datatools.engine.remote import Entry, Remote
from datatools.engine.store import (
    PartRef,
    canonical_json,
    file_sha256,
    fsync_directory,
    indented_json,
    read_json,
    write_atomic,
    write_json,
)
from datatools.engine.stores import StageStore
from datatools.errors import IntegrityError, OutputHeldError

__all__ = ["LocalShelf", "RemoteShelf", "Shelf"]

MANIFEST = "manifest.json"
_PUBLISHED = re.compile(r"([a-z]+/)?[a-z]+-\d{5}-of-\d{5}\.(parquet|jsonl)")
"""What publishing itself names so: a stranger's file is not ours to delete."""


class Shelf(Protocol):
    """Where published datasets stand."""

    def place(
        self,
        store: StageStore,
        name: str,
        files: Mapping[str, PartRef],
        manifest: Mapping[str, Any],
        text: str,
    ) -> None:
        """Put a dataset's files under their final names, the manifest last.

        Args:
            store: Where the parts are.
            name: The dataset's name, which is its folder's.
            files: The part of each file, by its published path.
            manifest: What `manifest.json` says.
            text: The card, `README.md`.
        """


@dataclass(frozen=True)
class LocalShelf:
    """Datasets below a folder; files are those of the cache, by hard link where that works."""

    folder: Path

    def place(
        self,
        store: StageStore,
        name: str,
        files: Mapping[str, PartRef],
        manifest: Mapping[str, Any],
        text: str,
    ) -> None:
        """Put a dataset's files under their final names, the manifest last."""
        root, folder = store.folder, self.folder / name
        target = folder / MANIFEST
        if _reads(target) == manifest and _stands(root, folder, files):
            return
        folder.mkdir(parents=True, exist_ok=True)
        # From here on the old dataset is gone; a crash leaves a folder that is not a dataset.
        if target.exists():
            target.unlink()
            fsync_directory(folder)
        for old in sorted(folder.rglob("*")):
            relative = old.relative_to(folder).as_posix()
            if relative not in files and _PUBLISHED.fullmatch(relative):
                old.unlink()
        for path, part in files.items():
            link(root / part.path, folder / path)
        for directory in {(folder / path).parent for path in files}:
            fsync_directory(directory)
        write_atomic(folder / "README.md", lambda file: file.write(text.encode()))
        write_json(target, manifest)


def _reads(path: Path) -> Any:
    try:
        return read_json(path)
    except (FileNotFoundError, IntegrityError):
        return None


def _stands(root: Path, folder: Path, files: Mapping[str, PartRef]) -> bool:
    """Return whether the published files are those of the cache: the same file, or equal bytes."""
    for path, part in files.items():
        try:
            if os.path.samefile(folder / path, root / part.path):
                continue
            if file_sha256(folder / path) != part.sha256:
                return False
        except OSError:
            return False
    return True


def link(source: Path, target: Path) -> None:
    """Give a committed file its final name, by hard link where the file system has them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Renaming one name of a file over another does nothing, and would leave the temporary name.
    if target.exists() and target.samefile(source):
        return
    temporary = target.parent / f".tmp-{os.getpid()}-{target.name}"
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        with source.open("rb") as reader:
            write_atomic(target, lambda file: shutil.copyfileobj(reader, file, 1 << 20))
        return
    os.replace(temporary, target)


@dataclass(frozen=True)
class RemoteShelf:
    """Datasets below a URL; files are copied from the cache on the store itself.

    Attributes:
        output: The output.
        cache: Folder of the cache below it.
        still_ours: Raises when another run has taken the output over.
    """

    output: Remote
    cache: str
    still_ours: Callable[[], None]

    def place(
        self,
        store: StageStore,
        name: str,
        files: Mapping[str, PartRef],
        manifest: Mapping[str, Any],
        text: str,
    ) -> None:
        """Put a dataset's files under their final names, the manifest last."""
        folder = self.output.at(name)
        placed = f"{self.cache}/published/{name}.json"
        there = folder.listing()
        standing = self._standing(folder, there, files, placed)
        if len(standing) == len(files) and _says(folder, there) == manifest:
            return
        self.still_ours()
        # From here on the old dataset is gone; a crash leaves a folder that is not a dataset.
        folder.remove([MANIFEST] if MANIFEST in there else [])
        folder.remove([old for old in there if old not in files and _PUBLISHED.fullmatch(old)])

        def copy(path: str) -> None:
            part = f"{self.cache}/{files[path].path}"
            try:
                self.output.copy(part, f"{name}/{path}")
            except FileNotFoundError:
                raise IntegrityError(
                    self.output.address(part), "is missing from the cache", hint="Run again."
                ) from None

        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(copy, [path for path in files if path not in standing]))
        folder.write("README.md", text.encode())
        there = folder.listing()
        self._check(folder, there, files)
        marks = {path: [part.sha256, there[path].mark] for path, part in files.items()}
        self.output.write(placed, canonical_json(marks))
        self.still_ours()
        try:
            folder.create(MANIFEST, indented_json(manifest))
        except FileExistsError as error:
            raise OutputHeldError(
                folder.address(MANIFEST),
                "was written by another run while this one published",
                hint="Wait for that run to end, then run again.",
            ) from error

    def _standing(
        self,
        folder: Remote,
        there: Mapping[str, Entry],
        files: Mapping[str, PartRef],
        placed: str,
    ) -> set[str]:
        """Return the files that stand as they should: unchanged since they were placed, or equal.

        A mark tells of a change; the digest decides.
        """
        try:
            marks = orjson.loads(self.output.read(placed))
        except (FileNotFoundError, orjson.JSONDecodeError):
            return set()
        return {
            path
            for path, part in files.items()
            if path in there
            and there[path].size == part.bytes
            and path in marks
            and marks[path][0] == part.sha256
            and (marks[path][1] == there[path].mark or folder.sha256(path) == part.sha256)
        }

    def _check(
        self, folder: Remote, there: Mapping[str, Entry], files: Mapping[str, PartRef]
    ) -> None:
        """Refuse to name files in a manifest that are not there."""
        for path, part in files.items():
            if path not in there or there[path].size != part.bytes:
                raise IntegrityError(
                    folder.address(path),
                    "is not there as it was copied",
                    hint="Another run may be at work on this output. Run again.",
                )


def _says(folder: Remote, there: Mapping[str, Entry]) -> Any:
    try:
        return orjson.loads(folder.read(MANIFEST)) if MANIFEST in there else None
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
