"""Steps behind the fence give what they give outside it, and a deadly row costs itself."""

import json

import polars as pl
import pytest
import toys
from deadly import Count, Parts, Shout

from datatools.engine.careful import ROWS_TOGETHER, CarefulSteps, RowLimits
from datatools.engine.chain import Link, text_bytes
from datatools.engine.executors.base import Failed, ForeignError
from datatools.engine.executors.inline import InlineExecutor
from datatools.engine.store import read_part, write_part
from datatools.engine.tasks import BYTES, ChainTask, DecideTask, Limits, MeasureTask, Stopped, Task
from datatools.engine.view import Overlay, View
from datatools.errors import DataError
from datatools.records import conform
from datatools.steps.base import Batch, Context, Map
from datatools.testing import nasty_records

GOOD = ["a line of English", "한국어 문서 한 줄", "drop me now", "single", "", "여러 낱말 문서"]
LIMITS = RowLimits(20.0, 512 << 20)


def texts(count, deadly):
    """Return texts, the deadly ones at their positions."""
    found = [f"{GOOD[i % len(GOOD)]} {i}".strip() for i in range(count)]
    for position, word in deadly.items():
        found[position] = f"{word} {position} 번째"
    return found


def records(words):
    rows = {"id": [f"id-{i}" for i in range(len(words))], "text": words}
    return conform(pl.DataFrame(rows, schema={"id": pl.String, "text": pl.String}), "document")


def view(root, frames):
    frames = [frame.with_columns(text_bytes("document").alias(BYTES)) for frame in frames]
    part = write_part(root, "base.arrow", frames[0].clear(), iter(frames))
    return View("document", (part,), (part.rows,), frames[0].schema)


def links(*steps):
    return tuple(Link(step, Context(0, step.name())) for step in steps)


def run(root, body, *, careful):
    """Run one task in this process; a careful one may not die of what its rows do."""
    limits = Limits(stall_s=10 * LIMITS.seconds, memory_bytes=LIMITS.memory_bytes)
    task = Task(str(root), f"stages/{type(body).__name__} {careful}", 0, body, limits, careful)
    with InlineExecutor() as executor:
        (result,) = executor.map([task])
    if isinstance(result, Failed):
        raise result.error
    return result.output


def left_behind(root, output):
    """Return all that a task leaves, bytes and numbers, but the names of its files."""
    parts = {role: (part.sha256, part.batches) for role, part in output.parts.items()}
    return parts, {label: counts.to_json() for label, counts in output.counts.items()}


def both(tmp_path, frames, plain, careful):
    """Return what plain steps leave behind, and what others leave behind the fence."""
    base = view(tmp_path, frames)
    bodies = [ChainTask(base, 0, links(*steps), ()) for steps in (plain, careful)]
    one = run(tmp_path, bodies[0], careful=False)
    two = run(tmp_path, bodies[1], careful=True)
    return left_behind(tmp_path, one), left_behind(tmp_path, two)


def test_without_a_deadly_row_everything_is_as_it_would_have_been(tmp_path):
    nasty = nasty_records("document").filter(pl.col("text").is_not_null())
    nasty = nasty.with_columns(pl.format("nasty {}", pl.int_range(pl.len())).alias("id"))
    frames = [records(texts(150, {})), nasty, records([]), records(texts(1, {}))]
    steps = [toys.Upper(suffix="!"), Shout(), Parts()]
    plain, careful = both(tmp_path, frames, steps, steps)
    assert careful == plain


