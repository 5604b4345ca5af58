"""A pipeline: one file that is the whole job, and the same job as a Python expression.

Owns: the file's shape, and reading it with every mistake told by its place. Refuses: what the whole
must satisfy (`resolution`), and running.
"""

from __future__ import annotations

import copy
import inspect
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import pydantic
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from datatools.engine.plan import Job
from datatools.errors import ConfigError, DatatoolsError, nearest
from datatools.pipeline.resolution import Places, resolve
from datatools.pipeline.strict_yaml import Document, parse
from datatools.sizes import Size
from datatools.steps import EXPORTS, STEPS, load_export, load_step
from datatools.steps.base import Export, Step

__all__ = [
    "Dataset",
    "Pipeline",
    "RunSettings",
    "TrainSettings",
    "ValidateSettings",
    "load_pipeline",
]


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True
    )


class Dataset(_Settings):
    """A named dataset: where its records come from and what happens to them."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    from_: str | tuple[str, ...] | None = Field(None, alias="from")
    """The dataset(s) it is made from; left out when the first step reads files."""
    steps: tuple[Step, ...] = ()
    """The steps, in order."""
    export: tuple[Export, ...] = ()
    """Formats written beside the records, e.g. `trl`."""
    publish: bool = True
    """Whether it is written to the output. A dataset that is neither published nor read is an
    error."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the datasets it is made from."""
        if self.from_ is None:
            return ()
        return (self.from_,) if isinstance(self.from_, str) else self.from_


class TrainSettings(_Settings):
    """A small language model trained on what is published."""

    pretrain: str
    """Dataset of documents for next-token training; the model and tokenizer start here."""
    instruct: str | None = None
    """Dataset of conversations for masked supervised fine-tuning."""
    preference: str | None = None
    """Dataset of pairs for a reward model."""
    size: Literal["smoke", "nano", "micro", "small", "base"] = "smoke"
    """Model size: smoke is 2 layers of width 64, nano 1.3 M parameters, micro 4 M, small 20 M, base
    110 M."""
    tokens: int = Field(400_000, ge=1000)
    """Tokens of next-token training. Raising it lowers the loss and costs time in proportion."""
    probes: tuple[str, ...] = ()
    """Prompts whose next-token distribution is shown before and after training."""


class ValidateSettings(_Settings):
    """A verdict: is the second dataset better to learn from than the first?"""

    compare: tuple[str, str]
    """Two datasets of documents: the one before, the one after."""
    tier: Literal["smoke", "cpu"] = "smoke"
    """How much is run: smoke takes about a minute and sees gross defects, cpu about ten."""


class RunSettings(_Settings):
    """How the job runs. Nothing here changes what comes out."""

    executor: Literal["inline", "processes", "ray"] = "processes"
    """Where tasks run: this process (which dies with a record that kills), worker processes, or a
    Ray cluster."""
    workers: int | None = Field(None, ge=1)
    """Worker processes; None takes one per core."""
    memory: Size = 4_000_000_000
    """Bytes that global steps may hold at once; smaller means more, smaller partitions. A worker
    process that holds more than its share (at least 1 GiB) after a task is replaced."""
    stall_s: float = Field(600.0, gt=0)
    """Seconds without progress (a batch's next step, the reader's next records) after which a
    worker counts as hung and is replaced. Its records are then tried behind the fence; one that
    takes more than a tenth of this in CPU time, or four tenths on the clock, is quarantined. Raise
    it for steps that take minutes for one record. Not watched: dedup and other steps that see
    everything, publishing, and `executor: inline`."""
    on_input_error: Literal["fail", "quarantine"] = "fail"
    """What quarantined records and damaged input mean: `fail` ends with exit code 1 after
    publishing, `quarantine` only above `max_quarantine_fraction`."""
    max_quarantine_fraction: float = Field(0.001, ge=0, le=1)
    """Share of records that may be quarantined before the run counts as failed."""
    shard_bytes: Size = 256_000_000
    """Bytes of text per published shard."""
    ray_address: str | None = None
    """Cluster to join with `executor: ray`; None starts one on this machine."""


