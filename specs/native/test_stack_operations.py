"""Architecture v2.0, 2.1: what operates the host: Prometheus, dashboards, systemd."""

import pytest

from connect_infra.facts.units import WATCHERS


@pytest.mark.controls("stack.operations")
@pytest.mark.parametrize("name", WATCHERS)
def test_systemd_runs_it_starts_it_at_boot_and_again(control, facts, name, found):
    unit = facts.units[name]
    found(f"{unit.name}: {unit.state}, Restart={unit.restart}")
    assert unit.runs
    assert unit.starts_at_boot
    assert unit.restart in {"always", "on-failure"}


@pytest.mark.controls("stack.operations")
def test_grafana_finds_the_documented_dashboards(control, facts, expectations, found):
    documented = {
        each.key
        for each in expectations.values()
        if each.control.component == "grafana-dashboard" and each.control.document == "A"
    }
    assert found(set(facts.prometheus.dashboards)) == documented