@pytest.mark.parametrize(
    "deadly",
    [
        pytest.param({0: "kill"}, id="the first row", marks=pytest.mark.slow),
        pytest.param({149: "segv"}, id="the last row", marks=pytest.mark.slow),
        pytest.param({3: "kill", 4: "segv"}, id="two in a piece"),
        pytest.param(
            {ROWS_TOGETHER - 1: "kill", ROWS_TOGETHER: "exit"},
            id="two at the edge of two pieces",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_only_the_deadly_rows_are_lost_and_all_else_is_the_same_to_the_byte(tmp_path, deadly):
    frames = [records(texts(150, deadly))]
    plain, careful = both(
        tmp_path, frames, [Shout(tame=True), Parts(tame=True)], [Shout(), Parts()]
    )
    assert careful == plain
    assert sum(careful[1]["Shout"]["quarantined"].values()) == len(deadly)
    assert careful[1]["Shout"]["notes"]["words"] > 0


@pytest.mark.slow
def test_a_deadly_parent_has_no_children_and_its_neighbours_keep_theirs(tmp_path):
    frames = [records(texts(70, {10: "segv", 69: "exit"}))]
    plain, careful = both(tmp_path, frames, [Parts(tame=True)], [Parts()])
    assert careful == plain
    assert careful[1]["Parts"]["quarantined"] == {"fence_crash": 2}


@pytest.mark.slow
def test_a_batch_of_nothing_but_deadly_rows_leaves_an_empty_part_of_the_same_columns(tmp_path):
    frames = [records(["kill a", "kill b"])]
    plain, careful = both(tmp_path, frames, [Shout(tame=True)], [Shout()])
    assert careful == plain


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hang", ("fence_timeout", "more than 1.5 s of CPU time")),
        ("sleep", ("fence_timeout", "more than 6 s")),
        ("flood", ("fence_memory", "more than 512 MiB")),
        ("panic", ("fence_error", "PanicException: index out of bounds")),
        ("segv", ("fence_crash", "killed by SIGSEGV")),
    ],
)
def test_a_row_is_quarantined_with_the_reason_of_the_fence(word, expected):
    df = records(texts(20, {7: word}))
    steps = CarefulSteps(links(Shout()), RowLimits(1.5, 512 << 20))
    try:
        mapped = steps.bound()[0].map(Batch(df))
    finally:
        steps.close()
    found = list(zip(mapped.quarantined, mapped.detail, strict=True))
    assert found == [(None, None)] * 7 + [expected] + [(None, None)] * 12
    assert mapped.df["id"].to_list() == df["id"].to_list()


def test_a_row_is_found_guilty_only_after_it_has_been_tried_alone(tmp_path):
    log = tmp_path / "tried"
    words = texts(ROWS_TOGETHER + 1, {5: "kill"})
    steps = CarefulSteps(links(Shout(log=str(log))), LIMITS)
    try:
        steps.bound()[0].map(Batch(records(words)))
    finally:
        steps.close()
    tried = log.read_text().splitlines()
    assert tried.count(words[5]) == 3  # in its piece, after its neighbours, alone
    assert {tried.count(word) for word in words[:5] + words[6:ROWS_TOGETHER]} == {2}
    assert tried.count(words[-1]) == 1  # its piece was good


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("raise", "ValueError: got 없음"),
        ("quit", "SystemExit: 3"),
        ("interrupt", "KeyboardInterrupt: "),
    ],
)
def test_an_exception_is_the_step_s_error_as_it_is_outside_the_fence(word, told):
    steps = CarefulSteps(links(Shout()), LIMITS)
    try:
        with pytest.raises(ForeignError) as caught:
            steps.bound()[0].map(Batch(records(texts(5, {2: word}))))
    finally:
        steps.close()
    assert str(caught.value) == told


class DiesOfNothing(toys.Upper):
    """Cannot do a batch without rows."""

    def map(self, batch):
        if not len(batch):
            import os

            os._exit(5)
        return super().map(batch)


@pytest.mark.slow
def test_a_step_that_dies_of_an_empty_batch_is_at_fault_itself(tmp_path):
    body = ChainTask(view(tmp_path, [records(["a"])]), 0, links(DiesOfNothing()), ())
    with pytest.raises(DataError) as caught:
        run(tmp_path, body, careful=True)
    assert str(caught.value) == (
        "DiesOfNothing: cannot do even a batch without records: exited with code 5. The step is at "
        "fault, not a record: mend it or leave it out."
    )


class Short(Map):
    """Breaks the contract: too few reasons."""

    def bind(self, context):
        return self

    def map(self, batch):
        from datatools.steps.base import Mapped

        return Mapped(batch.df, dropped=pl.Series(["only one"][: len(batch)]))


