from typing import ClassVar

import pytest
import toys

from datatools import steps
from datatools.engine import plan
from datatools.engine.chain import Link
from datatools.engine.plan import DatasetPlan, Job, link_key, measure_key, segments, topological
from datatools.errors import ConfigError
from datatools.steps.base import Context

READ = toys.ReadLines(paths=("a.txt",))


class ReadsHtml(toys.Upper):
    """Needs the page."""

    def reads(self):
        return frozenset({"html"})


class Costly(toys.Upper):
    """Expensive to repeat."""

    checkpoint: ClassVar[bool] = True


def planned(name, *chosen, parents=(), **settings):
    links = tuple(Link(step, Context(0, step.name())) for step in chosen)
    return DatasetPlan(name, tuple(parents), links, **settings)


def grouped(*datasets, of=0):
    found = segments(Job("job", datasets, 1), datasets[of])
    return [(part.kind, [link.step.name() for link in part.links]) for part in found]


def test_per_batch_steps_are_read_in_one_pass_with_their_source():
    assert grouped(planned("a", READ, toys.Upper(), toys.Words())) == [
        ("source", ["ReadLines", "Upper", "Words"])
    ]


def test_a_pass_ends_after_a_checkpoint():
    assert grouped(planned("a", READ, Costly(), toys.Upper(), Costly(), Costly())) == [
        ("source", ["ReadLines", "Costly"]),
        ("chain", ["Upper", "Costly"]),
        ("chain", ["Costly"]),
    ]


def test_adjacent_filters_are_measured_together_and_globals_stand_alone():
    steps_ = [toys.Length(), toys.Length(), steps.ExactDedup(), steps.Split(), toys.Length()]
    assert grouped(planned("a", *steps_, toys.Upper(), toys.Words(), parents=["b"])) == [
        ("filters", ["Length", "Length"]),
        ("global", ["ExactDedup"]),
        ("global", ["Split"]),
        ("filters", ["Length"]),
        ("chain", ["Upper", "Words"]),
    ]


def test_a_dataset_without_steps_has_no_segments():
    assert grouped(planned("a", parents=["b"])) == []


def test_html_is_dropped_as_soon_as_nothing_below_reads_it():
    pages = planned("pages", READ, Costly(), ReadsHtml(), Costly(), toys.Upper())
    parts = segments(Job("job", (pages,), 1), pages)
    assert [part.prune for part in parts] == [(), ("html",), ("html",)]


def test_html_is_kept_for_a_dataset_further_down_that_reads_it():
    pages = planned("pages", READ, Costly(), toys.Upper())
    middle = planned("middle", toys.Length(), parents=["pages"])
    last = planned("last", ReadsHtml(), toys.Upper(), parents=["middle"])
    job = Job("job", (pages, middle, last), 1)
    assert [part.prune for part in segments(job, pages)] == [(), ()]
    assert [part.prune for part in segments(job, last)] == [("html",)]


def test_datasets_come_after_what_they_need_and_otherwise_in_their_own_order():
    ordered = topological(
        [
            planned("d", parents=["c"]),
            planned("b", parents=["a"]),
            planned("c", steps.Split(hold_with=("b",)), parents=["a"]),
            planned("e", READ),
            planned("a", READ),
        ]
    )
    assert [dataset.name for dataset in ordered] == ["e", "a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("needs", "circle"),
    [
        ({"a": ["a"]}, "a -> a"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "a -> b -> c -> a"),
        # What only waits for the circle is not part of it.
        ({"w": ["a"], "a": ["b"], "b": ["a"], "x": ["b"]}, "a -> b -> a"),
    ],
)
def test_a_circle_is_named_by_its_datasets(needs, circle):
    with pytest.raises(ConfigError) as caught:
        topological([planned(name, parents=parents) for name, parents in needs.items()])
    assert str(caught.value) == (
        f"datasets: they need each other in a circle (got '{circle}'). "
        "Break it: a dataset cannot be read before it is made."
    )


# --------------------------------------------------------------------------------------------------
# Keys


def test_a_key_is_the_same_for_equal_steps():
    one = link_key(Link(toys.Upper(suffix="!"), Context(3, "Upper")))
    assert one == link_key(Link(toys.Upper(suffix="!"), Context(3, "Upper")))


def test_a_key_changes_with_everything_that_can_change_the_output(monkeypatch):
    base = Link(toys.Upper(), Context(0, "Upper"))
    keys = [
        link_key(base),
        link_key(Link(toys.Upper(suffix="!"), base.context)),
        link_key(Link(base.step, Context(1, "Upper"))),
        link_key(Link(base.step, Context(0, "Upper#2"))),
        link_key(Link(toys.Slow(), base.context)),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(toys.Upper, "version", 2)
        keys.append(link_key(base))
    with monkeypatch.context() as patch:
        patch.setattr(toys.Upper, "libraries", ("polars",))
        keys.append(link_key(base))
        patch.setattr(plan, "_library_version", lambda name: "99")
        keys.append(link_key(base))
    with monkeypatch.context() as patch:
        patch.setattr(toys.Upper, "digests", lambda self: {"model": "abc"})
        keys.append(link_key(base))
    with monkeypatch.context() as patch:
        patch.setattr(plan, "foreign_code", lambda cls: "edited")
        keys.append(link_key(base))
    assert all(key not in keys[:at] for at, key in enumerate(keys))


def test_the_key_of_measures_leaves_thresholds_out_and_keeps_the_rest():
    def key(**fields):
        return measure_key(Link(toys.Length(**fields), Context(0, "Length")))

    assert key(minimum=3) == key(minimum=None, maximum=7)
    assert key(log="a") != key(log="b")


def test_our_own_steps_are_known_by_their_version_and_strangers_by_their_code():
    assert link_key(Link(steps.Split(), Context(0, "Split")))["code"] is None
    assert len(link_key(Link(toys.Upper(), Context(0, "Upper")))["code"]) == 64
