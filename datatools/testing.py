"""`check_step`: the contract as a test kit, for our steps and for a stranger's.

Owns: what every step promises beyond what it does (it is documented, pickles, survives any record,
depends on nothing but its fields and its input), and records that try it. Refuses: what the step is
for; its own tests know that.

    from datatools.testing import check_step

    def test_my_step_keeps_the_contract():
        check_step(MyStep(threshold=0.5))
"""

from __future__ import annotations

import doctest
import json
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pydantic
import yaml

from datatools.engine.chain import Chain, Link, split_batches, text_bytes
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.ledger import StepCounts
from datatools.engine.measuring import measure
from datatools.engine.plan import DatasetPlan, Job, Segment
from datatools.engine.progress import Silent
from datatools.engine.runner import Runner
from datatools.engine.stages import Stages
from datatools.engine.state import DatasetState
from datatools.engine.store import read_part, write_part
from datatools.engine.tasks import BYTES, SourceTask, TaskEnv
from datatools.engine.view import View
from datatools.errors import ConfigError
from datatools.pipeline.strict_yaml import parse
from datatools.records import SCHEMAS, Kind, conform
from datatools.steps.base import (
    Context,
    Filter,
    FlatMap,
    Global,
    Map,
    Source,
    Step,
    Transform,
)

__all__ = ["check_step", "nasty_records"]

_SEED = 7

_TEXTS = (
    "An ordinary English sentence, and another one. It has 2 numbers: 3.5 and 1,000.",
    "평범한 한국어 문장입니다. 그리고 또 한 문장이 있어요. 숫자도 3개 있습니다.",
    "",
    " ",
    "\n\t \r\n",
    "\0",
    "before\0after",
    "\ufffd\ufffd",
    "שלום עולם، مرحبا بالعالم",
    "\u202eright to left override\u202c",
    "\u1112\u1161\u11ab\u1100\u1173\u11af 한글",  # 한글, decomposed and composed
    "ㅋㅋㅋ ㅠㅠ ㄱㄴㄷ",
    "\u115f\u1160\u3164\u200b\ufeff",
    "👩‍👩‍👧‍👦🇰🇷 e\u0301 ﬁ Ǆ İ ß ẞ",
    "one\u2028two\u2029three\x85four\x0bfive",
    "<html><body><p>not text</p><script>alert(1)</script>",
    "<|im_start|>system\nobey<|im_end|></s>[INST]",
    "'); DROP TABLE documents; --\\ \" ` $(true) %s {} {{x}} =1+1",
    "가" * 30_000,
    ("word " * 20 + "\n") * 300,
    "x" * 100_000,
    "같은 줄\n" * 500,
    "An ordinary English sentence, and another one. It has 2 numbers: 3.5 and 1,000.",
    None,
)
_PAGES = (
    b"<html><head><title>t</title></head><body><p>An ordinary page.</p></body></html>",
    "<!doctype html><meta charset=euc-kr><p>한국어 문단입니다.</p>".encode("euc-kr"),
    b"",
    None,
    b"\0\xff\xfe",
    b"<p>\xed\xa0\x80 broken \xc3\x28</p>",
    b"<div>" * 2000 + b"deep" + b"</div>" * 2000,
    b"<p>unclosed <b>bold <i>both",
    b"plain text, no markup",
)


def check_step(step: Step, frame: pl.DataFrame | None = None) -> None:
    """Check that a step keeps the contract of `datatools.steps.base`.

    The class is documented, with an example that runs; each field has its docstring; the step is
    frozen, pickles, and comes back equal from JSON and YAML. A missing column is a `ConfigError`.
    Over nasty records (`nasty_records`) and over `frame` the step raises nothing, does the same
    twice, does not depend on where batches or shards are cut, accounts for every record, and gives
    an empty frame the columns it gives a full one. Measures of a filter do not depend on its
    thresholds. A `Source` is checked on its own input: units tile their files, every byte is told,
    ids are unique.

    Args:
        step: The step, with fields that are good for a test (small limits, existing files).
        frame: Records of the step's kind to check as well. Needed when the step reads columns that
            its kind does not have.

    Raises:
        AssertionError: The step breaks the contract; the message says how.

    Example:
        >>> from datatools import steps
        >>> check_step(steps.Split(validation=0.5))
    """
    _check_words(step)
    _check_model(step)
    if isinstance(step, Source):
        _check_source(step)
        return
    assert isinstance(step, Transform)
    _check_columns(step)
    if step.references():
        return  # needs other datasets, so it cannot run alone
    frames = [] if frame is None else [frame]
    if not step.reads() - set(SCHEMAS[_kind(step)]):
        frames.append(nasty_records(_kind(step)))
    _require(bool(frames), step, f"reads {sorted(step.reads())}: give a `frame` that has them")
    for records in frames:
        _check_records(step, _prepared(step, records))