class Pipeline(_Settings):
    """The whole job.

    Example:
        >>> from datatools import steps
        >>> pipeline = Pipeline(
        ...     name="demo",
        ...     datasets={"pages": Dataset(steps=(steps.ReadJsonl(paths=("a.jsonl",)),))},
        ...     output="out/demo",
        ... )
        >>> pipeline.datasets["pages"].steps[0].name()
        'ReadJsonl'
    """

    name: str
    """Name of the job, shown in reports and cards."""
    seed: int = 0
    """Seed of every random draw."""
    datasets: dict[str, Dataset]
    """The datasets by name."""
    train: TrainSettings | None = None
    """A small model trained on the result."""
    validate_: dict[str, ValidateSettings] = Field(default_factory=dict, alias="validate")
    """Verdicts, by a name of their own."""
    run: RunSettings = RunSettings()
    """How the job runs."""
    output: str = Field(min_length=1)
    """Folder that the job writes to, or a URL that fsspec writes to: `s3://bucket/corpus/v1`."""
    _places: Places = PrivateAttr()

    @pydantic.field_validator("output")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("must not hold the character NUL")
        return value

    @classmethod
    def from_yaml(cls, text: str, where: str = "pipeline") -> Self:
        """Return the pipeline that a YAML text says.

        Args:
            text: The file's text.
            where: Its name, for messages.

        Raises:
            ConfigError: Anything in it is wrong; the message names file, line, step and field.
        """
        pipeline: Self = _Reader(parse(text, where), where).pipeline(cls)
        return pipeline

    def model_post_init(self, context: Any) -> None:
        """Stand nowhere, as a pipeline written in Python does."""
        self._places = Places({}, self.name)

    @property
    def places(self) -> Places:
        """Where its values stand in its file, for messages."""
        return self._places

    def job(self) -> Job:
        """Return the datasets as the engine runs them, after every check that needs no data.

        Raises:
            ConfigError: The configuration is impossible or inert.
        """
        return resolve(self, self.places)


