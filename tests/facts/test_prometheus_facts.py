"""Recorded answers of Prometheus and Alertmanager, read as facts."""

import json

import pytest

from connect_infra.errors import ObservationError
from connect_infra.facts import prometheus
from connect_infra.facts.base import Output


def changed(recorded, change):
    answer = json.loads(recorded("prometheus")["server"].stdout)
    change(answer)
    return prometheus.parse(recorded("prometheus", server=json.dumps(answer)))


def test_what_it_runs_with(recorded):
    facts = prometheus.parse(recorded("prometheus"))
    assert facts.config["global"]["scrape_interval"] == "15s"
    assert facts.version.startswith("2.42.0")
    assert facts.alertmanagers == ("localhost:9093",)
    assert facts.reloaded


def test_how_alerts_are_delivered(recorded):
    assert prometheus.parse(recorded("prometheus")).delivery == ("webhook_configs",)

    def nobody(answer):
        config = "route: {receiver: nobody}\nreceivers: [{name: nobody}]"
        answer["alertmanager"]["config"]["original"] = config

    assert changed(recorded, nobody).delivery == ()


def test_targets_by_job(recorded):
    facts = prometheus.parse(recorded("prometheus"))
    (node,) = facts.job("node-exporter")
    assert (node.address, node.path, node.health) == ("localhost:9100", "/metrics", "up")
    with pytest.raises(ObservationError, match="a target of job blackbox"):
        facts.job("blackbox")


def test_alerts_are_those_of_the_documented_group(recorded):
    facts = prometheus.parse(recorded("prometheus"))
    alert = facts.alert("DatabaseDown")
    assert alert.expr == 'up{job="postgres-exporter"} == 0'
    assert (alert.lasts, alert.severity) == (30.0, "critical")
    assert len([rule for rule in facts.rules if rule.name == "DatabaseDown"]) == 2


def test_a_query_is_the_same_in_any_layout():
    assert prometheus.bare("a + b\n  > 1") == prometheus.bare("a+b>1")
    assert prometheus.bare("a > 1") != prometheus.bare("a > 10")
    assert prometheus.bare("rate(a[60m])") == prometheus.bare("rate(a[1h])")
    assert prometheus.bare("rate(a[5m])") != prometheus.bare("rate(a[50m])")
    assert prometheus.bare("rate(a[x])") == "rate(a[x])"


def test_panels_know_what_their_queries_return(recorded):
    facts = prometheus.parse(recorded("prometheus"))
    cpu = facts.dashboards["System Overview"][0]
    assert (cpu.title, cpu.kind) == ("CPU", "timeseries")
    assert list(cpu.queries.values()) == [1]


def test_a_query_that_the_server_refuses_shows_its_words(recorded):
    def refuse(answer):
        query = next(iter(answer["found"]))
        answer["found"][query] = "parse error: unexpected end of input"

    facts = changed(recorded, refuse)
    results = [
        r for panels in facts.dashboards.values() for p in panels for r in p.queries.values()
    ]
    assert "parse error: unexpected end of input" in results


def test_an_alertmanager_that_is_down_has_no_version(recorded):
    facts = changed(recorded, lambda answer: answer.update(alertmanager={"error": "refused"}))
    assert facts.alertmanager_version == ""


def test_a_server_that_is_down_is_an_error(recorded):
    down = Output(1, "", "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>")
    with pytest.raises(ObservationError, match="Connection refused"):
        prometheus.parse({**recorded("prometheus"), "server": down})
