"""Deployment strategy v1.0, Monitoring: the key panels, every query put to Prometheus itself."""

import pytest

PANELS = {
    "request rate": {"request rate": "reqps"},
    "error rate": {"error rate": "percent"},
    "response time": {"response time": "s"},
    "containers": {"containers: cpu": "percentunit", "containers: memory": "bytes"},
    "database": {"database: connections": "short"},
    "redis": {"redis: hit rate": "percentunit"},
}
"""The panels that show what the document names, and the unit that they show it in."""

dashboard = pytest.mark.controls(component="grafana-dashboard")


@dashboard
def test_there_is_a_panel_for_it(control, facts, found):
    shown = {
        row["title"].lower(): row["fieldConfig"]["defaults"]["unit"]
        for model in facts.dashboards.models
        for row in model["panels"]
    }
    wanted = PANELS[control.key]
    assert found({title: shown.get(title) for title in wanted}) == wanted


@dashboard
def test_every_query_returns_data(control, facts, found):
    empty = [
        f"{title}: {query} -> {facts.dashboards.series(query)}"
        for title in PANELS[control.key]
        for query in facts.dashboards.panels[title].queries
        if not isinstance(facts.dashboards.series(query), int) or not facts.dashboards.series(query)
    ]
    assert found(empty) == []


@pytest.mark.controls("bluegreen.grafana-dashboard.response_time")
def test_the_documented_percentiles_are_shown(control, facts, found):
    (row,) = [
        row
        for model in facts.dashboards.models
        for row in model["panels"]
        if row["title"] == "Response time"
    ]
    legends = [target["legendFormat"] for target in row["targets"]]
    assert found(", ".join(legends)) == control.expected


@dashboard
def test_everything_is_scraped(control, facts, found):
    found({job: list(health) for job, health in facts.dashboards.targets.items()})
    assert len(facts.dashboards.targets) >= 8
    assert {one for health in facts.dashboards.targets.values() for one in health} == {"up"}


@pytest.mark.controls("containers.grafana")
def test_grafana_listens_at_its_port(control, facts, found):
    port = int(control.expected.removeprefix("port "))
    assert found(facts.host.listeners(port)), f"nothing listens on port {port}"
