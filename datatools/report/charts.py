"""Charts as inline SVG: from numbers to markup, nothing else.

Owns: scales, ticks and geometry. Refuses: colours (the style sheet's classes), reading, and
deciding what to draw. Every label is escaped here, every chart says in words what it shows, and no
element carries a `style` attribute, which the page's policy would block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from datatools.report.quantities import count, signed
from datatools.report.visible import visible

__all__ = [
    "Mark",
    "Scale",
    "ShareOf",
    "axis_bounds",
    "curve",
    "histogram",
    "intervals",
    "share_bar",
    "smoothed",
    "thinned",
    "ticks",
]

SMALL_WIDTH: Final = 340
"""Width of charts that stand side by side, in CSS pixels at full size: a phone's column."""

_THINNEST: Final = 4.0
"""Least width of a non-zero part of a bar of 1,000: it must be seen."""
_LOWEST: Final = 2.0
"""Least height of a bar that is not zero, in pixels."""
_BESIDE_FROM: Final = 560
_NAME_WIDTH: Final = 212
_FIGURE_WIDTH: Final = 186
_MOST_POINTS: Final = 240
_SMOOTHING: Final = 0.06


# --------------------------------------------------------------------------------------------------
# Markup


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def _element(name: str, *children: str, **attributes: str | float) -> Markup:
    """Return an element; texts among the children and all attributes are escaped.

    Attribute names take `_` for `-`; a trailing `_` is dropped, so that `class_` is a class.
    """
    shown = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"),
            _number(value) if isinstance(value, int | float) else visible(value),
        )
        for key, value in attributes.items()
    )
    inner = Markup("").join(
        child if isinstance(child, Markup) else escape(visible(child)) for child in children
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), shown, inner)  # noqa: S704 - our names


