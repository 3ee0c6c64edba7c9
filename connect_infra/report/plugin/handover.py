"""What xdist's workers tell the main process at their end.

A thousand specs that pass would be a thousand messages, and cost more than the specs do. They are
one message, when a worker has nothing more to do; what does not pass is reported at once.
"""

from typing import Any

import pytest

from connect_infra.report.plugin.gathering import workerinput
from connect_infra.report.plugin.verification import verification_of

_kept = pytest.StashKey[list[dict[str, Any]]]()


def keep_for_later(config: pytest.Config, report: pytest.TestReport) -> None:
    """Keep the report of a spec that passed, in a worker."""
    config.stash.setdefault(_kept, []).append(
        {
            "nodeid": report.nodeid,
            "location": report.location,
            "duration": report.duration,
            "user_properties": report.user_properties,
        }
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what this worker has kept."""
    config = session.config
    verification = verification_of(config)
    if verification is not None and workerinput(config):
        output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]
        output["round_trips"] = verification.round_trips
        output["passed"] = config.stash.get(_kept, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take in what a worker hands over; one that died hands over nothing."""
    config: pytest.Config = node.config
    verification = verification_of(config)
    if verification is None:
        return
    if error:
        verification.died.append(f"{node.gateway.id}: {error}; what passed there is not known")
        return
    verification.round_trips_elsewhere += node.workeroutput["round_trips"]
    for kept in node.workeroutput["passed"]:
        report = pytest.TestReport(
            keywords={}, outcome="passed", longrepr=None, when="call", **kept
        )
        config.hook.pytest_runtest_logreport(report=report)
