"""Plots as inline SVG: pure functions from numbers to markup, without a library or a script.

Positions are percentages, so a plot is as wide as its place while its text keeps its size; lines
are drawn in a box of their own that stretches. Colours are the page's, by class. What a colour
says, a dash or a mark says too.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

from markupsafe import Markup, escape

HEIGHT = 190
"""Of a chart, in pixels; its width is that of its place."""

_TOP, _BOTTOM = 18, 24
_STRETCHED = 1000
"""Width and height of the box that the lines are drawn in."""

State = Literal["ok", "bad", "void"]

_SLOTS: dict[State, tuple[str, str]] = {
    "bad": ("18", "30"),
    "ok": ("36", "12"),
    "void": ("46", "2"),
}
"""Top and height of a slot in a strip."""

_CROWDED = 0.02
"""Share of a strip's width that the number of a moment needs."""


class Series(NamedTuple):
    """One line of a chart: its name and its points, in order of x."""

    name: str
    points: Sequence[tuple[float, float]]


class Slot(NamedTuple):
    """What a prober saw, in seconds from the start of a strip."""

    begin: float
    end: float
    state: State


class Moment(NamedTuple):
    """Something that happened `at` seconds after the start of a strip."""

    at: float
    name: str


def line_chart(
    series: Sequence[Series],
    title: str,
    show_x: Callable[[float], str],
    show_y: Callable[[float], str],
) -> Markup:
    """Draw values over a number, such as seconds; y starts at 0. Raises ValueError without points.

    `show_x` and `show_y` write a tick's value with its unit.
    """
    x_values = [x for each in series for x, _ in each.points]
    if not x_values:
        raise ValueError(f"expected points for the chart {title!r}, found none")
    y_ticks = ticks(max(y for each in series for _, y in each.points))
    left, right = min(x_values), max(x_values)
    x_ticks = [(_share(x, left, right), show_x(x)) for x in _spread(left, right)]

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return _share(point[0], left, right), point[1] / y_ticks[-1]

    placed = [[place(point) for point in each.points] for each in series]
    rows = [(y / y_ticks[-1], show_y(y)) for y in y_ticks]
    return _chart(title, placed, [each.name for each in series], x_ticks, rows)


def percentile_chart(
    series: Sequence[Series], title: str, show_y: Callable[[float], str]
) -> Markup:
    """Draw values over percentiles (0 to below 100), each nine of the tail as wide as the last.

    Raises ValueError without points and for a percentile that is out of range.
    """
    percentiles = [x for each in series for x, _ in each.points]
    if not percentiles:
        raise ValueError(f"expected points for the chart {title!r}, found none")
    if not all(0 <= x < 100 for x in percentiles):
        raise ValueError(f"expected percentiles from 0 to below 100, found {max(percentiles)}")
    last = max(_nines(x) for x in percentiles) or 1.0
    marks = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
    x_ticks = [(_nines(x) / last, f"p{x:g}") for x in marks if x and _nines(x) <= last + 1e-9]
    y_ticks = ticks(max(y for each in series for _, y in each.points))
    placed = [[(_nines(x) / last, y / y_ticks[-1]) for x, y in each.points] for each in series]
    rows = [(y / y_ticks[-1], show_y(y)) for y in y_ticks]
    return _chart(title, placed, [each.name for each in series], x_ticks, rows)


def _nines(percentile: float) -> float:
    return -math.log10(1 - percentile / 100)


def ticks(highest: float, wanted: int = 4) -> list[float]:
    """Return round numbers from 0 up to the first that is not below `highest`.

    >>> ticks(87)
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    if highest < 1e-9:  # nothing that round numbers could tell from 0
        return [0.0, 1.0]
    step = _round_step(highest / wanted)
    count = math.ceil(highest / step - 1e-9)
    return [round(step * number, 10) for number in range(count + 1)]


def _round_step(rough: float) -> float:
    """Return the round number that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10, 20) if power * nice >= rough * 0.999)


def _spread(left: float, right: float) -> list[float]:
    """Return the round numbers that name x; its only value, where there is no width."""
    if right - left < 1e-9:
        return [left]
    step = _round_step((right - left) / 5)
    first, last = math.ceil(left / step - 1e-9), math.floor(right / step + 1e-9)
    return [round(step * number, 10) for number in range(first, last + 1)]


def _share(x: float, left: float, right: float) -> float:
    return (x - left) / (right - left) if right > left else 0.0


