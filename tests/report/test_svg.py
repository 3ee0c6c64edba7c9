"""Plots: numbers in, well-formed SVG out, with every number where it belongs."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_infra.report.page import svg
from connect_infra.report.page.svg import Moment, Series, Slot

NUMBERS = st.floats(0, 1e12, allow_nan=False)
HOSTILE = '</svg><script>alert("1")</script>'


def parsed(markup):
    return ElementTree.fromstring(str(markup))


def seconds(value):
    return f"{value:g} s"


def labels(root):
    return [element.text for element in root.iter("text")]


def points(root):
    lines = [line.get("points") for line in root.iter("polyline")]
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


@given(st.floats(1e-9, 1e12))
def test_ticks_are_few_and_reach_the_highest(highest):
    found = svg.ticks(highest)
    assert found[0] == 0
    assert found[-1] >= highest * 0.999
    assert found[-2] < highest
    assert 2 <= len(found) <= 7


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (87, [0, 25, 50, 75, 100]),
        (100, [0, 25, 50, 75, 100]),
        (0.3, [0, 0.1, 0.2, 0.3]),
        (0, [0, 1]),
    ],
)
def test_ticks_are_round(highest, expected):
    assert svg.ticks(highest) == expected


def test_a_line_runs_from_left_to_right_and_0_is_at_the_bottom():
    root = parsed(svg.line_chart([Series("a", [(10, 0), (20, 100), (30, 50)])], "t", seconds, str))
    assert points(root) == [[(0, 1000), (500, 0), (1000, 500)]]
    assert {"10 s", "30 s", "0.0", "100.0"} <= set(labels(root))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20))
def test_no_point_leaves_the_box(values):
    root = parsed(svg.line_chart([Series("a", sorted(values))], "t", seconds, seconds))
    for x, y in points(root)[0]:
        assert 0 <= x <= 1000
        assert -1 <= y <= 1000


def test_lines_are_told_apart_by_class_and_named():
    both = [Series("p50", [(0, 1), (1, 2)]), Series("p99", [(0, 3), (1, 4)])]
    root = parsed(svg.line_chart(both, "latency", seconds, seconds))
    assert [line.get("class") for line in root.iter("polyline")] == ["series s0", "series s1"]
    assert root.get("aria-label") == "latency: p50, p99"
    assert root.get("role") == "img"


def test_one_point_is_a_level_line():
    root = parsed(svg.line_chart([Series("a", [(5, 2)])], "t", seconds, seconds))
    assert points(root) == [[(0, 0), (1000, 0)]]


def test_each_nine_of_a_percentile_is_as_wide_as_the_last():
    curve = Series("a", [(0, 1), (90, 2), (99, 4), (99.9, 8)])
    root = parsed(svg.percentile_chart([curve], "t", seconds))
    assert [round(x) for x, _ in points(root)[0]] == [0, 333, 667, 1000]
    assert [label for label in labels(root) if label.startswith("p")] == [
        *("p50", "p90", "p99", "p99.9")
    ]


@pytest.mark.parametrize("draw", [
    lambda: svg.line_chart([], "t", seconds, seconds),
    lambda: svg.line_chart([Series("a", [])], "t", seconds, seconds),
    lambda: svg.percentile_chart([Series("a", [])], "t", seconds),
    lambda: svg.percentile_chart([Series("a", [(100, 1)])], "t", seconds),
    lambda: svg.probe_strip([], 1.0, [], "t"),
])  # fmt: skip
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match="expected"):
        draw()


def test_a_strip_joins_equal_slots_and_numbers_the_moments():
    kinds = ["ok"] * 10 + ["bad"] * 6 + ["void"] + ["ok"] * 3
    slots = [Slot(number * 0.5, number * 0.5 + 0.5, kind) for number, kind in enumerate(kinds)]
    root = parsed(svg.probe_strip(slots, 10.0, [Moment(5, "fault"), Moment(8, "healed")], "reads"))
    drawn = [(each.get("class"), each.get("x"), each.get("width")) for each in root.iter("rect")]
    assert drawn == [
        ("slot ok", "0%", "50%"),
        ("slot bad", "50%", "30%"),
        ("slot void", "80%", "5%"),
        ("slot ok", "85%", "15%"),
    ]
    assert root.get("aria-label") == "reads"
    assert [line.get("x1") for line in root.iter("line")] == ["50%", "80%"]
    assert labels(root) == ["1", "2"]


def test_numbers_of_moments_that_are_close_do_not_overlap():
    moments = [Moment(at, "event") for at in (0, 5, 5.05, 10)]
    root = parsed(svg.probe_strip([Slot(0, 10, "ok")], 10.0, moments, "t"))
    sides = [text.get("text-anchor") for text in root.iter("text")]
    assert sides == ["start", "end", "start", "end"]


def test_a_strip_ends_where_the_probes_end():
    root = parsed(svg.probe_strip([Slot(0, 2, "ok")], 8.0, [], "t"))
    assert [each.get("width") for each in root.iter("rect")] == ["25%"]


def test_slots_differ_in_height_not_only_in_colour():
    slots = [Slot(0, 1, "ok"), Slot(1, 2, "bad"), Slot(2, 3, "void")]
    root = parsed(svg.probe_strip(slots, 3.0, [], "t"))
    assert len({each.get("height") for each in root.iter("rect")}) == 3


@given(st.lists(st.tuples(st.sampled_from(["pass", "fail"]), st.integers(0, 500)), max_size=6))
def test_the_parts_of_a_bar_fill_it(parts):
    root = parsed(svg.share_bar(parts, "controls"))
    widths = [float(each.get("width").rstrip("%")) for each in root.iter("rect")]
    assert len(widths) == sum(1 for _, size in parts if size)
    assert not widths or math.isclose(sum(widths), 100, abs_tol=0.1)


def test_hostile_names_are_text():
    drawn = [
        svg.line_chart([Series(HOSTILE, [(0, 1)])], HOSTILE, lambda _: HOSTILE, lambda _: HOSTILE),
        svg.percentile_chart([Series(HOSTILE, [(0, 1)])], HOSTILE, lambda _: HOSTILE),
        svg.probe_strip([Slot(0, 1, "ok")], 1.0, [Moment(0, HOSTILE)], HOSTILE),
        svg.share_bar([(HOSTILE, 1)], HOSTILE),
    ]
    for markup in drawn:
        assert "<script" not in markup
        parsed(markup)
