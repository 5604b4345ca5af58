"""Putting a dataset where its readers look: cut, write, name, and the manifest last."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import datatools
from datatools.engine.plan import Job
from datatools.engine.publish import FatesTask, PublishTask, SizesTask, card, cut
from datatools.engine.stages import Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import (
    PartRef,
    file_sha256,
    fsync_directory,
    read_json,
    read_part,
    write_atomic,
    write_json,
)
from datatools.engine.tasks import Output
from datatools.engine.unique_ids import FindRepeatedTask
from datatools.engine.view import View
from datatools.errors import DataError, IntegrityError
from datatools.steps.base import Export

__all__ = ["Publisher", "find_repeated", "sizes_of"]

_PUBLISHED = re.compile(r"([a-z]+/)?[a-z]+-\d{5}-of-\d{5}\.(parquet|jsonl)")


def sizes_of(stages: Stages, name: str, view: View) -> tuple[PartRef, ...]:
    """Return per shard the part that says each row's split, size and id hash."""
    bodies = [SizesTask(view, shard) for shard in range(len(view.shards))]
    outputs = stages.stage(f"{name}/sizes", {"sizes and hashed ids": view.identity}, bodies)
    return tuple(output.parts["data"] for output in outputs)


def find_repeated(stages: Stages, name: str, view: View) -> list[tuple[int, ...]]:
    """Return per shard the positions of rows whose id an earlier row has."""
    sizes = sizes_of(stages, name, view)
    key = {"find repeated ids": [part.sha256 for part in sizes]}
    (output,) = stages.stage(f"{name}/unique ids", key, [FindRepeatedTask(sizes)])
    return [tuple(positions) for positions in output.values["repeated"]]


