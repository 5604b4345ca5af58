import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.report import charts
from datatools.report.charts import Mark, Scale, ShareOf


def shapes(svg, name, class_=None):
    """Return the attributes of a chart's elements of one name and class."""
    found = []
    for element in ET.fromstring(str(svg)).iter(name):
        classes = element.get("class", "").split()
        if class_ is None or class_ in classes:
            found.append(element)
    return found


def number(element, attribute):
    return float(element.get(attribute))


# --------------------------------------------------------------------------------------------------
# Scales


def test_a_scale_maps_its_ends_and_clamps_beyond_them():
    scale = Scale(10, 20, 0, 100)
    assert [scale.at(v) for v in (10, 15, 20, 5, 25)] == [0, 50, 100, 0, 100]


def test_a_scale_may_point_up():
    assert Scale(0, 1, 100, 0).at(0.25) == 75


def test_equal_ratios_have_equal_distances_on_a_logarithmic_scale():
    scale = Scale(1, 10_000, 0, 400, logarithmic=True)
    assert [round(scale.at(v), 9) for v in (1, 10, 100, 1000, 10_000)] == [0, 100, 200, 300, 400]


@given(st.floats(-1000, 1000), st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_round_few_and_inside(position, span, most):
    low, high = position * span, (position + 1) * span
    found = charts.ticks(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-6 * span <= tick <= high + 1e-6 * span for tick in found)
    for one, other in itertools.pairwise(found):
        step = other - one
        digits = f"{step:.4e}".partition("e")[0]
        assert float(digits) in (1.0, 2.0, 5.0, 10.0)


# --------------------------------------------------------------------------------------------------
# Bars


def test_parts_lie_side_by_side_and_are_as_wide_as_their_share():
    bar = charts.share_bar(
        [ShareOf("kept", 50, "kept"), ShareOf("dropped", 30, "d"), ShareOf("quarantined", 0, "q")],
        100,
    )
    drawn = [(e.get("class"), number(e, "x"), number(e, "width")) for e in shapes(bar, "rect")]
    assert drawn == [("kept", 0, 500), ("dropped", 500, 300)]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_every_part_that_is_not_zero_is_seen_and_none_leaves_the_bar(amounts):
    bar = charts.share_bar(
        [ShareOf(f"c{i}", amount, "x") for i, amount in enumerate(amounts)], sum(amounts)
    )
    drawn = shapes(bar, "rect")
    assert len(drawn) == sum(amount > 0 for amount in amounts)
    assert all(number(e, "width") >= 3.9 for e in drawn)
    if drawn:
        assert number(drawn[-1], "x") + number(drawn[-1], "width") == pytest.approx(1000, abs=0.1)


def test_a_bar_of_nothing_says_so():
    bar = charts.share_bar([ShareOf("kept", 0, "kept 0")], 0)
    assert ET.fromstring(str(bar)).get("aria-label") == "nothing"


def test_stacked_bars_stand_on_each_other():
    svg = charts.histogram(
        [0, 1, 2], {"en": [3, 0], "ko": [1, 4]}, label="lengths", styles=("a", "b")
    )
    (en,) = shapes(svg, "rect", "a")
    first, second = shapes(svg, "rect", "b")
    assert number(en, "height") == pytest.approx(3 * number(first, "height"))
    assert number(first, "y") + number(first, "height") == pytest.approx(number(en, "y"))
    # The tallest stack, 4 records each, reaches the top in both bins.
    assert number(first, "y") == pytest.approx(number(second, "y"))
    assert number(second, "x") > number(first, "x") + number(first, "width")


def test_a_limit_stands_between_the_bars_it_parts():
    svg = charts.histogram(
        [0, 10, 20, 30, 40],
        {"published": [0, 0, 5, 9], "dropped": [2, 1, 0, 0]},
        label="word_count",
        styles=("kept", "dropped"),
        limits=[("< 20", 20)],
    )
    (limit,) = shapes(svg, "line", "limit")
    right_of_dropped = max(
        number(e, "x") + number(e, "width") for e in shapes(svg, "rect", "dropped")
    )
    left_of_kept = min(number(e, "x") for e in shapes(svg, "rect", "kept"))
    assert right_of_dropped <= number(limit, "x1") <= left_of_kept
    assert "published 14; dropped 3" in ET.fromstring(str(svg)).get("aria-label")


# --------------------------------------------------------------------------------------------------
# Intervals


MAIN = Mark("main", 0.02, 0.05, 0.08, "+0.05", points=(0.04, 0.06), strong=True)


@pytest.mark.parametrize("width", [340, 920])
def test_an_interval_lies_where_its_numbers_say(width):
    svg = charts.intervals([MAIN], label="d", width=width, zone=0.01, bounds=(-0.1, 0.1))
    (line,) = [e for e in shapes(svg, "line", "interval") if e.get("y1") == e.get("y2")]
    (axis,) = [e for e in shapes(svg, "line", "axis") if e.get("y1") == e.get("y2")]
    left, right = number(axis, "x1"), number(axis, "x2")

    def value(x):
        return -0.1 + 0.2 * (x - left) / (right - left)

    assert value(number(line, "x1")) == pytest.approx(0.02, abs=1e-4)
    assert value(number(line, "x2")) == pytest.approx(0.08, abs=1e-4)
    (zone,) = shapes(svg, "rect", "zone")
    assert value(number(zone, "x")) == pytest.approx(-0.01, abs=1e-4)
    assert number(zone, "width") == pytest.approx(0.02 / 0.2 * (right - left), abs=0.1)
    (origin,) = shapes(svg, "line", "origin")
    assert value(number(origin, "x1")) == pytest.approx(0, abs=1e-4)
    (dot,) = shapes(svg, "circle", "value")
    assert value(number(dot, "cx")) == pytest.approx(0.05, abs=1e-4)
    points = [value(number(e, "cx")) for e in shapes(svg, "circle", "point")]
    assert points == pytest.approx([0.04, 0.06], abs=1e-4)


def test_an_interval_that_leaves_the_axis_ends_in_arrows():
    wide = Mark("wide", -5, 0, 5, "?")
    svg = charts.intervals([MAIN, wide], label="d", width=340)
    assert len(shapes(svg, "polygon")) == 2
    inside = charts.intervals([MAIN], label="d", width=340)
    assert not shapes(inside, "polygon")


def test_a_wide_interval_does_not_squeeze_the_one_that_decides():
    low, high = charts.axis_bounds([MAIN, Mark("wide", -5, 0, 5, "?")], zone=0.01)
    assert high - low < 4 * (0.08 + 0.01)
    assert low <= -0.01
    assert high >= 0.08


def test_without_a_strong_mark_everything_is_on_the_axis():
    low, high = charts.axis_bounds([Mark("a", -5, 0, 5, ""), Mark("b", 1, 2, 3, "")])
    assert low < -5
    assert high > 5


def test_labels_are_escaped_and_made_visible():
    hostile = '</text><script>x</script>"\x1b'
    svg = charts.intervals(
        [Mark(hostile, 0, 1, 2, hostile)], label=hostile, width=340, ends=(hostile, hostile)
    )
    root = ET.fromstring(str(svg))
    assert {e.tag for e in root.iter()} <= {"svg", "line", "circle", "text"}
    texts = [e.text for e in root.iter("text")]
    assert texts.count('</text><script>x</script>"�') == 2


# --------------------------------------------------------------------------------------------------
# Curves


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.floats(0.01, 1))
def test_the_running_mean_is_the_weighted_mean_of_what_came_before(values, weight):
    found = charts.smoothed(values, weight)
    for at in range(len(values)):
        weights = [(1 - weight) ** (at - i) for i in range(at + 1)]
        mean = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert found[at] == pytest.approx(mean, abs=1e-6)


