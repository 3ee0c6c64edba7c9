"""How much the site carries: each step judged by itself, and what was scarce at the knee."""

from collections.abc import Sequence

from loadtests.analysis import percentile
from loadtests.profile import Profile
from loadtests.recorder import Merged
from loadtests.result import Knee, ServerSample, StepResult
from loadtests.server import resources_used

P95 = 1.0
"""Seconds that a step's p95 may take: the documented alert (A 5.1)."""

ANSWERED = 0.95
"""The part of a step's planned requests that must be answered within the step's own account."""

SCARCE = 0.8
"""From this use on a resource is what limits the site."""


def steps(
    merged: Merged,
    profile: Profile,
    taken: Sequence[ServerSample],
    *,
    cores: int,
    connections: int,
    until: float,
) -> tuple[StepResult, ...]:
    """The steps that were made in full before `until`."""
    found = []
    start = 0.0
    for step in profile.steps:
        end = start + step.seconds
        if end > until + 1:
            break
        cell = merged.between(start, end)
        inside = [one for one in taken if start < one.at <= end + 5]
        p95 = percentile(cell.latency, 95)
        answered = int(cell.latency.get_total_count())
        found.append(
            StepResult(
                rate=step.rate,
                at=start,
                seconds=step.seconds,
                planned=step.rate * step.seconds,
                requests=cell.requests,
                errors=cell.errors.total(),
                answered_rate=answered / step.seconds,
                p95=p95,
                p99=percentile(cell.latency, 99),
                broken=broken(step.rate * step.seconds, answered, cell.errors.total(), p95),
                limited_by=scarce(inside, cores, connections),
            )
        )
        start = end
    return tuple(found)


def broken(planned: float, answered: int, errors: int, p95: float | None) -> str:
    """What is wrong with a step; empty when it held."""
    if errors:
        return f"{errors} requests failed"
    if p95 is None or p95 > P95:
        return f"p95 {p95:.2f} s, allowed {P95:g} s" if p95 is not None else "no answer at all"
    if answered < planned * ANSWERED:
        return f"{answered} of {planned:.0f} requests were answered"
    return ""


def scarce(taken: Sequence[ServerSample], cores: int, connections: int) -> str:
    """The resource that is closest to its end, with its use; says so when none is close."""
    if not taken:
        return "not observed"
    first = resources_used(taken, cores, connections)[0]
    words = f"{first.name}: {first.used:.0%} ({first.detail})"
    return words if first.used >= SCARCE else f"nothing on the server; most used {words}"


def knee(found: Sequence[StepResult]) -> Knee | None:
    """The last step that held before the first that broke; None when none held or none broke."""
    first = next((n for n, one in enumerate(found) if one.broken), None)
    if not first:
        return None
    return Knee(
        rate=found[first - 1].rate,
        broken_at=found[first].rate,
        broken=found[first].broken,
        limited_by=found[first].limited_by,
    )
