"""Recorded answers of a Docker host's Prometheus to its dashboard's queries, read as facts."""

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import dashboards


@pytest.fixture
def facts(recorded):
    return dashboards.parse(recorded("dashboards"))


def test_every_panel_has_data(facts):
    assert {"request rate", "containers: memory", "redis: hit rate"} <= set(facts.panels)
    for panel in facts.panels.values():
        assert panel.queries
        for query in panel.queries:
            assert facts.series(query), f"{panel.title}: {query}"


def test_every_container_is_measured(facts):
    (query,) = facts.panels["containers: memory"].queries
    assert facts.series(query) == 12


def test_everything_is_scraped(facts):
    assert set(facts.targets) == {
        *("connect-app", "haproxy", "patroni", "etcd"),
        *("postgres", "redis", "containers", "prometheus"),
    }
    assert {one for health in facts.targets.values() for one in health} == {"up"}


def test_a_query_that_nobody_asked_says_so(facts):
    assert facts.series("up") == "not asked"


def test_what_is_not_its_answer_is_an_error(recorded):
    with pytest.raises(ObservationError, match="Prometheus on port 9090"):
        dashboards.parse(recorded("dashboards", prometheus="<html>"))
