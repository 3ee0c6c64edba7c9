"""Architecture v2.0, 5.2: the dashboards on the host, every query put to the host's Prometheus."""

import pytest

# The document's word for a thing, and a word of the panel's title that shows it.
SHOWN_AS = {
    "connections": "connections",
    "query performance": "query performance",
    "cache hit ratio": "cache hit ratio",
    "registrations": "user registrations",
}
MODEL = {"uid": str, "title": str, "schemaVersion": int, "panels": list, "time": dict}
PANEL = {"id": int, "type": str, "title": str, "gridPos": dict, "targets": list, "datasource": dict}
COLUMNS = 24
"""The width of Grafana's grid."""


def lacking(model, fields):
    return [name for name, kind in fields.items() if not isinstance(model.get(name), kind)]


@pytest.mark.controls(component="grafana-dashboard")
def test_there_is_a_panel_for_each_thing(control, facts, found):
    panels = found([panel.title.lower() for panel in facts.prometheus.dashboards[control.key]])
    things = [thing.strip().lower() for thing in control.expected.split(",")]
    missing = [thing for thing in things if SHOWN_AS.get(thing, thing) not in panels]
    assert missing == []


@pytest.mark.controls(component="grafana-dashboard")
def test_every_query_returns_data(control, facts, found):
    empty = [
        f"{panel.title}: {query} -> {result}"
        for panel in facts.prometheus.dashboards[control.key]
        for query, result in panel.queries.items()
        if not isinstance(result, int) or result == 0
    ]
    assert found(empty) == []


@pytest.mark.controls(component="grafana-dashboard")
def test_the_file_is_a_dashboard_that_grafana_reads(control, facts, found):
    model = facts.prometheus.models[control.key]
    assert found(lacking(model, MODEL)) == []
    assert model["panels"], "it has no panel"
    assert [
        found(lacking(panel, PANEL)) for panel in model["panels"] if lacking(panel, PANEL)
    ] == []


@pytest.mark.controls(component="grafana-dashboard")
def test_no_panel_lies_on_another(control, facts, found):
    panels = facts.prometheus.models[control.key]["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert found(len(cells)) == len(set(cells)), "it lies on another"
    assert max(x for x, _ in cells) < COLUMNS
    assert len({panel["id"] for panel in panels}) == len(panels)
