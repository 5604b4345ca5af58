"""The desk: this machine's folder for an output that is at a URL.

Owns: what of the output lies here, and that it is what lies there. Training, verdicts, the report
and the readers of datasets work on local files, and this is where they find them. A file is fetched
when the store's mark of it (its entity tag, or its time) is not the one it was fetched with, so a
second look costs a listing. What is made here goes up again, the files that say what it was made
from last.

Refuses: what the files mean. The folder may be deleted whenever no command is at work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatools.engine.remote import Entry, Remote
from datatools.engine.store import read_json, write_json
from datatools.engine.stores import scratch_of
from datatools.errors import DataError, IntegrityError

__all__ = ["Desk"]

CONCLUSIONS = ("models", "verdicts")
"""Folders of what is made from the datasets."""
PAGES = ("report.html", "run.json", ".cache/report.key")
MANIFEST = "manifest.json"
_MARKS = ".marks.json"
_TRIES = 3


@dataclass(frozen=True)
class Desk:
    """This machine's folder for an output at a URL.

    Args:
        remote: The output.
    """

    remote: Remote

    @property
    def folder(self) -> Path:
        """The folder; named by a digest of the URL, see `scratch_of`."""
        return scratch_of(self.remote.url)

    # ------------------------------------------------------------------------------------------
    # From there to here

    def bring_datasets(self, names: Sequence[str] | None = None, *, anew: bool = False) -> None:
        """Bring published datasets, their manifests last.

        Args:
            names: Datasets; all by default. One that is not published is no error.
            anew: Fetch every byte again, whatever was fetched before.

        Raises:
            DataError: There is no dataset at all, or one is published anew again and again while
                it is read.
        """
        every = names is None
        if names is None:
            names = self._datasets()
            self._mirror("run.json", self.remote.listing("run.json"))
        brought = [self._bring_whole(name, anew) for name in names]
        if every and not any(brought):
            raise DataError(
                self.remote.url,
                "holds no published dataset (no */manifest.json)",
                hint="Give the `output:` of a pipeline. A run that did not end has none: run the "
                "pipeline again.",
            )

    def bring_manifests(self) -> None:
        """Bring the manifests of all published datasets, and leave their shards where they are."""
        for name in self._datasets():
            listing = self.remote.listing(f"{name}/{MANIFEST}")
            self._mirror(f"{name}/{MANIFEST}", listing)

    def bring_conclusions(self) -> None:
        """Bring models, verdicts and pages."""
        for folder in CONCLUSIONS:
            self._mirror(f"{folder}/", self.remote.listing(folder))
        for page in PAGES:
            self._mirror(page, self.remote.listing(page))

    def _datasets(self) -> list[str]:
        """Return the folders that may be datasets; forget here those that are not there."""
        found = self.remote.folders()
        names = [n for n in found if not n.startswith(".") and n not in CONCLUSIONS]
        for manifest in self.folder.glob(f"*/{MANIFEST}"):
            if manifest.parent.name not in names:
                manifest.unlink()
        return names

    def _bring_whole(self, name: str, anew: bool) -> bool:
        """Bring a dataset; return whether there is one of that name."""
        for _ in range(_TRIES):
            manifest = f"{name}/{MANIFEST}"
            if not self.remote.listing(manifest):  # before all else: `trial` holds a whole output
                (self.folder / manifest).unlink(missing_ok=True)
                return False
            before = self.remote.listing(name)
            if manifest not in before:
                continue
            try:
                self._mirror(f"{name}/", before, last=manifest, anew=anew)
            except (FileNotFoundError, IntegrityError):
                continue
            if self.remote.listing(name) == before:
                return True
        raise DataError(
            self.remote.address(name),
            "changes while it is read",
            hint="A run publishes it. Wait for that run to end, then try again.",
        )

    def _mirror(
        self,
        prefix: str,
        listing: dict[str, Entry],
        *,
        last: str | None = None,
        anew: bool = False,
    ) -> None:
        """Make the files below a prefix here those of a listing; fetch what differs."""
        with self._marks() as marks:
            here = [path for path in self._here(prefix) if path not in listing]
            for path in here:
                (self.folder / path).unlink()
                marks.pop(path, None)
            stale = [p for p, e in listing.items() if anew or not self._same(p, e, marks)]
            if last is not None and stale:
                (self.folder / last).unlink(missing_ok=True)
                stale = [path for path in stale if path != last]

            def fetch(path: str) -> None:
                self.remote.fetch(path, self.folder / path, listing[path].size)

            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(fetch, stale))
            if last is not None and not (self.folder / last).exists():
                fetch(last)
                stale.append(last)
            for path in stale:
                marks[path] = self._mark(path, listing[path])

    def _here(self, prefix: str) -> list[str]:
        """Return the files that lie here below a folder, or the one of that name."""
        place = self.folder / prefix
        files = [place] if place.is_file() else place.rglob("*")
        return [p.relative_to(self.folder).as_posix() for p in files if p.is_file()]

    def _same(self, path: str, entry: Entry, marks: dict[str, Any]) -> bool:
        try:
            return bool(marks[path] == self._mark(path, entry))
        except (KeyError, FileNotFoundError):
            return False

    def _mark(self, path: str, entry: Entry) -> list[Any]:
        status = (self.folder / path).stat()
        return [entry.size, entry.mark, status.st_size, status.st_mtime_ns]

    # ------------------------------------------------------------------------------------------
    # From here to there

    def send(self, still_ours: Callable[[], None]) -> None:
        """Send models, verdicts and pages that were made here, and remove those that are gone.

        What says what a result was made from (`.key`) is removed first and goes up last.

        Args:
            still_ours: Raises when another run has taken the output over.
        """
        with self._marks() as marks:
            here = [path for folder in CONCLUSIONS for path in self._here(f"{folder}/")]
            here += [page for page in PAGES if (self.folder / page).exists()]
            ours = [p for p in marks if p in PAGES or p.partition("/")[0] in CONCLUSIONS]
            gone = [path for path in ours if path not in here]
            changed = [path for path in here if self._changed(path, marks)]
            if not gone and not changed:
                return
            still_ours()
            keys = [path for path in changed if path.endswith(".key")]
            self.remote.remove(sorted([*gone, *keys]))
            for path in [*(path for path in changed if path not in keys), *keys]:
                self.remote.put(path, self.folder / path)
            for path in gone:
                del marks[path]
            listing = {
                path: entry
                for place in {p if p in PAGES else p.partition("/")[0] for p in changed}
                for path, entry in self.remote.listing(place).items()
            }
            for path in changed:
                marks[path] = self._mark(path, listing[path])

    def _changed(self, path: str, marks: dict[str, Any]) -> bool:
        status = (self.folder / path).stat()
        known = marks.get(path)
        return known is None or known[2:] != [status.st_size, status.st_mtime_ns]

    @contextlib.contextmanager
    def _marks(self) -> Iterator[dict[str, Any]]:
        """Hold the desk and yield the marks of what lies on it; another command waits.

        A mark names the file here, too (its size and time), so one that a killed command did not
        write makes the file be fetched again.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _MARKS
        descriptor = os.open(self.folder / ".desk", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.pwrite(descriptor, f"{self.remote.url}\n".encode(), 0)
            try:
                marks = dict(read_json(path))
            except (FileNotFoundError, IntegrityError, TypeError, ValueError):
                marks = {}
            before = dict(marks)
            yield marks
            if marks != before:
                write_json(path, marks, durable="none")
        finally:
            os.close(descriptor)
