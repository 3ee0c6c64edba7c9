"""Whether a run met its objectives, missed them, or says nothing: pure functions.

A generator that could not keep up did not show what the site can do. Such a run is invalid, not
slow, and invalid weighs more than missed: what was missed may be the generator's own fault.
"""

from collections.abc import Mapping, Sequence

from loadtests.measures import MEASURES
from loadtests.profile import Objective
from loadtests.result import GeneratorResult, ObjectiveResult, Verdict

REACHED = 0.99
"""The part of the planned requests that must have been sent. Random places leave some 0.5 %."""

CONNECTIONS = 0.02
"""How far the number of connections may be from the expected one."""

LATE_P99 = 0.1
"""Seconds: a tenth of the documented second (A 5.1). A later generator blurs the percentiles."""


def judge(
    objectives: Sequence[Objective], found: Mapping[str, float | None]
) -> tuple[ObjectiveResult, ...]:
    """Hold each objective against what was measured; what was not measured is invalid."""
    return tuple(_judged(one, found.get(one.measure)) for one in objectives)


def _judged(objective: Objective, found: float | None) -> ObjectiveResult:
    measure = MEASURES[objective.measure]
    verdict: Verdict = "invalid"
    if found is not None:
        verdict = "met" if objective.met_by(found) else "missed"
    return ObjectiveResult(
        measure=objective.measure,
        meaning=measure.meaning,
        unit=measure.unit,
        sense="at most" if objective.at_most is not None else "at least",
        limit=objective.limit,
        found=found,
        verdict=verdict,
        source=objective.source,
    )


def shortcomings(
    made: GeneratorResult, *, users: int, late_allowed: float = LATE_P99, server_is_slow: bool
) -> list[str]:
    """What the generator owes: each is a reason for an invalid run.

    Users who still wait for a slow server's answer can't send their next request. That is the
    server's fault, and their late requests count from when they were due; so a slow server
    excuses requests and connections that were not made.
    """
    reasons = []
    if made.users < users:
        reasons.append(f"only {made.users} of {users} users were there")
    if made.late_p99 is None:
        reasons.append("no request was sent by an idle user")
    elif made.late_p99 > late_allowed:
        reasons.append(
            f"the generator was late: p99 {made.late_p99 * 1000:.0f} ms, "
            f"allowed {late_allowed * 1000:.0f} ms"
        )
    if not server_is_slow and made.requests_sent < made.requests_planned * REACHED:
        reasons.append(
            f"only {made.requests_sent} of {made.requests_planned:.0f} planned requests were sent"
        )
    if not server_is_slow and _far(made.connections_opened, made.connections_expected):
        reasons.append(
            f"{made.connections_opened} connections were opened, "
            f"expected about {made.connections_expected:.0f}"
        )
    return reasons


def _far(found: float, expected: float) -> bool:
    """Apart by more than the allowed part, and by more than a few, which small runs may be."""
    return abs(found - expected) > max(CONNECTIONS * expected, 10)


def conclude(
    objectives: Sequence[ObjectiveResult], invalid: Sequence[str]
) -> tuple[Verdict, tuple[str, ...]]:
    """The run's verdict, and why it is not `met`."""
    unobserved = [f"not observed: {one.measure}" for one in objectives if one.verdict == "invalid"]
    if not objectives:
        unobserved.append("nothing was asserted")
    if invalid or unobserved:
        return "invalid", (*invalid, *unobserved)
    missed = tuple(_words(one) for one in objectives if one.verdict == "missed")
    return ("missed", missed) if missed else ("met", ())


def _words(one: ObjectiveResult) -> str:
    unit = f" {one.unit}" if one.unit else ""
    return f"{one.measure}: expected {one.sense} {one.limit:g}{unit}, found {one.found:g}{unit}"
