"""Verifying an output: hash every file and add every ledger again, trusting nothing said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from datatools.engine.ledger import InputCounts, StepCounts, total
from datatools.engine.store import file_sha256, read_json
from datatools.errors import DataError, IntegrityError
from datatools.fence import FENCED_REASONS
from datatools.job.remarks import large_buckets
from datatools.outputs.addresses import output_at
from datatools.pipeline.own_output import TRIAL

__all__ = ["DatasetCheck", "Verification", "left_over", "published", "verify"]


@dataclass(frozen=True)
class DatasetCheck:
    """What verifying one dataset found.

    Attributes:
        rows: Records, counted again.
        shards: `path`, `rows`, `bytes`, `sha256` of each shard, measured again.
        ledger: The dataset's ledger, added again from its steps.
        problems: What is wrong; empty when all is well.
        limited: Most records that were read of each source, if the run was a trial.
        left_over: Whether the pipeline that last ran here does not publish it any more.
        cut: By step label, which pairs a search for duplicates did not compare, in words.
        fence: What the fence stopped, as the manifest tells it: `total`, and of the first
            `records` their `id`, `step`, `reason` and `detail`.
    """

    rows: int
    shards: Sequence[Mapping[str, Any]]
    ledger: Mapping[str, Any]
    problems: Sequence[str]
    limited: int | None = None
    left_over: bool = False
    cut: Mapping[str, str] = field(default_factory=dict)
    fence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """What verifying an output found."""

    datasets: Mapping[str, DatasetCheck] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything is as the manifests say."""
        return not any(check.problems for check in self.datasets.values())

    def to_json(self) -> dict[str, Any]:
        """Return the result as `datatools verify --json` prints it."""
        return {
            "ok": self.ok,
            "datasets": {
                name: {
                    "rows": check.rows,
                    "shards": list(check.shards),
                    "ledger": dict(check.ledger),
                    **({"problems": list(check.problems)} if check.problems else {}),
                    **({"left_over": True} if check.left_over else {}),
                    **({"cut": dict(check.cut)} if check.cut else {}),
                    **({"fence": dict(check.fence)} if check.fence.get("total") else {}),
                }
                for name, check in self.datasets.items()
            },
        }


def published(output: Path) -> dict[str, Path]:
    """Return the folders of published datasets below an output, by name.

    Raises:
        DataError: There is none.
    """
    if not output.is_dir():
        raise DataError(str(output), "is not a folder", hint="Give the `output:` of a pipeline.")
    found = {
        path.parent.name: path.parent
        for path in sorted(output.glob("*/manifest.json"))
        if not path.parent.name.startswith(".")
    }
    if not found and (output / "manifest.json").is_file():
        raise DataError(
            str(output),
            "is one dataset, not the output of a pipeline",
            hint=f"Give the folder above it: {output.parent}.",
        )
    if not found:
        tried = (output / TRIAL).is_dir()
        raise DataError(
            str(output),
            "holds no published dataset (no */manifest.json)",
            hint=f"What runs with --limit made is in {output / TRIAL}."
            if tried
            else "A run that did not end has none: run the pipeline again.",
        )
    return found


def left_over(output: Path) -> list[str]:
    """Return the names of published datasets that the last run's pipeline does not publish.

    A dataset that was renamed or removed stays where it is, for nobody but its owner deletes data.
    Where `run.json` does not say what the pipeline was, none is left over.

    Raises:
        DataError: The folder holds no published dataset.
    """
    folders = published(output)
    try:
        datasets = read_json(output / "run.json")["pipeline"]["datasets"]
        current = {name for name, dataset in datasets.items() if dataset["publish"]}
    except (FileNotFoundError, IntegrityError, KeyError, TypeError, AttributeError):
        return []
    return [name for name in folders if name not in current]


def verify(output: Path | str) -> Verification:
    """Check every published dataset of an output.

    Every file is hashed and its rows counted; the ledger identity is checked at every step, each
    step must read what the one before kept, the fates must add up to what was dropped and
    quarantined, ids must be unique, and no id may be both published and gone. A left-over dataset
    is held against itself only: what it was made from may have changed since.

    Args:
        output: A pipeline's output, a folder or a URL. Of a URL every byte is fetched again.

    Raises:
        DataError: The folder holds no published dataset.
    """
    there = output_at(output)
    there.bring_datasets(anew=True)
    folders = published(there.folder)
    old = left_over(there.folder)
    manifests: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}
    for name, folder in folders.items():
        try:
            manifests[name] = read_json(folder / "manifest.json")
        except IntegrityError as error:
            broken[name] = str(error)
    checks = {name: DatasetCheck(0, [], {}, [problem]) for name, problem in broken.items()}
    for name, manifest in manifests.items():
        try:
            checks[name] = _check(folders[name], manifest, {} if name in old else manifests)
        except (KeyError, TypeError) as error:
            problem = f"the manifest is not one of datatools: {error!r}"
            checks[name] = DatasetCheck(0, [], {}, [problem])
    for name in old:
        checks[name] = replace(checks[name], left_over=True)
    return Verification(dict(sorted(checks.items())))


