"""What is read of the server before and after the load, and what is put right there."""

import time
from dataclasses import dataclass

from connect_infra.errors import ConnectInfraError, ObservationError
from connect_infra.targets import Target
from connect_infra.transport import Connection
from loadtests.evidence import Evidence
from loadtests.prometheus import QUERIES, SCRAPE, Prometheus, prometheus
from loadtests.site import queue_depth

DRAIN = 30.0
"""Seconds that the queue gets to drain when the load has ended."""


@dataclass(frozen=True)
class Counters:
    """What only grows, or must be empty in the end."""

    evicted: float
    jobs_given_up: int


def counters(target: Target, connection: Connection) -> Counters:
    """How it stands before the load."""
    with prometheus(connection) as asked:
        return Counters(_once_known(asked, QUERIES["evictions"].promql), queue_depth(target)[1])


def _once_known(asked: Prometheus, promql: str) -> float:
    """A value; a server that has just booted gets the time to have looked at itself."""
    deadline = time.monotonic() + 2 * SCRAPE
    while True:
        try:
            return asked.now(promql)
        except ObservationError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1)


def read(evidence: Evidence, target: Target, connection: Connection, before: Counters) -> None:
    """Add the server's own account to the evidence; what can't be read is named there."""
    try:
        left, given_up = _drained(target)
        evidence.measures["queue_left"] = left
        evidence.measures["jobs_failed"] = given_up - before.jobs_given_up
    except ConnectInfraError as problem:
        evidence.missing.append(str(problem))
    if evidence.begun is None:
        return
    end = time.time()
    time.sleep(SCRAPE + 1)  # so that Prometheus has looked once more
    try:
        with prometheus(connection) as asked:
            evicted = asked.now(QUERIES["evictions"].promql)
            evidence.measures["evictions"] = max(0.0, evicted - before.evicted)
            _read_series(evidence, asked, end + SCRAPE)
    except ConnectInfraError as problem:
        evidence.missing.append(str(problem))


def _read_series(evidence: Evidence, asked: Prometheus, end: float) -> None:
    assert evidence.begun is not None
    for name in QUERIES:
        try:
            series = asked.series(name, evidence.begun, end)
        except ConnectInfraError as problem:
            evidence.missing.append(str(problem))
            continue
        if series.points:
            evidence.series.append(series)


def _drained(target: Target) -> tuple[int, int]:
    """The queue's depth when it is empty, or when the time for that is over."""
    deadline = time.monotonic() + DRAIN
    while (depth := queue_depth(target))[0] and time.monotonic() < deadline:
        time.sleep(1)
    return depth


def tidy(evidence: Evidence, connection: Connection) -> None:
    """Let addresses in again that a lab host's fail2ban shut out; real servers keep their bans."""
    plan, addresses = evidence.plan, evidence.addresses
    if plan.lab and addresses and plan.profile.over_the_limit:
        connection.run('fail2ban-client unban "$@"', *addresses, sudo=True)