def load_pipeline(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline file.

    Args:
        path: The YAML file.
        overrides: `a.b=c` settings that replace or add values, as `--set` gives them.

    Raises:
        ConfigError: The file is missing or anything in it is wrong.
    """
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        siblings = [str(p) for p in Path(path).parent.glob("*.y*ml")]
        close = nearest(where, siblings)
        hint = f"Did you mean {close}?" if close else "Give the path of a pipeline file."
        raise ConfigError(where, "there is no such file", hint=hint) from None
    except (OSError, ValueError) as error:  # a folder, a name too long, bytes that are no text
        reason = error.strerror if isinstance(error, OSError) else error
        hint = "Give the path of a pipeline file, YAML in UTF-8."
        raise ConfigError(where, f"cannot be read: {reason}", hint=hint) from None
    document = parse(text, where)
    for override in overrides:
        document = _override(document, override)
    pipeline: Pipeline = _Reader(document, where).pipeline(Pipeline)
    pipeline.job()
    return pipeline


def _override(document: Document, setting: str) -> Document:
    """Return the document with one `a.b=c` applied; numbers in the path index lists."""
    path, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(
            f"--set {setting}", "has no value", hint="Write --set run.workers=4, for example."
        )
    value = parse(text, f"--set {path}").value
    root = copy.deepcopy(document.value)
    parts = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = root
    named = [root.get("datasets")] if isinstance(root, dict) else []  # what holds names, not fields
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        known = isinstance(place, dict) or (
            isinstance(place, list) and isinstance(part, int) and part < len(place)
        )
        # A name in the middle of a path is that of a dataset or step there is, never a new one.
        lost = isinstance(place, dict) and part not in place and following is not None
        if not known or (lost and any(place is one for one in named)):
            raise ConfigError(
                f"--set {setting}", f"there is no {part!r} on the way", hint=_near(part, place)
            )
        if following is None:
            place[part] = value
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
        else:
            if place[part] == following:  # a step given by its bare name has no fields yet
                place[part] = {following: {}}
            place = place[part]
            named.append(place)
            if isinstance(place, dict) and place.get(following, ...) is None:
                place[following] = {}
    return Document(root, document.lines)


def _near(part: str | int, place: Any) -> str:
    """Say what a part of a `--set` path may have been meant to be."""
    names = [place] if isinstance(place, str) else list(place) if isinstance(place, dict) else []
    close = nearest(str(part), names)
    if close:
        return f"Did you mean {close!r}?"
    if isinstance(place, list):
        return f"It is a list: count from 0 to {len(place) - 1}."
    return "Lists are counted from 0: datasets.clean.steps.0.GopherQuality.min_words=60."


# --------------------------------------------------------------------------------------------------
# From values to models


class _Reader:
    """Turns a parsed file into a pipeline."""

    def __init__(self, document: Document, where: str) -> None:
        self._value = document.value
        self.places = Places(document.lines, where)

    def pipeline(self, cls: type[Pipeline]) -> Any:
        value = self._mapping((), self._value, "a pipeline is a mapping with `datasets:`")
        raw = dict(value)
        datasets = self._mapping(("datasets",), raw.get("datasets", {}), "datasets are a mapping")
        raw["datasets"] = {
            name: self._dataset(("datasets", name), value) for name, value in datasets.items()
        }
        for field in ("run", "train", "validate"):
            if raw.get(field, ...) is None:  # `run:` with every line below it commented out
                del raw[field]
        for field, settings in (("run", RunSettings), ("train", TrainSettings)):
            if field in raw:
                given = self._mapping((field,), raw[field], f"{field} is a mapping")
                raw[field] = self._model(settings, (field,), given)
        if "validate" in raw:
            named = self._mapping(("validate",), raw["validate"], "verdicts are a mapping")
            raw["validate"] = {
                name: self._model(
                    ValidateSettings,
                    ("validate", name),
                    self._mapping(
                        ("validate", name),
                        given,
                        "a verdict has a name and is a mapping, `name: {compare: [before, after]}`",
                    ),
                )
                for name, given in named.items()
            }
        pipeline = self._model(cls, (), raw)
        pipeline._places = self.places
        return pipeline

    def _mapping(self, path: tuple[str | int, ...], value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ConfigError(self.places.at(path), what, got=value)
        return value

    def _dataset(self, path: tuple[str | int, ...], value: Any) -> Dataset:
        raw = dict(self._mapping(path, value, "a dataset is a mapping with `steps:`"))
        for field, read in (("steps", self._step), ("export", self._export)):
            if field in raw:
                items = raw[field]
                if not isinstance(items, list):
                    raise ConfigError(self.places.at((*path, field)), "must be a list", got=items)
                raw[field] = tuple(
                    read((*path, field, index), item) for index, item in enumerate(items)
                )
        parents = raw.get("from")
        named = parents if isinstance(parents, list) else [parents]
        if "from" in raw and not all(isinstance(name, str) for name in named):
            problem = "must be the name of a dataset or a list of names"
            raise ConfigError(self.places.at((*path, "from")), problem, got=parents)
        if isinstance(parents, list):
            raw["from"] = tuple(parents)
        dataset: Dataset = self._model(Dataset, path, raw)
        return dataset

    def _named(
        self, path: tuple[str | int, ...], item: Any, what: str, names: Sequence[str]
    ) -> tuple[str, dict[str, Any]]:
        if isinstance(item, str):
            return item, {}
        if isinstance(item, dict) and len(item) == 1:
            ((name, fields),) = item.items()
            what = f"takes its fields as `{name}: {{field: value}}`"
            return name, self._mapping((*path, name), {} if fields is None else fields, what)
        known = f"Known: {', '.join(names)}."
        several = isinstance(item, dict) and len(item) > 1
        raise ConfigError(
            self.places.at(path),
            f"a {what} is a name or `{{Name: {{field: value}}}}`",
            got=item,
            hint=f"Begin each {what} with `- ` on a line of its own." if several else known,
        )

    def _step(self, path: tuple[str | int, ...], item: Any) -> Step:
        name, fields = self._named(path, item, "step", list(STEPS))
        try:
            cls = load_step(name)
        except KeyError as error:
            close = nearest(name, STEPS)
            hint = f"Did you mean {close}?" if close else f"Known: {', '.join(STEPS)}."
            if ":" in name:
                hint = f"It could not be loaded: {error.args[0]}."
            raise ConfigError(self.places.at(path), "unknown step", got=name, hint=hint) from None
        if inspect.isabstract(cls):
            raise ConfigError(
                self.places.at(path),
                "is a kind of step, not a step",
                got=name,
                hint=f"It lacks {', '.join(sorted(cls.__abstractmethods__))}.",
            )
        step: Step = self._model(cls, (*path, name), fields)
        return step

    def _export(self, path: tuple[str | int, ...], item: Any) -> Export:
        name, fields = self._named(path, item, "format", list(EXPORTS))
        if name not in EXPORTS:
            close = nearest(name, EXPORTS)
            raise ConfigError(
                self.places.at(path),
                "unknown export format",
                got=name,
                hint=f"Did you mean {close}?" if close else f"Known: {', '.join(EXPORTS)}.",
            )
        export: Export = self._model(load_export(name), (*path, name), fields)
        return export

    def _model(self, cls: Any, path: tuple[str | int, ...], raw: dict[str, Any]) -> Any:
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for key in raw:
            if key not in known:
                close = nearest(key, known)
                raise ConfigError(
                    self.places.at((*path, key)),
                    "unknown key",
                    got=key,
                    hint=f"Did you mean {close!r}?"
                    if close
                    else f"Known: {', '.join(sorted(known)) or 'none'}.",
                )
        for name, field in cls.model_fields.items():
            value = raw.get(field.alias or name)
            # pydantic takes `true` for 1, which is never what a pipeline file means.
            if isinstance(value, bool) and not _mentions(field.annotation, bool):
                raise ConfigError(
                    self.places.at((*path, field.alias or name)),
                    "must not be true or false",
                    got=value,
                )
        try:
            return cls.model_validate(raw)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            location = [part for part in first["loc"] if not str(part).startswith("function-")]
            problem, hint, got = _say(first)
            if first["type"] == "missing" and len(location) == 1:
                hint = _described(cls, location[0])
            where = self.places.at((*path, *location))
            raise ConfigError(where, problem, hint=hint, **got) from None
        except ConfigError as error:
            raise error.at(self.places.at(path)) from None


def _described(cls: Any, missing: str | int) -> str | None:
    """Say what a field that is missing is for."""
    for name, field in cls.model_fields.items():
        if missing in (name, field.alias) and field.description:
            return f"Add it: {_first_sentence(field.description)}"
    return None


def _first_sentence(text: str) -> str:
    return _sentences(text)[0]


def _sentences(text: str) -> tuple[str, str]:
    """Return the first sentence of a text, and the others."""
    first, *others = re.split(r"(?<=\.)\s+(?=[A-Z`'])", " ".join(text.split()), maxsplit=1)
    return first, " ".join(others)


def _mentions(annotation: Any, wanted: type) -> bool:
    return annotation in (wanted, Any) or any(
        _mentions(part, wanted) for part in get_args(annotation)
    )


def _say(error: Any) -> tuple[str, str | None, dict[str, Any]]:
    """Return what is wrong, what to do and what was got, in this project's words.

    A validator can raise nothing but a ValueError, which has one text for all: the problem is its
    first sentence, unless an error of ours that keeps them apart is its cause.
    """
    got = {} if error["type"] == "missing" else {"got": error["input"]}
    if error["type"] != "value_error":
        return _problem(error), _hint(error), got
    raised = error["ctx"]["error"]
    cause = raised.__cause__
    if isinstance(cause, DatatoolsError):
        return cause.problem, cause.hint, got if cause.got is None else {"got": cause.got}
    problem, hint = _sentences(str(raised))
    return problem.removesuffix("."), hint or None, got


def _problem(error: Any) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    bounds = {
        "greater_than": "must be more than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "literal_error": "must be {expected}",
        "missing": "is missing",
        "tuple_type": "must be a list",
        "int_parsing": "must be a whole number",
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "float_type": "must be a number",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "string_type": "must be text",
    }
    if kind in bounds:
        return bounds[kind].format(**context)
    return str(error["msg"]).removeprefix("Input ").replace("should be", "must be", 1)


def _hint(error: Any) -> str | None:
    given, context = error["input"], error.get("ctx", {})
    options = context.get("expected")
    if isinstance(given, str) and isinstance(options, str):
        close = nearest(given, re.findall(r"'([^']*)'", options))
        if close:
            return f"Did you mean {close!r}?"
    bound = context.get("le", context.get("lt"))
    if bound == 1 and isinstance(given, int | float) and 1 < given <= 100:
        return f"Did you mean {given / 100:g}?"
    return None