def _check(
    folder: Path, manifest: Mapping[str, Any], manifests: Mapping[str, Mapping[str, Any]]
) -> DatasetCheck:
    problems: list[str] = []
    shards = [_measure(folder, entry, problems) for entry in manifest["shards"]]
    for entry in manifest["files"]:
        _measure(folder, entry, problems)
    known = {entry["path"] for entry in [*manifest["shards"], *manifest["files"]]}
    for extra in sorted(folder.rglob("*-of-*.parquet")):
        relative = extra.relative_to(folder).as_posix()
        if relative not in known:
            problems.append(f"{relative} is not in the manifest, but readers would take it in")
    rows = sum(shard["rows"] for shard in shards)
    if rows != manifest["rows"]:
        problems.append(f"the shards hold {rows} records, the manifest says {manifest['rows']}")
    steps = {step["label"]: StepCounts.from_json(step["counts"]) for step in manifest["steps"]}
    for label, counts in manifest["inputs"].items():
        balance = InputCounts.from_json(counts).balance
        if balance and not manifest.get("limited"):
            problems.append(f"{label} left {balance} bytes of its input unaccounted for")
    problems += _balance(steps, rows)
    for step in manifest["steps"]:
        dropped = steps[step["label"]].dropped
        problems += [
            f"{step['label']} says that {rule['reason']} dropped {rule['dropped']} records, its "
            f"ledger {dropped[rule['reason']]}"
            for rule in step["rules"]
            if rule["dropped"] != dropped[rule["reason"]]
        ]
    ledger = total(steps.values())
    if not steps:
        ledger.read = ledger.kept = rows
    problems += _difference(manifest["ledger"], ledger.to_json())
    fence = manifest["fence"]
    stopped = sum(ledger.quarantined[reason] for reason in FENCED_REASONS)
    if fence["total"] != stopped:
        problems.append(f"the fence stopped {fence['total']} records, the ledger has {stopped}")
    parents = [manifests[name] for name in manifest["from"] if name in manifests]
    if parents and len(parents) == len(manifest["from"]):
        came = sum(parent["rows"] for parent in parents)
        if ledger.read != came:
            problems.append(f"read {ledger.read} records of the {came} that came in")
    if not problems:
        problems += _check_fates(folder, manifest, ledger)
    told = ledger.to_json()
    wanted = ("read", "created", "kept", "dropped", "quarantined")
    counts = {key: told[key] for key in wanted}
    told_of = {step["label"]: large_buckets(step["notes"]) for step in manifest["steps"]}
    cut = {label: words for label, words in told_of.items() if words is not None}
    return DatasetCheck(
        rows, shards, counts, problems, manifest.get("limited"), cut=cut, fence=fence
    )


def _difference(told: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Name the counts of a manifest's ledger that its steps do not add up to."""
    return [
        f"the ledger says {name} {told.get(name)}, its steps add up to {found.get(name)}"
        for name in sorted({*told, *found})
        if told.get(name) != found.get(name)
    ]


def _balance(steps: Mapping[str, StepCounts], rows: int) -> list[str]:
    problems = []
    before: int | None = None
    for label, counts in steps.items():
        if counts.balance:
            problems.append(
                f"{label} does not add up: read {counts.read} + created {counts.created} is not "
                f"kept {counts.kept} + dropped {counts.dropped.total()} + quarantined "
                f"{counts.quarantined.total()}"
            )
        if before is not None and counts.read != before:
            problems.append(f"{label} read {counts.read} records of the {before} kept before it")
        before = counts.kept
    if before is not None and before != rows:
        problems.append(f"the last step kept {before} records, but {rows} are published")
    return problems


def _measure(folder: Path, entry: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    path = folder / entry["path"]
    try:
        size = path.stat().st_size
        found = {
            "path": entry["path"],
            "rows": _rows(path, entry["rows"]),
            "bytes": size,
            "sha256": file_sha256(path),
        }
    except OSError as error:
        problems.append(f"{entry['path']} cannot be read: {error.strerror}")
        return {"path": entry["path"], "rows": 0, "bytes": 0, "sha256": ""}
    except ValueError as error:
        problems.append(f"{entry['path']} is not a Parquet file: {error}")
        found = {"path": entry["path"], "rows": 0, "bytes": size, "sha256": file_sha256(path)}
    for key in ("bytes", "sha256", "rows"):
        if found[key] != entry[key]:
            problems.append(f"{entry['path']}: {key} is {found[key]}, not {entry[key]}")
            break
    return found


def _rows(path: Path, told: int) -> int:
    if path.suffix == ".parquet":
        return int(pq.ParquetFile(path).metadata.num_rows)
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            return sum(1 for _ in file)
    return told


def _check_fates(folder: Path, manifest: Mapping[str, Any], ledger: StepCounts) -> list[str]:
    """Check that the fates tell the ledger's story, and that ids are where they should be once."""
    fates = pl.read_parquet(folder / "sidecar" / "fates.parquet", columns=["id", "fate", "reason"])
    problems = []
    counted = {
        (fate, reason): n for fate, reason, n in fates.group_by("fate", "reason").len().iter_rows()
    }
    expected = {("dropped", reason): n for reason, n in ledger.dropped.items()}
    expected |= {("quarantined", reason): n for reason, n in ledger.quarantined.items()}
    for key in sorted({*counted, *expected}):
        if counted.get(key, 0) != expected.get(key, 0):
            problems.append(
                f"the ledger has {expected.get(key, 0)} {key[0]} {key[1]}, the fates "
                f"{counted.get(key, 0)}"
            )
    ids = pl.concat(
        [pl.read_parquet(folder / shard["path"], columns=["id"]) for shard in manifest["shards"]]
    )["id"]
    repeated = ids.len() - ids.n_unique()
    if repeated:
        problems.append(f"{repeated} records share an id with another record")
    # Of records with one id the first is kept: the one case of both.
    gone = fates.filter(~pl.col("reason").is_in(["repeated_key", "repeated_id"]))["id"]
    both = int(ids.is_in(gone.implode()).sum())
    if both:
        problems.append(f"{both} records are both published and gone")
    return problems
