"""Putting a dataset where its readers look: cut, write, name, and the manifest last."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import datatools
from datatools.engine.plan import Job
from datatools.engine.publish import FatesTask, PublishTask, SizesTask, card, cut
from datatools.engine.shelf import LocalShelf, Shelf
from datatools.engine.stages import Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import (
    PartRef,
    read_part,
)
from datatools.engine.tasks import Output
from datatools.engine.unique_ids import find_repeated
from datatools.engine.view import View
from datatools.errors import DataError
from datatools.steps.base import Export, Tally

__all__ = ["Publisher"]


def sizes_of(stages: Stages, name: str, view: View) -> tuple[PartRef, ...]:
    """Return per shard the part that says each row's split, size and id hash."""
    bodies = [SizesTask(view, shard) for shard in range(len(view.shards))]
    outputs = stages.stage(f"{name}/sizes", {"sizes and hashed ids": view.identity}, bodies)
    return tuple(output.parts["data"] for output in outputs)


class Publisher:
    """Publishes the datasets of a job.

    Args:
        job: The job, for its name and shard size.
        stages: Where stages run and are found.
        output: Folder of the published datasets, or a shelf that is elsewhere.
        limit: The run's limit on records, if it has one; told in the manifest.
    """

    def __init__(
        self, job: Job, stages: Stages, output: Path | Shelf, limit: int | None = None
    ) -> None:
        self._job = job
        self._stages = stages
        self._shelf = LocalShelf(output) if isinstance(output, Path) else output
        self._limit = limit

    def publish(self, state: DatasetState) -> dict[str, Any]:
        """Publish a dataset and return its manifest.

        Raises:
            DataError: Two records have one id.
        """
        manifest, files, exports = self._assemble(state)
        text = card(manifest, exports)
        self._shelf.place(self._stages.store, state.plan.name, files, manifest, text)
        return manifest

    def manifest(self, state: DatasetState) -> dict[str, Any]:
        """Return the manifest that `publish` would write, and put nothing in place.

        Raises:
            DataError: Two records have one id.
        """
        return self._assemble(state)[0]

    def _assemble(
        self, state: DatasetState
    ) -> tuple[dict[str, Any], dict[str, PartRef], tuple[Export, ...]]:
        """Return the manifest, the files by published path, and the formats among them."""
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
                "fates and the fence": [part.sha256 for part in state.fates],
                "previews": [part.sha256 for part in state.previews],
            },
            [FatesTask(tuple(state.fates), tuple(state.previews))],
        )
        manifest, files = self._manifest(state, written, exports)
        files["sidecar/fates.parquet"] = fated.parts["fates"]
        manifest["files"] += [_entry("sidecar/fates.parquet", fated.parts["fates"])]
        manifest["fence"] = fated.values["fence"]
        return manifest, files, exports

    def _bodies(self, name: str, view: View, exports: tuple[Export, ...]) -> list[PublishTask]:
        root = self._stages.store.root
        columns = ["split", "bytes"]
        sizes = [read_part(root, part, columns) for part in sizes_of(self._stages, name, view)]
        return [
            PublishTask(view, split, tuple(pieces), exports)
            for split, cuts in cut(sizes, self._job.shard_bytes).items()
            for pieces in cuts
        ]

    def _refuse_repeated_ids(self, name: str, view: View) -> None:
        sizes = sizes_of(self._stages, name, view)
        count = sum(map(len, find_repeated(self._stages, name, sizes)))
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
            for role, part in sorted(output.parts.items()):  # as a cached output has them
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
        rules = state.rules
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
                    **_tallies(state.tallies.get(link.context.label, ())),
                    "rules": [rule.to_json() for rule in rules[link.context.label]],
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


def _tallies(tallies: Sequence[Tally]) -> dict[str, Any]:
    told = [{"title": one.title, "rows": [dict(row) for row in one.rows]} for one in tallies]
    return {"tallies": told} if told else {}


def _entry(path: str, part: PartRef) -> dict[str, Any]:
    return {"path": path, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}


def _versions() -> dict[str, str]:
    return {
        "datatools": datatools.__version__,
        "python": platform.python_version(),
        "polars": pl.__version__,
        "pyarrow": pa.__version__,
    }
