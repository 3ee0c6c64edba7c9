"""No documented control of a covered component goes without a spec that reads the target."""

import pytest

from connect_infra import document
from connect_infra.cli.controls import collected

COVERED = {
    *("host", "layout", "postgresql", "pgbouncer", "redis-cache", "redis-queue"),
    *("pgbackrest", "cron.pgbackrest"),
}
COVERED_OF_STACK = {"stack.pool", "stack.database", "stack.cache", "stack.queue"}


@pytest.fixture(scope="module")
def specs():
    return collected()


def test_every_control_of_a_covered_component_has_a_spec(specs):
    covered = COVERED | {
        document.load().controls[control].component
        for control in specs
        if not control.startswith("stack.")
    }
    controls = {
        control.id
        for control in document.load().controls.values()
        if control.component in covered and control.kind in {"setting", "fact", "behaviour"}
    } | COVERED_OF_STACK
    assert controls - set(specs) == set()


def test_every_specs_name_holds_its_controls_id(specs):
    names = [(control, name) for control, tests in specs.items() for name in tests]
    assert [(control, name) for control, name in names if f"[{control}" not in name] == []


def test_every_control_has_a_spec_that_disturbs_nothing(specs):
    assert set(specs) - set(collected("-m", "not intrusive")) == set()