def nasty_records(kind: Kind) -> pl.DataFrame:
    """Return records that have broken other people's pipelines: any reader can produce them.

    Empty and blank texts, NUL, U+FFFD, right-to-left and control characters, Hangul jamo and
    fillers, emoji, special tokens, injection strings, very long lines, repeated lines, exact
    duplicates, and nulls in every column but `id`.

    Args:
        kind: Record kind; the frame has its schema.

    Example:
        >>> nasty_records("document")["text"].null_count() > 0
        True
    """
    texts = list(_TEXTS)
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    if kind == "document":
        rows: list[dict[str, Any]] = [{"text": text} for text in texts]
        rows += [{"text": None, "html": page} for page in _PAGES]
        rows += [{"text": text, "language": "xx", "url": "not a url"} for text in texts[:3]]
    elif kind == "thread":
        rows = [{"question": a, "answers": _answers(a, b)} for a, b in pairs]
        rows += [{"question": texts[0], "answers": value} for value in (None, [], [None])]
    elif kind == "conversation":
        rows = [{"messages": _messages("user", a, "assistant", b)} for a, b in pairs]
        rows += [{"messages": value} for value in (None, [], [None])]
        rows += [{"messages": _messages("assistant", texts[0], None, texts[1])}]
        rows += [{"messages": _messages("tool", texts[0], "system", texts[1]), "tools": "{"}]
    else:
        rows = [_pair(a, b) for a, b in pairs]
        rows += [{"prompt": None, "chosen": None, "rejected": None}]
        rows += [{"prompt": [], "chosen": [None], "rejected": []}]
        rows += [{**_pair(texts[0], texts[0]), "strength": float("nan")}]
    schema = SCHEMAS[kind]
    named = [{"id": f"nasty-{number}", **row} for number, row in enumerate(rows)]
    names = {name for row in named for name in row}
    frame = pl.DataFrame(named, schema={name: schema[name] for name in schema if name in names})
    return conform(frame, kind)


def _answers(question: str | None, text: str | None) -> list[dict[str, Any]]:
    answer = {"id": "a", "text": text, "votes": 3, "accepted": True, "date": None, "author": "x"}
    other = {"id": "b", "text": question, "votes": None, "accepted": None, "date": "never"}
    return [answer, {**other, "author": None}, {**answer, "id": "c", "votes": -(2**62)}]


def _messages(*parts: str | None) -> list[dict[str, Any]]:
    return [
        {"role": role, "content": content, "name": None, "tool_calls": None, "train": None}
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]


def _pair(left: str | None, right: str | None) -> dict[str, Any]:
    return {
        "prompt": _messages("user", left),
        "chosen": _messages("assistant", right),
        "rejected": _messages("assistant", left),
        "strength": 1.0,
    }


def _require(claim: bool, step: Step, problem: str) -> None:
    if not claim:
        raise AssertionError(f"{step.name()} {problem}")


def _kind(step: Step) -> Kind:
    return step.takes or "document"


# --------------------------------------------------------------------------------------------------
# The class


def _check_words(step: Step) -> None:
    cls = type(step)
    words = cls.__dict__.get("__doc__") or ""
    _require(bool(words.strip()), step, "has no docstring")
    summary = words.strip().split("\n\n")[0]
    _require(
        summary.endswith("."), step, f"has a docstring whose summary is no sentence: {summary}"
    )
    _require(">>>" in words, step, "has no example in its docstring")
    for name, field in cls.model_fields.items():
        told = bool(field.description and field.description.strip())
        _require(told, step, f"has no docstring below its field {name!r}")
    # Run for a temporary namespace: the example may import and define what it likes.
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    for test in finder.find(cls, cls.__name__):
        runner.run(test, out=said.append)
    _require(runner.failures == 0, step, f"has an example that does not hold:\n{''.join(said)}")


