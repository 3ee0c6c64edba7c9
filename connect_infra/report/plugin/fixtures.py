"""What a spec can ask for: the target, what it must show, what it shows, and a way to it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from connect_infra.document import Expectation
from connect_infra.facts.gather import Facts
from connect_infra.report.plugin import UNUSABLE
from connect_infra.report.plugin.verdicts import note_seen
from connect_infra.report.plugin.verification import Verification, verification_of
from connect_infra.targets import Secrets, Target
from connect_infra.transport import Connection

if TYPE_CHECKING:
    from testinfra.host import Host

Observed = TypeVar("Observed")


@pytest.fixture(scope="session")
def verification(pytestconfig: pytest.Config) -> Verification:
    """The run of specs that this test belongs to."""
    run = verification_of(pytestconfig)
    if run is None:
        pytest.exit("specs: expected `pytest specs/`, found other paths", returncode=UNUSABLE)
    return run


@pytest.fixture(scope="session")
def target(verification: Verification) -> Target:
    """The target as the inventory describes it."""
    return verification.target


@pytest.fixture(scope="session")
def secrets(verification: Verification) -> Secrets:
    """The target's secrets, by name."""
    return verification.secrets


@pytest.fixture(scope="session")
def expectations(verification: Verification) -> Any:
    """What the target must show, by control id."""
    return verification.expectations


@pytest.fixture
def control(request: pytest.FixtureRequest, verification: Verification) -> Expectation:
    """What the target must show for the control that this spec asserts now."""
    expectation = verification.expectations[request.param]
    if not expectation.applicable:
        pytest.skip(expectation.reason or "not applicable on this target")
    return expectation


@pytest.fixture
def found(request: pytest.FixtureRequest) -> Callable[[Observed], Observed]:
    """Note what was found, for the results, and return it."""

    def note(value: Observed) -> Observed:
        note_seen(request.node, value)
        return value

    return note


@pytest.fixture(scope="session")
def facts(verification: Verification) -> Facts:
    """What the target shows, gathered once for the whole run."""
    return verification.facts


@pytest.fixture(scope="session")
def connection(verification: Verification) -> Connection:
    """The live connection, for what can only be seen in behaviour."""
    return verification.connection()


@pytest.fixture(scope="session")
def host(connection: Connection) -> "Host":
    """Testinfra's vocabulary over the one connection."""
    return connection.testinfra()
