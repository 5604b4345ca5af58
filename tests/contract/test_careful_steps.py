"""Every per-row step gives behind the fence, to the byte, what it gives outside it."""

import pytest

from datatools.dedup_index import DedupIndex
from datatools.engine.chain import Link, split_batches, text_bytes
from datatools.engine.store import write_part
from datatools.engine.tasks import (
    BYTES,
    ChainTask,
    Limits,
    MeasureTask,
    Task,
    close_chains,
    execute,
)
from datatools.engine.view import View
from datatools.records import SCHEMAS
from datatools.steps import STEPS, load_step
from datatools.steps.base import Context, Filter, FlatMap, Map
from datatools.testing import nasty_records

FIELDS = {
    "Apply": {"function": "textwrap:dedent"},
    "LanguageFilter": {"keep": ("en", "ko")},
    "UrlFilter": {"block": ("example.com",)},
}
PER_ROW = [name for name in STEPS if issubclass(load_step(name), Map | FlatMap | Filter)]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", PER_ROW)
def test_a_step_gives_the_same_behind_the_fence(tmp_path, name):
    fields = FIELDS.get(name, {})
    if name == "IndexDedup":
        fields = {"index": DedupIndex.create(str(tmp_path / "kept.index")).address}
    step = load_step(name)(**fields)
    kind = step.takes or "document"
    assert not step.reads() - set(SCHEMAS[kind]), f"{name} needs records of its own here"
    records = nasty_records(kind)
    records = records.with_columns(text_bytes(kind).alias(BYTES))
    part = write_part(tmp_path, "base.arrow", records.clear(), split_batches(records, kind))
    view = View(kind, (part,), (part.rows,), records.schema)
    links = (Link(step, Context(7 if step.draws else 0, name)),)
    is_filter = isinstance(step, Filter)
    body = MeasureTask(view, 0, links) if is_filter else ChainTask(view, 0, links, ())
    outputs = []
    for careful in (False, True):
        stage = f"stages/careful {careful}"
        output = execute(Task(str(tmp_path), stage, 0, body, Limits(), careful))
        close_chains()
        parts = {role: (part.sha256, part.batches) for role, part in output.parts.items()}
        counts = {label: one.to_json() for label, one in output.counts.items()}
        outputs.append((parts, counts, output.values))
    assert outputs[0] == outputs[1]
