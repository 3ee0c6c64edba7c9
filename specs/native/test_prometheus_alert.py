"""Architecture v2.0, 5.1: each alert, as Prometheus has it loaded."""

import re

import pytest

from connect_infra.facts.prometheus import bare


def part(name):
    return lambda control: control.key.endswith(f".{name}")


def alert_of(control, facts):
    return facts.prometheus.alert(control.key.rpartition(".")[0])


@pytest.mark.controls(component="prometheus-alert", where=part("expr"))
def test_the_alert_watches(control, facts, found):
    assert bare(found(alert_of(control, facts).expr)) == bare(control.expected)


@pytest.mark.controls(component="prometheus-alert", where=part("expr"))
def test_the_alert_can_be_evaluated(control, facts, found):
    assert found(alert_of(control, facts).health) == "ok"


@pytest.mark.controls(component="prometheus-alert", where=part("for"))
def test_the_alert_waits(control, facts, found):
    assert control.parse(f"{found(alert_of(control, facts).lasts)}s") == control.value


@pytest.mark.controls(component="prometheus-alert", where=part("severity"))
def test_the_alert_is_as_severe_as(control, facts, found):
    assert found(alert_of(control, facts).severity) == control.value


@pytest.mark.controls(component="prometheus-alert")
def test_the_file_would_bring_the_same_alert_again(control, facts, found):
    name, _, what = control.key.rpartition(".")
    alert = facts.prometheus.written_alert(name)
    if what == "expr":
        same = bare(found(alert.expr)) == bare(control.expected)
    else:
        text = alert.lasts if what == "for" else alert.severity
        same = control.parse(found(text)) == control.value
    assert same, "the rules' file has another value"


def rules_beside(name, facts):
    """The expressions of the rules of a name that stand beside the documented group."""
    documented = facts.prometheus.alert(name)
    return [
        rule.expr for rule in facts.prometheus.rules if rule.name == name and rule != documented
    ]


@pytest.mark.controls("prometheus.alert.DatabaseDown.expr")
def test_a_database_that_is_down_behind_its_exporter_is_seen_too(control, facts, found):
    beside = found(rules_beside("DatabaseDown", facts))
    assert any("pg_up" in expression for expression in beside), "no rule beside it asks the server"


@pytest.mark.controls("prometheus.alert.HighDiskUsage.expr")
def test_disks_beside_the_root_are_watched_too(control, facts, found):
    beside = found(rules_beside("HighDiskUsage", facts))
    others = any('mountpoint!="/"' in expression for expression in beside)
    assert others, "no rule beside it watches the other disks"


@pytest.mark.controls(
    "prometheus.alert.HighMemoryUsage.expr", "prometheus.alert.HighDiskUsage.expr"
)
def test_somebody_hears_when_a_target_is_down(control, facts, found):
    documented = [facts.prometheus.alert(name) for name in ("DatabaseDown", "ApplicationDown")]
    beside = [rule.expr for rule in facts.prometheus.rules if rule not in documented]
    heard = any(re.match(r"up\b.* == 0$", expression) for expression in found(beside))
    assert heard, "no rule beside it watches the exporters"