@pytest.mark.slow
def test_a_broken_contract_is_told_as_it_is_outside_the_fence(tmp_path):
    body = ChainTask(view(tmp_path, [records(["a", "b"])]), 0, links(Short()), ())
    with pytest.raises(ForeignError, match="TypeError: Short returned 1 values of `dropped` for 2"):
        run(tmp_path, body, careful=True)


# --------------------------------------------------------------------------------------------------
# Filters


def measured(root, base, steps, *, careful):
    return run(root, MeasureTask(base, 0, links(*steps)), careful=careful)


def test_measures_are_the_same_behind_the_fence(tmp_path):
    nasty = nasty_records("document").filter(pl.col("text").is_not_null())
    base = view(tmp_path, [nasty, nasty[:0]])
    steps = [toys.Length(), Count(harmless=True)]
    one, two = (measured(tmp_path, base, steps, careful=careful) for careful in (False, True))
    assert one.parts["data"].sha256 == two.parts["data"].sha256
    assert "stopped" not in two.values


def test_a_row_that_no_filter_can_measure_is_quarantined_where_the_filter_decides(tmp_path):
    log = tmp_path / "tried"
    words = texts(ROWS_TOGETHER + 10, {0: "kill", 9: "kill", 70: "segv"})
    base = view(tmp_path, [records(words)[:40], records(words)[40:]])
    first = toys.Length(minimum=2, maximum=30)
    steps = [first, Count(), Count(log=str(log), harmless=True)]
    labels = ["Length", "Count", "Later"]
    chain = tuple(Link(s, Context(0, label)) for s, label in zip(steps, labels, strict=True))
    output = run(tmp_path, MeasureTask(base, 0, chain), careful=True)
    reason = "fence_crash"
    assert [Stopped(*one) for one in output.values["stopped"]] == [
        Stopped(0, "Count", reason, "killed by SIGKILL"),
        Stopped(9, "Count", reason, "killed by SIGKILL"),
        Stopped(70, "Count", reason, "killed by SIGSEGV"),
    ]
    assert not set(log.read_text().splitlines()) & {words[0], words[9], words[70]}

    # Every other row has the measures of a run in which nothing kills.
    tame = tuple(
        Link(Count(harmless=True) if link.context.label == "Count" else link.step, link.context)
        for link in chain
    )
    plain = run(tmp_path, MeasureTask(base, 0, tame), careful=False)
    lost = [0, 9, 70]
    rest = [i for i in range(len(words)) if i not in lost]
    found, wanted = (read_part(tmp_path, o.parts["data"]) for o in (output, plain))
    assert found[rest].equals(wanted[rest])
    assert found[lost, 1:].null_count().row(0) == (3,) * (found.width - 1)

    overlay = Overlay((output.parts["data"],), found.schema, decides=False)
    stopped = tuple(Stopped(*one) for one in output.values["stopped"])
    body = DecideTask(base.with_overlay(overlay), 0, chain, stopped)
    decided = run(tmp_path, body, careful=False)
    fates = read_part(tmp_path, decided.parts["fates"])
    quarantined = fates.filter(pl.col("reason") == reason)
    assert quarantined.select("id", "step", "fate", "detail", "measure").rows() == [
        (f"id-{i}", "Count", "quarantined", one.detail, None)
        for i, one in zip(lost, stopped, strict=True)
    ]
    assert decided.counts["Count"].quarantined == {reason: 3}
    assert all(counts.balance == 0 for counts in decided.counts.values())
    json.dumps(output.to_json())


@pytest.mark.slow
def test_a_row_that_an_earlier_filter_drops_stays_dropped(tmp_path):
    base = view(tmp_path, [records(["kill " + "x" * 40, "a good long line"])])
    chain = links(toys.Length(maximum=30), Count())
    output = run(tmp_path, MeasureTask(base, 0, chain), careful=True)
    found = read_part(tmp_path, output.parts["data"])
    overlay = Overlay((output.parts["data"],), found.schema, decides=False)
    stopped = tuple(Stopped(*one) for one in output.values["stopped"])
    decided = run(
        tmp_path, DecideTask(base.with_overlay(overlay), 0, chain, stopped), careful=False
    )
    assert decided.counts["Length"].dropped == {"too_long": 1}
    assert not decided.counts["Count"].quarantined