def _text(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Markup:
    return _element("text", text, x=x, y=y, class_=f"label {class_}".strip(), text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return _element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _svg(width: float, height: float, label: str, *children: Markup, class_: str) -> Markup:
    return _element(
        "svg",
        *children,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        class_=f"chart {class_}",
    )


# --------------------------------------------------------------------------------------------------
# Scales


@dataclass(frozen=True)
class Scale:
    """A mapping from values to pixels, linear or logarithmic.

    Attributes:
        low: Value at `start`.
        high: Value at `stop`; above `low`.
        start: First pixel.
        stop: Last pixel; below `start` for an axis that points up.
        logarithmic: Whether equal ratios have equal distances; `low` must be above 0 then.
    """

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value; beyond the ends, the end.

        Example:
            >>> Scale(0, 10, 100, 200).at(2.5), Scale(1, 100, 0, 100, logarithmic=True).at(10)
            (125.0, 50.0)
        """
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values in [low, high]: 1, 2 or 5 times a power of 10 apart.

    Example:
        >>> ticks(0, 10, 6), ticks(-0.012, 0.031, 5)
        ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [-0.01, 0.0, 0.01, 0.02, 0.03])
    """
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [round(number * step, 12) for number in range(first, last + 1)]
    return []


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    tens = [10.0**power for power in range(first, last + 1)]
    if len(tens) >= 2:
        return tens
    steps = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]


def _tick(value: float) -> str:
    """Return a tick's label: short for large numbers."""
    if value and abs(value) >= 10_000:
        for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if abs(value) >= size:
                return f"{value / size:g}{unit}"
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


# --------------------------------------------------------------------------------------------------
# Bars


@dataclass(frozen=True)
class ShareOf:
    """A part of a bar.

    Attributes:
        style: Class of its colour.
        amount: How much it is; not negative.
        label: What it is, for the pointer and for screen readers.
    """

    style: str
    amount: float
    label: str


def share_bar(parts: Sequence[ShareOf], whole: float) -> Markup:
    """Return a bar whose parts are shares of `whole`, stretched to the width of its place.

    A part that is not zero is never invisible: it is drawn at least 4/1000 wide, at the cost of the
    widest part if the bar is full.

    Example:
        >>> bar = share_bar([ShareOf("kept", 1, "kept"), ShareOf("dropped", 3, "dropped")], 4)
        >>> 'x="0" y="0" width="250"' in bar and 'x="250" y="0" width="750"' in bar
        True
    """
    widths = [
        max(_THINNEST, 1000 * part.amount / whole) if part.amount and whole else 0.0
        for part in parts
    ]
    if widths and sum(widths) > 1000:
        widest = widths.index(max(widths))
        widths[widest] -= sum(widths) - 1000
    shapes, at = [], 0.0
    for part, width in zip(parts, widths, strict=True):
        if width:
            title = _element("title", part.label)
            shapes.append(
                _element("rect", title, x=at, y=0, width=width, height=10, class_=part.style)
            )
        at += width
    label = ", ".join(part.label for part in parts if part.amount) or "nothing"
    return _element(
        "svg",
        *shapes,
        viewBox="0 0 1000 10",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="bar",
    )


def histogram(
    edges: Sequence[float],
    series: Mapping[str, Sequence[int]],
    *,
    label: str,
    styles: Sequence[str],
    logarithmic: bool = False,
    limits: Sequence[tuple[str, float]] = (),
    unit: str = "",
) -> Markup:
    """Return stacked bars between edges, with a line at each limit.

    Args:
        edges: Increasing; one more than each series has counts.
        series: Counts by series, from the bottom up.
        label: What the chart shows, for screen readers.
        styles: Class of each series.
        logarithmic: Whether the axis is.
        limits: (text, value) of lines to draw; one outside the edges is drawn at the edge.
        unit: What the axis measures.
    """
    width, top, left, right = SMALL_WIDTH, 26, 4, 4
    base = 136
    height = base + (40 if unit else 22)
    across = Scale(edges[0], edges[-1], left, width - right, logarithmic)
    totals = [sum(counts) for counts in zip(*series.values(), strict=True)]
    up = Scale(0, max([*totals, 1]), base, top)
    shapes = []
    for number in range(len(edges) - 1):
        x, end = across.at(edges[number]), across.at(edges[number + 1])
        below = 0
        where = f"{_tick(edges[number])} to {_tick(edges[number + 1])}"
        for (name, counts), style in zip(series.items(), styles, strict=False):
            if not counts[number]:
                continue
            low, high = up.at(below), up.at(below + counts[number])
            title = _element("title", f"{where}: {count(counts[number])} {name}")
            shapes.append(
                _element(
                    "rect",
                    title,
                    x=x + 0.5,
                    y=min(high, low - _LOWEST),
                    width=max(end - x - 1, 0.5),
                    height=max(low - high, _LOWEST),
                    class_=style,
                )
            )
            below += counts[number]
    shapes.append(_line(left, base, width - right, base, "axis"))
    marks = _log_ticks(edges[0], edges[-1]) if logarithmic else ticks(edges[0], edges[-1], 6)
    for mark in marks:
        x = across.at(mark)
        shapes.append(_line(x, base, x, base + 4, "axis"))
        anchor = "start" if x < 16 else "end" if x > width - 16 else "middle"
        shapes.append(_text(x, base + 16, _tick(mark), "tick", anchor))
    if unit:
        shapes.append(_text(width / 2, height - 4, unit, "tick", "middle"))
    shapes.append(_text(left, 12, f"most in one bar: {count(max(totals, default=0))}", "tick"))
    for number, (text, value) in enumerate(limits):
        x = across.at(value)
        anchor = "end" if x > width / 2 else "start"
        shapes.append(_line(x, top - 6, x, base, "limit"))
        beside = x - 4 if anchor == "end" else x + 4
        shapes.append(_text(beside, top + 4 + 13 * number, text, "limit-label", anchor))
    told = "; ".join(f"{name} {count(sum(counts))}" for name, counts in series.items())
    return _svg(width, height, f"{label}: {told}", *shapes, class_="histogram")


# --------------------------------------------------------------------------------------------------
# Intervals


@dataclass(frozen=True)
class Mark:
    """A value with its interval.

    Attributes:
        label: What it is.
        low: Lower end.
        value: The value.
        high: Upper end.
        shown: The numbers, in words.
        points: Single observations.
        strong: Whether it is the one that decides.
    """

    label: str
    low: float
    value: float
    high: float
    shown: str
    points: tuple[float, ...] = ()
    strong: bool = False


def intervals(
    marks: Sequence[Mark],
    *,
    label: str,
    width: int,
    origin: float = 0.0,
    zone: float | None = None,
    ends: tuple[str, str] = ("", ""),
    bounds: tuple[float, float] | None = None,
) -> Markup:
    """Return intervals above one another on one axis.

    Names and numbers stand beside the intervals where the chart is wide, above them where it is
    narrow. An interval that leaves the axis ends in an arrow there.

    Args:
        marks: The intervals, from the top down.
        label: What the chart shows, for screen readers.
        width: In CSS pixels at full size.
        origin: A value to mark with a line: no difference, or chance.
        zone: Half width of a zone around `origin` to shade: differences that do not matter.
        ends: What lies to the left, and to the right.
        bounds: Ends of the axis; by default what is drawn, with room on both sides, and no more
            than lets the strong intervals be seen.
    """
    beside = width >= _BESIDE_FROM
    left, right = (_NAME_WIDTH, width - _FIGURE_WIDTH) if beside else (8, width - 8)
    row, top = (28, 24) if beside else (58, 20)
    low, high = bounds or axis_bounds(marks, origin, zone)
    across = Scale(low, high, left, right)
    base = top + row * len(marks) + 4
    shapes = []
    if zone is not None:
        start, stop = across.at(origin - zone), across.at(origin + zone)
        shapes.append(
            _element(
                "rect",
                x=start,
                y=top - 8,
                width=max(stop - start, 1),
                height=base - top + 8,
                class_="zone",
            )
        )
        middle = min(max((start + stop) / 2, left + 98), right - 98)
        shapes.append(_text(middle, 11, f"no difference that matters: ±{zone:g}", "tick", "middle"))
    marks_at = ticks(low, high, max(3, (right - left) // 80))
    shapes += [_line(across.at(tick), top - 8, across.at(tick), base, "grid") for tick in marks_at]
    shapes.append(_line(across.at(origin), top - 8, across.at(origin), base, "origin"))
    for number, mark in enumerate(marks):
        style = "strong" if mark.strong else "plain"
        y = top + row * number + (row / 2 if beside else 46)
        at, over = (y + 4, y + 4) if beside else (y - 13, y - 28)
        shapes.append(_text(0 if beside else left, over, mark.label, f"name {style}"))
        side, anchor = (width, "end") if beside else (left, "start")
        shapes.append(_text(side, at, mark.shown, f"figure {style}", anchor))
        shapes += _interval(mark, across, y, style)
    shapes.append(_line(left, base, right, base, "axis"))
    for tick in marks_at:
        x = across.at(tick)
        shapes.append(_line(x, base, x, base + 4, "axis"))
        anchor = "start" if x < left + 14 else "end" if x > right - 14 else "middle"
        shapes.append(_text(x, base + 16, _tick(tick), "tick", anchor))
    if ends[0]:
        shapes.append(_text(left, base + 34, f"← {ends[0]}", "end"))
    if ends[1]:
        shapes.append(_text(right, base + 34, f"{ends[1]} →", "end", "end"))
    told = "; ".join(f"{mark.label} {mark.shown}" for mark in marks)
    return _svg(width, base + 40, f"{label}: {told}", *shapes, class_="intervals")


def _interval(mark: Mark, across: Scale, y: float, style: str) -> list[Markup]:
    """Return a line with an end at either side, its points and its value."""
    start, stop = across.at(mark.low), across.at(mark.high)
    shapes = [_line(start, y, stop, y, f"interval {style}")]
    for end, value, outwards in ((start, mark.low, -1), (stop, mark.high, 1)):
        if across.low <= value <= across.high:
            shapes.append(_line(end, y - 5, end, y + 5, f"interval {style}"))
        else:
            tip, back = end + 2 * outwards, end - 6 * outwards
            corners = " ".join(
                f"{_number(x)},{_number(at)}" for x, at in ((tip, y), (back, y - 5), (back, y + 5))
            )
            shapes.append(_element("polygon", points=corners, class_=f"value {style}"))
    shapes += [
        _element("circle", cx=across.at(point), cy=y, r=2.5, class_="point")
        for point in mark.points
        if across.low <= point <= across.high
    ]
    if across.low <= mark.value <= across.high:
        shapes.append(
            _element("circle", cx=across.at(mark.value), cy=y, r=4.5, class_=f"value {style}")
        )
    return shapes


def axis_bounds(
    marks: Sequence[Mark], origin: float = 0.0, zone: float | None = None
) -> tuple[float, float]:
    """Return the ends of an axis for intervals.

    Everything is on it, with room on both sides; but where one interval is far wider than the
    strong ones, the axis reaches only once their span further, so that those stay readable.

    Example:
        >>> wide, strong = Mark("", -9, 0, 9, ""), Mark("", 1, 2, 3, "", strong=True)
        >>> axis_bounds([strong, wide])
        (-3.54, 6.54)
    """
    always = [origin, origin - (zone or 0), origin + (zone or 0)]
    low, high = _span(marks, always)
    strong = [mark for mark in marks if mark.strong]
    if strong:
        near, far = _span(strong, always)
        reach = far - near
        low, high = max(low, near - reach), min(high, far + reach)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _span(marks: Sequence[Mark], always: Sequence[float]) -> tuple[float, float]:
    values = [*always]
    for mark in marks:
        values += [mark.low, mark.value, mark.high, *mark.points]
    return min(values), max(values)


# --------------------------------------------------------------------------------------------------
# Curves


Point = tuple[float, float]


def smoothed(values: Sequence[float], weight: float = _SMOOTHING) -> list[float]:
    """Return an exponential mean that starts without a bias towards zero.

    References:
        The correction is that of Adam's moments (Kingma and Ba, 2015, section 3).

    Example:
        >>> smoothed([4.0, 2.0], weight=0.5)
        [4.0, 2.6666666666666665]
    """
    out, mean = [], 0.0
    for number, value in enumerate(values, start=1):
        mean += weight * (value - mean)
        out.append(mean / (1 - (1 - weight) ** number))
    return out


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most `most` points: means of equal runs of the given ones, in order.

    Example:
        >>> thinned([(1, 10), (2, 20), (3, 30), (4, 40)], 2)
        [(1.5, 15.0), (3.5, 35.0)]
    """
    if len(points) <= most:
        return list(points)
    runs = [
        points[number * len(points) // most : (number + 1) * len(points) // most]
        for number in range(most)
    ]
    return [(sum(x for x, _ in run) / len(run), sum(y for _, y in run) / len(run)) for run in runs]


def curve(
    points: Sequence[Point],
    *,
    label: str,
    unit: tuple[str, str],
    level: tuple[str, float] | None = None,
) -> Markup:
    """Return a curve: the points as they are, faint, and their running mean.

    Args:
        points: (x, y), x increasing; at least one.
        label: What the chart shows, for screen readers.
        unit: What x and y measure.
        level: (text, y) of a line to compare with.
    """
    width, height, left, right, top, bottom = SMALL_WIDTH, 196, 34, 8, 22, 36
    raw = thinned(points, _MOST_POINTS)
    means = list(zip((x for x, _ in points), smoothed([y for _, y in points]), strict=True))
    line = thinned(means, _MOST_POINTS)
    values = [y for _, y in [*raw, *line]] + ([level[1]] if level else [])
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    up = Scale(low - room, high + room, height - bottom, top)
    last = points[-1][0]
    across = Scale(0, last if last > 0 else 1, left, width - right)
    shapes = []
    for tick in ticks(up.low, up.high, 5):
        y = up.at(tick)
        shapes.append(_line(left, y, width - right, y, "grid"))
        shapes.append(_text(left - 5, y + 4, _tick(tick), "tick", "end"))
    for tick in ticks(0, across.high, 5):
        x = across.at(tick)
        anchor = "end" if x > width - right - 14 else "middle"
        shapes.append(_text(x, height - bottom + 16, _tick(tick), "tick", anchor))
    if level:
        y = up.at(level[1])
        shapes.append(_line(left, y, width - right, y, "limit"))
        shapes.append(_text(width - right, y - 4, level[0], "limit-label", "end"))
    for path, style in ((raw, "faint"), (line, "line")):
        drawn = " ".join(f"{_number(across.at(x))},{_number(up.at(y))}" for x, y in path)
        shapes.append(_element("polyline", points=drawn, class_=style))
    shapes.append(_text(left, 12, unit[1], "tick"))
    shapes.append(_text((left + width) / 2, height - 4, unit[0], "tick", "middle"))
    change = signed(line[-1][1] - line[0][1], 3)
    told = f"{label}: from {line[0][1]:.3f} to {line[-1][1]:.3f} ({change})"
    return _svg(width, height, told, *shapes, class_="curve")