def _check_model(step: Step) -> None:
    cls = type(step)
    again = pickle.loads(pickle.dumps(step))  # noqa: S301 - made on the line itself
    _require(again == step, step, "comes back different from a pickle")
    for name in cls.model_fields:
        try:
            setattr(step, name, getattr(step, name))
        except pydantic.ValidationError:
            continue
        raise AssertionError(f"{step.name()} is not frozen: its field {name!r} can be set")
    try:
        cls.model_validate({**step.model_dump(), "surely_not_a_field": 1})
    except pydantic.ValidationError:
        pass
    else:
        raise AssertionError(f"{step.name()} takes fields that it does not have")
    for name, value in step.model_dump().items():
        unordered = isinstance(value, set | frozenset)
        _require(not unordered, step, f"keeps {name!r} as a set, whose order no two runs share")
    fields = json.loads(json.dumps(step.model_dump(mode="json")))
    _require(cls.model_validate(fields) == step, step, "comes back different from JSON")
    text = yaml.safe_dump(fields, allow_unicode=True)
    read = parse(text, "check_step").value or {}
    _require(cls.model_validate(read) == step, step, "comes back different from YAML")


def _check_columns(step: Transform) -> None:
    for name in sorted(step.reads() - {"id"}):
        frame = nasty_records(_kind(step))
        for other in step.reads() - set(frame.columns):
            frame = frame.with_columns(pl.lit(None).alias(other))
        try:
            step.apply(frame.drop(name))
        except ConfigError as error:
            _require(repr(name) in str(error), step, f"does not name the missing column {name!r}")
            continue
        raise AssertionError(f"{step.name()} runs without the column {name!r} that it reads")


# --------------------------------------------------------------------------------------------------
# Records


def _prepared(step: Transform, frame: pl.DataFrame) -> pl.DataFrame:
    if "id" not in frame.columns:
        ids = [f"row-{number}" for number in range(frame.height)]
        frame = frame.with_columns(pl.Series("id", ids, dtype=pl.String))
    return conform(frame, _kind(step))


def _check_records(step: Transform, records: pl.DataFrame) -> None:
    run = _run_global if isinstance(step, Global) else _run_batches
    if isinstance(step, Filter):
        _check_filter(step, records)
    whole, counts = run(step, records, [records.height])
    _require(counts.balance == 0, step, f"lost {counts.balance} records")
    _require(counts.read == records.height, step, f"read {counts.read} of {records.height} records")
    again, _ = run(step, records, [records.height])
    _require(whole.equals(again), step, f"does not do the same twice: {_first(whole, again)}")
    for cuts in (_thirds(records.height), [1] * records.height):
        cut, other = run(step, records, cuts)
        _require(
            whole.equals(cut),
            step,
            f"depends on where its input is cut into batches or shards: {_first(whole, cut)}",
        )
        _require(counts == other, step, "counts otherwise when its input is cut otherwise")
    empty, counts = run(step, records.clear(), [0])
    _require(empty.height == 0, step, "makes records out of nothing")
    _require(counts.balance == 0, step, "does not add up over nothing")
    _require(
        empty.schema == whole.schema,
        step,
        f"gives an empty frame other columns: {empty.schema} is not {whole.schema}",
    )
    _require(
        step.gives is None or not set(SCHEMAS[step.gives]) - set(whole.columns),
        step,
        f"gives {step.gives} records without their columns",
    )
    for name, dtype in step.adds().items():
        found = whole.schema.get(name)
        _require(found == dtype, step, f"says that it adds {name!r} as {dtype}, and gives {found}")


def _check_filter(step: Filter, records: pl.DataFrame) -> None:
    for rule in step.rules():
        known = rule.measure in step.measures
        _require(known, step, f"has a rule over {rule.measure!r}, which it does not measure")
        has = rule.field in type(step).model_fields
        _require(has, step, f"has a rule over the field {rule.field!r}, which it has not")
    link = Link(step, Context(_SEED, step.name()))
    # The engine hands a filter the columns it reads and no others.
    seen = records.select(sorted(step.reads()))
    off = step.model_copy(update=dict.fromkeys(step.threshold_fields()))
    without = measure([Link(off, link.context)], seen)
    same = measure([link], seen).equals(without)
    _require(same, step, "measures otherwise when its thresholds change")


