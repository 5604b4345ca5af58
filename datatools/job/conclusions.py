"""Conclusions: what a job makes from its published datasets. Models, verdicts, the report page.

Owns: what each is made from, and whether what lies in the output was made from just that, so that a
run and a plan of it ask one question in one place. Refuses: making them (`running`).

A file beside each says what it was made from, as JSON rather than as a hash: a plan then names what
changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datatools.engine.store import digest, file_sha256, read_json
from datatools.errors import IntegrityError
from datatools.job.differences import differences
from datatools.outputs.addresses import output_at

if TYPE_CHECKING:
    from datatools.pipeline.definition import Pipeline

__all__ = [
    "Conclusion",
    "report_conclusion",
    "report_inputs",
    "shard_digests",
    "trained_datasets",
    "training_conclusion",
    "verdict_conclusion",
]


@dataclass(frozen=True)
class Conclusion:
    """Something made from published datasets, kept while what it is made from stays the same.

    Attributes:
        name: Label of its stage: `train`, `verdict cleaning`, `report`.
        path: The file that is its result.
        mark: The file that says what the result was made from.
        datasets: Datasets it reads; empty for the report, which reads what all others left.
        settings: What it is made from beside the datasets, as JSON.
        beside: Files that belong to the result; without one of them it must be made again.
    """

    name: str
    path: Path
    mark: Path
    datasets: tuple[str, ...]
    settings: Mapping[str, Any]
    beside: tuple[Path, ...] = ()

    def recipe(self, inputs: Mapping[str, str]) -> dict[str, Any]:
        """Return all that the result is made from.

        Args:
            inputs: Digests of what is read, by its name: `shard_digests` or `report_inputs`.
        """
        return {**self.settings, "inputs": dict(inputs)}

    def reasons(self, inputs: Mapping[str, str | None]) -> list[str]:
        """Return why the result must be made; none if it is there and was made from all this.

        Args:
            inputs: As in `recipe`. None stands for a digest that a plan cannot know yet; it counts
                as unchanged.
        """
        try:
            made_from = read_json(self.mark)
            old = dict(made_from.pop("inputs"))
        except (FileNotFoundError, IntegrityError, AttributeError, KeyError, TypeError, ValueError):
            return ["not made yet"]
        lost = [path.name for path in (self.path, *self.beside) if not path.exists()]
        if lost:
            return [f"{name} is gone" for name in lost]
        if self.path.suffix == ".json":
            try:
                read_json(self.path)
            except IntegrityError:
                return [f"{self.path.name} is damaged"]
        changed = [
            name
            for name in {**old, **inputs}
            if name not in old or inputs.get(name, "") not in (None, old[name])
        ]
        return [*differences(made_from, dict(self.settings)), *(f"{n} changed" for n in changed)]


def trained_datasets(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the names of the datasets that training reads, in the order in which it does."""
    settings = pipeline.train
    if settings is None:
        return ()
    return tuple(
        n for n in (settings.pretrain, settings.instruct, settings.preference) if n is not None
    )


def training_conclusion(pipeline: Pipeline) -> Conclusion:
    """Return the training that a pipeline asks for."""
    assert pipeline.train is not None
    models = output_at(pipeline.output).folder / "models"
    names = trained_datasets(pipeline)
    return Conclusion(
        "train",
        models / "train.json",
        models / "train.key",
        names,
        {
            "train": pipeline.train.model_dump(mode="json"),
            "seed": pipeline.seed,
            "versions": _versions(),
        },
        tuple(models / name / "model.safetensors" for name in names),
    )


def verdict_conclusion(pipeline: Pipeline, name: str) -> Conclusion:
    """Return a verdict that a pipeline asks for."""
    settings = pipeline.validate_[name]
    path = output_at(pipeline.output).folder / "verdicts" / f"{name}.json"
    return Conclusion(
        f"verdict {name}",
        path,
        path.with_suffix(".key"),
        settings.compare,
        {
            "validate": settings.model_dump(mode="json"),
            "seed": pipeline.seed,
            "versions": _versions(),
        },
    )


def report_conclusion(output: Path, cache: Path) -> Conclusion:
    """Return the report page of an output; what it was made from is told in the cache."""
    return Conclusion(
        "report", output / "report.html", cache / "report.key", (), {"versions": _versions()}
    )


def shard_digests(
    manifests: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, str]:
    """Return a digest of the published records of each dataset, by its name."""
    return {name: digest([s["sha256"] for s in manifests[name]["shards"]]) for name in names}


def report_inputs(output: Path, manifests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the SHA-256 of every file whose numbers the report shows, by its path.

    Args:
        output: The output folder.
        manifests: Of the datasets of this run, whose inputs may have a truth file beside them.
    """
    from datatools.report.planted import find_truth

    told = [output / "run.json", output / "models" / "train.json"]
    told += sorted([*output.glob("*/manifest.json"), *output.glob("verdicts/*.json")])
    found = {
        path.relative_to(output).as_posix(): file_sha256(path) for path in told if path.exists()
    }
    truth = find_truth(manifests)
    return found if truth is None else {**found, str(truth): file_sha256(truth)}


def _versions() -> dict[str, str]:
    import importlib.metadata

    import datatools

    return {"datatools": datatools.__version__, "torch": importlib.metadata.version("torch")}