@given(st.integers(1, 300), st.integers(1, 60))
def test_thinning_keeps_order_ends_and_mean(count, most):
    points = [(float(i), float(i % 7)) for i in range(count)]
    found = charts.thinned(points, most)
    assert len(found) == min(count, most)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    if count % len(found) == 0:
        assert sum(x for x, _ in found) / len(found) == pytest.approx(
            sum(x for x, _ in points) / count
        )


def test_a_falling_loss_falls_on_the_page():
    points = [(float(i), 8.0 - i) for i in range(5)]
    svg = charts.curve(points, label="Loss", unit=("tokens", "nats"))
    (faint,) = shapes(svg, "polyline", "faint")
    drawn = [tuple(map(float, pair.split(","))) for pair in faint.get("points").split()]
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert [y for _, y in drawn] == sorted(y for _, y in drawn)  # y points down
    assert len(drawn) == 5
    assert "from 8.000" in ET.fromstring(str(svg)).get("aria-label")


def test_one_point_and_a_flat_curve_are_drawn():
    for points in ([(5.0, 2.0)], [(0.0, 0.0)], [(1.0, 3.0), (2.0, 3.0)]):
        svg = charts.curve(points, label="Loss", unit=("tokens", "nats"), level=("chance", 0.69))
        assert not re.search("nan|inf", str(svg))


def test_charts_carry_no_style_attribute_and_say_what_they_show():
    drawn = [
        charts.share_bar([ShareOf("kept", 1, "kept 1")], 1),
        charts.histogram([0, 1], {"a": [1]}, label="h", styles=("kept",)),
        charts.intervals([MAIN], label="i", width=340),
        charts.curve([(1.0, 2.0)], label="c", unit=("x", "y")),
    ]
    for svg in drawn:
        root = ET.fromstring(str(svg))
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert not any("style" in element.attrib for element in root.iter())
