from collections import Counter

import orjson
from hypothesis import given
from hypothesis import strategies as st

from datatools.engine.ledger import InputCounts, StepCounts, total

amounts = st.integers(0, 1000)
reasons = st.dictionaries(st.sampled_from(["expanded", "merged", "too_short", "중복"]), amounts)


@st.composite
def balanced(draw, read=None):
    """Counts of a step whose records are all accounted for."""
    dropped, quarantined = Counter(draw(reasons)), Counter(draw(reasons))
    kept = draw(amounts)
    left = kept + dropped.total() + quarantined.total()
    entered = draw(st.integers(0, left)) if read is None else read
    return StepCounts(
        read=entered,
        created=left - entered,
        kept=kept,
        dropped=dropped,
        quarantined=quarantined,
        removed=Counter(draw(reasons)),
        text_bytes=draw(amounts),
    )


@st.composite
def chains(draw):
    """Counts of steps in a row: each reads what the one before kept."""
    steps = [draw(balanced())]
    for _ in range(draw(st.integers(0, 4))):
        step = draw(balanced())
        step.created += step.read - steps[-1].kept
        step.read = steps[-1].kept
        steps.append(step)
    return steps


def test_a_lost_record_shows_in_the_balance():
    counts = StepCounts(read=10, created=2, kept=7, dropped=Counter(a=3), quarantined=Counter(b=1))
    assert counts.balance == 1
    counts.kept += 1
    assert counts.balance == 0
    counts.kept += 1
    assert counts.balance == -1


@given(chains())
def test_the_total_of_balanced_steps_is_balanced(steps):
    whole = total(steps)
    assert whole.balance == 0
    assert whole.read == steps[0].read
    assert whole.kept == steps[-1].kept
    assert whole.text_bytes == steps[-1].text_bytes
    assert whole.dropped == sum((step.dropped for step in steps), Counter())


def test_the_total_of_no_steps_is_nothing():
    assert total([]) == StepCounts()


def test_the_total_does_not_change_the_steps():
    step = StepCounts(read=1, dropped=Counter(a=1))
    total([step, step])
    assert step == StepCounts(read=1, dropped=Counter(a=1))


@given(st.lists(balanced(), max_size=5))
def test_adding_tasks_does_not_depend_on_their_order(tasks):
    def added(counts):
        whole = StepCounts()
        for one in counts:
            whole.add(one)
        return whole.to_json()

    assert added(tasks) == added(tasks[::-1])
    assert added(tasks)["read"] == sum(task.read for task in tasks)


@given(balanced())
def test_counts_are_read_back_as_they_were_written(counts):
    written = orjson.loads(orjson.dumps(counts.to_json()))
    assert StepCounts.from_json(written) == counts
    assert list(written["dropped"]) == sorted(written["dropped"])


def test_input_bytes_balance_only_when_every_range_is_told():
    unit = InputCounts(size=100, consumed=60, skipped=Counter(comment=30))
    assert unit.balance == 10
    unit.incomplete.append({"path": "a", "start": 90, "end": 100, "detail": "cut"})
    assert unit.balance == 0
    other = InputCounts(size=5, consumed=5)
    other.add(unit)
    assert (other.size, other.consumed, other.balance) == (105, 65, 0)
    assert InputCounts.from_json(orjson.loads(orjson.dumps(other.to_json()))) == other