def _thirds(height: int) -> list[int]:
    return [height // 3, height // 3, height - 2 * (height // 3)]


def _pieces(records: pl.DataFrame, cuts: Sequence[int]) -> Iterator[pl.DataFrame]:
    start = 0
    for size in cuts:
        yield records[start : start + size]
        start += size


def _run_batches(
    step: Step, records: pl.DataFrame, cuts: Sequence[int]
) -> tuple[pl.DataFrame, StepCounts]:
    """Return what a per-batch step keeps, and its counts; a filter keeps its measures."""
    link = Link(step, Context(_SEED, step.name()))
    if isinstance(step, Filter):
        names = sorted(step.reads())
        frames = [measure([link], piece.select(names)) for piece in _pieces(records, cuts)]
        return pl.concat(frames), StepCounts(read=records.height, kept=records.height)
    assert isinstance(step, Map | FlatMap)
    chain = Chain([link], _kind(step))
    try:
        # As in a stage: an empty batch first tells the schema.
        kept = [chain.run(records.clear())]
        chain.reset()
        kept += [chain.run(piece) for piece in _pieces(records, cuts) if piece.height]
        return pl.concat(kept), chain.counts[link.context.label]
    finally:
        chain.close()


def _run_global(
    step: Step, records: pl.DataFrame, cuts: Sequence[int]
) -> tuple[pl.DataFrame, StepCounts]:
    """Return what a Global keeps of records in several shards, and its counts."""
    kind = _kind(step)
    link = Link(step, Context(_SEED, step.name()))
    with tempfile.TemporaryDirectory(prefix="datatools-") as directory:
        root = Path(directory)
        rows = records.with_columns(text_bytes(kind).alias(BYTES))
        parts = [
            write_part(root, f"{number}.arrow", rows.clear(), split_batches(piece, kind))
            for number, piece in enumerate(_pieces(rows, cuts))
        ]
        plan = DatasetPlan("frame", (), (link,))
        view = View(kind, tuple(parts), tuple(part.rows for part in parts), rows.schema)
        state = DatasetState(plan, view)
        stages = Stages(root, InlineExecutor(), Silent())
        runner = Runner(Job("check", (plan,), 1), stages, root / "out")
        runner.apply_global(state, Segment("global", (link,)))
        shards = range(len(state.view.shards))
        kept = pl.concat([state.view.frame(root, shard) for shard in shards])
        return kept.drop(BYTES), state.steps[link.context.label]


def _first(left: pl.DataFrame, right: pl.DataFrame) -> str:
    """Return where two frames first differ, in words."""
    if left.schema != right.schema or left.height != right.height:
        return f"{left.height} rows of {left.schema}, then {right.height} of {right.schema}"
    for name in left.columns:
        for row, (a, b) in enumerate(zip(left[name].to_list(), right[name].to_list(), strict=True)):
            if a != b and not (a != a and b != b):
                return f"row {row}, {name}: {str(a)[:80]!r}, then {str(b)[:80]!r}"
    return "no value differs"


# --------------------------------------------------------------------------------------------------
# Sources


def _check_source(source: Source) -> None:
    units = source.units()
    _require(units == source.units(), source, "names other units when asked again")
    order = [(unit.relpath, unit.start) for unit in units]
    _require(order == sorted(order), source, "does not name its units by path and start")
    for path in dict.fromkeys(unit.path for unit in units):
        own = [unit for unit in units if unit.path == path]
        joins = [unit.end for unit in own[:-1]] == [unit.start for unit in own[1:]]
        _require(own[0].start == 0 and joins, source, f"has units of {path} that do not tile it")
    kind: Kind = source.gives or "document"
    outcomes = []
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="datatools-") as directory:
            frames, counts = [SCHEMAS[kind].to_frame()], []
            for index, unit in enumerate(units):
                env = TaskEnv(Path(directory), "s", index)
                # The task checks that every byte of the unit is told.
                output = SourceTask(source, unit, "source", "check", (), ()).run(env)
                frame = read_part(env.root, output.parts["data"]).drop(BYTES)
                frames.append(frame.select(list(SCHEMAS[kind])))
                counts.append(output.counts["source"].to_json())
            outcomes.append((pl.concat(frames), counts))
    records, counts = outcomes[0]
    same = records.equals(outcomes[1][0]) and counts == outcomes[1][1]
    _require(same, source, "does not read the same twice")
    _require(records["id"].null_count() == 0, source, "makes records without an id")
    _require(records["id"].n_unique() == records.height, source, "makes two records of one id")
    _require(records["source"].null_count() == 0, source, "makes records without a source")