def _chart(
    title: str,
    lines: Iterable[Sequence[tuple[float, float]]],
    names: Sequence[str],
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
) -> Markup:
    """Put a chart together; all positions are shares from 0 to 1 of width and height."""
    inner = HEIGHT - _TOP - _BOTTOM
    heights = [(_TOP + inner * (1 - share), label) for share, label in y_ticks]
    parts = [
        tag("line", x1="0", x2="100%", y1=_number(y), y2=_number(y), class_="grid")
        for y, _ in heights
    ]
    parts += [_line(line, number % 6, inner) for number, line in enumerate(lines)]
    parts += [tag("text", label, x="0", y=_number(y - 4), class_="tick") for y, label in heights]
    parts += [_x_label(share, label) for share, label in x_ticks]
    said = f"{title}: {', '.join(names)}"
    return tag(
        "svg", _joined(parts), role="img", aria_label=said, height=str(HEIGHT), class_="plot"
    )


def _line(line: Sequence[tuple[float, float]], number: int, inner: float) -> Markup:
    points = [(share * _STRETCHED, (1 - high) * _STRETCHED) for share, high in line]
    if len(points) == 1:
        points = [(0.0, points[0][1]), (float(_STRETCHED), points[0][1])]
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    drawn = tag("polyline", points=path, class_=f"series s{number}")
    return tag(
        "svg", drawn, x="0", y=str(_TOP), width="100%", height=_number(inner),
        viewBox=f"0 0 {_STRETCHED} {_STRETCHED}", preserveAspectRatio="none", class_="stretched",
    )  # fmt: skip


def _x_label(share: float, label: str) -> Markup:
    anchor = "start" if share < 0.05 else "end" if share > 0.95 else "middle"
    return tag(
        "text", escape(label), x=_percent(share), y=str(HEIGHT - 6), text_anchor=anchor,
        class_="tick",
    )  # fmt: skip


def probe_strip(slots: Sequence[Slot], end: float, moments: Sequence[Moment], title: str) -> Markup:
    """Draw a prober's slots from 0 to `end` seconds.

    A bad slot is drawn high, an ok one low and a void one as a thin line; where there was no slot
    there is nothing. The moments are numbered lines across. Raises ValueError without slots.
    """
    if not slots or end <= 0:
        raise ValueError(f"expected slots for the strip {title!r}, found none")
    parts = []
    for state, same in groupby(slots, key=lambda slot: slot.state):
        block = list(same)
        left, right = block[0].begin / end, block[-1].end / end
        y, height = _SLOTS[state]
        place = {"x": _percent(left), "width": _percent(right - left), "y": y, "height": height}
        parts.append(tag("rect", **place, class_=f"slot {state}"))
    shares = [min(max(moment.at / end, 0.0), 1.0) for moment in moments]
    for number, (share, following) in enumerate(pairwise([*shares, 2.0]), 1):
        parts.append(_moment(number, share, crowded=following - share < _CROWDED))
    drawn = _joined(parts)
    return tag("svg", drawn, role="img", aria_label=title, height="52", class_="plot strip")


def _moment(number: int, share: float, crowded: bool) -> Markup:
    """Draw a numbered line; the number stands left of it where there is no room to the right."""
    left = share > 1 - _CROWDED or (crowded and share > _CROWDED)
    x = _percent(share)
    line = tag("line", x1=x, x2=x, y1="4", y2="50", class_="moment")
    gap, anchor = ("-3", "end") if left else ("3", "start")
    return line + tag("text", str(number), x=x, dx=gap, y="13", text_anchor=anchor, class_="tick")


def share_bar(parts: Sequence[tuple[str, float]], title: str) -> Markup:
    """Draw shares of a whole side by side, each (class, size); sizes of 0 are left out."""
    total = sum(size for _, size in parts) or 1.0
    drawn, left = [], 0.0
    for kind, size in parts:
        if size:
            width = _percent(size / total)
            drawn.append(
                tag("rect", x=_percent(left), width=width, height="100%", class_=f"fill {kind}")
            )
            left += size / total
    said = f"{title}: " + ", ".join(f"{size:g} {kind}" for kind, size in parts if size)
    return tag("svg", _joined(drawn), role="img", aria_label=said, class_="bar")


def key(number: int) -> Markup:
    """Draw a piece of a chart's line, for its legend."""
    line = tag("line", x1="0", x2="100%", y1="50%", y2="50%", class_=f"series s{number % 6}")
    return tag("svg", line, aria_hidden="true", class_="key")


def meter(value: float, highest: float) -> Markup:
    """Draw a value as a share of the highest; the number stands beside it, so it says nothing."""
    share = value / highest if highest else 0.0
    drawn = tag("rect", width=_percent(share), height="100%", class_="fill")
    return tag("svg", drawn, aria_hidden="true", class_="bar")


def tag(name: str, content: Markup | str = "", **attributes: str) -> Markup:
    """Return one element; `class_` is class, and an underscore stands for a hyphen."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{escape(content)}</{name}>")


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _percent(share: float) -> str:
    return f"{_number(share * 100)}%"
