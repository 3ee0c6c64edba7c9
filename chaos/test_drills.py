"""Every drill as a test: `pytest chaos/ --target lab -m "not long"`; -m short for the quickest."""

from typing import Any

import pytest

from chaos import drills, guards
from chaos.drills import Drill
from chaos.run import run
from connect_infra.errors import ConnectInfraError
from connect_infra.targets import Target, load_inventory
from connect_infra.targets.lab import state_dir


def _marks(drill: Drill) -> list[pytest.MarkDecorator]:
    return [getattr(pytest.mark, tag) for tag in drill.tags]


@pytest.fixture(scope="session")
def drilled(pytestconfig: pytest.Config) -> Target:
    """The target that --target names; what is wrong with it ends the run in one line."""
    try:
        inventory = load_inventory(pytestconfig.getoption("--inventory"))
        return inventory.target(str(pytestconfig.getoption("--target")))
    except ConnectInfraError as problem:
        pytest.exit(str(problem), returncode=2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The drills of the target's topology; native ones where there is no such target."""
    option = metafunc.config.getoption
    try:
        topology = load_inventory(option("--inventory")).target(str(option("--target"))).topology
    except ConnectInfraError:
        topology = "native"
    known = [pytest.param(one, marks=_marks(one), id=one.name) for one in drills.load(topology)]
    metafunc.parametrize("drill", known)


def test_drill(drill: Drill, drilled: Target, record_property: Any) -> None:
    """Its objectives are met and the host is as before."""
    guards.require(drilled, drill, typed_name="")
    journal = run(drilled, drill, guards.journals(state_dir(), drilled), print)
    for one in journal.objectives:
        record_property(one.name, one.measured)
    assert journal.verdict == "met", "; ".join(journal.reasons)
