"""From outcomes to verdicts: what a test's report says of its control."""

from collections.abc import Generator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from connect_infra.document import Expectation
from connect_infra.errors import ConnectInfraError
from connect_infra.report import messages
from connect_infra.report.messages import WaiverNote
from connect_infra.report.plugin import RECORD
from connect_infra.report.plugin.controls import control_of
from connect_infra.report.plugin.gathering import workerinput
from connect_infra.report.plugin.handover import keep_for_later
from connect_infra.report.plugin.verification import Verification, verification_of
from connect_infra.report.results import Result, Status

OWN_SECRET = "(the target's own secret)"
"""Stands where an expected secret would: the documents print a placeholder there."""

_seen = pytest.StashKey[list[str]]()


def note_seen(item: pytest.Item, value: object) -> None:
    """Keep what a spec found, for its control's result."""
    item.stash.setdefault(_seen, []).append(_shown(value))


def _shown(value: object) -> str:
    if isinstance(value, (frozenset, set)):
        return " ".join(sorted(map(str, value)))
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return str(value)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Report a spec once, instead of its start, each of its three phases, and its end."""
    verification = verification_of(item.config)
    if control_of(item) is None or verification is None:
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.passed and report.when == "call" and workerinput(item.config):
            keep_for_later(item.config, report)
        elif report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test's outcome into its control's verdict."""
    report = yield
    verification = verification_of(item.config)
    control_id = control_of(item)
    final = report.when == "call" or not report.passed
    if verification is None or control_id is None or not final:
        return report
    expectation = verification.expectations[control_id]
    result = _verdict(item, call, report, expectation, verification)
    if result.status == "waived":
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"waived: {result.message}")
    elif result.status in {"fail", "error"} and _needs_no_traceback(call):
        report.longrepr = result.message
    report.user_properties.append((RECORD, _record(result)))
    return report


def _record(result: Result) -> dict[str, Any]:
    return dict(vars(result))


def _needs_no_traceback(call: pytest.CallInfo[None]) -> bool:
    assert call.excinfo is not None
    return issubclass(call.excinfo.type, (AssertionError, ConnectInfraError))


def _verdict(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    expectation: Expectation,
    verification: Verification,
) -> Result:
    seen = item.stash.get(_seen, [])
    found = "; ".join(dict.fromkeys(seen)) if seen else None
    status, message = _status(call, report)
    expected = OWN_SECRET if expectation.control.type == "secret" else expectation.expected
    if status == "fail":
        difference = messages.difference(expected, found)
        message = f"{message}: {difference}" if message else difference
    if status in {"fail", "error"}:
        message += messages.advice(verification.document.errata_in_force([expectation.id]))
        waiver = verification.waivers.get(expectation.id)
        if waiver is not None:
            status = "waived"
            message += messages.waived(WaiverNote(waiver.owner, waiver.expires, waiver.reason))
    return Result(
        id=expectation.id,
        status=status,
        expected=expected,
        found=found,
        message=message,
        seconds=round(report.duration, 6),
    )


def _status(call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[Status, str]:
    if report.passed:
        return "pass", ""
    assert call.excinfo is not None
    problem = call.excinfo.value
    if report.skipped:
        return "not_applicable", str(getattr(problem, "msg", problem))
    if isinstance(problem, AssertionError):
        return "fail", _said(problem)
    if isinstance(problem, ConnectInfraError):
        return "error", str(problem)
    return "error", f"{type(problem).__name__}: {problem}".splitlines()[0]


def _said(problem: AssertionError) -> str:
    """Return the sentence that the spec itself gave with its assertion."""
    first = str(problem).partition("\n")[0]
    return "" if first.startswith("assert ") else first