class Publisher:
    """Publishes the datasets of a job.

    Args:
        job: The job, for its name and shard size.
        stages: Where stages run and are found.
        output: Folder of the published datasets.
        limit: The run's limit on records, if it has one; told in the manifest.
    """

    def __init__(self, job: Job, stages: Stages, output: Path, limit: int | None = None) -> None:
        self._job = job
        self._stages = stages
        self._output = output
        self._limit = limit

    def publish(self, state: DatasetState) -> dict[str, Any]:
        """Publish a dataset and return its manifest.

        Raises:
            DataError: Two records have one id.
        """
        view, stages, name = state.view, self._stages, state.plan.name
        self._refuse_repeated_ids(name, view)
        exports = tuple(e for e in state.plan.exports if view.kind in e.accepts())
        written = stages.stage(
            f"{name}/publish",
            {
                "publish": view.identity,
                "shard_bytes": self._job.shard_bytes,
                "exports": [
                    {
                        "name": type(e).__name__,
                        "version": e.version,
                        "fields": e.model_dump(mode="json"),
                    }
                    for e in exports
                ],
            },
            lambda: self._bodies(name, view, exports),
        )
        (fated,) = stages.stage(
            f"{name}/fates",
            {
                "fates": [part.sha256 for part in state.fates],
                "previews": [part.sha256 for part in state.previews],
            },
            [FatesTask(tuple(state.fates), tuple(state.previews))],
        )
        manifest, files = self._manifest(state, written, exports)
        files["sidecar/fates.parquet"] = fated.parts["fates"]
        manifest["files"] += [_entry("sidecar/fates.parquet", fated.parts["fates"])]
        _place(stages.root, self._output / name, files, manifest, card(manifest, exports))
        return manifest

    def _bodies(self, name: str, view: View, exports: tuple[Export, ...]) -> list[PublishTask]:
        root = self._stages.root
        columns = ["split", "bytes"]
        sizes = [read_part(root, part, columns) for part in sizes_of(self._stages, name, view)]
        return [
            PublishTask(view, split, tuple(pieces), exports)
            for split, cuts in cut(sizes, self._job.shard_bytes).items()
            for pieces in cuts
        ]

    def _refuse_repeated_ids(self, name: str, view: View) -> None:
        count = sum(map(len, find_repeated(self._stages, name, view)))
        if count:
            raise DataError(
                f"dataset {name}",
                f"{count} records share an id with another record",
                hint="`from:` names datasets that hold the same records: put what they share into "
                "one of them only.",
            )

    def _manifest(
        self, state: DatasetState, written: Sequence[Output], exports: Sequence[Export]
    ) -> tuple[dict[str, Any], dict[str, PartRef]]:
        counts = Counter(output.values["split"] for output in written)
        seen: Counter[str] = Counter()
        origins: Counter[tuple[str, str]] = Counter()
        shards: list[dict[str, Any]] = []
        beside: list[dict[str, Any]] = []
        files: dict[str, PartRef] = {}
        for output in written:
            split = output.values["split"]
            stem = f"{split}-{seen[split]:05d}-of-{counts[split]:05d}"
            seen[split] += 1
            for role, part in output.parts.items():
                suffix = part.path.rsplit(".", 1)[1]
                path = f"{stem}.{suffix}" if role == "main" else f"{role}/{stem}.{suffix}"
                files[path] = part
                if role == "main":
                    shards.append({**_entry(path, part), "split": split})
                else:
                    beside.append(_entry(path, part))
            for source, license_, rows in output.values["origins"]:
                origins[source, license_] += rows
        ledger = state.ledger
        if not state.plan.links:  # a dataset without steps keeps what its parents kept
            ledger.read = ledger.kept = state.view.rows
        manifest = {
            "format": 1,
            "pipeline": self._job.name,
            "dataset": state.plan.name,
            "kind": state.view.kind,
            "rows": sum(shard["rows"] for shard in shards),
            "shards": shards,
            "files": beside,
            "ledger": ledger.to_json(),
            "steps": [
                {
                    "label": link.context.label,
                    "step": link.step.name(),
                    "version": link.step.version,
                    "fields": link.step.model_dump(mode="json"),
                    "counts": state.steps[link.context.label].to_json(),
                    "notes": state.notes.get(link.context.label, {}),
                }
                for link in state.plan.links
            ],
            "from": list(state.plan.parents),
            "inputs": {label: counts.to_json() for label, counts in state.inputs.items()},
            "exports": [export.folder for export in exports],
            "origins": [
                {"source": source, "license": license_, "rows": rows}
                for (source, license_), rows in sorted(origins.items())
            ],
            "seed": self._job.seed,
            "versions": _versions(),
            **({"limited": self._limit} if self._limit is not None else {}),
        }
        return manifest, files


def _entry(path: str, part: PartRef) -> dict[str, Any]:
    return {"path": path, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}


def _versions() -> dict[str, str]:
    return {
        "datatools": datatools.__version__,
        "python": platform.python_version(),
        "polars": pl.__version__,
        "pyarrow": pa.__version__,
    }


def _place(
    root: Path,
    folder: Path,
    files: Mapping[str, PartRef],
    manifest: Mapping[str, Any],
    text: str,
) -> None:
    """Put a dataset's files under their final names, the manifest last.

    A manifest that already says the same is left alone, so that a cached run changes nothing.
    """
    target = folder / "manifest.json"
    if _reads(target) == manifest and _stands(root, folder, files):
        return
    folder.mkdir(parents=True, exist_ok=True)
    # From here on the old dataset is gone; a crash leaves a folder that is not a dataset.
    if target.exists():
        target.unlink()
        fsync_directory(folder)
    for old in sorted(folder.rglob("*")):
        # Only what publishing itself names so: a stranger's file is not ours to delete.
        relative = old.relative_to(folder).as_posix()
        if relative not in files and _PUBLISHED.fullmatch(relative):
            old.unlink()
    for path, part in files.items():
        _link(root / part.path, folder / path)
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


def _link(source: Path, target: Path) -> None:
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
